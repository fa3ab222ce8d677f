"""Opening all sources of a shot together, and what must hold between them before work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from platelight.errors import FrameError, RecipeError
from platelight.frames import FrameRange
from platelight.recipe import Recipe

from ..color.spaces import Space
from . import keying, opening, picture_io
from .cameras import load_camera
from .carried import check_carried, is_carried
from .carry import reference_frame
from .facts import FactIndex, Facts
from .geometry import FITS, check_probe
from .inputs import Inputs, Source, space_of
from .listing import scan
from .opening import Found, Role
from .picture import Box, PictureInfo

# A matte that never rises over this is empty; one over 1 by more than MATTE_MOST is no coverage (a picture was given
# for it, or it is scaled to 255).
EMPTY_MATTE = 1 / 512
MATTE_MOST = 1.01
# Stands in for a colour space that cannot be told, so that the rest of the shot is checked in the same go.
UNKNOWN = Space("unknown")


def open_shot(
    recipe: Recipe,
    shot: Sequence[int],
    needed: Sequence[int],
    index: FactIndex,
    workers: int,
    facts: dict[tuple[str, Path], Facts],
    found: Found,
) -> Inputs | None:
    """All sources, opened and agreed; `None` where `found.errors` says why not. Fills `facts` by (role, file)."""
    needed = sorted({*needed, *keying.screen_frames(recipe)})
    _lights(recipe, needed, found)
    roles = opening.roles(recipe, found)
    sources: dict[str, Source] = {}
    infos: dict[str, PictureInfo] = {}
    for name, role in roles.items():
        info = found.attempt(lambda role=role: opening.first_good(role, shot))  # type: ignore[misc]
        if info is None:
            continue
        infos[name] = info
        source = found.attempt(lambda role=role, info=info: _source(role, info, recipe, needed, index, workers, facts))  # type: ignore[misc]
        if source is not None:
            sources[name] = source
    if "plate" not in infos:
        return None
    # A plate that is refused has no files here; what its first header says is held against the others all the same.
    first = infos["plate"]
    plate = _shared(sources) if "plate" in sources else Source("plate", (), {})
    if recipe.matte is not None and recipe.matte.from_plate_alpha and plate.channels:
        sources["matte"] = Source("matte", opening.alpha_of_plate(first, plate.channels), plate.files)
    space = found.attempt(lambda: opening.plate_space(first, recipe))
    working = found.attempt(lambda: opening.working_space(recipe, space or UNKNOWN))
    camera = found.attempt(lambda: load_camera(recipe, first, *_filmed(recipe, roles["plate"], plate, needed)))
    inputs = Inputs(
        recipe, plate, space or UNKNOWN, working or UNKNOWN, _work(roles["plate"], shot, first), first.display,
        first.pixel_aspect, first.header, sources.get("matte"), sources.get("background"), sources.get("normal"),
        sources.get("probe_background"), sources.get("probe_plate"), camera, relit=sources.get("relit"),
    )  # fmt: skip
    _, wrong = opening.agree(opening.used_files(plate, needed), first, plate.channels, "plate.path")
    found.errors.extend(FrameError(text) for text in wrong[:5])
    _sizes(inputs, needed, found)
    _finite(inputs, needed, facts, found)
    _coverage(inputs, needed, facts, found)
    if is_carried(inputs) and (camera is not None or recipe.camera is None):
        check_carried(inputs, [frame for frame in needed if frame in plate.files], found)
    if recipe.matte is not None and recipe.matte.key is not None and not found.errors:
        inputs = replace(inputs, screen=found.attempt(lambda: keying.screen_of(inputs)))
    return inputs if not found.errors else None


def _filmed(recipe: Recipe, role: Role, plate: Source, needed: Sequence[int]) -> tuple[Sequence[int], Source]:
    """The frames whose camera is needed, and the plate with their files: the view that a moving still shows too."""
    frame = reference_frame(recipe)
    if recipe.background.move != "camera" or frame in needed:
        return needed, plate
    on_disk = {} if role.sequence.is_still else scan(role.sequence)
    return [*needed, frame], replace(plate, files={**plate.files, frame: on_disk.get(frame)})


def _source(
    role: Role,
    info: PictureInfo,
    recipe: Recipe,
    needed: Sequence[int],
    index: FactIndex,
    workers: int,
    facts: dict[tuple[str, Path], Facts],
) -> Source:
    """One opened source: every file that serves a needed frame is decoded once, damaged ones fall to the policy."""
    on_disk = {} if role.sequence.is_still else scan(role.sequence)
    channels = opening.channels_for(role.name, info, recipe, on_disk.values())
    alpha_too = role.name == "plate" and recipe.matte is not None and recipe.matte.from_plate_alpha
    looked = channels + opening.alpha_of_plate(info, channels) if alpha_too else channels
    space = space_of(info, _asked_space(role.name, recipe), f"{role.name}.colorspace") if _is_color(role.name) else None
    files = [on_disk[f + role.offset] for f in needed if f + role.offset in on_disk]
    seen, damaged = opening.look_at(files or [info.path], looked, index, workers)
    served = opening.table(role, needed, damaged, _missing(role, recipe))
    # A frame held from outside the frames looked at so far may be damaged too: then the one before it is held.
    while unseen := [path for path in served.values() if path is not None and path not in seen]:
        more, broken = opening.look_at(unseen, looked, index, workers)
        seen.update(more)
        damaged.update(broken)
        served = opening.table(role, needed, damaged, _missing(role, recipe))
    facts.update({(role.name, path): fact.of(0, len(channels)) for path, fact in seen.items()})
    if alpha_too:
        facts.update({("matte", path): fact.of(len(channels), None) for path, fact in seen.items()})
    held = (
        ()
        if role.sequence.is_still
        else (f for f, path in served.items() if path and path != on_disk.get(f + role.offset))
    )
    return Source(role.name, channels, served, space, frozenset(held))


def _shared(sources: Mapping[str, Source]) -> Source:
    """The plate with the frames that all sources serve: under policy `skip` a frame without a matte is skipped too."""
    plate = sources["plate"]
    files = {f: path for f, path in plate.files.items() if all(f in source.files for source in sources.values())}
    return plate if len(files) == len(plate.files) else replace(plate, files=files)


def _work(role: Role, shot: Sequence[int], first: PictureInfo) -> Box:
    """The box around the data windows of the whole shot, whatever part of it is rendered: only headers are read."""
    if role.sequence.is_still:
        return first.data
    on_disk = scan(role.sequence)
    return opening.agree([on_disk[frame] for frame in shot if frame in on_disk], first, (), role.key)[0]


def _asked_space(role: str, recipe: Recipe) -> str:
    asked = {
        "background": recipe.background,
        "probe_background": recipe.probe_background,
        "probe_plate": recipe.probe_plate,
        "relit": recipe.relit,
    }
    said = asked[role]
    return said.colorspace if said is not None else "auto"


def _missing(role: Role, recipe: Recipe) -> str:
    """The policy about missing frames of a role."""
    return (recipe.background.missing if role.name == "background" else None) or recipe.plate.missing


def _is_color(role: str) -> bool:
    return role in ("background", "probe_background", "probe_plate", "relit")


def _sizes(inputs: Inputs, needed: Sequence[int], found: Found) -> None:
    """Sizes must agree: mattes and normals with the plate, backgrounds as `fit` says, probes twice as wide as high."""
    display = inputs.display
    exact = inputs.recipe.background.fit == FITS[0]
    for source in inputs.sources()[1:]:
        if source.files is inputs.plate.files or (source.role == "background" and not exact):
            continue
        for path in opening.used_files(source, needed):
            shown = picture_io.read_info(path).display
            if source.role.startswith("probe"):
                try:
                    check_probe(path, shown.width, shown.height)
                except FrameError as error:
                    found.errors.append(error)
                    break
            elif (shown.width, shown.height) != (display.width, display.height):
                found.errors.append(
                    FrameError(f"{source.role}: {path}: expected {display} like the plate, got {shown}")
                )
                break


def _finite(inputs: Inputs, needed: Sequence[int], facts: Mapping[tuple[str, Path], Facts], found: Found) -> None:
    """Plates and mattes are finite, or the policy is `repair`. Backgrounds, probes, normals are repaired and said."""
    for source in inputs.sources():
        bad = {p: sum(facts[source.role, p].nonfinite) for p in opening.used_files(source, needed)}
        bad = {path: count for path, count in bad.items() if count}
        if not bad:
            continue
        path, count = next(iter(bad.items()))
        text = f"{path}: expected finite pixels, got {count} NaN or Inf values ({len(bad)} such frames)"
        if source.role in ("plate", "matte") and inputs.recipe.plate.nonfinite == "refuse":
            todo = (
                "repair the file, or set plate.nonfinite = 'repair' (NaN becomes 0, Inf becomes 65504, and is counted)"
            )
            found.errors.append(FrameError(f"{source.role}.path: {text}; {todo}"))
        else:
            found.warnings.append(f"{source.role}: {text}; NaN becomes 0, Inf becomes 65504")


def _coverage(inputs: Inputs, needed: Sequence[int], facts: Mapping[tuple[str, Path], Facts], found: Found) -> None:
    """A matte is coverage from 0 to 1, one channel or equal ones, and not empty."""
    matte = inputs.matte
    if matte is None:
        return
    looked = [(path, facts["matte", path]) for path in opening.used_files(matte, needed)]
    for path, fact in looked:
        if max(fact.highs) > MATTE_MOST or min(fact.lows) < 1 - MATTE_MOST:
            found.errors.append(
                FrameError(
                    f"{path}: expected a matte from 0 to 1 in {', '.join(matte.channels)}, got"
                    f" {min(fact.lows):g} to {max(fact.highs):g}"
                )
            )
            return
        if len(matte.channels) > 1 and not fact.equal_channels:
            names = ", ".join(matte.channels)
            found.errors.append(
                FrameError(
                    f"{path}: expected one matte channel or equal R,G,B, got {names} that differ;"
                    " name one (matte.channel)"
                )
            )
            return
    inverted = inputs.recipe.matte is not None and inputs.recipe.matte.invert
    most = {path: 1 - min(fact.lows) if inverted else max(fact.highs) for path, fact in looked}
    least = {path: 1 - max(fact.highs) if inverted else min(fact.lows) for path, fact in looked}
    empty = [path for path, value in most.items() if value <= EMPTY_MATTE]
    if looked and len(empty) == len(looked):
        found.errors.append(
            FrameError(f"{empty[0]}: expected a foreground, the matte is empty in all {len(looked)} frames")
        )
    elif empty:
        found.warnings.append(f"matte: {len(empty)} frames are empty, the first is {empty[0]}")
    if looked and all(value >= 1 for value in least.values()):
        key = "matte.cryptomatte" if inputs.recipe.matte and inputs.recipe.matte.cryptomatte else "matte.channel"
        found.warnings.append(f"matte: channel {matte.channels[0]} is 1 in all frames; is it the right one ({key})?")


def _lights(recipe: Recipe, needed: Sequence[int], found: Found) -> None:
    for number, light in enumerate(recipe.lights):
        lacking = [] if not light.transforms else [frame for frame in needed if frame not in light.transforms]
        if lacking:
            found.errors.append(
                RecipeError(
                    f"lights[{number}].transforms", f"frames {FrameRange.of(needed)}", f"no {FrameRange.of(lacking)}"
                )
            )
