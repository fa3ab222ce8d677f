"""What happens to the artist's tree around a result: links, versions, saved files, linked trees, leftovers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import compat, results  # noqa: E402
from platelight_addon.core import InputError  # noqa: E402

from tests.blender import delivered  # noqa: E402
from tests.blender.delivered import render_frame, rendered  # noqa: E402
from tests.blender.test_results import SINGLE, close, delivery, formula  # noqa: E402


def counts() -> dict[str, int]:
    """How many datablocks of each kind that a result could leave behind."""
    kinds = ("node_groups", "images", "actions", "scenes", "texts")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def wired(tree: Any) -> set[tuple[str, str, str, str]]:
    """The links of a tree, by names."""
    return {(a.from_node.name, a.from_socket.identifier, a.to_node.name, a.to_socket.identifier) for a in tree.links}


@pytest.fixture
def group(scene: Any, tmp_path: Path) -> Any:
    """The group of version 1, frame 1001."""
    delivered.deliver(tmp_path / "v001", 1001)
    return results.update_group("key", delivery(tmp_path / "v001", "1001"))


def test_same_delivery_again_changes_nothing(group: Any, scene: Any, tmp_path: Path) -> None:
    results.add_to_compositor(scene, group)
    before, nodes, links = counts(), [node.as_pointer() for node in group.nodes], wired(group)
    for _ in range(3):
        assert results.update_group("key", delivery(tmp_path / "v001", "1001")) == group
        results.add_to_compositor(scene, group)
    assert (before, nodes, links) == (counts(), [node.as_pointer() for node in group.nodes], wired(group))
    assert sum(node.bl_idname == "CompositorNodeGroup" for node in compat.compositor_tree(scene).nodes) == 1


def test_new_version_keeps_links_dials_and_datablocks(group: Any, scene: Any, tmp_path: Path) -> None:
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    tree = compat.compositor_tree(scene)
    exposure = tree.nodes.new("CompositorNodeExposure")
    grade = tree.nodes.new("CompositorNodeExposure")
    tree.links.new(node.outputs["Image"], exposure.inputs[0])
    tree.links.new(node.outputs["Gain"], grade.inputs[0])
    tree.links.new(exposure.outputs[0], compat.compositor_output(tree))
    node.inputs["Exposure"].default_value = -1.0
    links, before = wired(tree), counts()
    delivered.deliver(tmp_path / "v002", 1002)
    again = results.update_group("key", delivery(tmp_path / "v002", "1002"))
    assert again == group
    assert (links, before) == (wired(tree), counts())
    assert node.label == "sh010 v002"
    for other in [other for other in tree.nodes if other.bl_idname == "CompositorNodeRLayers"]:
        tree.nodes.remove(other)
    found = render_frame(scene, 1, tmp_path / "r")
    assert close(found, formula(delivered.layers_of(1002), exposure=-1.0), SINGLE)


def test_version_without_auxiliary_files_and_back(group: Any, scene: Any, tmp_path: Path) -> None:
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    tree, held = compat.compositor_tree(scene), counts()
    end = tree.nodes.new("CompositorNodeExposure")
    tree.links.new(node.outputs["Gain"], end.inputs[0])
    links = wired(tree)
    delivered.deliver(tmp_path / "v002", 1002, aux=False)
    results.update_group("key", delivery(tmp_path / "v002", "1002"))
    assert links == wired(tree)
    assert any("has no Foreground, Gain, Fill" in note for note in results.status_of(group).notes)
    assert counts()["images"] == held["images"] - 1
    found = rendered(scene, node, "Image", 1, tmp_path / "r")
    assert np.array_equal(delivered.layers_of(1002)["composite"].astype(np.float32), found[..., :3])
    assert not rendered(scene, node, "Gain", 1, tmp_path / "r")[..., :3].any()
    delivered.deliver(tmp_path / "v003", 1003)
    results.update_group("key", delivery(tmp_path / "v003", "1003"))
    assert results.status_of(group).notes == ()
    assert counts() == held
    assert close(rendered(scene, node, "Image", 1, tmp_path / "r"), formula(delivered.layers_of(1003)), SINGLE)


def test_layer_that_a_version_lacks_is_not_taken_from_the_last_one(group: Any, scene: Any, tmp_path: Path) -> None:
    delivered.set_up(scene)
    node = results.add_to_compositor(scene, group)
    delivered.deliver(tmp_path / "v002", 1002, without=("depth", "normal"))
    results.update_group("key", delivery(tmp_path / "v002", "1002"))
    assert results.status_of(group).notes == ("sh010 v002 has no Normal, Depth: these outputs are empty.",)
    assert not rendered(scene, node, "Depth", 1, tmp_path / "r")[..., :3].any()
    assert close(rendered(scene, node, "Image", 1, tmp_path / "r"), formula(delivered.layers_of(1002)), SINGLE)


def test_group_is_found_by_its_property(group: Any, tmp_path: Path) -> None:
    group.name = "my comp"
    group.interface.items_tree["Image"].name = "Beauty"
    delivered.deliver(tmp_path / "v002", 1001)
    before = counts()
    assert results.update_group("key", delivery(tmp_path / "v002", "1001")).name == "my comp"
    assert before == counts()
    assert [item.name for item in group.interface.items_tree if item.item_type == "SOCKET"][0] == "Beauty"
    assert results.find_group("another key") is None


def test_copy_of_the_group_follows(group: Any, scene: Any, tmp_path: Path) -> None:
    copy = group.copy()
    delivered.set_up(scene)
    nodes = [results.add_to_compositor(scene, each) for each in (group, copy)]
    nodes[1].inputs["Exposure"].default_value = 1.0
    delivered.deliver(tmp_path / "v002", 1003, without=("depth",))
    before = counts()
    results.update_group("key", delivery(tmp_path / "v002", "1003"))
    assert before == counts()
    assert [node.label for node in nodes] == ["sh010 v002"] * 2
    for node, stops in zip(nodes, (0.0, 1.0), strict=True):
        found = rendered(scene, node, "Image", 1, tmp_path / "r")
        assert close(found, formula(delivered.layers_of(1003), exposure=stops), SINGLE)


def test_two_shots_are_two_groups(group: Any, tmp_path: Path) -> None:
    delivered.deliver(tmp_path / "other" / "v001", 1001)
    other = results.update_group("other key", delivery(tmp_path / "other" / "v001", "1001"))
    assert other != group
    assert len({node.image.name for tree in (group, other) for node in tree.nodes if hasattr(node, "image")}) == 4


def test_artists_label_and_colour_stay(group: Any, scene: Any, tmp_path: Path) -> None:
    node = results.add_to_compositor(scene, group)
    node.label, node.use_custom_color, node.color = "hero", True, (0.1, 0.2, 0.9)
    delivered.deliver(tmp_path / "v002", 1001)
    results.update_group("key", delivery(tmp_path / "v002", "1001"))
    assert (node.label, node.use_custom_color) == ("hero", True)


def test_adding_changes_no_picture_and_connecting_says_what_it_replaced(group: Any, scene: Any) -> None:
    node = results.add_to_compositor(scene, group)
    target = compat.compositor_output(compat.compositor_tree(scene))
    assert target.links[0].from_node != node  # what the scene rendered before: its view layers
    assert not any(socket.is_linked for socket in node.outputs)
    replaced = target.links[0].from_node.name
    assert results.connect(scene, group) == replaced
    assert target.links[0].from_node == node
    assert results.connect(scene, group) == ""


def test_node_stands_beside_the_artists_nodes(group: Any, scene: Any) -> None:
    tree = compat.compositor_tree(scene, create=True)
    other = tree.nodes.new("CompositorNodeExposure")
    other.location = (-900, -500)
    where = {node.name: tuple(node.location) for node in tree.nodes}
    node = results.add_to_compositor(scene, group)
    assert node.location.y < min(y for _, y in where.values())
    assert where == {other.name: tuple(other.location) for other in tree.nodes if other != node}


def test_no_reference_into_blender_is_kept_between_calls(group: Any) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("platelight_addon.results"):
            kept = [key for key, value in vars(module).items() if isinstance(value, bpy.types.bpy_struct)]
            assert kept == [], name


def test_strip_shows_the_composite(scene: Any, tmp_path: Path) -> None:
    for number in (1001, 1002):
        delivered.deliver(tmp_path / "v001", number)
    made = delivery(tmp_path / "v001", "1001-1003", "1001-1002")
    if not compat.sequencer_reads_layers():
        with pytest.raises(InputError, match="before 4.5 cannot read EXR files with layers"):
            results.add_strip(scene, made)
        return
    strip = results.add_strip(scene, made)
    assert [element.filename for element in strip.elements] == [f"sh010.{n}.exr" for n in (1001, 1002, 1003)]
    assert compat.strip_times(strip) == (1, 4, 1)
    assert strip.colorspace_settings.name == "Linear Rec.709"
    delivered.set_up(scene)
    scene.sequencer_colorspace_settings.name = "Linear Rec.709"
    scene.render.use_compositing, scene.render.use_sequencer = False, True
    found = render_frame(scene, 2, tmp_path / "r")
    assert close(found[..., :3], delivered.layers_of(1002)["composite"].astype(np.float32), 1e-3, 1e-3)


def test_compositor_that_is_switched_off_stays_off(group: Any, scene: Any) -> None:
    if compat.trees_are_datablocks():
        pytest.skip("from 5.0 on it cannot be switched off")
    compat.compositor_tree(scene, create=True)
    scene.use_nodes = False
    node = results.add_to_compositor(scene, group)
    assert not scene.use_nodes
    assert node.name in scene.node_tree.nodes
    results.connect(scene, group)
    assert scene.use_nodes


def test_status_is_plain_data(group: Any) -> None:
    status = results.status_of(group)
    assert json.dumps([status.title, status.missing, status.notes]) == '["sh010 v001", "", []]'
