"""The shot as a whole: the recipe and its ways to travel, what is wrong in one sentence each, and what it costs."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.core import Recipe  # noqa: E402
from platelight_addon.gather import gather  # noqa: E402

from tests.blender.making import make_clip, make_mask, make_plate, write_exr  # noqa: E402

SUBMIT_S = 0.1  # of the issue, for a shot of 1000 frames; three times that is allowed to a busy machine


def prepared(shot: Any, tmp_path: Path, **clip: Any) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), **{"solved": 0, **clip})
    shot.output_directory = str(tmp_path / "out")


def stops(gathered: Any) -> list[tuple[str, str]]:
    return [(problem.text, problem.fix) for problem in gathered.problems if problem.level == "stop"]


def test_full_shot_is_a_recipe_that_travels(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path, solved=8)
    shot.name, shot.camera_kind, shot.use_lights = "Straße 10", "SOLVE", True
    shot.look.strength, shot.look.exposure_stops, shot.look.spill = 0.5, 1.0, "green"
    shot.engine_options["detail"], shot.engine_options["on"] = 0.25, True
    shot.engine_options["weights"], shot.engine_options["mode"] = [1.0, 2.0], "über"
    shot.output_layers, shot.output_depth = {"composite", "gain"}, "float"
    scene.render.fps, scene.render.fps_base = 24, 1.001
    shot.ground_kind, shot.ground_object = "OBJECT", bpy.data.objects["Cube"]
    held = gather(scene, shot, bpy.context, version=3)
    recipe = held.recipe
    assert stops(held) == []
    assert Recipe.unpack(recipe.pack()) == recipe == Recipe.from_toml(recipe.to_toml())
    assert (recipe.name, recipe.rate) == ("Strasse_10", Fraction(24000, 1001))
    assert (recipe.look.strength, recipe.look.exposure_stops, recipe.look.spill) == (0.5, 1.0, "green")
    assert recipe.engine.options == {"detail": 0.25, "on": True, "weights": (1.0, 2.0), "mode": "über"}
    assert (recipe.output.layers, recipe.output.depth) == (("composite", "gain"), "float")
    assert recipe.output.directory == str(tmp_path / "out" / "Strasse_10" / "v003")
    assert (held.version, held.folder) == (3, tmp_path / "out" / "Strasse_10" / "v003")
    assert recipe.ground.normal == pytest.approx((0, 1, 0))
    assert {badge.name: badge.state for badge in held.badges} == {
        "plate": "ok", "matte": "off", "background": "off", "camera": "ok", "light": "ok", "ground": "ok",
    }  # fmt: skip


def test_nothing_of_the_scene_changes(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path, solved=8)
    shot.camera_kind, shot.camera_object, shot.use_lights = "OBJECT", scene.camera, True
    scene.camera.keyframe_insert("location", frame=1)
    collections = ("scenes", "objects", "images", "movieclips", "node_groups", "actions", "masks", "worlds")
    before = [len(getattr(bpy.data, name)) for name in collections], scene.frame_current
    gather(scene, shot, bpy.context)
    assert ([len(getattr(bpy.data, name)) for name in collections], scene.frame_current) == before


def test_hash_tells_what_changes_the_result(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.use_lights = True
    first = gather(scene, shot, version=1).hash
    assert gather(scene, shot, version=2).hash == first != ""
    bpy.data.objects["Light"].location.x += 1
    bpy.context.view_layer.update()
    moved = gather(scene, shot, version=1).hash
    shot.look.contrast = 1.5
    dialled = gather(scene, shot, version=1).hash
    shot.matte_kind, shot.matte_mask = "MASK", make_mask()
    drawn = gather(scene, shot, version=1).hash
    shot.matte_mask.layers[0].splines[0].points[0].co = (0.1, 0.4)
    redrawn = gather(scene, shot, version=1).hash
    shot.plate_clip = make_clip(make_plate(tmp_path / "other"), solved=0)
    assert len({first, moved, dialled, drawn, redrawn, gather(scene, shot, version=1).hash}) == 6


def test_unsaved_blend_asks_to_be_saved(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.output_directory = "//platelight/"
    assert stops(gather(scene, shot)) == [
        (
            "The result has a relative path (//platelight/), and this .blend was never saved: save it first.",
            "wm.save_as_mainfile",
        )
    ]


def test_saved_blend_is_where_relative_paths_start(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.output_directory = "//platelight/"
    home = tmp_path / "Projekt ä"
    home.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(home / "comp.blend"), relative_remap=True)
    shot = bpy.context.scene.platelight.shots[0]
    assert shot.plate_clip.filepath.startswith("//")
    held = gather(bpy.context.scene, shot)
    assert held.recipe.plate.path == str(tmp_path / "plate" / "plate.####.exr")
    assert (held.base, held.recipe.output.directory) == (home, str(home / "platelight" / "sh010" / "v001"))


def test_settings_survive_saving_and_loading(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.engine_options["detail"], shot.look.strength = 0.75, 0.5
    first = gather(scene, shot).recipe
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"), relative_remap=False)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    again = gather(bpy.context.scene, bpy.context.scene.platelight.shots[0]).recipe
    assert again == first


def test_linked_clip_starts_at_its_library(scene: Any, shot: Any, tmp_path: Path) -> None:
    library = tmp_path / "library"
    clip = make_clip(make_plate(library / "plates"), solved=0)
    name, clip.use_fake_user = clip.name, True
    bpy.ops.wm.save_as_mainfile(filepath=str(library / "clips.blend"), relative_remap=True)
    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
    with bpy.data.libraries.load(str(library / "clips.blend"), link=True) as (_, wanted):
        wanted.movieclips = [name]
    scene = bpy.context.scene
    shot = scene.platelight.shots.add()
    shot.use_lights = shot.use_world = False
    shot.plate_clip, shot.output_directory = bpy.data.movieclips[0], str(tmp_path)
    assert shot.plate_clip.library is not None
    assert gather(scene, shot).recipe.plate.path == str(library / "plates" / "plate.####.exr")


def test_no_plate_says_whether_there_are_several(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.output_directory = str(tmp_path)
    assert stops(gather(scene, shot)) == [
        ("The shot has no plate: open its first frame in the clip editor and choose it.", "plate_clip")
    ]
    for name in ("a", "b"):
        bpy.data.movieclips.load(str(make_plate(tmp_path / name)))
    assert "this file has 2 clips: choose the one that is relit" in stops(gather(scene, shot))[0][0]
    badge = gather(scene, shot).badges[0]
    assert (badge.name, badge.state) == ("plate", "missing")


def test_blend_from_another_machine_says_what_is_not_here(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    for text, said in (
        ("/mnt/nas/shots/plate.1001.exr", "is not on this machine, there is no folder /mnt/nas/shots"),
        ("P:\\shots\\plate.1001.exr", "lies on a Windows machine"),
        (str(tmp_path / "plate" / "other.1001.exr"), "has no files in"),
    ):
        shot.plate_clip.filepath = text
        ((told, fix),) = stops(gather(scene, shot))
        assert said in told and fix == "file.find_missing_files"


def test_tiles_and_movies_are_refused(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.plate_kind, shot.plate_image = "IMAGE", bpy.data.images.new("tiled", 4, 4, tiled=True)
    assert "is a set of tiles: choose an image sequence" in stops(gather(scene, shot))[0][0]
    shot.plate_image = bpy.data.images.new("made", 4, 4)
    assert "is made in Blender and on no disk" in stops(gather(scene, shot))[0][0]


def test_all_that_is_wrong_is_told_at_once(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.output_directory = "//out"
    shot.matte_kind, shot.camera_kind, shot.background_kind, shot.ground_kind = "MASK", "SOLVE", "STILL", "OBJECT"
    held = gather(scene, shot)
    assert held.recipe is None
    assert [fix for _, fix in stops(held)] == [
        "wm.save_as_mainfile", "matte_mask", "background_image", "camera_kind", "ground_object",
    ]  # fmt: skip
    assert {badge.name for badge in held.badges if badge.state == "missing"} == {
        "matte", "background", "camera", "ground",
    }  # fmt: skip


def test_backgrounds_run_with_the_plate(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path, frame_start=1)
    behind = make_clip(make_plate(tmp_path / "bg", "bg", first=501, count=40), solved=0, frame_start=-4)
    shot.background_kind, shot.background_clip, shot.background_exposure = "CLIP", behind, 0.5
    held = gather(scene, shot).recipe.background
    assert (held.sequence, held.frame_offset) == (str(tmp_path / "bg" / "bg.####.exr"), 506 - 1001)
    assert (held.exposure_stops, held.fit, held.colorspace) == (0.5, "fill", "Linear Rec.709")
    shot.background_offset = 10
    assert gather(scene, shot).recipe.background.frame_offset == 516 - 1001
    shot.background_offset = 30
    ((told, fix),) = stops(gather(scene, shot))
    assert "bg.####.exr has no frames 541-543, which stand with the plate's" in told
    assert fix == "background_offset"


def test_stills_and_prompts(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    picture = write_exr(tmp_path / "still.exr", {"R": [[1.0]], "G": [[1.0]], "B": [[1.0]]})
    shot.background_kind, shot.background_image = "STILL", bpy.data.images.load(str(picture))
    assert gather(scene, shot).recipe.background.still == str(picture)
    shot.background_kind = "PROMPT"
    assert stops(gather(scene, shot))[0][1] == "background_prompt"
    shot.background_prompt = "ein Wald im Nebel"
    assert gather(scene, shot).recipe.background.prompt == "ein Wald im Nebel"


def test_a_still_moves_with_the_camera(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path, solved=8)
    picture = write_exr(tmp_path / "still.exr", {"R": [[1.0]], "G": [[1.0]], "B": [[1.0]]})
    shot.background_kind, shot.background_image = "STILL", bpy.data.images.load(str(picture))
    shot.background_move = "camera"
    ((told, fix),) = stops(gather(scene, shot))
    assert told.startswith("The background moves with the camera, and the shot has none") and fix == "camera_kind"
    shot.camera_kind = "SOLVE"
    held = gather(scene, shot).recipe.background
    assert (held.move, held.depth, held.distance_m, held.reference_frame) == ("camera", "infinity", None, None)
    shot.background_depth, shot.background_distance = "distance", 12.5
    shot.background_reference_is_first, shot.background_reference = False, 3
    held = gather(scene, shot).recipe.background
    assert (held.depth, held.distance_m, held.reference_frame) == ("distance", 12.5, 1003)
    shot.background_reference = 99
    assert "shown by frame 99, outside of the shot (1-8)" in stops(gather(scene, shot))[0][0]
    shot.background_move = "fixed"
    assert gather(scene, shot).recipe.background.reference_frame is None


def test_a_still_on_ground_or_points_needs_them(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path, solved=8)
    picture = write_exr(tmp_path / "still.exr", {"R": [[1.0]], "G": [[1.0]], "B": [[1.0]]})
    shot.background_kind, shot.background_image = "STILL", bpy.data.images.load(str(picture))
    shot.background_move, shot.camera_kind, shot.camera_points = "camera", "SOLVE", "NONE"
    shot.background_depth = "ground"
    assert stops(gather(scene, shot))[0][1] == "ground_kind"
    shot.ground_kind, shot.ground_object = "OBJECT", bpy.data.objects["Cube"]
    assert gather(scene, shot).recipe.background.depth == "ground"
    shot.background_depth = "points"
    assert stops(gather(scene, shot))[0][1] == "camera_points"
    shot.camera_points = "POINTS"
    assert gather(scene, shot).recipe.background.depth == "points"
    shot.camera_kind, shot.camera_object = "OBJECT", None
    assert [fix for _, fix in stops(gather(scene, shot))] == ["camera_kind", "camera_object"]


def test_ground_of_a_collection_is_its_largest_mesh(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    held = bpy.data.collections.new("ground")
    scene.collection.children.link(held)
    shot.ground_kind, shot.ground_collection = "COLLECTION", held
    assert "has no mesh for a ground" in stops(gather(scene, shot))[0][0]
    for name, size in (("small", 1.0), ("large", 50.0)):
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata([(-size, -size, 0), (size, -size, 0), (size, size, 0)], [], [(0, 1, 2)])
        held.objects.link(bpy.data.objects.new(name, mesh))
    bpy.data.objects["large"].location, bpy.data.objects["large"].rotation_euler = (1, 2, 3), (3.141592653589793, 0, 0)
    bpy.context.view_layer.update()
    ground = gather(scene, shot).recipe.ground
    assert ground.point == (1.0, 3.0, -2.0)
    assert ground.normal == pytest.approx((0, 1, 0), abs=1e-6)


def test_thousand_frames_of_a_solve_are_gathered_in_a_breath(scene: Any, shot: Any, tmp_path: Path) -> None:
    """Solve and lights of 1000 frames; the files are names only, because nothing reads pixels."""
    prepared(shot, tmp_path)
    first = tmp_path / "plate" / "plate.1001.exr"
    for number in range(1009, 2001):
        (tmp_path / "plate" / f"plate.{number}.exr").hardlink_to(first)
    bpy.data.objects["Light"].keyframe_insert("location", frame=1)
    scene.camera.keyframe_insert("location", frame=1)
    shot.camera_kind, shot.camera_object, shot.use_lights = "OBJECT", scene.camera, True
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        held = gather(scene, shot, bpy.context)
        seconds.append(time.perf_counter() - started)
    assert len(held.recipe.camera.frames) == 1000
    print("gathered in", min(seconds))
    assert min(seconds) < 3 * SUBMIT_S
