"""Everything that can be wrong with a deflickering job, looked for before work and told together.

Every file that is needed is decoded and hashed, as for a relight; the facts are remembered beside the result, so a
second run reads nothing.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platelight.errors import ForbiddenPathError, FrameError, OutputError, PlatelightError
from platelight.frames import FrameRange, SequencePath
from platelight_server.check import NAME_MOST
from platelight_server.color.spaces import Space, is_linear, named
from platelight_server.deflicker.sequence import Asked, Input, Opened
from platelight_server.deflicker.serving import Files, files_of, served, whole_frames
from platelight_server.plates import fence, frames_out, opening
from platelight_server.plates.facts import FactIndex
from platelight_server.plates.inputs import space_of
from platelight_server.plates.opening import Found
from platelight_server.plates.picture import Box
from platelight_server.plates.shot import MATTE_MOST

# Of files of one role that disagree, how many are told.
TOLD_MOST = 5


@dataclass(frozen=True)
class Checked:
    """The answer: `opened` is there when there are no errors."""

    opened: Opened | None
    errors: tuple[PlatelightError, ...]
    warnings: tuple[str, ...]

    def raise_first(self) -> Opened:
        """What was opened. Raises the first error, if there is one."""
        if self.errors:
            raise self.errors[0]
        assert self.opened is not None
        return self.opened


def check(asked: Asked) -> Checked:
    """Opens what is asked for. Raises nothing for bad input: all problems are in the answer."""
    found = Found()
    opened = _opened(asked, found)
    return Checked(None if found.errors else opened, tuple(found.errors), tuple(found.warnings))


def _opened(asked: Asked, found: Found) -> Opened | None:
    """The sequences; `None` where so much is wrong that the rest cannot be looked at."""
    files = _files(asked, found)
    if "relit" not in files:
        return None
    out = found.attempt(lambda: output_of(asked, files["relit"].role.sequence))
    if out is None:
        return None
    wanted = _wanted(asked, files["relit"], found)
    _output(out, wanted, files, found)
    first = out.path(wanted[0])
    index = FactIndex(FactIndex.place(first.parent, first.name.partition(".")[0]))
    inputs, shown = served(asked, files, wanted, index, found)
    with contextlib.suppress(OutputError, ForbiddenPathError):  # a cache: what it cannot keep is looked at again
        if fence.is_dir(first.parent):
            index.save()
    # Of a role that is refused for lost frames, the others are looked through all the same.
    used = {role: one.paths(inputs.get(role)) for role, one in files.items()}
    _agree(files, used, found)
    _pixels(asked, files, used, found)
    space = _linear("relit", files, asked.relit_space, found)
    source_space = _linear("source", files, asked.source_space, found)
    if found.errors or space is None or source_space is None:
        return None
    frames, work = tuple(sorted(whole_frames(inputs))), _work(files["relit"])
    digests = {path: files[role].looked[path].digest for role, paths in used.items() for path in paths}
    opened = Opened(asked, inputs, out, frames, shown, work, space, source_space, digests, index)
    found.warnings.extend(_said_of_lost(asked, files, inputs, opened, wanted))
    return opened


def _files(asked: Asked, found: Found) -> dict[str, Files]:
    files = {}
    given = {"relit": asked.relit, "source": asked.source, "matte": asked.matte, "vectors": asked.vectors}
    for role, text in given.items():
        one = None if text is None else found.attempt(lambda role=role, text=text: files_of(role, text))  # type: ignore[misc]
        if one is not None:
            files[role] = one
    return files


def output_of(asked: Asked, relit: SequencePath) -> SequencePath:
    """Where results go: `--out` names a pattern, or a folder in which the relit files' names are kept."""
    if not asked.out.lower().endswith(".exr"):
        return SequencePath(Path(asked.out), relit.prefix, f"{relit.suffix.rpartition('.')[0]}.exr", relit.digits)
    pattern = SequencePath.parse(asked.out)
    if pattern.is_still:
        raise FrameError(f"--out: expected a folder or a pattern such as name.####.exr, got {asked.out}")
    return pattern


def _wanted(asked: Asked, relit: Files, found: Found) -> tuple[int, ...]:
    """The frames to be written: those asked for, or all from the relit sequence's first to its last."""
    whole = range(min(relit.on_disk), max(relit.on_disk) + 1)
    wanted = tuple(whole) if asked.frames is None else asked.frames.frames
    outside = [frame for frame in wanted if frame not in whole]
    if outside and asked.missing == "refuse":
        has = FrameRange.of(relit.on_disk)
        text = f"--frames: frame {outside[0]}: expected one of the relit sequence, it has {has}"
        found.errors.append(FrameError(text))
        return tuple(frame for frame in wanted if frame in whole) or tuple(whole[:1])
    return wanted


def _output(out: SequencePath, wanted: Sequence[int], files: Mapping[str, Files], found: Found) -> None:
    """The folder is proven writable where it exists, and no result takes the place of an input: it would be read as
    input of the next frame."""
    targets = [out.path(frame) for frame in wanted]
    folder, longest = targets[0].parent, max(len(target.name) for target in targets)
    if longest > NAME_MOST:
        text = f"--out: expected file names of at most {NAME_MOST} letters, got {longest}"
        found.errors.append(OutputError(text))
    read = {_placed(path) for given in files.values() for path in given.on_disk.values()}
    read |= {_placed(given.role.sequence.path(frame)) for given in files.values() for frame in wanted}
    over = next((target for target in targets if _placed(target) in read), None)
    if over is not None:
        found.errors.append(FrameError(f"--out: {over} is one of the inputs; name another folder or file"))
    try:
        above = frames_out.nearest_folder(folder)
        if above == folder:
            frames_out.prepare_folder(folder)
        with fence.folder(above) as name:
            free = shutil.disk_usage(name).free
    except (OutputError, ForbiddenPathError) as error:
        found.errors.append(error)
        return
    relit = files["relit"].on_disk
    needs = sum(_bytes(relit[frame]) for frame in wanted if frame in relit and not fence.is_file(out.path(frame)))
    if free < needs:
        text = f"{folder}: the result needs about {needs / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        found.warnings.append(text)


def _bytes(path: Path) -> int:
    """The size of a file; 0 of one that is not there, which is told elsewhere."""
    with contextlib.suppress(OSError):
        return fence.status(path).st_size
    return 0


def _placed(path: Path) -> tuple[Path, str]:
    """What a file is replaced by: a name in a folder, wherever a link under that name leads."""
    return path.parent.resolve(), path.name


def _work(relit: Files) -> Box:
    """The box around the data windows of all relit pictures, whatever part is written: only headers are read."""
    return opening.agree(relit.on_disk.values(), relit.opened.info, (), "--relit")[0]


def _agree(files: Mapping[str, Files], used: Mapping[str, Sequence[Path]], found: Found) -> None:
    """Display windows, channels and colour are alike in a sequence, and all are as large as the relit picture."""
    display = files["relit"].opened.info.display
    for role, paths in used.items():
        given = files[role].opened
        shown = given.info.display
        if (shown.width, shown.height) != (display.width, display.height):
            text = f"--{role}: {given.info.path}: expected {display} like the relit picture, got {shown}"
            found.errors.append(FrameError(text))
        _, wrong = opening.agree(paths, given.info, given.channels, f"--{role}")
        found.errors.extend(FrameError(text) for text in wrong[:TOLD_MOST])


def _linear(role: str, files: Mapping[str, Files], asked: str, found: Found) -> Space | None:
    """The space of a sequence; `None` where it is unknown, or not proportional to light."""
    if role not in files:
        return None
    info, key = files[role].opened.info, f"--{role}-colorspace"
    space = found.attempt(lambda: space_of(info, asked, key) if asked == "auto" else named(asked))
    if space is not None and (space.is_data or not is_linear(space)):
        text = f"{info.path}: expected a scene-linear picture, got {space.name}; convert it first ({key})"
        found.errors.append(FrameError(text))
    return space


def _pixels(asked: Asked, files: Mapping[str, Files], used: Mapping[str, Sequence[Path]], found: Found) -> None:
    """Values that are no numbers are refused or repaired, and a matte is one."""
    for role, paths in used.items():
        facts = {path: files[role].looked[path] for path in paths}
        bad = {path: sum(fact.nonfinite) for path, fact in facts.items() if sum(fact.nonfinite)}
        if bad:
            path, count = next(iter(bad.items()))
            text = f"--{role}: {path}: expected finite pixels, got {count} NaN or Inf values ({len(bad)} such frames)"
            if asked.repair:
                found.warnings.append(f"{text}; NaN becomes 0, Inf becomes 65504")
            else:
                todo = "repair the file, or give --repair (NaN becomes 0, Inf becomes 65504)"
                found.errors.append(FrameError(f"{text}; {todo}"))
        for path, fact in facts.items() if role == "matte" else ():
            if max(fact.highs) > MATTE_MOST or min(fact.lows) < 1 - MATTE_MOST:
                text = f"a matte from 0 to 1, got {min(fact.lows):g} to {max(fact.highs):g}"
            elif not fact.equal_channels:
                text = f"one matte channel or equal R,G,B, got {', '.join(files[role].opened.channels)} that differ"
            else:
                continue
            found.errors.append(FrameError(f"--matte: {path}: expected {text}"))
            break


def _said_of_lost(
    asked: Asked, files: Mapping[str, Files], inputs: Mapping[str, Input], opened: Opened, wanted: Sequence[int]
) -> list[str]:
    """What the policy does, and to which frames."""
    said = []
    for role, does in (("matte", f"--missing {asked.missing}"), ("vectors", "motion is found there")):
        if role in inputs and not files[role].role.sequence.is_still:
            given, on_disk = inputs[role].files, files[role].on_disk
            lost = [frame for frame in opened.frames if frame not in on_disk or given.get(frame) != on_disk[frame]]
            if lost:
                said.append(f"--{role}: frames {FrameRange.of(lost)} are missing or damaged: {does}")
    others = [frame for frame in wanted if opened.shown.get(frame) != frame]
    if others:
        does = {"hold": "show another frame", "black": "are black", "skip": "are not written"}[asked.missing]
        said.append(f"--missing {asked.missing}: frames {FrameRange.of(others)} {does}")
        left = [opened.out.path(frame) for frame in others if frame not in opened.shown]
        left = [path for path in left if fence.is_file(path)]
        if left:
            said.append(f"{left[0]}: of an earlier run; {len(left)} such files are left of frames that are not written")
    return said
