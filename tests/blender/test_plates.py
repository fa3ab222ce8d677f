"""Plates from clips, images and strips: paths, the three frame numberings, ranges and gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import compat  # noqa: E402
from platelight_addon.gather import gather  # noqa: E402

from tests.blender.making import make_clip, make_plate  # noqa: E402


def texts(gathered: Any) -> list[str]:
    return [problem.text for problem in gathered.problems if problem.level == "stop"]


def test_clip_gives_pattern_numbers_and_colour(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "Größe 1"), solved=0, frame_start=101)
    shot.output_directory = str(tmp_path)
    held = gather(scene, shot)
    assert texts(held) == []
    assert held.recipe.plate.path == str(tmp_path / "Größe 1" / "plate.####.exr")
    assert (str(held.recipe.frames), held.recipe.plate.colorspace) == ("1001-1008", "Linear Rec.709")
    assert (held.mapping.scene(1001), held.mapping.file(108)) == (101, 1008)
    assert held.recipe.output.directory == str(tmp_path / "sh010" / "v001")
    assert next(badge for badge in held.badges if badge.name == "plate").state == "ok"


def test_clip_offset_moves_the_first_file(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path), solved=0, frame_start=1, frame_offset=3)
    shot.output_directory = str(tmp_path)
    held = gather(scene, shot)
    assert (str(held.recipe.frames), held.mapping.scene(1004)) == ("1004-1008", 1)


def test_blender_shows_the_file_that_the_mapping_says(scene: Any, shot: Any, tmp_path: Path) -> None:
    """The oracle is Blender itself: the clip's frame, rendered through the compositor, has its index in blue."""
    from tests.blender.making import read_exr

    clip = make_clip(make_plate(tmp_path / "plate"), solved=0, frame_start=11, frame_offset=2)
    shot.plate_clip, shot.output_directory = clip, str(tmp_path)
    mapping = gather(scene, shot).mapping
    tree = compat.compositor_tree(scene, create=True)
    tree.nodes.clear()
    node = tree.nodes.new("CompositorNodeMovieClip")
    node.clip = clip
    tree.links.new(node.outputs[0], compat.compositor_output(tree))
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 320, 180, 100
    compat.set_exact_compositor(scene.render)
    compat.set_exr(scene.render.image_settings, 32)
    scene.frame_start = scene.frame_end = 13
    scene.render.filepath = str(tmp_path / "shown.####.exr")
    bpy.ops.render.render(animation=True)
    shown = 1001 + round(float(read_exr(tmp_path / "shown.0013.exr")["B"][90, 160]) * 10)
    assert mapping.file(13) == shown


def test_scene_and_own_ranges_are_scene_frames(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path), solved=0)
    shot.output_directory = str(tmp_path)
    shot.range_kind, scene.frame_start, scene.frame_end, scene.frame_step = "SCENE", 2, 6, 2
    assert str(gather(scene, shot).recipe.frames) == "1002-1006x2"
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 3, 4
    assert str(gather(scene, shot).recipe.frames) == "1003-1004"
    shot.frame_last = 12
    held = gather(scene, shot)
    assert texts(held) == [
        "The range reaches past the plate, which has frames 1001-1008 (scene 1-8): take all of the plate, or shorten"
        " it."
    ]
    assert held.problems[0].fix == "range_kind"
    shot.frame_last = 2
    assert "has no frames: set the last one after the first" in texts(gather(scene, shot))[0]


def test_gap_is_named_with_its_numbers(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path), solved=0)
    shot.output_directory = str(tmp_path)
    for number in (1003, 1004, 1006):
        (tmp_path / f"plate.{number}.exr").unlink()
    assert texts(gather(scene, shot)) == [
        "Frames 1003-1004,1006 (scene 3-4,6) of the plate are missing on disk: copy them again, or say what stands for"
        " them."
    ]
    shot.missing = "hold"
    held = gather(scene, shot)
    assert (texts(held), held.recipe.plate.missing, str(held.recipe.frames)) == ([], "hold", "1001-1008")


def test_image_sequence_follows_its_node(scene: Any, shot: Any, tmp_path: Path) -> None:
    image = bpy.data.images.load(str(make_plate(tmp_path)))
    image.source = "SEQUENCE"
    shot.plate_kind, shot.plate_image, shot.output_directory = "IMAGE", image, str(tmp_path)
    assert gather(scene, shot).mapping.file(scene.frame_start) == 1001
    node = compat.compositor_tree(scene, create=True).nodes.new("CompositorNodeImage")
    node.image = image
    node.frame_start, node.frame_offset, node.frame_duration = 51, 1002, 6
    assert gather(scene, shot).mapping.file(51) == 1003
    shot.image_scene_first = 201
    assert gather(scene, shot).mapping.file(201) == 1001


def strip_of(scene: Any, first: Path, count: int, at: int) -> Any:
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("plate", str(first), 1, at)
    for i in range(1, count):
        strip.elements.append(first.name.replace("1001", str(1001 + i)))
    return strip


def test_strip_gives_what_its_handles_show(scene: Any, shot: Any, tmp_path: Path) -> None:
    strip = strip_of(scene, make_plate(tmp_path), 8, at=21)
    shot.plate_kind, shot.plate_strip, shot.output_directory = "STRIP", "plate", str(tmp_path)
    held = gather(scene, shot, bpy.context)
    assert (texts(held), str(held.recipe.frames), held.mapping.file(21)) == ([], "1001-1008", 1001)
    if hasattr(strip, "left_handle") and bpy.app.version >= (5, 1, 0):
        strip.left_handle, strip.right_handle = 23, 27
    else:
        strip.frame_final_start, strip.frame_final_end = 23, 27
    held = gather(scene, shot, bpy.context)
    assert (str(held.recipe.frames), held.mapping.file(23)) == ("1003-1006", 1003)


def test_strip_out_of_order_or_of_another_kind_says_what_to_do(scene: Any, shot: Any, tmp_path: Path) -> None:
    strip = strip_of(scene, make_plate(tmp_path), 3, at=1)
    shot.plate_kind, shot.output_directory = "STRIP", str(tmp_path)
    assert texts(gather(scene, shot)) == ["The shot has no plate: choose an image strip."]
    shot.plate_strip = "other"
    assert "There is no strip 'other' in the sequencer of Scene" in texts(gather(scene, shot))[0]
    shot.plate_strip = "plate"
    strip.elements[1].filename = "plate.1007.exr"
    assert "shows files out of order or with a gap" in texts(gather(scene, shot))[0]


def test_display_window_is_the_size_of_the_shot(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path), solved=0)
    shot.output_directory = str(tmp_path)
    shot.camera_kind, shot.camera_object = "OBJECT", scene.camera
    frame = gather(scene, shot).recipe.camera.frames[0]
    assert (frame.width_px, frame.height_px) == (320, 180)
