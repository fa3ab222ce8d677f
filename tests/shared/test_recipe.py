"""The recipe: what it refuses, how it travels, and what its hash depends on."""

from __future__ import annotations

import json
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platelight.errors import InputError, RecipeError
from platelight.frames import FrameRange
from platelight.matrices import IDENTITY
from platelight.recipe import LAYERS, Recipe, with_value

from .recipes import FULL, SMALLEST, recipes, smallest

TURNED = [[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def test_smallest_recipe_has_safe_defaults() -> None:
    recipe = smallest()
    assert (recipe.matte, recipe.background.kind, recipe.engine.name) == (None, "keep", "classic")
    assert (recipe.plate.missing, recipe.plate.nonfinite, recipe.output_name) == ("refuse", "refuse", "sh010")
    assert set(LAYERS) - set(recipe.output.layers) == {"model"}


@given(recipes)
def test_recipe_survives_every_way_to_travel(recipe: Recipe) -> None:
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_toml(recipe.to_toml(comments=False)) == recipe
    assert Recipe.unpack(recipe.pack()) == recipe
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_full_recipe_survives_every_way_to_travel() -> None:
    assert Recipe.from_toml(FULL.to_toml()) == FULL
    assert Recipe.unpack(FULL.pack()) == FULL
    assert Recipe.from_json(FULL.to_json()) == FULL


def test_toml_begins_with_the_version_and_comments_every_key() -> None:
    text = smallest().to_toml()
    assert text.startswith("platelight = 1")
    keys = [number for number, line in enumerate(text.splitlines()) if " = " in line]
    lines = text.splitlines()
    assert [lines[n] for n in keys if "# " not in lines[n] and not lines[n - 1].startswith("# ")] == []
    assert smallest().to_toml(comments=False).count("#") == len("####")


def test_recipe_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "grün sh.toml"
    path.write_text(smallest().to_toml(), encoding="utf-8")
    assert Recipe.from_toml(path) == smallest()
    path.write_text("platelight = 1\nname = ")
    with pytest.raises(RecipeError, match=r"grün sh\.toml: recipe: expected TOML"):
        Recipe.from_toml(path)
    path.write_text('platelight = 1\nnam = "a"')
    with pytest.raises(RecipeError, match=r"grün sh\.toml: nam: expected .*did you mean name\?"):
        Recipe.from_toml(path)
    with pytest.raises(InputError, match="cannot read the recipe"):
        Recipe.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("changed", "path", "expected"),
    [
        ({"plat": {}}, "plat", "did you mean plate?"),
        ({"look": {"stregth": 1}}, "look.stregth", "did you mean strength?"),
        ({"look": {"strength": "1"}}, "look.strength", "a number"),
        ({"look": {"strength": True}}, "look.strength", "a number"),
        ({"look": {"strength": 2.1}}, "look.strength", "0 to 2"),
        ({"look": {"strength": float("nan")}}, "look.strength", "a finite number"),
        ({"look": {"seed": 1.0}}, "look.seed", "a whole number"),
        ({"look": {"seed": 2**32}}, "look.seed", "0 to 4294967295"),
        ({"look": {"edge": "soft"}}, "look.edge", "one of clean, keep"),
        ({"look": [1]}, "look", "a table"),
        ({"name": "sh 010"}, "name", "text that matches"),
        ({"name": ".."}, "name", "text that matches"),
        ({"name": "a\ud800"}, "name", "text that UTF-8 can hold"),
        ({"frames": "1..5"}, "frames", "write 1-5"),
        ({"frames": 1.5}, "frames", "text"),
        ({"rate": 23.976}, "rate", '"24000/1001"'),
        ({"rate": "24/0"}, "rate", '"24000/1001"'),
        ({"rate": 0}, "rate", "above 0"),
        ({"plate": {}}, "plate.path", "a value"),
        ({"plate": {"path": ""}}, "plate.path", "a path"),
        ({"plate": {"path": "a\0"}}, "plate.path", "without NUL"),
        ({"plate": {"path": "a", "missing": "ignore"}}, "plate.missing", "one of refuse, hold"),
        ({"matte": {"path": "a", "from_plate_alpha": True}}, "matte.from_plate_alpha", "exactly one of"),
        ({"matte": {}}, "matte.path", "exactly one of"),
        ({"matte": {"from_plate_alpha": True, "channel": "R"}}, "matte.channel", "auto"),
        ({"background": {"still": "a", "prompt": "b"}}, "background.prompt", "exactly one of"),
        ({"background": {"prompt": " "}}, "background.prompt", "a description"),
        ({"background": {"still": "a", "frame_offset": 1}}, "background.frame_offset", "background.sequence only"),
        ({"background": {"exposure_stops": 1}}, "background.exposure_stops", "background is kept"),
        ({"background": {"references": [{"frame": 9, "path": "a"}]}}, "background.references[0].frame", "1001 to 1003"),
        ({"background": {"references": [{"frame": 1001}]}}, "background.references[0].path", "a value"),
        (
            {"background": {"references": [{"frame": 1001, "path": "a"}] * 2}},
            "background.references",
            "each frame once",
        ),
        ({"camera": {"path": "a.chan", "from_plate_header": True}}, "camera.from_plate_header", "exactly one of"),
        ({"camera": {}}, "camera.path", "exactly one of"),
        ({"camera": {"path": "a", "sensor_mm": [36]}}, "camera.sensor_mm", "a list of 2"),
        ({"camera": {"path": "a", "sensor_mm": [36, 0]}}, "camera.sensor_mm[1]", "at least 0.1 mm"),
        ({"camera": {"path": "a", "lens": {"kind": "nuke", "coefficients": [1, 2, 3, 4, 5]}}}, "camera.lens", "usable"),
        ({"ground": {"normal": [0, 0, 0]}}, "ground.normal", "a direction"),
        ({"lights": {"kind": "sun"}}, "lights", "a list"),
        ({"lights": [{"kind": "sun", "power": 1}]}, "lights[0].transform", "either transform or transforms"),
        ({"matte": {"from_plate_alpha": True, "cryptomatte": ["a"]}}, "matte.cryptomatte", "matte.path"),
        ({"matte": {"path": "m", "cryptomatte": ["a", "a"]}}, "matte.cryptomatte", "each name once"),
        ({"matte": {"path": "m", "cryptomatte_layer": "CryptoObject"}}, "matte.cryptomatte_layer", "names"),
        ({"matte": {"path": "m", "channel": "R", "cryptomatte": ["a"]}}, "matte.channel", "auto"),
        ({"lights": [{"kind": "lamp", "power": 1}]}, "lights[0].kind", "one of sun, point, area, spot"),
        ({"lights": [{"kind": "sun", "power": -1, "transform": TURNED}]}, "lights[0].power", "at least 0"),
        ({"lights": [{"kind": "sun", "power": 1, "transform": TURNED[:3]}]}, "lights[0].transform", "a list of 4"),
        (
            {"lights": [{"kind": "sun", "power": 1, "transforms": {"a": TURNED}}]},
            "lights[0].transforms.a",
            "frame number",
        ),
        (
            {"lights": [{"kind": "sun", "power": 1, "transforms": {"1001": TURNED}}]},
            "lights[0].transforms",
            "all frames",
        ),
        ({"engine": {"name": "Classic!"}}, "engine.name", "text that matches"),
        ({"engine": {"options": {"a": {"b": 1}}}}, "engine.options.a", "text, a number"),
        ({"engine": {"options": {"a": 2**63}}}, "engine.options.a", "64 bits"),
        ({"engine": {"options": {"a": [1, None]}}}, "engine.options.a[1]", "text, a number"),
        ({"output": {"layers": []}}, "output.layers", "at least one of"),
        ({"output": {"layers": ["gain", "gain"]}}, "output.layers", "each layer once"),
        ({"output": {"layers": ["gains"]}}, "output.layers[0]", "did you mean gain?"),
        ({"output": {"compression": "lzw"}}, "output.compression", "zips"),
        ({"platelight": 2}, "platelight", "update Platelight on this side"),
        ({"platelight": True}, "platelight", "a version from 0 to 1"),
        ({"platelight": -1}, "platelight", "a version from 0 to 1"),
    ],
)
def test_recipe_refuses_with_the_path_of_the_key(changed: dict[str, Any], path: str, expected: str) -> None:
    with pytest.raises(RecipeError) as refused:
        smallest(**changed)
    assert refused.value.path == path
    assert expected in refused.value.expected


def test_recipe_refuses_a_camera_that_misses_frames() -> None:
    entry = {
        "frame": 1001, "camera_to_world": [list(row) for row in IDENTITY], "focal_px_x": 500, "focal_px_y": 500,
        "principal_x": 240, "principal_y": 135, "width_px": 480, "height_px": 270,
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"camera\.frames: expected all frames of the recipe, got none for 1002-1003"):
        smallest(camera={"frames": [entry]})
    with pytest.raises(RecipeError, match=r"camera\.frames: expected each frame once"):
        smallest(camera={"frames": [entry, entry]})


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa1a", b"\x93\x01\x02\x03", b"\x81\x01\x01", b"\x91" * 2000])
def test_packed_bytes_that_are_no_recipe_are_refused(data: bytes) -> None:
    with pytest.raises(RecipeError):
        Recipe.unpack(data)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_recipe_or_refused(data: bytes) -> None:
    with pytest.raises(RecipeError):
        Recipe.unpack(data)


def test_json_that_is_no_recipe_is_refused() -> None:
    for text in ("", "[]", '{"platelight": NaN}', "[" * 100_000):
        with pytest.raises(RecipeError):
            Recipe.from_json(text)


def test_version_is_asked_for() -> None:
    with pytest.raises(RecipeError, match=r"platelight: expected the recipe's version as its first key"):
        Recipe.from_dict({key: value for key, value in SMALLEST.items() if key != "platelight"})


def test_whole_numbers_and_frame_counts_are_taken_as_they_are_meant() -> None:
    recipe = smallest(look={"strength": 1}, frames=1001, rate=24)
    assert (type(recipe.look.strength), recipe.frames, recipe.rate) == (float, FrameRange.of([1001]), Fraction(24))
    assert (smallest(rate="24").to_dict()["rate"], smallest(rate="24000/1001").to_dict()["rate"]) == (24, "24000/1001")


def test_packed_recipe_has_text_keys_only() -> None:
    def keys(value: Any) -> set[type]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        own = {type(key) for key in value} if isinstance(value, dict) else set()
        return own.union(*(keys(one) for one in inner))

    assert keys(msgpack.unpackb(FULL.pack(), strict_map_key=False)) == {str}


def test_json_is_canonical() -> None:
    text = FULL.to_json()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"frames": "1-5"},
        {"plate": {"path": "/elsewhere/x.%04d.exr"}},
        {"output": {"directory": "/elsewhere", "name": "x"}},
        {"look": {"strength": 1}},
    ],
)
def test_content_hash_ignores_what_changes_no_pixel(changed: dict[str, Any]) -> None:
    assert smallest(**changed).content_hash() == smallest().content_hash()


@pytest.mark.parametrize(
    "changed",
    [
        {"plate": {"path": "plates/sh010.####.exr", "colorspace": "ACEScg"}},
        {"matte": {"path": "m"}},
        {"background": {"still": "a"}},
        {"look": {"seed": 1}},
        {"engine": {"options": {"a": 1}}},
        {"output": {"compression": "zip"}},
        {"rate": 25},
    ],
)
def test_content_hash_sees_what_changes_the_result(changed: dict[str, Any]) -> None:
    assert smallest(**changed).content_hash() != smallest().content_hash()


def test_content_hash_tells_a_still_from_a_sequence() -> None:
    still, sequence = smallest(background={"still": "a"}), smallest(background={"sequence": "a"})
    assert still.content_hash() != sequence.content_hash()


def test_resolved_makes_every_path_absolute(tmp_path: Path) -> None:
    resolved = FULL.resolved(tmp_path)
    assert resolved.plate.path == str(tmp_path / FULL.plate.path)
    assert resolved.matte and resolved.matte.path == str(tmp_path / "mattes")
    assert resolved.background.sequence == str(tmp_path / "bg/%04d.exr")
    assert resolved.probe_plate and resolved.probe_plate.path == "/abs/env_plate.exr"
    assert resolved.output.directory == str(tmp_path / "out")
    assert resolved.resolved(Path("/other")) == resolved
    assert (resolved.content_hash(), resolved.engine) == (FULL.content_hash(), FULL.engine)
    references = smallest(background={"references": [{"frame": 1001, "path": "a.png"}]}).resolved(tmp_path)
    assert references.background.references[0].path == str(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("look.exposure_stops", "0.5", {"look": {"exposure_stops": 0.5}}),
        ("look.exposure", "-1", {"look": {"exposure_stops": -1}}),
        ("look.seed", "7", {"look": {"seed": 7}}),
        ("name", "007", {"name": "007"}),
        ("frames", "1-5", {"frames": "1-5"}),
        ("rate", "24000/1001", {"rate": "24000/1001"}),
        ("matte.path", "m.####.exr", {"matte": {"path": "m.####.exr"}}),
        ("matte.from_plate_alpha", "true", {"matte": {"from_plate_alpha": True}}),
        ("output.layers", "composite, gain", {"output": {"layers": ["composite", "gain"]}}),
        ("output.layers", '["gain"]', {"output": {"layers": ["gain"]}}),
        ("ground.point", "0,-1,2.5", {"ground": {"point": [0, -1, 2.5]}}),
        ("ground.normal", "[0, 0, 1]", {"ground": {"normal": [0, 0, 1]}}),
        ("engine.name", "other", {"engine": {"name": "other"}}),
        ("engine.detail", "0.5", {"engine": {"options": {"detail": 0.5}}}),
        ("engine.options.detail", "true", {"engine": {"options": {"detail": True}}}),
        ("engine.mode", "soft light", {"engine": {"options": {"mode": "soft light"}}}),
        ("engine.weights", "[1, 2]", {"engine": {"options": {"weights": [1, 2]}}}),
    ],
)
def test_one_value_is_set_from_text(key: str, text: str, expected: dict[str, Any]) -> None:
    assert with_value(smallest(), key, text) == smallest(**expected)


def test_setting_keeps_the_rest_of_the_recipe() -> None:
    changed = with_value(FULL, "camera.lens.kind", "division")
    assert changed.camera and changed.camera.lens and changed.camera.lens.kind == "division"
    assert with_value(changed, "camera.lens.kind", "brown") == FULL


@pytest.mark.parametrize(
    ("key", "text", "path", "expected"),
    [
        ("look.exposur", "1", "look.exposur", "did you mean exposure_stops?"),
        ("look", "1", "look", "a single key"),
        ("look.strength", "much", "look.strength", "a number"),
        ("look.strength", "3", "look.strength", "0 to 2"),
        ("look.seed", "1.5", "look.seed", "a whole number"),
        ("look.strength.x", "1", "look.strength", "a table"),
        ("lights.power", "1", "lights", "edited in the recipe file"),
        ("lights", "[]", "lights", "a single key"),
        ("matte.invert", "yes", "matte.invert", "true or false"),
        ("ground.point", "1,2", "ground.point", "a list of 3"),
        ("ground.point", "1,a", "ground.point", "a TOML value"),
        ("engine.options.a.b", "1", "engine.options.a.b", "engine.OPTION"),
        ("engine.options", "1", "engine.options", "engine.OPTION"),
        ("", "1", "", "one of name"),
    ],
)
def test_setting_refuses_with_the_path_of_the_key(key: str, text: str, path: str, expected: str) -> None:
    with pytest.raises(RecipeError) as refused:
        with_value(smallest(), key, text)
    assert refused.value.path == path
    assert expected in refused.value.expected


def test_draft_recipe_is_upgraded() -> None:
    draft = """
        platelight = 0
        name = "sh010"
        frames = "1001-1003"
        plate = "plates/sh010.####.exr"
        matte = "m.####.exr"
        bg = "street.exr"
        exposure = 0.5
        out = "results"
        look = {strength = 0.5}
    """
    assert Recipe.from_toml(draft) == smallest(
        matte={"path": "m.####.exr"},
        background={"still": "street.exr"},
        look={"strength": 0.5, "exposure_stops": 0.5},
        output={"directory": "results"},
    )


def test_draft_background_with_a_frame_token_is_a_sequence() -> None:
    draft = {"platelight": 0, "name": "a", "frames": "1", "plate": "p.####.exr", "bg": "bg.%04d.exr"}
    assert Recipe.from_dict(draft).background.sequence == "bg.%04d.exr"


def test_draft_with_both_forms_of_a_key_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"exposure: expected either exposure or look\.exposure_stops, got both"):
        Recipe.from_dict({**SMALLEST, "platelight": 0, "plate": "p", "exposure": 1, "look": {"exposure_stops": 1}})
    with pytest.raises(RecipeError, match=r"background\.still: expected text"):
        Recipe.from_dict({**SMALLEST, "platelight": 0, "plate": "p", "bg": 5})


def test_upgrade_leaves_its_input_alone() -> None:
    draft = {"platelight": 0, "name": "a", "frames": "1", "plate": "p.####.exr", "exposure": 1, "look": {"seed": 1}}
    before = json.dumps(draft)
    Recipe.from_dict(draft)
    assert json.dumps(draft) == before


def test_commented_recipe_is_plain_toml() -> None:
    assert tomllib.loads(FULL.to_toml(comments=True)) == tomllib.loads(FULL.to_toml(comments=False))
