"""Which frames a result shows: those that are delivered, as they land; and how the others are told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import results  # noqa: E402
from platelight_addon.core import FrameError  # noqa: E402

from tests.blender import delivered  # noqa: E402
from tests.blender.delivered import rendered  # noqa: E402
from tests.blender.test_results import SINGLE, close, delivery, formula  # noqa: E402


def test_frames_that_are_not_delivered_are_transparent_and_said(scene: Any, tmp_path: Path) -> None:
    for number in (1001, 1002, 1004):
        delivered.deliver(tmp_path / "v001", number)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001-1006", "1001-1002,1004"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    assert node.label == "sh010 v001 · frames 1003,1005-1006 not delivered"
    assert node.use_custom_color
    for frame, there in ((0, 0), (1, 1), (2, 1), (3, 0), (4, 1), (5, 0), (6, 0), (7, 0)):
        assert (rendered(scene, node, "Delivered", frame, tmp_path / "r")[..., 0] == there).all()
        for output in ("Image", "Composite", "Foreground", "Gain", "Alpha"):
            pixels = rendered(scene, node, output, frame, tmp_path / "r")
            assert pixels[..., :3].any() == bool(there), (frame, output)
        assert rendered(scene, node, "Image", frame, tmp_path / "r")[..., 3].max() == there


def test_frames_appear_as_they_land(scene: Any, tmp_path: Path) -> None:
    folder = tmp_path / "v001"
    delivered.deliver(folder, 1003)  # a farm begins where it likes
    group = results.update_group("key", delivery(folder, "1001-1003", "1003"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    assert not rendered(scene, node, "Image", 1, tmp_path / "r").any()
    for landed, there in ((1001, "1001,1003"), (1002, "1001-1003")):
        delivered.deliver(folder, landed)
        assert results.update_group("key", delivery(folder, "1001-1003", there)) == group
        found = rendered(scene, node, "Image", landed - 1000, tmp_path / "r")
        assert close(found, formula(delivered.layers_of(landed)), SINGLE)
    assert node.label == "sh010 v001"
    assert not node.use_custom_color


def test_frame_seen_missing_appears_without_reading_the_files_anew(scene: Any, tmp_path: Path) -> None:
    folder = tmp_path / "v001"
    delivered.deliver(folder, 1001)
    group = results.update_group("key", delivery(folder, "1001-1003", "1001"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    for frame in (2, 3):
        scene.frame_set(frame)
        assert not rendered(scene, node, "Image", frame, tmp_path / "r").any()
    scene.frame_set(1)
    for landed, there in ((1002, "1001-1002"), (1003, "1001-1003")):
        delivered.deliver(folder, landed)
        results.update_group("key", delivery(folder, "1001-1003", there))
        found = rendered(scene, node, "Image", landed - 1000, tmp_path / "r")
        assert close(found, formula(delivered.layers_of(landed)), SINGLE)
        scene.frame_set(1)


def test_every_other_frame(scene: Any, tmp_path: Path) -> None:
    for number in (1001, 1003, 1005):
        delivered.deliver(tmp_path / "v001", number)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001-1005x2"))
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    flags = [rendered(scene, node, "Delivered", frame, tmp_path / "r")[0, 0, 0] for frame in range(7)]
    assert flags == [0, 1, 0, 1, 0, 1, 0]


def test_delivered_file_that_is_not_there_is_said(tmp_path: Path, scene: Any) -> None:
    with pytest.raises(FrameError, match=r"sh010\.1001\.exr: this frame is delivered, but this machine does not see"):
        results.update_group("key", delivery(tmp_path / "v001", "1001"))
    assert not bpy.data.node_groups and not [i for i in bpy.data.images if i.source == "SEQUENCE"]


def test_negative_file_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="no sequence with negative file numbers, got -2"):
        delivery(tmp_path, "-2-5")


def test_frame_that_lands_changes_numbers_and_wires_nothing(scene: Any, tmp_path: Path) -> None:
    for number in range(1001, 1005):
        delivered.deliver(tmp_path / "v001", number)
    group = results.update_group("key", delivery(tmp_path / "v001", "1001-1010", "1001-1002"))
    nodes = [node.as_pointer() for node in group.nodes]
    results.update_group("key", delivery(tmp_path / "v001", "1001-1010", "1001-1004"))
    assert nodes == [node.as_pointer() for node in group.nodes]
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    flags = [rendered(scene, node, "Delivered", frame, tmp_path / "r")[0, 0, 0] for frame in range(7)]
    assert flags == [0, 1, 1, 1, 1, 0, 0]
