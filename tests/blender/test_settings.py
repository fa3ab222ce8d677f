"""The settings in the .blend: described, registered and taken away again, in step with the recipe."""

from __future__ import annotations

from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import settings  # noqa: E402
from platelight_addon.core import DEFAULT_LAYERS, Look  # noqa: E402

OWN_NAMES = {"rna_type", "name"}


def test_every_property_says_what_it_is(scene: Any) -> None:
    for cls in settings.CLASSES:
        for item in cls.bl_rna.properties:
            if item.identifier not in OWN_NAMES:
                assert item.description, f"{cls.__name__}.{item.identifier}"
                assert not item.description.endswith("."), f"{cls.__name__}.{item.identifier}"


def test_dials_start_at_what_the_recipe_starts_at(shot: Any) -> None:
    held = Look(**{name: getattr(shot.look, name) for name in Look.__dataclass_fields__})
    assert held == Look()
    assert set(shot.output_layers) == set(DEFAULT_LAYERS)
    assert (shot.engine, shot.output_compression, shot.missing) == ("classic", "zips", "refuse")


def test_dials_keep_to_the_recipes_range(shot: Any) -> None:
    shot.look.strength = 99
    assert shot.look.strength == 2.0


def test_registering_again_and_again_leaves_nothing(scene: Any) -> None:
    settings.unregister()
    try:
        assert not hasattr(bpy.types.Scene, "platelight")
        for _ in range(3):
            settings.register()
            settings.unregister()
        assert not hasattr(bpy.types.Scene, "platelight")
    finally:
        settings.register()


def test_active_shot_is_the_one_of_the_index(scene: Any) -> None:
    assert settings.active_shot(scene) is None
    for name in ("a", "b"):
        scene.platelight.shots.add().name = name
    scene.platelight.shot_index = 1
    assert settings.active_shot(scene).name == "b"
