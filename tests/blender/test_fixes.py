"""What is missing is put right with a button: what is offered, what it says, what it does; also from scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.making import COUNT, make_clip, make_mask, make_plate, write_exr  # noqa: E402
from tests.blender.serving import drawn  # noqa: E402


@pytest.fixture
def shot(addon: object, tmp_path: Path) -> Any:
    """A shot of a plate without a solve, in a saved .blend whose scene has a camera and no HDRI."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    make_clip(make_plate(tmp_path / "plate"), solved=0)
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    return bpy.context.scene.platelight.shots[0]


def buttons() -> list[str]:
    """What the first page says, after the scene was read anew."""
    from platelight_addon.desk import desk
    from platelight_addon.panels import draw_main

    scene = bpy.context.scene
    desk.memory.forget()
    desk.read(scene, scene.platelight.shots[0])
    return drawn(draw_main)


def keys(name: str, shot: Any) -> list[str]:
    from platelight_addon.offers import offers

    return [offer.key for offer in offers(name, bpy.context.scene, shot)]


def test_the_only_mask_is_taken_at_once_and_the_button_says_so(shot: Any) -> None:
    bpy.data.masks.new("Empty")  # without splines it is no matte
    mask = make_mask("Roto")
    assert "Use Mask Roto" in buttons()
    assert bpy.ops.platelight.fix(input="matte") == {"FINISHED"}
    assert (shot.matte_kind, shot.matte_mask) == ("MASK", mask)
    assert "Matte: mask" in buttons()


def test_two_masks_are_a_choice(shot: Any) -> None:
    masks = [make_mask(name) for name in ("Left", "Right")]
    assert "PLATELIGHT_MT_fix_matte" in buttons()
    with pytest.raises(RuntimeError, match=r"it must be chosen\. This scene has MASK:Left, MASK:Right, KEY; or name"):
        bpy.ops.platelight.fix(input="matte")
    assert bpy.ops.platelight.fix(input="matte", choice="MASK:Right") == {"FINISHED"}
    assert shot.matte_mask == masks[1]


def test_what_is_not_there_is_said(shot: Any) -> None:
    with pytest.raises(RuntimeError, match=r"there is no MASK:Gone\. This scene has KEY; or name a file"):
        bpy.ops.platelight.fix(input="matte", choice="MASK:Gone")


def test_a_matte_without_candidates_is_keyed_or_a_file(shot: Any, tmp_path: Path) -> None:
    assert "PLATELIGHT_MT_fix_matte" in buttons() and keys("matte", shot) == ["KEY", "FILE"]
    assert bpy.ops.platelight.fix(input="matte", choice="KEY") == {"FINISHED"}
    assert shot.matte_kind == "KEY" and "Matte: key" in buttons()
    first = make_plate(tmp_path / "matte", "matte")
    assert bpy.ops.platelight.fix(input="matte", filepath=str(first)) == {"FINISHED"}
    assert (shot.matte_kind, shot.matte_path) == ("FILE", str(first))


def test_a_file_that_is_not_there_is_one_sentence(shot: Any) -> None:
    for name in ("matte", "background", "plate"):
        with pytest.raises(RuntimeError, match="gone.1001.exr"):
            bpy.ops.platelight.fix(input=name, filepath="/nowhere/gone.1001.exr")
    assert (shot.matte_kind, shot.background_kind) == ("NONE", "KEEP")


def test_alpha_and_cryptomatte_of_the_plate_are_offered(shot: Any, tmp_path: Path) -> None:
    import numpy as np

    flat = np.zeros((8, 8), np.float32)
    header = {"cryptomatte/0001/name": "CryptoObject"}
    for number in (1001, 1002):
        write_exr(tmp_path / "ids" / f"ids.{number}.exr", {name: flat for name in "RGBA"}, header)
    shot.plate_clip = bpy.data.movieclips.load(str(tmp_path / "ids" / "ids.1001.exr"))
    assert keys("matte", shot) == ["ALPHA", "PLATE_CRYPTOMATTE:CryptoObject", "KEY", "FILE"]
    assert bpy.ops.platelight.fix(input="matte", choice="PLATE_CRYPTOMATTE:CryptoObject") == {"FINISHED"}
    assert (shot.matte_kind, shot.matte_crypto_layer) == ("CRYPTOMATTE", "CryptoObject")
    assert any("write the names" in text for text in [" ".join(buttons())]) and "matte_crypto_names" in buttons()


def test_a_cryptomatte_node_is_offered(shot: Any, tmp_path: Path) -> None:
    from platelight_addon import compat

    tree = compat.compositor_tree(bpy.context.scene, create=True)
    node = tree.nodes.new("CompositorNodeCryptomatteV2")
    node.source, node.image = "IMAGE", bpy.data.images.load(str(make_plate(tmp_path / "ids", "ids")))
    assert f"CRYPTOMATTE:{node.name}" in keys("matte", shot)
    assert bpy.ops.platelight.fix(input="matte") == {"FINISHED"}
    assert (shot.matte_kind, shot.matte_node) == ("CRYPTOMATTE", node.name)


def test_camera_takes_the_solve_then_the_scenes_camera_then_the_solver(shot: Any, tmp_path: Path) -> None:
    camera = bpy.context.scene.camera
    assert f"Use Camera {camera.name}" in buttons()
    assert bpy.ops.platelight.fix(input="camera") == {"FINISHED"}
    assert (shot.camera_kind, shot.camera_object) == ("OBJECT", camera)
    shot.camera_kind, shot.plate_clip = "NONE", make_clip(make_plate(tmp_path / "other", "other"), solved=COUNT)
    assert bpy.ops.platelight.fix(input="camera") == {"FINISHED"}
    assert (shot.camera_kind, shot.camera_clip) == ("SOLVE", None)
    assert any(text.startswith("Camera: 0.0") and text.endswith(" px") for text in buttons())


def test_without_a_camera_the_solver_is_named(shot: Any) -> None:
    bpy.data.objects.remove(bpy.context.scene.camera)
    assert f"Solve {shot.plate_clip.name}..." in buttons()
    with pytest.raises(RuntimeError, match=r"has no solve: track it, then press Solve Camera Motion in the tab Solve"):
        bpy.ops.platelight.fix(input="camera")


def test_the_solvers_tab_is_opened(shot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from platelight_addon import tracking

    area = bpy.context.window_manager.windows[0].screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.mode = "MASK"

    class App:
        background, timers = False, bpy.app.timers

    monkeypatch.setattr(tracking, "bpy", type("Bpy", (), {"app": App}))
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        said = tracking.open_solve_tab(bpy.context, shot.plate_clip)
    assert bpy.app.timers.is_registered(tracking.choose_tab)  # goes with the extension; left, it crashes 4.2
    space = area.spaces.active
    assert (space.clip, space.mode, space.view) == (shot.plate_clip, "TRACKING", "CLIP") and "has no solve" in said


def test_background_is_a_file_the_worlds_hdri_or_the_plates(shot: Any, tmp_path: Path) -> None:
    assert keys("background", shot) == ["FILE"]
    first = make_plate(tmp_path / "sky", "sky")
    assert bpy.ops.platelight.fix(input="background", filepath=str(first)) == {"FINISHED"}
    assert (shot.background_kind, shot.background_image.source) == ("SEQUENCE", "SEQUENCE")
    world = bpy.context.scene.world
    if not world.node_tree:
        world.use_nodes = True
    node = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = bpy.data.images.load(str(make_plate(tmp_path / "hdri", "studio", count=1)))
    shader = next(one for one in world.node_tree.nodes if one.bl_idname == "ShaderNodeBackground")
    world.node_tree.links.new(node.outputs["Color"], shader.inputs["Color"])
    assert keys("background", shot) == ["WORLD", "KEEP", "FILE"]
    assert bpy.ops.platelight.fix(input="background", choice="WORLD") == {"FINISHED"}
    assert (shot.background_kind, shot.background_image) == ("HDRI", node.image)
    assert bpy.ops.platelight.fix(input="background", choice="KEEP") == {"FINISHED"}
    assert shot.background_kind == "KEEP"


def test_a_still_is_offered_to_move_where_there_is_a_camera(shot: Any, tmp_path: Path) -> None:
    picture = make_plate(tmp_path / "still", "still", count=1).rename(tmp_path / "still.exr")
    assert bpy.ops.platelight.fix(input="background", filepath=str(picture)) == {"FINISHED"}
    assert "CARRY" not in keys("background", shot)
    shot.camera_kind, shot.camera_object = "OBJECT", bpy.context.scene.camera
    assert bpy.ops.platelight.fix(input="background", choice="CARRY") == {"FINISHED"}
    assert (shot.background_kind, shot.background_move) == ("STILL", "camera")
    assert "CARRY" not in keys("background", shot)


def test_plate_is_offered_from_clips_images_and_strips(shot: Any, tmp_path: Path) -> None:
    from platelight_addon import compat

    clip, shot.plate_clip = shot.plate_clip, None
    assert f"Use Clip {clip.name}" in buttons()
    strips = compat.new_strips(bpy.context.scene)
    strips.new_image(name="Strip", filepath=str(make_plate(tmp_path / "cut", "cut")), channel=1, frame_start=1)
    assert keys("plate", shot) == [f"CLIP:{clip.name}", "STRIP:Strip", "FILE"]
    assert bpy.ops.platelight.fix(input="plate", choice="STRIP:Strip") == {"FINISHED"}
    assert (shot.plate_kind, shot.plate_strip) == ("STRIP", "Strip")


def test_a_range_that_the_solve_does_not_cover_keeps_its_sentence(shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "other", "other"), solved=COUNT - 3)
    shot.camera_kind = "SOLVE"
    said = " ".join(buttons())
    assert "does not cover frames" in said and "range_kind" in said
    assert "Use Solve" not in said  # it is what is set, and does not help
