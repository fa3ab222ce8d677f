"""Mattes: files, masks and sockets drawn by a child Blender, Cryptomattes by name."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import compat  # noqa: E402
from platelight_addon.gather import Memory, Raster, gather  # noqa: E402

from tests.blender.making import linear, make_clip, make_mask, make_plate, read_exr, write_exr  # noqa: E402

START_S = 0.06  # the longest that the interface may stand still
HALF = 1e-3


def prepared(shot: Any, tmp_path: Path, **clip: Any) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0, **clip)
    shot.output_directory = str(tmp_path / "Ausgäbe")


def stops(gathered: Any) -> list[tuple[str, str]]:
    return [(problem.text, problem.fix) for problem in gathered.problems if problem.level == "stop"]


def extent(path: Path) -> tuple[int, int]:
    """First and last column of a drawn matte that is mostly covered."""
    held = read_exr(path)
    assert set(held) == {"R", "G", "B"}
    (columns,) = np.nonzero(held["R"].max(0) > 0.5)
    return int(columns[0]), int(columns[-1]) + 1


def test_mask_is_drawn_by_a_child_and_moves(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path, frame_start=1)
    shot.matte_kind, shot.matte_mask = "MASK", make_mask("Füße", keyed=True)
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 1, 3
    scene.frame_set(2)
    held = gather(scene, shot)
    (order,) = held.drawings
    assert held.recipe.matte.path == str(order.sequence)
    assert (held.recipe.matte.channel, order.missing) == ("R", (1001, 1002, 1003))
    raster = Raster(order).start()
    assert raster.state == "running"
    assert (raster.wait(), raster.progress) == ("done", (3, 3)), raster.text
    found = [extent(order.sequence.path(number)) for number in (1001, 1002, 1003)]
    assert [first for first, _ in found] == pytest.approx([80, 112, 144], abs=1)
    assert [last - first for first, last in found] == pytest.approx([80, 80, 80], abs=1)
    assert scene.frame_current == 2
    assert sorted(path.name for path in order.folder.iterdir()) == [f"matte.{n}.exr" for n in (1001, 1002, 1003)]


def test_starting_and_polling_do_not_hold_the_interface(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.matte_kind, shot.matte_mask = "MASK", make_mask()
    (order,) = gather(scene, shot).drawings
    started = time.perf_counter()
    raster = Raster(order).start()
    assert time.perf_counter() - started < START_S
    for _ in range(5):
        started = time.perf_counter()
        raster.poll()
        assert time.perf_counter() - started < START_S
    raster.cancel()


def test_mask_that_has_not_changed_is_not_drawn_again(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    mask = make_mask()
    shot.matte_kind, shot.matte_mask = "MASK", mask
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 1, 1
    (first,) = gather(scene, shot).drawings
    assert Raster(first).start().wait() == "done"
    (again,) = gather(scene, shot, version=7).drawings
    assert (again.folder, Raster(again).start().state) == (first.folder, "done")
    shot.frame_last = 2
    (more,) = gather(scene, shot).drawings
    assert (more.folder, more.missing) == (first.folder, (1002,))
    point = mask.layers[0].splines[0].points[0]
    point.co = (0.1, 0.4)
    assert gather(scene, shot).drawings[0].folder != first.folder


def test_memory_keeps_a_mask_from_being_looked_at(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.matte_kind, shot.matte_mask, memory = "MASK", make_mask(), Memory()
    (first,) = gather(scene, shot, memory=memory).drawings
    shot.matte_mask.layers[0].splines[0].points[0].co = (0.1, 0.4)
    assert gather(scene, shot, memory=memory).drawings[0].folder == first.folder
    memory.forget()
    assert gather(scene, shot, memory=memory).drawings[0].folder != first.folder


def test_drawing_can_be_cancelled_and_goes_on(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.matte_kind, shot.matte_mask = "MASK", make_mask()
    (order,) = gather(scene, shot).drawings
    raster = Raster(order).start()
    while raster.progress[0] < 1 and raster.poll() == "running":
        time.sleep(0.01)
    raster.cancel()
    assert raster.state == "cancelled" and 0 < len(order.missing) < 8
    left = len(order.missing)
    again = Raster(order).start()
    assert (again.wait(), again.progress) == ("done", (left, left))
    assert not list(order.folder.glob(".part*"))


def test_child_that_fails_says_so_in_a_sentence(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.matte_kind, shot.matte_mask = "MASK", make_mask()
    (order,) = gather(scene, shot).drawings
    raster = Raster(order).start()
    raster._process.kill()
    assert raster.wait() == "failed"
    assert raster.text.startswith("The mask Roto could not be drawn: ")


def test_socket_is_drawn_with_exact_values(scene: Any, shot: Any, tmp_path: Path) -> None:
    """A grade keyed over the shot: 2^0, 2^3 and 2^7 times the plate; and nothing that the socket does not need runs."""
    prepared(shot, tmp_path, frame_start=1001)
    tree = compat.compositor_tree(scene, create=True)
    clip, grade = tree.nodes.new("CompositorNodeMovieClip"), tree.nodes.new("CompositorNodeExposure")
    clip.clip, grade.name = shot.plate_clip, "Grade ü"
    tree.links.new(clip.outputs["Image"], grade.inputs["Image"])
    exposure = grade.inputs["Exposure"]
    for frame, stop in ((1001, 0.0), (1008, 7.0)):
        exposure.default_value = stop
        exposure.keyframe_insert("default_value", frame=frame)
    linear(tree.animation_data.action)
    scene.frame_set(1001)
    before = [len(getattr(bpy.data, name)) for name in ("scenes", "node_groups", "images")]
    shot.matte_kind, shot.matte_node = "SOCKET", "Grade ü"
    (order,) = gather(scene, shot).drawings
    raster = Raster(order).start()
    assert raster.wait() == "done", raster.text
    for number in (1001, 1004, 1008):
        held, plate = read_exr(order.sequence.path(number)), read_exr(tmp_path / "plate" / f"plate.{number}.exr")
        for name in "RGB":
            assert np.allclose(held[name], plate[name] * 2.0 ** (number - 1001), rtol=1e-6, atol=0)
    assert [len(getattr(bpy.data, name)) for name in ("scenes", "node_groups", "images")] == before
    assert scene.frame_current == 1001


def test_two_sockets_of_a_tree_are_two_drawings(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    tree = compat.compositor_tree(scene, create=True)
    node = tree.nodes.new("CompositorNodeMovieClip")
    node.clip = shot.plate_clip
    shot.matte_kind, shot.matte_node, shot.matte_socket = "SOCKET", node.name, "Alpha"
    (alpha,) = gather(scene, shot).drawings
    shot.matte_socket = "Image"
    (image,) = gather(scene, shot).drawings
    assert alpha.folder != image.folder
    shot.matte_socket = "Depth"
    assert stops(gather(scene, shot))[0][1] == "matte_socket"
    shot.matte_node = "Gone"
    assert "There is no node 'Gone' in the compositor of Scene" in stops(gather(scene, shot))[0][0]


def test_matte_files_are_taken_as_they_are(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    make_plate(tmp_path / "matte", "mätte")
    shot.matte_kind, shot.matte_path = "FILE", str(tmp_path / "matte" / "mätte.1001.exr")
    shot.matte_channel, shot.matte_invert = "alpha.V", True
    matte = gather(scene, shot).recipe.matte
    assert (matte.path, matte.channel, matte.invert) == (str(tmp_path / "matte" / "mätte.####.exr"), "alpha.V", True)
    (tmp_path / "matte" / "mätte.1005.exr").unlink()
    assert "has no frames 1005, which the plate has" in stops(gather(scene, shot))[0][0]
    shot.matte_path = str(tmp_path / "matte" / "other.exr")
    assert "is not in" in stops(gather(scene, shot))[0][0]
    shot.matte_kind = "PLATE_ALPHA"
    assert gather(scene, shot).recipe.matte.from_plate_alpha


def test_masks_without_splines_say_what_to_do(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.matte_kind = "MASK"
    assert stops(gather(scene, shot)) == [
        ("The shot's matte is a mask, and none is chosen: choose one, or draw it.", "matte_mask")
    ]
    shot.matte_mask = bpy.data.masks.new("Empty")
    assert stops(gather(scene, shot)) == [
        ("The mask Empty has no splines that render: draw one around the foreground.", "matte_mask")
    ]
    shot.matte_mask = make_mask()
    shot.matte_mask.layers[0].hide_render = True
    assert "has no splines that render" in stops(gather(scene, shot))[0][0]


def test_cryptomatte_is_told_by_path_layer_and_names(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    write_exr(tmp_path / "crypto.exr", {"R": np.zeros((4, 4))})
    shot.matte_kind, shot.matte_path = "CRYPTOMATTE", str(tmp_path / "crypto.exr")
    assert stops(gather(scene, shot))[0][1] == "matte_crypto_names"
    shot.matte_crypto_layer, shot.matte_crypto_names = "CryptoObject", "Hans, Tür ,Hans"
    matte = gather(scene, shot).recipe.matte
    assert (matte.path, matte.cryptomatte, matte.cryptomatte_layer) == (
        str(tmp_path / "crypto.exr"), ("Hans", "Tür"), "CryptoObject",
    )  # fmt: skip


def test_cryptomatte_node_is_read(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    path = write_exr(tmp_path / "crypto.exr", {"R": np.zeros((4, 4))})
    node = compat.compositor_tree(scene, create=True).nodes.new("CompositorNodeCryptomatteV2")
    shot.matte_kind, shot.matte_node, shot.matte_crypto_names = "CRYPTOMATTE", node.name, "Hans"
    assert "reads this file's render" in stops(gather(scene, shot))[0][0]
    node.source, node.image = "IMAGE", bpy.data.images.load(str(path))
    assert gather(scene, shot).recipe.matte.path == str(path)
