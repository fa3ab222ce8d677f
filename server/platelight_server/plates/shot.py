"""Opening all sources of a shot together, and what must hold between them before work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from platelight.errors import FrameError, RecipeError
from platelight.frames import FrameRange
from platelight.recipe import Recipe

from . import opening, picture_io
from .cameras import load_camera
from .facts import FactIndex, Facts
from .geometry import FITS, check_probe
from .inputs import Inputs, Source, space_of
from .opening import Found, Role

# A matte that never rises over this is empty; one over 1 by more than MATTE_MOST is no coverage (a picture was given for
# it, or it is scaled to 255).
EMPTY_MATTE = 1 / 512
MATTE_MOST = 1.01


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
    roles = opening.roles(recipe, found)
    if "plate" not in roles or found.errors:
        return None
    first = found.attempt(lambda: opening.first_good(roles["plate"], shot))
    if first is None:
        return None
    space = found.attempt(lambda: opening.plate_space(first, recipe))
    working = found.attempt(lambda: opening.working_space(recipe, space)) if space is not None else None
    sources: dict[str, Source] = {}
    for role in roles.values():
        opened = found.attempt(lambda role=role: _source(role, recipe, needed, index, workers, facts))
        if opened is not None:
            sources[role.name] = opened
    if found.errors or space is None or working is None:
        return None
    plate = sources["plate"]
    if recipe.matte is not None and recipe.matte.from_plate_alpha:
        sources["matte"] = Source("matte", opening.alpha_of_plate(first, plate.channels), plate.files)
        facts.update({("matte", path): fact for (role_name, path), fact in list(facts.items()) if role_name == "plate"})
    used = opening.used_files(plate, needed)
    work, wrong = opening.agree(used, first, plate.channels, "plate.path")
    found.errors.extend(FrameError(text) for text in wrong[:5])
    camera = found.attempt(lambda: load_camera(recipe, first, needed, plate))
    inputs = Inputs(
        recipe, plate, space, working, work, first.display, first.pixel_aspect,
        sources.get("matte"), sources.get("background"), sources.get("normal"),
        sources.get("probe_background"), sources.get("probe_plate"), camera,
    )  # fmt: skip
    _sizes(inputs, needed, found)
    _pixels(inputs, needed, facts, found)
    _lights(recipe, needed, found)
    return inputs if not found.errors else None


def _source(
    role: Role,
    recipe: Recipe,
    needed: Sequence[int],
    index: FactIndex,
    workers: int,
    facts: dict[tuple[str, Path], Facts],
) -> Source:
    """One opened source: every file that serves a needed frame is decoded once, damaged ones fall to the policy."""
    info = opening.first_good(role, needed)
    channels = opening.channels_for(role.name, info, recipe)
    looked = channels
    if role.name == "plate" and recipe.matte is not None and recipe.matte.from_plate_alpha:
        looked = channels + opening.alpha_of_plate(info, channels)
    on_disk = {} if role.sequence.is_still else role.sequence.scan()
    files = [on_disk[f + role.offset] for f in needed if f + role.offset in on_disk]
    seen, damaged = opening.look_at(files or [info.path], looked, index, workers)
    served = opening.table(role, needed, damaged, recipe.plate.missing)
    held = [path for path in served.values() if path is not None and path not in seen]
    seen.update(opening.look_at(held, looked, index, workers)[0])
    facts.update({(role.name, path): fact for path, fact in seen.items()})
    space = space_of(info, _asked_space(role.name, recipe), f"{role.name}.colorspace") if _is_color(role.name) else None
    return Source(role.name, channels, served, space)


def _asked_space(role: str, recipe: Recipe) -> str:
    asked = {"background": recipe.background, "probe_background": recipe.probe_background, "probe_plate": recipe.probe_plate}
    said = asked[role]
    return said.colorspace if said is not None else "auto"


def _is_color(role: str) -> bool:
    return role in ("background", "probe_background", "probe_plate")


def _sizes(inputs: Inputs, needed: Sequence[int], found: Found) -> None:
    """Sizes must agree: mattes and normals with the plate, backgrounds as `fit` says, probes twice as wide as high."""
    display = inputs.display
    for source in inputs.sources()[1:]:
        if source.files is inputs.plate.files:
            continue
        for path in opening.used_files(source, needed):
            info = picture_io.read_info(path)
            size = info.display
            if source.role.startswith("probe"):
                found.attempt(lambda info=info: check_probe(info.path, info.display.width, info.display.height))
            elif source.role == "background":
                if inputs.recipe.background.fit == FITS[0] and (size.width, size.height) != (display.width, display.height):
                    found.errors.append(FrameError(f"background: {path}: expected {display} like the plate, got {size}"))
            elif (size.width, size.height) != (display.width, display.height):
                found.errors.append(FrameError(f"{source.role}: {path}: expected {display} like the plate, got {size}"))
                break


def _pixels(inputs: Inputs, needed: Sequence[int], facts: Mapping[tuple[str, Path], Facts], found: Found) -> None:
    """Values must make sense: finite plates (or the policy `repair`), mattes that are coverage and not empty."""
    bad = {p: facts["plate", p].nonfinite for p in opening.used_files(inputs.plate, needed) if facts["plate", p].nonfinite}
    if bad:
        path, count = next(iter(bad.items()))
        text = f"{path}: expected finite pixels, got {count} NaN or Inf values ({len(bad)} such frames)"
        if inputs.recipe.plate.nonfinite == "refuse":
            todo = "repair the plate, or set plate.nonfinite = 'repair' (NaN becomes 0, Inf becomes 65504, and is counted)"
            found.errors.append(FrameError(f"plate.path: {text}; {todo}"))
        else:
            found.warnings.append(f"plate.nonfinite = 'repair': {text}")
    matte = inputs.matte
    if matte is None or matte.files is inputs.plate.files:
        return
    looked = [(path, facts["matte", path]) for path in opening.used_files(matte, needed)]
    for path, fact in looked:
        if fact.high > MATTE_MOST or fact.low < 1 - MATTE_MOST:
            found.errors.append(
                FrameError(f"{path}: expected a matte from 0 to 1 in {matte.channels[0]}, got {fact.low:g} to {fact.high:g}")
            )
            return
        if not fact.equal_channels:
            names = ", ".join(matte.channels)
            found.errors.append(
                FrameError(f"{path}: expected one matte channel or equal R,G,B, got {names} that differ; name one (matte.channel)")
            )
            return
    empty = [path for path, fact in looked if fact.high <= EMPTY_MATTE]
    inverted = inputs.recipe.matte is not None and inputs.recipe.matte.invert
    if not inverted and len(empty) == len(looked):
        found.errors.append(FrameError(f"{empty[0]}: expected a foreground, the matte is empty in all {len(looked)} frames"))
    elif not inverted and empty:
        found.warnings.append(f"matte: {len(empty)} frames are empty, the first is {empty[0]}")


def _lights(recipe: Recipe, needed: Sequence[int], found: Found) -> None:
    for number, light in enumerate(recipe.lights):
        lacking = [] if not light.transforms else [frame for frame in needed if frame not in light.transforms]
        if lacking:
            found.errors.append(
                RecipeError(f"lights[{number}].transforms", f"frames {FrameRange.of(needed)}", f"no {FrameRange.of(lacking)}")
            )

