"""Which frames, and which files: frame ranges in fileseq's grammar, and the patterns that name a sequence on disk.

A range is a set of whole frame numbers; its text form is canonical. A sequence pattern has one frame token, the last
one in the file name; nothing else in a path is special (no globs, no variables), so any name that a disk can hold
works. Text that other tools read differently (`y`, `:`, `..`) is refused with what to write instead.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import FrameError, RecipeError

FRAMES_MOST = 100_000  # of one range; a typing slip such as 1-10000000 is refused before it costs memory

DIGITS_MOST = 16  # of a frame number in a file name

# What counts as a picture when a directory is given instead of a pattern.
PICTURE_SUFFIXES = frozenset({".exr", ".png", ".tif", ".tiff", ".hdr", ".jpg", ".jpeg", ".dpx", ".sxr"})

_PART = re.compile(r"(-?\d{1,9})(?:-(-?\d{1,9})(?:x(-?\d{1,9}))?)?", re.ASCII)
_TOKEN = re.compile(r"%(?:0(\d+))?d|(#+)|(@+)|\$F(\d*)(?![A-Za-z])", re.ASCII)
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>(?:(?<![^._])-)?\d+)(?P<suffix>\D*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class FrameRange:
    """A set of frames: sorted, unique, never empty. Made by `FrameRange.parse` or `FrameRange.of`.

    `str()` gives the one canonical text (`1-5,10,20-30x5`), which parses back to the same range.
    """

    frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.frames or any(a >= b for a, b in zip(self.frames, self.frames[1:], strict=False)):
            raise ValueError("FrameRange needs sorted, unique frames; use FrameRange.of")

    @classmethod
    def of(cls, frames: Iterable[int]) -> FrameRange:
        """A range from any frames, in any order, with repeats. Raises RecipeError if there are none."""
        unique = tuple(sorted(set(frames)))
        if not unique:
            raise RecipeError("frames", "at least one frame", "none")
        return cls(unique)

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Reads `1001-1048`, `1-100x2`, `1-5,10,20-30x5`, `-5--1`; spaces are ignored, order and repeats too.

        A reversed range counts down from its first frame (`10-1x2` is 10, 8, 6, 4, 2), as in fileseq.
        Raises RecipeError with what to write instead.
        """
        found: set[int] = set()
        named = 0
        for part in text.split(","):
            frames = _part_frames(re.sub(r"\s+", "", part), text)
            named += len(frames)  # repeats count, so that the text cannot cost more time than its result is worth
            if named > FRAMES_MOST:
                raise _range_error(text, f"at most {FRAMES_MOST} frames")
            found.update(frames)
        return cls.of(found)

    @property
    def first(self) -> int:
        return self.frames[0]

    @property
    def last(self) -> int:
        return self.frames[-1]

    def subset(self, wanted: FrameRange) -> FrameRange:
        """`wanted`, when all of it lies in this range. Raises FrameError naming the frames that do not."""
        outside = [frame for frame in wanted if frame not in self]
        if outside:
            raise FrameError(f"frames {FrameRange.of(outside)} are not in the range {self}; choose frames within it")
        return wanted

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __contains__(self, frame: object) -> bool:
        if not isinstance(frame, int):
            return False
        at = bisect_left(self.frames, frame)
        return at < len(self.frames) and self.frames[at] == frame

    def __str__(self) -> str:
        return ",".join(_runs(self.frames))


def sample_frames(frames: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of `frames`, evenly spaced, first and last included: what an engine may look at of a shot."""
    if len(frames) <= most:
        return tuple(frames)
    if most == 1:
        return (frames[0],)
    return tuple(frames[round(i * (len(frames) - 1) / (most - 1))] for i in range(most))


def _part_frames(part: str, text: str) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise _range_error(text, _instead(part))
    first, last = int(match[1]), int(match[2] if match[2] is not None else match[1])
    step = int(match[3]) if match[3] is not None else 1
    if step < 1:
        raise _range_error(text, f"a step of 1 or more (write {min(first, last)}-{max(first, last)}x{abs(step) or 1})")
    if abs(last - first) // step >= FRAMES_MOST:
        raise _range_error(text, f"at most {FRAMES_MOST} frames")
    return range(first, last + 1, step) if first <= last else range(first, last - 1, -step)


def _instead(part: str) -> str:
    """What to write instead of a part that is not in the grammar."""
    if not part:
        return "a frame between the commas, such as 1001-1048 or 1,5,9"
    if ".." in part:
        return f"a dash between first and last frame (write {re.sub(r'[.]{2,}', '-', part)})"
    if ":" in part:
        return f"x for a step (write {part.replace(':', 'x')}); ':' means different frames in different tools"
    if re.search(r"\dy", part):
        return "x for a step (1-100x2), or the frames as a list; 'y' (all but every nth) is not read"
    return "frames such as 1001-1048, 1-100x2 or 1-5,10,20-30x5"


def _range_error(text: str, expected: str) -> RecipeError:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return RecipeError("frames", expected, repr(shown))


def _runs(frames: tuple[int, ...]) -> Iterator[str]:
    """Canonical parts: consecutive frames as `a-b`, three or more evenly spaced ones as `a-bxn`, the rest alone."""
    at = 0
    while at < len(frames):
        end = at + 1
        step = frames[end] - frames[at] if end < len(frames) else 0
        while end < len(frames) and frames[end] - frames[end - 1] == step:
            end += 1
        count = end - at
        if count >= 2 and step == 1:
            yield f"{frames[at]}-{frames[end - 1]}"
        elif count >= 3:
            yield f"{frames[at]}-{frames[end - 1]}x{step}"
        else:
            yield str(frames[at])
            end = at + 1
        at = end


@dataclass(frozen=True)
class SequencePath:
    """A sequence of files, or one still: `directory / (prefix + number + suffix)`.

    `digits` is the least number of digits (1 = unpadded); None marks a still, whose name is `prefix` alone.
    Tokens: `####` (n signs = n digits, a single `#` = 4), `@@@@` (n = n), `%04d`, `%d`, `$F4`, `$F`. Negative frames
    are written as printf, Nuke and fileseq do: the sign counts as a digit (`%04d` of -5 is `-005`).
    """

    directory: Path
    prefix: str
    suffix: str = ""
    digits: int | None = None

    @classmethod
    def parse(cls, text: str | Path) -> SequencePath:
        """Reads a pattern without touching the disk. Raises FrameError for a path that names no file."""
        path = Path(text)
        if not str(text) or not path.name or "\0" in str(text):
            raise FrameError(f"expected the path of a file or of a sequence such as name.####.exr, got {str(text)!r}")
        if re.search(r"%[1-9]\d*d", path.name):
            raise FrameError(f"{path}: a number padded with blanks names no sequence; write %04d instead of %4d")
        tokens = list(_TOKEN.finditer(path.name))
        if not tokens:
            return cls(path.parent, path.name)
        last = tokens[-1]
        digits = _token_digits(last)
        if digits > DIGITS_MOST:
            raise FrameError(f"{path}: expected at most {DIGITS_MOST} digits in a frame number, got {digits}")
        return cls(path.parent, path.name[: last.start()], path.name[last.end() :], digits)

    @classmethod
    def from_path(cls, text: str | Path) -> SequencePath:
        """As `parse`, but looks at the disk: a directory stands for the one sequence in it, and a file that exists
        under exactly this name is a still, whatever signs its name holds.

        Raises FrameError when a directory holds no sequence, or more than one (they are listed).
        """
        path = Path(text)
        try:
            is_directory, is_file = str(text) != "" and path.is_dir(), str(text) != "" and path.is_file()
        except OSError as error:
            raise FrameError(f"{path}: cannot be read: {error.strerror or error}; check the path") from error
        if is_directory:
            return _only_sequence(path)
        return cls(path.parent, path.name) if is_file else cls.parse(text)

    @property
    def is_still(self) -> bool:
        return self.digits is None

    def path(self, frame: int) -> Path:
        """The file of a frame, by the pattern; a still gives its file for every frame."""
        if self.digits is None:
            return self.directory / self.prefix
        return self.directory / f"{self.prefix}{frame:0{self.digits}d}{self.suffix}"

    def scan(self) -> dict[int, Path]:
        """The frames on disk, ascending. Numbers wider than the padding count (1000 in `###`). {} for a still.

        Raises FrameError when the directory does not exist or cannot be listed.
        """
        if self.digits is None:
            return {}
        found: dict[int, Path] = {}
        prefix, suffix = _nfc(self.prefix), _nfc(self.suffix)
        for name in _names(self.directory):
            plain = _nfc(name)
            if len(plain) < len(prefix) + len(suffix) + 1 or not plain.startswith(prefix):
                continue
            if not plain.endswith(suffix):
                continue
            frame = _frame_number(plain[len(prefix) : len(plain) - len(suffix)], self.digits)
            if frame is not None and (frame not in found or self.path(frame).name == name):
                found[frame] = self.directory / name
        return dict(sorted(found.items()))

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Those of `frames` that are not on disk; for a still, all or none of them."""
        if self.digits is None:
            return () if self.path(0).is_file() else tuple(frames)
        on_disk = self.scan()
        return tuple(frame for frame in frames if frame not in on_disk)

    def __str__(self) -> str:
        if self.digits is None:
            return str(self.directory / self.prefix)
        token = "%d" if self.digits == 1 else "#" * self.digits
        return str(self.directory / f"{self.prefix}{token}{self.suffix}")


def _token_digits(token: re.Match[str]) -> int:
    padded, hashes, ats, houdini = token.groups()
    if hashes:
        return 4 if len(hashes) == 1 else len(hashes)
    if ats:
        return len(ats)
    return max(1, int(padded or houdini or 1))


def _frame_number(text: str, digits: int) -> int | None:
    """The frame that `text` stands for under this padding, or None. Both `-005` and `-0005` are -5 in `####`."""
    match = re.fullmatch(r"(-?)(\d+)", text, re.ASCII)
    if match is None:
        return None
    sign, number = match.groups()
    if sign and not number.strip("0"):
        return None
    widths = (digits, max(1, digits - 1)) if sign else (digits,)
    wider = len(number) > digits and number[0] != "0"
    return int(text) if len(number) in widths or wider else None


def _names(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise FrameError(
            f"{directory}: expected a directory with frames, got: {error.strerror or error}; check the path"
        ) from error


def _nfc(name: str) -> str:
    """macOS stores names decomposed; a pattern typed elsewhere is composed. Both mean the same file."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _only_sequence(directory: Path) -> SequencePath:
    """The one numbered sequence of pictures in a directory; unnumbered and hidden files do not count."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in _names(directory):
        stem, suffix = Path(name).stem, Path(name).suffix
        match = _NUMBERED.fullmatch(stem)
        if match and suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
            groups.setdefault((match["prefix"], match["suffix"] + suffix), []).append(match["number"])
    sequences = [
        SequencePath(directory, prefix, suffix, digits)
        for (prefix, suffix), numbers in sorted(groups.items())
        for digits in _paddings(numbers)
    ]
    if len(sequences) == 1:
        return sequences[0]
    if not sequences:
        raise FrameError(f"{directory}: expected one sequence of pictures such as name.1001.exr, found none")
    listed = ", ".join(Path(str(sequence)).name for sequence in sequences[:20])
    raise FrameError(f"{directory}: expected one sequence, found {len(sequences)}: {listed}; give one pattern of these")


def _paddings(numbers: list[str]) -> list[int]:
    """The paddings that explain these numbers: one, unless their leading zeros disagree."""
    numbers = [number for number in numbers if number[0] != "-"] or numbers  # the sign's width is told two ways
    padded = {len(number) for number in numbers if len(number) > 1 and number.lstrip("-").startswith("0")}
    narrowest = min(len(number) for number in numbers)
    if not padded or narrowest < min(padded):
        padded.add(narrowest)
    return sorted(padded)
