"""The result's node group by numbers: rendered through the compositor and compared with the layers delivered."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import results  # noqa: E402
from platelight_addon.core import FrameError, FrameRange  # noqa: E402

from tests.blender import delivered  # noqa: E402
from tests.blender.delivered import HALF, HALF_LEAST, layer, rendered  # noqa: E402

# float32 sums in another order than numpy's.
SINGLE = 4e-6


def delivery(folder: Path, frames: str, there: str = "", colorspace: str = "Linear Rec.709", **other: Any) -> Any:
    """A delivery whose first file number shows at scene frame 1."""
    wanted = FrameRange.parse(frames)
    return results.Delivery(folder, "sh010", wanted, 1, FrameRange.parse(there or frames), colorspace, **other)


@pytest.fixture
def placed(scene: Any, tmp_path: Path) -> tuple[Any, Any]:
    """The scene, and the node of a result of frames 1001 and 1002 in its compositor."""
    for number in (1001, 1002):
        delivered.deliver(tmp_path / "v001", number)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001-1002"))
    delivered.set_up(scene)
    return scene, results.add_to_compositor(scene, group)


def formula(held: dict[str, np.ndarray], **dials: float) -> np.ndarray:
    """What the group computes, in numpy and float64: (H, W, 4)."""
    d = {"gain": 1.0, "exposure": 0.0, "fill": 1.0, "shadow": 1.0, "edge": 1.0, "on": 1.0, "own": 0.0, **dials}
    held = {name: pixels.astype(np.float64) for name, pixels in held.items()}
    alpha = held["alpha"][..., None]
    edge = np.maximum(alpha, 1 / 4096) ** (d["edge"] - 1)
    lit = held["foreground"] * np.exp2(held["gain"] * d["gain"]) + alpha * held["fill"] * d["fill"]
    shade = np.maximum(1 + (held["shadow"][..., None] - 1) * d["shadow"], 0)
    behind = (1 - alpha * edge) * shade
    background = held["background"] * (1 - d["own"]) + np.array([0.25, 0.5, 2.0]) * d["own"]
    colour = lit * 2 ** d["exposure"] * edge + behind * background * d["on"]
    return np.concatenate([colour, 1 - behind * (1 - d["on"])], -1)


def close(found: np.ndarray, expected: np.ndarray, part: float, least: float = 1e-6) -> bool:
    """Whether every pixel is within a part of its own value."""
    return bool((np.abs(found - expected) <= part * np.abs(expected) + least).all())


def test_rebuilt_composite_is_the_delivered_one_to_half_rounding(placed: Any, tmp_path: Path) -> None:
    scene, node = placed
    for frame, number in ((1, 1001), (2, 1002)):
        found = rendered(scene, node, "Image", frame, tmp_path / "r")
        assert close(
            found[..., :3], delivered.layers_of(number)["composite"].astype(np.float32), HALF * 1.01, HALF_LEAST
        )
        assert (found[..., 3] == 1).all()


def test_layers_come_out_bit_for_bit(placed: Any, tmp_path: Path) -> None:
    scene, node = placed
    held = delivered.layers_of(1002)
    for name in (
        "composite",
        "background",
        "foreground",
        "alpha",
        "gain",
        "fill",
        "shadow",
        "confidence",
        "normal",
        "depth",
    ):
        found = rendered(scene, node, name.title(), 2, tmp_path / "r")
        expected = held[name].astype(np.float32)
        expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, -1)
        assert np.array_equal(expected, found[..., :3]), name
    found = rendered(scene, node, "Relit", 2, tmp_path / "r")
    assert close(found[..., :3], held["relit"].astype(np.float32), HALF * 1.01, HALF_LEAST)
    assert np.array_equal(held["alpha"].astype(np.float32), found[..., 3])


@pytest.mark.parametrize(
    ("socket", "value", "dial"),
    [
        ("Gain Amount", 0.0, "gain"),
        ("Gain Amount", 1.5, "gain"),
        ("Exposure", -2.0, "exposure"),
        ("Fill Amount", 0.0, "fill"),
        ("Shadow Amount", 0.0, "shadow"),
        ("Shadow Amount", 2.0, "shadow"),
        ("Edge", 2.0, "edge"),
        ("Edge", 0.5, "edge"),
        ("Background On", 0.0, "on"),
    ],
)
def test_dial_changes_what_the_formula_says(placed: Any, tmp_path: Path, socket: str, value: float, dial: str) -> None:
    scene, node = placed
    node.inputs[socket].default_value = value
    found = rendered(scene, node, "Image", 1, tmp_path / "r")
    expected = formula(delivered.layers_of(1001), **{dial: value})
    assert close(found, expected, SINGLE, 2e-6)
    assert not close(found, formula(delivered.layers_of(1001)), HALF)


def test_own_background_replaces_the_delivered_one(placed: Any, tmp_path: Path) -> None:
    scene, node = placed
    node.inputs["Background Image"].default_value = (0.25, 0.5, 2.0, 1.0)
    before = rendered(scene, node, "Image", 1, tmp_path / "r")
    node.inputs["Replace Background"].default_value = 1.0
    found = rendered(scene, node, "Image", 1, tmp_path / "r")
    assert close(before, formula(delivered.layers_of(1001)), SINGLE)
    assert close(found, formula(delivered.layers_of(1001), own=1.0), SINGLE)


def test_without_background_the_subject_and_its_shadow_go_over_any_picture(placed: Any, tmp_path: Path) -> None:
    scene, node = placed
    node.inputs["Background On"].default_value = 0.0
    cut = rendered(scene, node, "Image", 1, tmp_path / "r")
    over = cut[..., :3] + (1 - cut[..., 3:]) * np.array([0.25, 0.5, 2.0])
    assert close(over, formula(delivered.layers_of(1001), own=1.0)[..., :3], SINGLE, 2e-6)


def test_gain_acts_in_the_primaries_of_the_plate(scene: Any, tmp_path: Path) -> None:
    delivered.deliver(tmp_path / "v001", 1001)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001", colorspace="ACEScg"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    image, composite, foreground, gain = (
        rendered(scene, node, name, 1, tmp_path / "r")[..., :3] for name in ("Image", "Composite", "Foreground", "Gain")
    )
    held = delivered.layers_of(1001)
    assert not np.allclose(composite, held["composite"].astype(np.float32), rtol=HALF)  # it was converted
    assert np.array_equal(gain, held["gain"].astype(np.float32))  # and data was not
    # Each delivered channel is rounded once; the matrix to Rec.709 adds the three, its rows' absolute sums are under 3.
    allowed = 3 * HALF * np.abs(held["composite"].astype(np.float32)).max(-1, keepdims=True) + 1e-5
    assert (np.abs(image - composite) <= allowed).all()
    inside = (held["alpha"] > 0.5)[..., None]
    naive = foreground * np.exp2(gain)
    relit = rendered(scene, node, "Relit", 1, tmp_path / "r")[..., :3]
    assert (np.abs(naive - relit) * inside).max() > 100 * HALF


def test_group_follows_the_working_space_of_the_file(scene: Any, tmp_path: Path) -> None:
    if not hasattr(bpy.data, "colorspace"):
        pytest.skip("before 5.0 a file has the one working space of its config")
    delivered.deliver(tmp_path / "v001", 1001)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001", colorspace="ACEScg"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    bpy.ops.wm.set_working_color_space(working_space="ACEScg", convert_colors=False)
    try:
        found = rendered(scene, node, "Image", 1, tmp_path / "r")
    finally:
        bpy.ops.wm.set_working_color_space(working_space="Linear Rec.709", convert_colors=False)
    assert close(found, formula(delivered.layers_of(1001)), SINGLE)


def test_space_of_the_delivery_outranks_the_header(scene: Any, tmp_path: Path) -> None:
    delivered.set_up(scene)
    for version, number in (("v001", 1001), ("v002", 1002)):
        delivered.deliver(tmp_path / version, number, tag="lin_ap1_scene")
        group = results.update_group("key", delivery(tmp_path / version, str(number)))
        node = results.add_to_compositor(scene, group)
        found = rendered(scene, node, "Composite", 1, tmp_path / "r")[..., :3]
        assert np.array_equal(delivered.layers_of(number)["composite"].astype(np.float32), found)


def test_space_that_this_blender_does_not_know_is_said(scene: Any, tmp_path: Path) -> None:
    delivered.deliver(tmp_path / "v001", 1001)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001", colorspace="Studio Log 3"))
    assert "no colour space 'Studio Log 3'" in results.status_of(group).notes[0]
    delivered.set_up(scene)
    found = rendered(scene, results.add_to_compositor(scene, group), "Image", 1, tmp_path / "r")
    assert close(found[..., :3], delivered.layers_of(1001)["composite"].astype(np.float32), HALF * 1.01, HALF_LEAST)


def test_main_files_alone_give_what_they_have(scene: Any, tmp_path: Path) -> None:
    delivered.deliver(tmp_path / "v001", 1001, aux=False)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    assert [s.name for s in node.outputs] == ["Image", "Composite", "Background", "Relit", "Alpha", "Delivered"]
    assert len(node.inputs) == 0
    assert "no auxiliary files" in results.status_of(group).notes[0]
    found = rendered(scene, node, "Image", 1, tmp_path / "r")
    assert np.array_equal(delivered.layers_of(1001)["composite"].astype(np.float32), found[..., :3])


def test_version_that_is_not_there_leaves_the_last_one(placed: Any, tmp_path: Path) -> None:
    scene, node = placed
    with pytest.raises(FrameError, match="does not see the file"):
        results.update_group("key", delivery(tmp_path / "v002", "1001-1002"))
    assert node.label == "sh010 v001"
    assert close(rendered(scene, node, "Image", 1, tmp_path / "r"), formula(delivered.layers_of(1001)), SINGLE)


def test_what_relight_delivers_is_rebuilt(scene: Any, tmp_path: Path) -> None:
    program = os.environ.get("PLATELIGHT_CLI") or shutil.which("platelight")
    if program is None:
        pytest.skip("needs the command line: set PLATELIGHT_CLI to the platelight of a venv with the server")
    _make_shot(tmp_path)
    command = [program, "relight", "--plate", "p.####.exr", "--matte", "m.####.exr", "--background", "bg.exr"]
    command += ["--frames", "1001-1002", "--out", "v001", "--name", "sh010", "--quiet"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    found_frames = results.found_in(tmp_path / "v001", "sh010")
    group = results.update_group("key", delivery(tmp_path / "v001", "1001-1002", str(found_frames)))
    delivered.set_up(scene, 48, 32)
    node = results.add_to_compositor(scene, group)
    for frame, number in ((1, 1001), (2, 1002)):
        held = delivered.read_layers(tmp_path / "v001", "sh010", number)
        found = rendered(scene, node, "Image", frame, tmp_path / "r")
        composite = layer(held, "")
        # Delivered layers are each rounded once: two in the composite and relit, and the gain's in the exponent.
        lit = np.abs(layer(held, "relit.")) * (2 + np.log(2) * np.abs(layer(held, "gain.", "XYZ")))
        behind = (1 - held["alpha.A"])[..., None] * np.abs(layer(held, "background."))
        assert (np.abs(found[..., :3] - composite) <= HALF * (lit + 2 * behind + np.abs(composite)) + 1e-6).all()
        for name, key in (("Composite", ""), ("Foreground", "foreground."), ("Background", "background.")):
            assert np.array_equal(layer(held, key), rendered(scene, node, name, frame, tmp_path / "r")[..., :3])


def _make_shot(folder: Path) -> None:
    from tests.blender.making import write_exr

    y, x = np.mgrid[0:32, 0:48].astype(np.float32)
    tag = {"colorInteropID": "lin_rec709_scene"}
    for number in (1001, 1002):
        plate = {c: 0.3 + 0.2 * np.sin(x / 5 + i + number) * np.cos(y / 4) for i, c in enumerate("RGB")}
        write_exr(folder / f"p.{number}.exr", plate, tag)
        write_exr(folder / f"m.{number}.exr", {"A": np.clip((10 - np.hypot(x - 20, y - 16)) / 4 + 0.5, 0, 1)})
    write_exr(folder / "bg.exr", {c: 0.2 * (1 + i) + x / 96 for i, c in enumerate("RGB")}, tag)
