"""Opening a shot: which files there are, whether they agree, which space they are in, and what serves a missing frame.

All problems are collected, so that one look tells everything that is wrong. Nothing is corrected silently: a gap is
filled only by the policy that the recipe names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from platelight.errors import ColorError, ForbiddenPathError, FrameError, InputError, PlatelightError
from platelight.frames import FrameRange, SequencePath
from platelight.recipe import Recipe

from ..color.spaces import Space, is_linear, named
from . import cryptomatte, fence, picture_io
from .channels import alpha_channel, matte_channels, picture_channels
from .facts import FactIndex, Facts
from .inputs import Inputs, Source, space_of
from .listing import scan, sequence_at
from .picture import Box, PictureInfo

T = TypeVar("T")


@dataclass
class Found:
    """What opening a shot has found so far: `errors` stop the job, `warnings` do not."""

    errors: list[PlatelightError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Runs one step; an input error is kept and the other steps go on."""
        try:
            return action()
        except InputError as error:
            self.errors.append(error)
            return None


@dataclass(frozen=True)
class Role:
    """One input as the recipe names it, before any file is opened. `choices` are the policies about lost frames."""

    name: str
    key: str
    sequence: SequencePath
    offset: int = 0
    choices: str = "plate.missing = 'hold', 'black' or 'skip'"


def roles(recipe: Recipe, found: Found) -> dict[str, Role]:
    """The recipe's picture inputs by name. Directories are scanned; a problem with one leaves it out."""
    asked: list[tuple[str, str, str, int]] = [("plate", "plate.path", recipe.plate.path, 0)]
    if recipe.matte is not None and recipe.matte.path is not None:
        asked.append(("matte", "matte.path", recipe.matte.path, 0))
    background = recipe.background
    if background.still is not None:
        asked.append(("background", "background.still", background.still, 0))
    if background.sequence is not None:
        asked.append(("background", "background.sequence", background.sequence, background.frame_offset))
    if recipe.normal is not None:
        asked.append(("normal", "normal.path", recipe.normal.path, 0))
    if recipe.relit is not None:
        asked.append(("relit", "relit.path", recipe.relit.path, 0))
    for name, probe in (("probe_background", recipe.probe_background), ("probe_plate", recipe.probe_plate)):
        if probe is not None and probe.path is not None:
            asked.append((name, f"{name}.path", probe.path, 0))
    opened: dict[str, Role] = {}
    for name, key, text, offset in asked:
        sequence = found.attempt(lambda text=text: sequence_at(text))  # type: ignore[misc]
        if isinstance(sequence, SequencePath):
            opened[name] = Role(name, key, sequence, offset)
            if name == "background":
                opened[name] = replace(opened[name], choices="background.missing = 'hold' or 'loop'")
    return opened


def table(role: Role, frames: Iterable[int], damaged: Mapping[Path, str], policy: str) -> dict[int, Path | None]:
    """The file of every frame. Raises `FrameError` with the list of missing and damaged frames under policy `refuse`.

    `hold` takes the nearest earlier good frame (else the next one), `loop` begins the sequence again at either end,
    `black` None, `skip` leaves the frame out.
    """
    wanted = list(frames)
    if not wanted:
        return {}
    if role.sequence.is_still:
        path = role.sequence.path(wanted[0])
        if not fence.is_file(path):
            raise FrameError(f"{role.key}: {path}: no such file")
        if path in damaged:
            raise FrameError(f"{role.key}: {damaged[path]}")
        return dict.fromkeys(wanted, path)
    on_disk = scan(role.sequence)
    good = {frame: path for frame, path in on_disk.items() if path not in damaged}
    lost = [frame for frame in wanted if frame + role.offset not in good]
    if lost and policy == "refuse":
        raise FrameError(_lost_frames(role, lost, on_disk, damaged))
    if not good:
        raise FrameError(
            f"{role.key}: {role.sequence}: expected frames {FrameRange.of(wanted)}, found none that can be read"
        )
    served: dict[int, Path | None] = {}
    numbers = sorted(good)
    for frame in wanted:
        if frame + role.offset in good:
            served[frame] = good[frame + role.offset]
        elif policy in ("hold", "loop"):
            number = frame + role.offset
            if policy == "loop":
                number = numbers[0] + (number - numbers[0]) % (numbers[-1] - numbers[0] + 1)
            served[frame] = good.get(number) or good[numbers[max(0, bisect_left(numbers, number) - 1)]]
        elif policy == "black":
            served[frame] = None
    return served


def _lost_frames(role: Role, lost: Sequence[int], on_disk: Mapping[int, Path], damaged: Mapping[Path, str]) -> str:
    missing = [frame for frame in lost if frame + role.offset not in on_disk]
    broken = [on_disk[frame + role.offset] for frame in lost if frame + role.offset in on_disk]
    parts = []
    if missing:
        parts.append(f"missing frames {FrameRange.of(frame + role.offset for frame in missing)}")
    if broken:
        parts.append(
            "damaged: " + "; ".join(damaged[path] for path in broken[:5]) + (" ..." if len(broken) > 5 else "")
        )
    there = f"it has {FrameRange.of(on_disk)}" if on_disk else "it has no frame"
    said = f"{role.key}: {role.sequence}: {'; '.join(parts)} ({there})"
    return f"{said}; bring them, change frames, or choose {role.choices}"


def channels_for(role: str, info: PictureInfo, recipe: Recipe, others: Iterable[Path] = ()) -> tuple[str, ...]:
    """The channels that a role reads from its files, `others` beside the first one. Raises `FrameError`."""
    if role == "plate":
        return picture_channels(info, recipe.plate.channels)
    if role == "matte" and recipe.matte is not None and recipe.matte.cryptomatte:
        asked = recipe.matte
        return (cryptomatte.channel_for(info, asked.cryptomatte, asked.cryptomatte_layer, others),)
    if role == "matte":
        return matte_channels(info, recipe.matte.channel if recipe.matte else "auto")
    if role == "normal":
        layer = recipe.normal.channels if recipe.normal else "auto"
        for stem in [layer] if layer != "auto" else ["normal", "N", "Normal", ""]:
            names = tuple(f"{stem}.{axis}" if stem else axis for axis in "XYZ")
            if set(names) <= set(info.channels):
                return names
        raise FrameError(f"{info.path}: expected a normal layer with X,Y,Z, it has {', '.join(info.channels)}")
    return picture_channels(info)


def look_at(
    files: Sequence[Path], channels: tuple[str, ...], index: FactIndex, workers: int
) -> tuple[dict[Path, Facts], dict[Path, str]]:
    """Facts of files that decode, and what is wrong with those that do not; each file is looked at once."""

    def one(path: Path) -> Facts | str:
        try:
            return index.look(path, channels)
        except FrameError as error:
            return str(error)

    unique = list(dict.fromkeys(files))
    with ThreadPoolExecutor(workers) as pool:
        answers = dict(zip(unique, pool.map(one, unique), strict=True))
    facts = {path: answer for path, answer in answers.items() if isinstance(answer, Facts)}
    return facts, {path: answer for path, answer in answers.items() if isinstance(answer, str)}


def first_good(role: Role, shot: Sequence[int]) -> PictureInfo:
    """The header of the first file of a role that can be opened, of the shot's frames before all others.

    Raises the first error, or that there is none.
    """
    if role.sequence.is_still:
        paths = [role.sequence.path(shot[0])]
    else:
        on_disk = scan(role.sequence)
        paths = list(dict.fromkeys([on_disk[f + role.offset] for f in shot if f + role.offset in on_disk]))
        paths = paths or list(on_disk.values())
    problem = None
    for path in paths:
        try:
            return picture_io.read_info(path)
        except FrameError as error:
            problem = problem or FrameError(f"{role.key}: {error}")
    raise problem or FrameError(f"{role.key}: {role.sequence}: no file found")


COLOR_KEYS = ("colorInteropID", "chromaticities", "acesImageContainerFlag")


def agree(paths: Iterable[Path], first: PictureInfo, channels: tuple[str, ...], key: str) -> tuple[Box, list[str]]:
    """The box around all data windows, and what disagrees with the first header: display window, channels, colour."""
    work, wrong = first.data, []
    for path in dict.fromkeys(paths):
        try:
            info = picture_io.read_info(path)
        except (FrameError, ForbiddenPathError):
            continue  # reported where pixels are looked at
        lacking = [name for name in channels if name not in info.channels]
        if lacking:
            wrong.append(
                f"{key}: {path}: expected channel {', '.join(lacking)} as in {first.path.name},"
                f" it has {', '.join(info.channels)}"
            )
        if info.display != first.display:
            wrong.append(f"{key}: {path}: expected {first.display} as in {first.path.name}, got {info.display}")
        if info.pixel_aspect != first.pixel_aspect:
            wrong.append(
                f"{key}: {path}: expected pixel aspect {first.pixel_aspect:g} as in {first.path.name},"
                f" got {info.pixel_aspect:g}"
            )
        for name in COLOR_KEYS:
            if info.header.get(name) != first.header.get(name):
                wrong.append(f"{key}: {path}: expected {name} as in {first.path.name}, got {info.header.get(name)}")
        work = work.around(info.data)
    return work, wrong


def plate_space(info: PictureInfo, recipe: Recipe) -> Space:
    """The plate's colour space. Raises `ColorError`, or `FrameError` where it is not proportional to light."""
    space = space_of(info, recipe.plate.colorspace, "plate.colorspace")
    if space.is_data or not is_linear(space):
        raise FrameError(
            f"{info.path}: expected a scene-linear plate, got {space.name} ({space.why}); convert it to linear first,"
            " or name its true space in plate.colorspace"
        )
    return space


def working_space(recipe: Recipe, plate: Space) -> Space:
    """The space that pixels are worked on and delivered in: the plate's, unless the recipe names another linear one.

    The gain per channel holds only in the primaries it was found in, so delivery in other primaries is work in them.
    Raises `ColorError`.
    """
    if recipe.output.colorspace == "plate":
        return plate
    space = named(recipe.output.colorspace)
    if space.is_data or not is_linear(space):
        raise ColorError(f"output.colorspace: expected a scene-linear space, got {space.name}")
    return space


def alpha_of_plate(info: PictureInfo, channels: tuple[str, ...]) -> tuple[str, ...]:
    """The plate's own alpha channel, for `matte.from_plate_alpha`. Raises `FrameError`."""
    red, green, blue = channels
    return (alpha_channel(info, (red, green, blue)),)


def used_files(source: Source, frames: Iterable[int]) -> list[Path]:
    """The files that serve these frames, each once."""
    return list(dict.fromkeys(path for f in frames if f in source.files and (path := source.files[f]) is not None))


def digests(inputs: Inputs, facts: Mapping[tuple[str, Path], Facts], frame: int) -> dict[str, str]:
    """Content digests of everything a frame is read from, by role; "black" and "none" where there is no file."""
    found: dict[str, str] = {}
    for source in inputs.sources():
        path = source.files.get(frame, "skipped") if frame in source.files else None
        if frame not in source.files:
            found[source.role] = "none"
        elif isinstance(path, Path):
            found[source.role] = facts[(source.role, path)].digest
        else:
            found[source.role] = "black"
    return found
