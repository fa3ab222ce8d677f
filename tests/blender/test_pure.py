"""The half of the gathering that knows no `bpy`: frame numbers, files, names, headers, axes, units."""

from __future__ import annotations

import struct
from math import pi, sqrt
from pathlib import Path

import pytest
from platelight_addon.core import FrameRange, SequencePath
from platelight_addon.gather.content import HEAD, content_digest
from platelight_addon.gather.files import absolute, numbered, on_disk, pattern_or_still
from platelight_addon.gather.findings import Findings, Stopped
from platelight_addon.gather.light_units import Lamp, light_pose, power, to_light
from platelight_addon.gather.mapping import FrameMapping, named, solve_to_file
from platelight_addon.gather.memory import Memory
from platelight_addon.gather.names import file_name, version_name
from platelight_addon.gather.pictures import INTEROP_NAMES, colorspace, read_header
from platelight_addon.gather.space import (
    KNOWN_PRIMARIES,
    Optics,
    Picture,
    between,
    lens_model,
    object_camera_frame,
    point_y_up,
    pose_y_up,
    rec709,
)

from tests.blender.making import write_exr

OCIO_SINGLE = 1e-6  # OCIO computes in single precision
IDENTITY = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


def test_clip_frames_and_file_numbers_follow_the_clip() -> None:
    mapping = FrameMapping.of_clip(first_number=1001, frame_start=101, frame_offset=5)
    assert (mapping.file(101), mapping.scene(1006)) == (1006, 101)
    assert solve_to_file(1001, 5) + 1 == 1006  # the first clip frame is 1


def test_image_node_shows_the_file_that_its_offset_says() -> None:
    assert FrameMapping.of_image_node(frame_start=1, frame_offset=1000).file(1) == 1001


def test_another_sequence_is_reached_over_the_scene() -> None:
    plate, background = FrameMapping(1000), FrameMapping(-4)
    assert plate.file(10) + plate.to(background) == background.file(10)


def test_frames_are_named_in_both_numberings_where_they_differ() -> None:
    assert named([1001, 1002], FrameMapping(1000)) == "1001-1002 (scene 1-2)"
    assert named([5], FrameMapping(0)) == "5"


@pytest.mark.parametrize(
    ("name", "pattern", "number"),
    [
        ("sh010.1001.exr", "sh010.####.exr", 1001),
        ("Füße_007.exr", "Füße_###.exr", 7),
        ("1.exr", "%d.exr", 1),
        ("a#b_0001_left.exr", "a#b_####_left.exr", 1),
        ("sh-0001.exr", "sh-####.exr", 1),
    ],
)
def test_file_names_its_sequence(name: str, pattern: str, number: int) -> None:
    held = numbered(Path("/x") / name, "plate", Findings())
    assert (Path(str(held.sequence)).name, held.number) == (pattern, number)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plate.exr", "no frame number in its name: choose a file such as sh010.1001.exr"),
        ("plate.1001.mov", "is a movie: write it as an EXR sequence"),
        ("a.1001.b#c.exr", "has a # or % after its frame number: rename"),
    ],
)
def test_file_that_names_no_sequence_says_what_to_do(name: str, said: str) -> None:
    findings = Findings()
    with pytest.raises(Stopped):
        numbered(Path("/x") / name, "plate", findings)
    assert said in findings.problems[0].text


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        ("//a.1001.exr", "this .blend was never saved: save it first", "wm.save_as_mainfile"),
        ("/x/a.<UDIM>.exr", "is a set of tiles (a.<UDIM>.exr): choose a sequence", "plate_clip"),
        ("D:\\shots\\a.1001.exr", "lies on a Windows machine: find it here", "file.find_missing_files"),
        ("\\\\nas\\shots\\a.1001.exr", "lies on a Windows machine: find it here", "file.find_missing_files"),
        ("a.1001.exr", "has a path that starts nowhere", "plate_clip"),
        ("", "has no file: choose one", "plate_clip"),
    ],
)
def test_path_that_cannot_be_used_says_what_to_do(text: str, said: str, fix: str) -> None:
    findings = Findings()
    with pytest.raises(Stopped):
        absolute(text, "", "plate", findings, "plate_clip")
    assert said in findings.problems[0].text
    assert findings.problems[0].fix == fix


def test_relative_path_starts_at_the_blend(tmp_path: Path) -> None:
    path = absolute("//../plates\\sh.1001.exr", str(tmp_path / "work"), "plate", Findings())
    assert path == tmp_path / "plates" / "sh.1001.exr"


def test_sequence_that_is_not_there_says_whether_its_folder_is(tmp_path: Path) -> None:
    for folder, said in (
        (tmp_path, "has no files in"),
        (tmp_path / "gone", "is not on this machine, there is no folder"),
    ):
        findings = Findings()
        with pytest.raises(Stopped):
            on_disk(SequencePath(folder, "a.", ".exr", 4), "plate", findings)
        assert said in findings.problems[0].text


def test_one_file_of_many_stands_for_its_sequence_and_a_lone_one_for_itself(tmp_path: Path) -> None:
    for name in ("m.0001.exr", "m.0002.exr", "still_2.exr"):
        (tmp_path / name).touch()
    assert str(pattern_or_still(tmp_path / "m.0001.exr", "matte", Findings())) == str(tmp_path / "m.####.exr")
    assert pattern_or_still(tmp_path / "still_2.exr", "matte", Findings()).is_still
    assert not pattern_or_still(tmp_path / "m.####.exr", "matte", Findings()).is_still


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sh010", "sh010"), ("Größe 1/2", "Grosse_1_2"), ("Señor", "Senor"), ("../x", "x"), ("镜头", "shot_2c06b2a1")],
)
def test_shot_names_become_file_names(name: str, expected: str) -> None:
    got = file_name(name)
    assert got == expected or (expected.startswith("shot_") and got.startswith("shot_") and len(got) == 13)
    assert version_name(12) == "v012"


HEADERS = [
    ({"colorInteropID": "lin_ap1_scene"}, "ACEScg"),
    ({"chromaticities": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)}, "ACEScg"),
    ({"chromaticities": (0.6, 0.3, 0.2, 0.7, 0.1, 0.1, 0.31, 0.33)}, "own"),
    ({"acesImageContainerFlag": 1}, "ACES2065-1"),
    ({}, ""),
]


@pytest.mark.parametrize(("header", "expected"), HEADERS)
def test_header_tells_size_and_colour_space(tmp_path: Path, header: dict[str, object], expected: str) -> None:
    np = pytest.importorskip("numpy")
    held = read_header(write_exr(tmp_path / "a.exr", {"R": np.zeros((9, 16))}, header))
    assert held is not None
    assert (held.width_px, held.height_px, held.colorspace) == (16, 9, expected)


def test_what_is_no_exr_has_no_header(tmp_path: Path) -> None:
    for content in (b"", b"\x89PNG", b"\x76\x2f\x31\x01", b"\x76\x2f\x31\x01" + bytes(range(256))):
        (tmp_path / "a.exr").write_bytes(content)
        assert read_header(tmp_path / "a.exr") is None
    assert read_header(tmp_path / "gone.exr") is None


def test_file_speaks_for_itself_where_the_artist_has_not_chosen(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    tagged = read_header(write_exr(tmp_path / "a.exr", {"R": np.zeros((2, 2))}, {"colorInteropID": "lin_ap1_scene"}))
    plain = read_header(write_exr(tmp_path / "b.exr", {"R": np.zeros((2, 2))}))
    assert colorspace("ACEScg", tagged, False) == ("auto", "")
    assert colorspace("Linear Rec.709", plain, False) == ("Linear Rec.709", "")
    assert colorspace("Linear Rec.2020", tagged, False) == ("Linear Rec.2020", "")
    name, said = colorspace("Linear Rec.709", tagged, False)
    assert name == "auto" and "its file says ACEScg, Blender shows it as Linear Rec.709" in said
    assert colorspace("Studio Log", plain, True) == ("Studio Log", "")
    name, said = colorspace("Studio Log", plain, False)
    assert name == "auto" and "does not know the colour space Studio Log" in said


def test_blender_up_becomes_y_up() -> None:
    assert point_y_up((1, 2, 3), 0.5) == (0.5, 1.5, -1.0)
    turned = pose_y_up(
        ((0, -2, 0, 1), (2, 0, 0, 2), (0, 0, 2, 3), (0, 0, 0, 1))
    )  # about Z by 90 degrees, twice as large
    assert turned == ((0, -1, 0, 1), (0, 0, 1, 3), (-1, 0, 0, -2), (0, 0, 0, 1))


def test_camera_that_looks_along_y_looks_along_minus_z() -> None:
    looking_along_y = ((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1))
    frame = object_camera_frame(1, looking_along_y, Optics(50, 36, 24), Picture(1920, 1080))
    x, y, depth = frame.project((1.0, 2.0, -10.0))  # Blender's (1, 10, 2)
    assert (x > 960, y < 540, depth) == (True, True, 10.0)


def test_sensor_fits_the_larger_side_of_square_pixels() -> None:
    wide = object_camera_frame(1, IDENTITY, Optics(36, 36, 24), Picture(1000, 800))
    tall = object_camera_frame(1, IDENTITY, Optics(36, 36, 24), Picture(1000, 800, (1, 2)))
    assert (wide.focal_px_x, wide.focal_px_y) == (1000, 1000)
    assert (tall.focal_px_x, tall.focal_px_y) == (1600, 800)
    vertical = object_camera_frame(1, IDENTITY, Optics(36, 36, 24, "VERTICAL", 0.1, 0.2), Picture(1000, 800))
    assert (vertical.focal_px_x, vertical.principal_x, vertical.principal_y) == (1200, 420, 560)


def test_lens_without_bending_is_no_lens() -> None:
    class Camera:
        distortion_model, division_k1, division_k2 = "DIVISION", 0.0, 0.0

    assert lens_model(Camera()) is None
    Camera.division_k1 = 0.25
    held = lens_model(Camera())
    assert held is not None and (held.kind, held.coefficients) == ("division", (0.25,))


def test_primaries_of_plates_are_those_of_the_servers_config() -> None:
    spaces = pytest.importorskip("platelight_server.color.spaces")
    ids = {name: one for one, name in INTEROP_NAMES.items()}
    for name in KNOWN_PRIMARIES:
        theirs = spaces.matrix(spaces.named(ids["Linear Rec.709"]), spaces.named(ids[name]))
        for i, axis in enumerate(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))):
            told = between(axis, "Linear Rec.709", name)
            assert told == pytest.approx(tuple(theirs[:, i]), abs=OCIO_SINGLE), name
            assert between(told, name, "Linear Rec.709") == pytest.approx(axis, abs=1e-12)


def test_acescg_white_is_rec709_white() -> None:
    for space in ("ACEScg", "Linear Rec.2020"):
        assert rec709((1, 1, 1), space) == pytest.approx((1, 1, 1), abs=1e-5)


def test_light_that_stands_still_is_said_once() -> None:
    lamp = Lamp("POINT", IDENTITY, 100.0, (1.0, 1.0, 1.0), radius=0.1)
    light = to_light("key", [lamp] * 3, FrameRange.parse("1-3"))
    assert (light.transforms, light.powers, light.colors, light.radius_m) == (None, None, None, 0.1)


def test_light_that_moves_and_changes_is_said_by_frame() -> None:
    moved = ((1, 0, 0, 5), *IDENTITY[1:])
    lamps = [Lamp("SUN", IDENTITY, 1.0, (1.0, 1.0, 1.0)), Lamp("SUN", moved, 2.0, (1.0, 0.5, 1.0))]
    light = to_light("key", lamps, FrameRange.parse("7-8"))
    assert light.at(8).power == 2.0 and light.at(8).color == (1.0, 0.5, 1.0)
    assert [light.at(n).transform[0][3] for n in (7, 8)] == [0.0, 5.0]


def test_units_keep_the_irradiance() -> None:
    lamp = Lamp("POINT", ((1, 0, 0, 3), *IDENTITY[1:]), 100.0, (1.0, 1.0, 1.0))
    light = to_light("key", [lamp], FrameRange.parse("1"), unit_m=0.01)
    assert light.at(1).irradiance_facing((0.0, 0.0, 0.0))[0] == pytest.approx(100 / (4 * pi * 9))


def test_light_scaled_and_mirrored_keeps_its_axis() -> None:
    rigid = light_pose(((-2, 0.5, 0, 0), (0, 3, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)))
    assert [row[2] for row in rigid[:3]] == [0.0, 1.0, 0.0]
    assert power(Lamp("AREA", ((2, 0, 0, 0), (0, 3, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)), 1.0, (1, 1, 1), False)) == 6.0
    assert sqrt(sum(rigid[i][0] ** 2 for i in range(3))) == pytest.approx(1)


def blend(address: int, frame: int, comment: bytes = b"") -> bytes:
    """A .blend of 4.5 with one block: a word that points beside itself, and a frame number."""
    held = struct.pack("<Qii", address + 304, 4, frame)
    blocks = (b"GLOB", comment), (b"MS\0\0", held), (b"ENDB", b"")
    return b"BLENDER-v405" + b"".join(HEAD.pack(code, len(data), address, 1, 1) + data for code, data in blocks)


def test_content_is_the_same_wherever_it_stood_in_memory() -> None:
    first = content_digest(blend(0x5640E34573E8, 3))
    assert content_digest(blend(0x7F40E3915E68, 3, b"elsewhere")) == first
    assert content_digest(blend(0x5640E34573E8, 5)) != first
    assert content_digest(b"BLENDER17-01v0500" + b"a") != content_digest(b"BLENDER17-01v0500" + b"b")


def test_memory_makes_anew_only_what_was_forgotten() -> None:
    memory, made = Memory(), []
    for _ in range(2):
        memory.recall("a", lambda: made.append(1))
    memory.forget()
    memory.recall("a", lambda: made.append(1))
    assert len(made) == 2
