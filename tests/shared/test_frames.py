"""Frame ranges and sequence patterns."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platelight.errors import FrameError, RecipeError
from platelight.frames import FrameRange, SequencePath


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", (7,)),
        ("1001-1003", (1001, 1002, 1003)),
        ("1-10x2", (1, 3, 5, 7, 9)),
        ("1-5,10,20-30x5", (1, 2, 3, 4, 5, 10, 20, 25, 30)),
        ("-5--1", (-5, -4, -3, -2, -1)),
        ("-2-2", (-2, -1, 0, 1, 2)),
        ("10-1", tuple(range(1, 11))),
        ("10-1x2", (2, 4, 6, 8, 10)),
        (" 1 - 3 , 7 ", (1, 2, 3, 7)),
        ("1-5,3-8", tuple(range(1, 9))),
    ],
)
def test_range_reads_what_fileseq_reads(text: str, expected: tuple[int, ...]) -> None:
    assert FrameRange.parse(text).frames == expected


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("1-10:2", "write 1-10x2"),
        ("1..10", "write 1-10"),
        ("1-10y2", "'y'"),
        ("", "a frame between the commas"),
        ("1,,2", "a frame between the commas"),
        ("1-10x0", "a step of 1 or more"),
        ("1-10x-2", "write 1-10x2"),
        ("one", "frames such as"),
        ("1-999999999", "at most 100000 frames"),
        ("1-90000,100001-190000", "at most 100000 frames"),
        ("1-90000," * 2 + "1", "at most 100000 frames"),
        ("١-٣", "frames such as"),
    ],
)
def test_range_refuses_and_says_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(RecipeError) as refused:
        FrameRange.parse(text)
    assert advice in str(refused.value)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (range(1001, 1049), "1001-1048"),
        ((1, 3), "1,3"),
        ((1, 2), "1-2"),
        ((1, 4, 5, 6), "1,4-6"),
        ((-5, -3, -1), "-5--1x2"),
    ],
)
def test_range_text_is_compact(frames: tuple[int, ...], expected: str) -> None:
    assert str(FrameRange.of(frames)) == expected


@given(st.sets(st.integers(-5000, 5000), min_size=1, max_size=60))
def test_range_text_parses_back(frames: set[int]) -> None:
    held = FrameRange.of(frames)
    assert FrameRange.parse(str(held)) == held


@given(st.sets(st.integers(-50, 50), min_size=1))
def test_range_behaves_as_its_set(frames: set[int]) -> None:
    held = FrameRange.of(frames)
    assert (list(held), len(held), held.first, held.last) == (sorted(frames), len(frames), min(frames), max(frames))
    assert {frame for frame in range(-60, 60) if frame in held} == frames


def test_range_subset_names_the_frames_outside() -> None:
    shot = FrameRange.parse("1001-1010")
    assert shot.subset(FrameRange.parse("1003-1004")) == FrameRange.parse("1003-1004")
    with pytest.raises(FrameError, match="frames 1011-1012 are not in the range 1001-1010"):
        shot.subset(FrameRange.parse("1009-1012"))


@pytest.mark.parametrize(
    ("pattern", "digits", "name"),
    [
        ("sh.####.exr", 4, "sh.0012.exr"),
        ("sh.#.exr", 4, "sh.0012.exr"),
        ("sh.###.exr", 3, "sh.012.exr"),
        ("sh.@@@@@.exr", 5, "sh.00012.exr"),
        ("sh.%04d.exr", 4, "sh.0012.exr"),
        ("sh.%d.exr", 1, "sh.12.exr"),
        ("sh.$F4.exr", 4, "sh.0012.exr"),
        ("sh.$F.exr", 1, "sh.12.exr"),
        ("take##_%02d.####.exr", 4, "take##_%02d.0012.exr"),
        ("Ünï céde [1]*.####.exr", 4, "Ünï céde [1]*.0012.exr"),
    ],
)
def test_pattern_names_a_frame(pattern: str, digits: int, name: str) -> None:
    sequence = SequencePath.parse(f"/a b/{pattern}")
    assert (sequence.digits, sequence.path(12)) == (digits, Path("/a b") / name)
    assert SequencePath.parse(str(sequence)) == sequence


def test_pattern_without_token_is_a_still() -> None:
    still = SequencePath.parse("/x/$Final.1001.exr")
    assert (still.is_still, still.path(5), still.scan()) == (True, Path("/x/$Final.1001.exr"), {})


@pytest.mark.parametrize("text", ["", "/", "a.%4d.exr", "a\0.exr", "a.%099d.exr"])
def test_pattern_refuses_what_names_no_file(text: str) -> None:
    with pytest.raises(FrameError):
        SequencePath.parse(text)


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_scan_takes_numbers_wider_than_the_padding(tmp_path: Path) -> None:
    _touch(tmp_path, "s.998.exr", "s.999.exr", "s.1000.exr", "s.01001.exr", "s.97.exr", "s.998.exr.tmp", "s.x.exr")
    assert list(SequencePath.parse(tmp_path / "s.###.exr").scan()) == [998, 999, 1000]


def test_scan_reads_both_ways_to_write_negative_frames(tmp_path: Path) -> None:
    _touch(tmp_path, "s.-005.exr", "s.-0004.exr", "s.-0000.exr", "s.0001.exr")
    assert list(SequencePath.parse(tmp_path / "s.####.exr").scan()) == [-5, -4, 1]


def test_scan_treats_names_literally(tmp_path: Path) -> None:
    _touch(tmp_path, "a[1]*.1001.exr", "a1x.1002.exr", "grün sh.1001.exr")
    assert list(SequencePath.parse(tmp_path / "a[1]*.####.exr").scan()) == [1001]
    assert list(SequencePath.parse(tmp_path / "grün sh.####.exr").scan()) == [1001]


def test_scan_finds_names_that_are_stored_decomposed(tmp_path: Path) -> None:
    _touch(tmp_path, "gru\u0308n.1001.exr")
    found = SequencePath.parse(tmp_path / "gr\u00fcn.####.exr").scan()
    assert found == {1001: tmp_path / "gru\u0308n.1001.exr"}


@given(frame=st.integers(-99999, 99999), digits=st.integers(1, 6))
def test_every_frame_is_found_under_its_own_name(
    frame: int, digits: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("scan")
    sequence = SequencePath(folder, "s.", ".exr", digits)
    sequence.path(frame).touch()
    assert sequence.scan() == {frame: sequence.path(frame)}


def test_missing_lists_frames_not_on_disk(tmp_path: Path) -> None:
    _touch(tmp_path, "s.1001.exr", "s.1003.exr", "bg.exr")
    assert SequencePath.parse(tmp_path / "s.####.exr").missing(range(1001, 1005)) == (1002, 1004)
    assert SequencePath.parse(tmp_path / "bg.exr").missing([1, 2]) == ()
    assert SequencePath.parse(tmp_path / "no.exr").missing([1, 2]) == (1, 2)


def test_scan_of_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="expected a directory with frames"):
        SequencePath.parse(tmp_path / "none" / "s.####.exr").scan()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sh010_v2.0998.exr", "sh010_v2.1001.exr", "notes.txt", ".sh.0001.exr"), "sh010_v2.####.exr"),
        (("s.998.exr", "s.1000.exr"), "s.###.exr"),
        (("s.9.exr", "s.10.exr"), "s.%d.exr"),
        (("s-001.exr", "s-002.exr", "reference.jpg"), "s-###.exr"),
        (("s.-001.exr", "s.0000.exr"), "s.####.exr"),
        (("0001_left.png", "0002_left.png"), "####_left.png"),
    ],
)
def test_directory_stands_for_its_one_sequence(tmp_path: Path, names: tuple[str, ...], expected: str) -> None:
    _touch(tmp_path, *names)
    assert str(SequencePath.from_path(tmp_path)) == str(tmp_path / expected)


def test_directory_with_two_sequences_lists_them(tmp_path: Path) -> None:
    _touch(tmp_path, "a.1001.exr", "b.1001.exr", "b.01002.exr")
    with pytest.raises(FrameError, match=r"found 3: a\.####\.exr, b\.####\.exr, b\.#####\.exr"):
        SequencePath.from_path(tmp_path)


def test_directory_without_a_sequence_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "bg.exr")
    with pytest.raises(FrameError, match="found none"):
        SequencePath.from_path(tmp_path)


def test_existing_file_with_a_token_in_its_name_is_a_still(tmp_path: Path) -> None:
    _touch(tmp_path, "take#1.exr")
    assert SequencePath.from_path(tmp_path / "take#1.exr").is_still
