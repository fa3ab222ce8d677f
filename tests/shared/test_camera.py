"""Cameras and camera files."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from math import atan, degrees
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platelight.camera import Camera, CameraFrame, LensModel
from platelight.camera_files import camera_from_world_to_camera, read_camera, read_camera_json, read_chan
from platelight.errors import CameraError
from platelight.frames import FrameRange
from platelight.matrices import IDENTITY, Matrix4, matrix4, multiply, rigid_inverse, rotation_zxy, transpose

DEV = Path(__file__).parents[2].parent / "shared" / "data" / "dev"
SHOTS = ("gt_bust_sunset", "gt_creature_forest", "gt_dancer_neon")

TEXT_TOLERANCE = 1e-6  # a .chan holds 8 decimals, of degrees
PIXEL_TOLERANCE = 2e-3  # tracks.npz is float32
EXACT = 1e-12

CHAN_LINE = "1001 1 2 3 0 0 0 45\n"


def frame_at(number: int, matrix: Matrix4 = IDENTITY) -> CameraFrame:
    return CameraFrame(number, matrix, 1000.0, 1000.0, 960.0, 540.0, 1920, 1080)


def difference(a: Matrix4, b: Matrix4) -> float:
    return max(abs(x - y) for r, q in zip(a, b, strict=True) for x, y in zip(r, q, strict=True))


poses = st.builds(
    lambda turn, x, y, z: matrix4([[*turn[i][:3], at] for i, at in enumerate((x, y, z))] + [[0, 0, 0, 1]]),
    st.builds(rotation_zxy, *[st.floats(-180, 180)] * 3),
    *[st.floats(-100, 100)] * 3,
)


@given(poses)
def test_rigid_inverse_undoes_a_pose(pose: Matrix4) -> None:
    assert difference(multiply(pose, rigid_inverse(pose)), IDENTITY) < 1e-9


def test_camera_looks_down_minus_z_with_y_up_and_pixels_from_the_top_left() -> None:
    assert frame_at(1).project((1.0, 0.5, -10.0)) == (960 + 100, 540 - 50, 10.0)


def test_scaled_camera_sees_the_same_part_of_the_picture() -> None:
    x, y, depth = frame_at(1).project((1.0, 0.5, -10.0))
    assert frame_at(1).scaled(960, 270).project((1.0, 0.5, -10.0)) == (x / 2, y / 4, depth)


def test_camera_names_the_frames_that_it_lacks() -> None:
    camera = Camera.of([frame_at(n) for n in (1003, 1001, 1002)])
    assert camera.covers(FrameRange.parse("1001-1003"))
    assert camera.missing(range(1002, 1006)) == (1004, 1005)
    with pytest.raises(CameraError, match="missing 1004-1005; it holds 1001-1003"):
        camera.require(range(1002, 1006))
    with pytest.raises(CameraError, match="no frame 1000, it holds 1001-1003"):
        camera.at(1000)


def test_camera_refuses_no_frame_and_a_frame_twice() -> None:
    with pytest.raises(CameraError, match="at least one frame"):
        Camera({})
    with pytest.raises(CameraError, match="frame 5 comes twice"):
        Camera.of([frame_at(5), frame_at(5)])


def test_camera_travels_to_another_process() -> None:
    camera = Camera.of([frame_at(1)], LensModel("brown", (0.1, 0.2)))
    assert pickle.loads(pickle.dumps(camera)) == camera


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        (((2.0, 0, 0, 0), *IDENTITY[1:]), "not orthonormal"),
        (((1.0, 0.1, 0, 0), *IDENTITY[1:]), "not orthonormal"),
        (((-1.0, 0, 0, 0), *IDENTITY[1:]), "mirrors"),
        ((*IDENTITY[:3], (0.0, 0, 1, 1)), "last row"),
        (((1.0, 0, 0, float("nan")), *IDENTITY[1:]), "not a finite number"),
    ],
)
def test_camera_refuses_a_matrix_that_is_not_rigid(matrix: Matrix4, problem: str) -> None:
    with pytest.raises(CameraError, match=f"frame 7: .*{problem}"):
        frame_at(7, matrix)


def test_camera_refuses_impossible_numbers() -> None:
    for wrong in ({"focal_px_x": 0.0}, {"width_px": 0}, {"principal_x": float("inf")}):
        with pytest.raises(CameraError, match="frame 1"):
            replace(frame_at(1), **wrong)  # type: ignore[arg-type]


def test_lens_refuses_unknown_kinds_and_too_many_coefficients() -> None:
    with pytest.raises(CameraError, match="at most 3 coefficients for polynomial, got 4"):
        LensModel("polynomial", (1, 2, 3, 4))
    with pytest.raises(CameraError, match="expected one of"):
        LensModel("fisheye")  # type: ignore[arg-type]


def test_chan_field_of_view_is_vertical(tmp_path: Path) -> None:
    path = tmp_path / "a.chan"
    path.write_text(f"# comment\n\n1001\t1 2 3 0 90 0 {2 * degrees(atan(0.5))}\n")
    camera = read_chan(path, 1920, 1080).at(1001)
    assert camera.position == (1.0, 2.0, 3.0)
    assert camera.focal_px_x == pytest.approx(1080, abs=1e-9)
    assert camera.project((-9.0, 2.0, 3.0)) == pytest.approx((960, 540, 10), abs=1e-9)


def test_chan_uses_the_sensor_width_where_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.chan"
    path.write_text(f"1001 0 0 0 0 0 0 {2 * degrees(atan(0.25))}\n")
    camera = read_chan(path, 2048, 858, sensor_mm=(40.0, 20.0), pixel_aspect=2.0).at(1001)
    assert (camera.focal_px_x, camera.focal_px_y) == pytest.approx((40 / 40 * 2048, 40 / 40 * 2048 * 2), abs=1e-9)


def test_chan_without_field_of_view_needs_a_focal_length(tmp_path: Path) -> None:
    path = tmp_path / "a.chan"
    path.write_text("1001 0 0 0 0 0 0\n")
    with pytest.raises(CameraError, match=r"a\.chan, line 1: no field of view"):
        read_chan(path, 1920, 1080)
    assert read_chan(path, 1920, 1080, sensor_mm=(36, 24), focal_mm=50).at(1001).focal_px_x == pytest.approx(
        50 / 36 * 1920
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1001 1 2 3\n", "line 1: expected frame tx ty tz rx ry rz"),
        (CHAN_LINE + "1002 1 2 x 0 0 0 45\n", "line 2: expected frame"),
        (CHAN_LINE + "1001.5 1 2 3 0 0 0 45\n", "line 2: expected frame"),
        (CHAN_LINE + "nan 1 2 3 0 0 0 45\n", "line 2: expected frame"),
        (CHAN_LINE + CHAN_LINE, "line 2: frame 1001 comes twice"),
        ("1001 1 2 3 0 0 0 0\n", "line 1: expected a vertical field of view"),
        ("# nothing\n", "found none"),
    ],
)
def test_chan_names_the_line_that_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.chan").write_text(text)
    with pytest.raises(CameraError, match=problem):
        read_chan(tmp_path / "a.chan", 1920, 1080)


def document(**changed: object) -> dict[str, object]:
    entry = {"frame": 1001, "camera_to_world": IDENTITY, "fx": 500, "fy": 500, "cx": 240, "cy": 135}
    return {"width": 480, "height": 270, "convention": "camera_to_world, Y-up", "frames": [entry], **changed}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"convention": "whatever"}, "says Y-up or Z-up"),
        ({"frames": []}, "a list of frames"),
        ({"frames": [{"frame": 1001}]}, r"frames\[0\] \(frame 1001\): expected camera_to_world"),
        ({"frames": [{**document()["frames"][0], "frame": 1.5}]}, "whole number under 'frame'"),  # type: ignore[index]
        ({"width": float("inf")}, "whole number under 'width'"),
        ({"frames": document()["frames"] * 2}, "frame 1001 comes twice"),  # type: ignore[operator]
        ({"frames": [{**document()["frames"][0], "camera_to_world": [1, 2]}]}, "4 rows of 4"),  # type: ignore[index]
        ({"frames": [{**document()["frames"][0], "fx": -1}]}, "above 0"),  # type: ignore[index]
    ],
)
def test_camera_json_names_what_is_wrong(tmp_path: Path, changed: dict[str, object], problem: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document(**changed)))
    with pytest.raises(CameraError, match=problem):
        read_camera_json(tmp_path / "a.json")


def test_camera_json_is_scaled_to_the_plate_and_refused_in_another_shape(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document()))
    assert read_camera(tmp_path / "a.json", 1920, 1080).at(1001).focal_px_x == 2000
    with pytest.raises(CameraError, match="solved for 480 x 270 px, the plate is 2048 x 1080 px"):
        read_camera(tmp_path / "a.json", 2048, 1080)


def test_camera_file_that_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"none\.chan: cannot read"):
        read_camera(tmp_path / "none.chan", 10, 10)
    with pytest.raises(CameraError, match=r"ending in \.chan or \.json"):
        read_camera(tmp_path / "a.fbx", 10, 10)
    (tmp_path / "bad.json").write_bytes(b"{")
    with pytest.raises(CameraError, match="not JSON"):
        read_camera(tmp_path / "bad.json", 10, 10)
    (tmp_path / "bad.chan").write_bytes(b"\xff\xfe")
    with pytest.raises(CameraError, match="expected a text file"):
        read_camera(tmp_path / "bad.chan", 10, 10)


@given(poses)
def test_header_matrix_is_read_in_both_handednesses(pose: Matrix4) -> None:
    row_vectors = transpose(rigid_inverse(pose))
    left_handed = [[value if column != 2 else -value for column, value in enumerate(row)] for row in row_vectors]
    for matrix in (row_vectors, left_handed, [value for row in row_vectors for value in row]):
        read = camera_from_world_to_camera(matrix, frame=1, focal_px_x=500, focal_px_y=500, width_px=480, height_px=270)
        assert difference(read.camera_to_world, pose) < 1e-9
        assert (read.principal_x, read.principal_y) == (240, 135)


def test_header_matrix_that_is_not_rigid_is_refused() -> None:
    for wrong in ([[2.0 * v for v in row] for row in IDENTITY], [1, 2, 3]):
        with pytest.raises(CameraError, match="worldToCamera, frame 3"):
            camera_from_world_to_camera(wrong, frame=3, focal_px_x=1, focal_px_y=1, width_px=1, height_px=1)


def dev_camera(shot: str) -> Path:
    folder = DEV / shot / "camera"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


@pytest.mark.dev_data
@pytest.mark.parametrize("shot", SHOTS)
def test_dev_camera_files_agree(shot: str) -> None:
    folder = dev_camera(shot)
    expected = read_camera_json(folder / "camera_yup.json")
    solved = expected.at(1001)
    for other in (
        read_camera_json(folder / "camera_blender_zup.json"),
        read_chan(folder / "camera.chan", solved.width_px, solved.height_px),
    ):
        assert list(other.frames) == list(expected.frames)
        for number, one in expected.frames.items():
            assert difference(other.at(number).camera_to_world, one.camera_to_world) < TEXT_TOLERANCE
            assert other.at(number).focal_px_x == pytest.approx(one.focal_px_x, rel=TEXT_TOLERANCE)


@pytest.mark.dev_data
@pytest.mark.parametrize("shot", SHOTS)
def test_dev_camera_projects_the_tracks_to_their_pixels(shot: str) -> None:
    import numpy as np

    camera = read_camera_json(dev_camera(shot) / "camera_yup.json")
    tracks = np.load(DEV / shot / "tracks.npz")
    for number in (1001, 1024):
        world, pixel = tracks["world"][number - 1001][::50], tracks["pixel"][number - 1001][::50]
        for (x, y, z), expected in zip(world.tolist(), pixel.tolist(), strict=True):
            assert camera.at(number).project((x, z, -y)) == pytest.approx(expected, abs=PIXEL_TOLERANCE)
