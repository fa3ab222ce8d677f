"""Results and files: saved and loaded again, opened without the extension, linked, in odd folders, in versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import compat, results  # noqa: E402
from platelight_addon.core import InputError  # noqa: E402

from tests.blender import delivered  # noqa: E402
from tests.blender.delivered import rendered  # noqa: E402
from tests.blender.test_results import SINGLE, close, delivery, formula  # noqa: E402
from tests.blender.test_results_nodes import counts  # noqa: E402

# Renders the open file's frame 1 with Blender alone: no test folder and no extension on the path.
RENDER_ALONE = """
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
assert not [name for name in sys.modules if "platelight" in name]
scene = bpy.context.scene
scene.frame_start = scene.frame_end = 1
scene.render.filepath = sys.argv[2]
bpy.ops.render.render(animation=True)
"""


@pytest.fixture
def group(scene: Any, tmp_path: Path) -> Any:
    """The group of version 1, frame 1001."""
    delivered.deliver(tmp_path / "v001", 1001)
    return results.update_group("key", delivery(tmp_path / "v001", "1001"))


def test_file_renders_the_same_without_the_extension(group: Any, scene: Any, tmp_path: Path) -> None:
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    node.inputs["Gain Amount"].default_value = 0.5
    expected = rendered(scene, node, "Image", 1, tmp_path / "r")
    blend = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    command = [sys.executable, "-c", RENDER_ALONE, str(blend), str(tmp_path / "alone_")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    held = delivered.read_exr_rgba(next(tmp_path.glob("alone_*.exr")))
    assert np.array_equal(expected, held)
    assert close(expected, formula(delivered.layers_of(1001), gain=0.5), SINGLE)


def test_saved_file_goes_on_after_loading(group: Any, scene: Any, tmp_path: Path) -> None:
    results.add_to_compositor(scene, group)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    delivered.deliver(tmp_path / "v002", 1001)
    before = counts()
    again = results.update_group("key", delivery(tmp_path / "v002", "1001"))
    assert before == counts()
    node = results.add_to_compositor(bpy.context.scene, again)
    assert node.label == "sh010 v002"
    assert before == counts()


def test_linked_group_is_refused(group: Any, tmp_path: Path) -> None:
    bpy.data.libraries.write(str(tmp_path / "lib.blend"), {group})
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    with bpy.data.libraries.load(str(tmp_path / "lib.blend"), link=True) as (there, here):
        here.node_groups = list(there.node_groups)
    delivered.deliver(tmp_path / "v002", 1001)
    with pytest.raises(InputError, match="linked from .*lib.blend and cannot be changed here"):
        results.update_group("key", delivery(tmp_path / "v002", "1001"))


def test_linked_scene_or_tree_is_refused(group: Any, scene: Any, tmp_path: Path) -> None:
    results.add_to_compositor(scene, group)
    scene.name = "theirs"
    bpy.data.libraries.write(str(tmp_path / "lib.blend"), {scene})
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    delivered.deliver(tmp_path / "v001", 1002)
    mine = results.update_group("mine", delivery(tmp_path / "v001", "1002"))
    with bpy.data.libraries.load(str(tmp_path / "lib.blend"), link=True) as (_, here):
        here.scenes = ["theirs"]
    with pytest.raises(InputError, match="Scene 'theirs' is linked from another file"):
        results.add_to_compositor(bpy.data.scenes["theirs"], mine)
    if compat.trees_are_datablocks():
        compat.own_compositor_tree(bpy.context.scene, compat.compositor_tree(bpy.data.scenes["theirs"]))
        with pytest.raises(InputError, match="is linked from another file, and what is added to it is lost"):
            results.connect(bpy.context.scene, mine)


def test_names_that_are_not_ascii(scene: Any, tmp_path: Path) -> None:
    folder = tmp_path / "Schöße 撮影" / "v001"
    delivered.deliver(folder, 1001)
    group = results.update_group("key", delivery(folder, "1001"))
    delivered.set_up(scene)
    found = rendered(scene, results.add_to_compositor(scene, group), "Image", 1, tmp_path / "r")
    assert close(found, formula(delivered.layers_of(1001)), SINGLE)


def test_versions_are_never_written_into_twice(tmp_path: Path) -> None:
    shot = tmp_path / "sh010"
    assert results.next_version(shot) == shot / "v001"
    assert results.versions_in(shot) == ()
    assert [results.claim_next_version(shot).name for _ in range(2)] == ["v001", "v002"]
    (shot / "v009").mkdir()
    (shot / "v1").mkdir()
    (shot / "vfinal").mkdir()
    (shot / "v1000").write_text("a file takes the number too", encoding="utf-8")
    assert results.next_version(shot) == shot / "v1001"
    assert [folder.name for folder in results.versions_in(shot)] == ["v001", "v002", "v009", "v1000"]


def test_files_are_named_as_the_artist_saves_them(scene: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    delivered.deliver(tmp_path / "out" / "v001", 1001)
    preferences = bpy.context.preferences.filepaths
    assert preferences.use_relative_paths
    made = delivery(tmp_path / "out" / "v001", "1001")
    group = results.update_group("key", made)
    names = {node.image.filepath for node in group.nodes if node.bl_idname == "CompositorNodeImage"}
    assert names == {"//out/v001/sh010.1001.exr", "//out/v001/sh010.aux.1001.exr"}
    nodes = [node.as_pointer() for node in group.nodes]
    results.update_group("key", made)
    assert nodes == [node.as_pointer() for node in group.nodes]


def test_no_frame_is_decoded_before_it_is_shown(group: Any, tmp_path: Path) -> None:
    images = [node.image for node in group.nodes if node.bl_idname == "CompositorNodeImage"]
    delivered.deliver(tmp_path / "v002", 1001)
    for folder in (tmp_path / "v001", tmp_path / "v002"):
        results.update_group("key", delivery(folder, "1001"))
        assert len(images) == 2
        for image in images:
            assert not image.has_data
            assert Path(bpy.path.abspath(image.filepath)).parent == folder


def test_what_is_said_follows_without_a_number_of_the_nodes(group: Any, scene: Any, tmp_path: Path) -> None:
    node = results.add_to_compositor(scene, group)
    delivered.deliver(tmp_path / "v001", 1002)
    numbers = [socket.default_value for inner in group.nodes for socket in inner.inputs if socket.type == "VALUE"]
    results.say_landed("key", delivery(tmp_path / "v001", "1001-1002", "1001-1002"))
    assert node.label == "sh010 v001"
    assert numbers == [
        socket.default_value for inner in group.nodes for socket in inner.inputs if socket.type == "VALUE"
    ]
