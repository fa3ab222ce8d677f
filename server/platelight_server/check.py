"""The check that precedes all work: files, ranges, sizes, colour, camera, engine, output, memory and disk.

It collects every problem with what to do about it, and the estimate. The panel, the command line and `submit` run this
same function; `job` starts from its answer.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from platelight.errors import ForbiddenPathError, OutputError, PlatelightError, RecipeError, ResourceError
from platelight.frames import FrameRange, sample_frames
from platelight.recipe import Recipe

from .engines.interface import Asked, Capabilities, Readiness
from .engines.registry import checked_options, engine_class, windows_of
from .plan import Estimate, Window, estimate_cost, plan_windows, wanted_windows
from .plates import delivery, fence, frames_out
from .plates.facts import FactIndex, Facts
from .plates.geometry import model_size
from .plates.inputs import Inputs, Source
from .plates.opening import Found
from .plates.shot import open_shot

# Of a file name, what most disks take (255) less what a temporary name adds.
NAME_MOST = 180


@dataclass(frozen=True)
class Checked:
    """The answer: `errors` (empty when the job may start), `warnings`, and what the job needs to start.

    `recipe` has absolute paths; `written` is the recipe as the user wrote it, which goes into headers.
    """

    recipe: Recipe
    written: Recipe
    errors: tuple[PlatelightError, ...]
    warnings: tuple[str, ...]
    wanted: tuple[int, ...] = ()
    windows: tuple[Window, ...] = ()
    estimate: Estimate | None = None
    inputs: Inputs | None = None
    capabilities: Capabilities | None = None
    facts: Mapping[tuple[str, Path], Facts] = field(default_factory=dict)
    index: FactIndex | None = None
    depends_on: tuple[str, ...] = ()  # what the engine says that its pixels depend on

    def raise_first(self) -> None:
        """Raises the first error, if there is one."""
        if self.errors:
            raise self.errors[0]


def check(
    written: Recipe,
    base: Path,
    only: FrameRange | None = None,
    cores: int | None = None,
    on_look: Callable[[Path], None] = lambda file: None,
    device: str = "cpu",
) -> Checked:
    """Checks a recipe whose relative paths start at `base`, or the part `only` of its frames.

    `on_look` is called with each file that has to be read, from any thread; `device` is where the engine will run.
    Raises nothing for bad input: all problems are in the answer.
    """
    found = Found()
    recipe = written.resolved(base)
    workers = cores or os.cpu_count() or 1
    shot = tuple(recipe.frames)
    capabilities = engine_capabilities(recipe, found)
    wanted = _wanted(recipe, only, found)
    folder = _output_folder(recipe, found)
    index = FactIndex(FactIndex.place(folder, recipe.output_name), base.absolute(), on_look)
    facts: dict[tuple[str, Path], Facts] = {}
    # Without an engine there are no windows; the pictures are checked all the same.
    planned = _windows(recipe, shot, capabilities)
    windows = wanted_windows(planned, set(wanted))
    needed = needed_frames(shot, windows, capabilities)
    inputs = open_shot(recipe, shot, needed, index, workers, facts, found)
    with contextlib.suppress(OutputError, ForbiddenPathError):  # a cache: what it cannot keep is looked at again
        if fence.is_dir(folder):
            index.save()
    if inputs is None or capabilities is None or found.errors:
        return Checked(recipe, written, tuple(found.errors), tuple(found.warnings))
    skipped = [frame for frame in wanted if frame not in inputs.plate.files]
    if skipped:
        found.warnings.append(f"plate.missing = 'skip': frames {FrameRange.of(skipped)} are not rendered")
    wanted = tuple(frame for frame in wanted if frame in inputs.plate.files)
    windows = _without(windows, inputs.plate)
    held = sum(capabilities.window) + 2
    ready = _ready(recipe, inputs, capabilities, device, found)
    estimate = estimate_cost(
        len(wanted), len(windows), inputs.work.width, inputs.work.height, min(held, 8), workers,
        ready.memory_bytes if ready.memory_bytes is not None else _window_bytes(inputs, capabilities),
    )  # fmt: skip
    estimate = replace(estimate, seconds=estimate.seconds + ready.seconds, plan=ready.plan)
    _resources(estimate, folder, found)
    return Checked(
        recipe, written, tuple(found.errors), tuple(found.warnings), wanted, windows, estimate, inputs, capabilities,
        facts, index, ready.depends_on,
    )  # fmt: skip


def _windows(recipe: Recipe, shot: Sequence[int], capabilities: Capabilities | None) -> tuple[Window, ...]:
    if capabilities is None:
        return plan_windows(shot, 1, 0, 0)
    try:
        return windows_of(capabilities.name, recipe.engine.options, shot)
    except RecipeError:  # the answer says why: of the options, or of what the engine makes of them
        return plan_windows(shot, *capabilities.window)


def engine_capabilities(recipe: Recipe, found: Found) -> Capabilities | None:
    """What the recipe's engine can do; what it cannot do with this recipe goes into `found`."""
    kind = found.attempt(lambda: engine_class(recipe.engine.name))
    if kind is None:
        return None
    capabilities: Capabilities = kind.capabilities
    options = found.attempt(lambda: checked_options(capabilities, recipe.engine.options))
    if options is not None:
        capabilities = kind.capabilities_for(options, recipe.background.kind)
    asked = recipe.background.kind
    if asked not in capabilities.backgrounds:
        offered = ", ".join(capabilities.backgrounds)
        found.errors.append(RecipeError("background", f"one of {offered} for engine {capabilities.name}", asked))
    if recipe.lights and not capabilities.uses_lights:
        found.errors.append(RecipeError("lights", f"none for engine {capabilities.name}", f"{len(recipe.lights)}"))
    return capabilities


def _wanted(recipe: Recipe, only: FrameRange | None, found: Found) -> tuple[int, ...]:
    if only is None:
        return tuple(recipe.frames)
    outside = [frame for frame in only if frame not in recipe.frames]
    if outside:
        found.errors.append(RecipeError("--frames", f"frames within {recipe.frames}", str(FrameRange.of(outside))))
    return tuple(frame for frame in only if frame in recipe.frames)


def needed_frames(shot: Sequence[int], windows: Sequence[Window], capabilities: Capabilities | None) -> tuple[int, ...]:
    """Frames whose pixels are read: windows with context, and those that `prepare` samples."""
    needed = {frame for window in windows for frame in window.needed}
    sampled = () if capabilities is None else sample_frames(shot, capabilities.sampled_frames)
    return tuple(sorted(needed | set(sampled)))


def _without(windows: Sequence[Window], plate: Source) -> tuple[Window, ...]:
    """The windows without the frames that policy `skip` leaves out."""
    kept = []
    for window in windows:
        answered = tuple(frame for frame in window.answered if frame in plate.files)
        if answered:
            kept.append(Window(window.index, answered, tuple(frame for frame in window.needed if frame in plate.files)))
    return tuple(kept)


def _ready(recipe: Recipe, inputs: Inputs, capabilities: Capabilities, device: str, found: Found) -> Readiness:
    """What the engine says to the job; its errors and warnings go into `found`."""
    height, width = _model_size(inputs, capabilities)
    asked = Asked(recipe, height, width, inputs.camera is not None, device)
    options = checked_options(capabilities, recipe.engine.options)
    ready = engine_class(recipe.engine.name).ready(options, asked)
    found.errors.extend(ready.errors)
    found.warnings.extend(ready.warnings)
    return ready


def _model_size(inputs: Inputs, capabilities: Capabilities) -> tuple[int, int]:
    work = inputs.work
    return model_size(work.height, work.width, capabilities.model_height, capabilities.model_width)


def _window_bytes(inputs: Inputs, capabilities: Capabilities) -> int:
    height, width = _model_size(inputs, capabilities)
    return height * width * capabilities.window_frames * capabilities.memory_bytes_per_pixel


def _output_folder(recipe: Recipe, found: Found) -> Path:
    """The folder of the result. Proven writable where it exists, not made where it does not: the job does that."""
    folder = Path(recipe.output.directory)
    longest = max(len(str(path.name)) for path in delivery.files_of(recipe, recipe.frames.last).all())
    if longest > NAME_MOST:
        found.errors.append(
            OutputError(f"output.name: expected file names of at most {NAME_MOST} letters, got {longest}")
        )
    try:
        if frames_out.nearest_folder(folder) == folder:
            frames_out.prepare_folder(folder)
    except (OutputError, ForbiddenPathError) as error:
        found.errors.append(error)
    return folder


def _resources(estimate: Estimate, folder: Path, found: Found) -> None:
    """Memory and disk against the estimate: too little memory is an error, too little disk a warning.

    How small pixels compress is known only when they are written, and what is finished stays if the disk fills up.
    """
    with fence.folder(frames_out.nearest_folder(folder)) as name:
        free_disk = shutil.disk_usage(name).free
    if free_disk < estimate.disk_bytes:
        found.warnings.append(
            f"{folder}: the result needs about {estimate.disk_bytes / 1e9:.1f} GB, {free_disk / 1e9:.1f} GB are free"
        )
    free_memory = available_memory()
    if free_memory is not None and free_memory < estimate.memory_bytes:
        found.errors.append(
            ResourceError(
                f"memory: expected {estimate.memory_bytes / 2**30:.1f} GiB, {free_memory / 2**30:.1f} GiB are"
                " available; close other programs or render on a larger machine"
            )
        )


def available_memory() -> int | None:
    """Bytes that can still be taken without swapping; `None` where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
