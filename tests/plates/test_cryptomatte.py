"""Mattes out of a Cryptomatte: ids, ranks, layers, parts, refusals, whole jobs, and a file that Blender renders."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as Oiio
import pytest

from platelight.errors import FrameError
from platelight_server.plates import cryptomatte, fence, picture_io
from platelight_server.plates.fence import Root
from tests.job.rendering import checked, delivered, into, render
from tests.shots import small
from tests.shots.small import Shot

from . import files

LAYER = "CryptoObject"
HEIGHT, WIDTH = 8, 12
# With commas, quotes and characters beyond ASCII and beyond 16 bits.
HERO, CUBE, ODD = "Hero", 'Cube, "left"', "Hügel♪🎬"
BLENDER = next(Path(__file__).parents[2].glob(".venv-bpy/*/bin/python"), None)  # made by tests.blender.matrix
# Cycles draws 256 samples in a pixel that an edge cuts in half; three standard deviations of that share.
HALF_COVERED = 3 * 0.5 / 256**0.5


def shares() -> dict[str, np.ndarray]:
    """Coverage by name in 64ths, so that float sums are exact; the four fill every pixel in different orders."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    hero, cube, odd = (x * 2) % 23, (y * 3) % 17, (x + y) % 19
    parts = {HERO: hero, CUBE: cube, ODD: odd, "Wall": 64 - hero - cube - odd}
    return {name: (part / 64).astype(np.float32) for name, part in parts.items()}


def ranked(
    shares: Mapping[str, np.ndarray], levels: int = 2, layer: str = LAYER, letters: str = "rgba", ids: Any = None
) -> dict[str, np.ndarray]:
    """The channels of a Cryptomatte: in each pixel the largest share first, nothing where nothing covers."""
    ids = ids or {name: cryptomatte.name_id(name) for name in shares}
    numbers, stack = np.array([ids[name] for name in shares], np.uint32), np.stack(list(shares.values()))
    order = np.argsort(-stack, axis=0, kind="stable")
    sorted_shares = np.take_along_axis(stack, order, 0)
    sorted_ids = np.where(sorted_shares > 0, numbers[order], 0).astype(np.uint32)
    empty = np.zeros(stack.shape[1:], np.float32)
    planes = {}
    for rank in range(2 * levels):
        there = rank < len(stack)
        pair = (sorted_ids[rank].view(np.float32), sorted_shares[rank]) if there else (empty, empty)
        for letter, plane in zip(letters[rank % 2 * 2 :][:2], pair, strict=True):
            planes[f"{layer}{rank // 2:02}.{letter}"] = np.ascontiguousarray(plane)
    return planes


def described(names: Sequence[str] | None, layer: str = LAYER, key: str = "1a2b3c4", **more: str) -> dict[str, str]:
    """The attributes of a layer; without names there is no manifest."""
    said = {"name": layer, "hash": "MurmurHash3_32", "conversion": "uint32_to_float32", **more}
    if names is not None and "manifest" not in said:
        manifest = {name: f"{cryptomatte.name_id(name):08x}" for name in names}
        said["manifest"] = json.dumps(manifest, ensure_ascii=False)
    return {f"cryptomatte/{key}/{name}": value for name, value in said.items()}


def single(path: Path, header: Mapping[str, Any] | None = None, **how: Any) -> Path:
    """A single-part file of `shares`, with a picture beside the ids."""
    planes = {**files.rgb(np.zeros((3, HEIGHT, WIDTH), np.float16)), **ranked(shares(), **how)}
    return files.write(path, planes, **(described(list(shares())) if header is None else header))


def matte(path: Path, *names: str, layer: str | None = None, others: Sequence[Path] = ()) -> np.ndarray:
    """(H, W): what the program reads for these names."""
    channel = cryptomatte.channel_for(picture_io.read_info(path), names, layer, others)
    pixels = picture_io.read(path, (channel,)).pixels
    assert (pixels.dtype, pixels.shape[0]) == (np.float32, 1)
    return np.asarray(pixels[0])


def refusal(path: Path, *names: str, layer: str | None = None, others: Sequence[Path] = ()) -> str:
    with pytest.raises(FrameError) as caught:
        matte(path, *names, layer=layer, others=others)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0), (b"", 1, 0x514E28B7), (b"", 0xFFFFFFFF, 0x81F16F39), (b"\xff" * 4, 0, 0x76293B50),
        (b"\x21\x43\x65\x87", 0, 0xF55B516B), (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
        (b"\x21\x43\x65", 0, 0x7E4A8634), (b"\x21\x43", 0, 0xA0F7B07A), (b"\x21", 0, 0x72661CF4),
        (b"\0\0\0\0", 0, 0x2362F9DE), (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    ],
)  # fmt: skip
def test_murmur_gives_the_published_vectors(data: bytes, seed: int, expected: int) -> None:
    assert cryptomatte.murmur3_32(data, seed) == expected


@pytest.mark.parametrize(("name", "expected"), [("cube", -4.08461912519e15), ("sphere", 2.79018604383e15)])
def test_ids_are_those_of_the_specification(name: str, expected: float) -> None:
    assert float(np.uint32(cryptomatte.name_id(name)).view(np.float32)) == pytest.approx(expected, rel=1e-7)


def test_ids_are_never_zero_denormal_or_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for made in (0x00000000, 0x80123456, 0x7F800000, 0xFFFFFFFF, 0x3F800000):
        monkeypatch.setattr(cryptomatte, "murmur3_32", lambda data, made=made: made)
        found[made] = cryptomatte.name_id("any")
    assert found == {
        0x00000000: 0x00800000, 0x80123456: 0x80923456, 0x7F800000: 0x7F000000, 0xFFFFFFFF: 0xFF7FFFFF,
        0x3F800000: 0x3F800000,
    }  # fmt: skip


@pytest.mark.parametrize("names", [(HERO,), (CUBE,), (ODD,), (HERO, ODD), (HERO, CUBE, ODD, "Wall")])
@pytest.mark.parametrize("letters", ["rgba", "RGBA", ["red", "green", "blue", "alpha"]])
def test_matte_is_the_sum_over_all_ranks(tmp_path: Path, names: tuple[str, ...], letters: Any) -> None:
    path = single(tmp_path / "c.exr", letters=letters)
    assert np.array_equal(sum(shares()[name] for name in names), matte(path, *names))


@pytest.mark.parametrize("first", ["beauty", "CryptoObject01"])
@pytest.mark.parametrize("bare", [False, True])
def test_ranks_are_found_across_parts(tmp_path: Path, first: str, bare: bool) -> None:
    planes = ranked(shares())
    parts: dict[str, dict[str, np.ndarray]] = {first: {}, "beauty": {}, "CryptoObject00": {}, "CryptoObject01": {}}
    parts["beauty"] = files.rgb(np.zeros((3, HEIGHT, WIDTH), np.float16))
    for name, plane in planes.items():
        part, _, letter = name.partition(".")
        parts[part][letter if bare else name] = plane
    path = files.write_parts(tmp_path / "c.exr", parts, beauty=described(list(shares())))
    assert np.array_equal(shares()[CUBE] + shares()[ODD], matte(path, CUBE, ODD))


def test_parts_of_their_own_windows_are_laid_over_the_whole(tmp_path: Path) -> None:
    planes = {name: np.ascontiguousarray(plane[2:6, 3:9]) for name, plane in ranked(shares()).items()}
    window = (np.array([3, 2], np.int32), np.array([8, 5], np.int32))
    beauty = files.rgb(np.zeros((3, HEIGHT, WIDTH), np.float16))
    whole = (np.array([0, 0], np.int32), np.array([WIDTH - 1, HEIGHT - 1], np.int32))
    crypto = {**described(None), "dataWindow": window, "displayWindow": whole}
    path = files.write_parts(tmp_path / "c.exr", {"beauty": beauty, "crypto": planes}, crypto=crypto)
    expected = np.zeros((HEIGHT, WIDTH), np.float32)
    expected[2:6, 3:9] = shares()[HERO][2:6, 3:9]
    assert np.array_equal(expected, matte(path, HERO))


def test_ids_come_from_the_manifest(tmp_path: Path) -> None:
    ids = {name: 0x3F800000 + number for number, name in enumerate(shares())}
    manifest = json.dumps({name: f"{number:08x}" for name, number in ids.items()})
    path = single(tmp_path / "c.exr", described(None, manifest=manifest, hash="own"), ids=ids)
    assert np.array_equal(shares()[ODD], matte(path, ODD))


def test_ids_that_differ_in_one_bit_are_told_apart(tmp_path: Path) -> None:
    """As floats these are NaN with different payloads, minus zero and zero."""
    ids = dict(zip(shares(), (0x7FC00001, 0x7FC00002, 0x80000000, 0x00000001), strict=True))
    manifest = json.dumps({name: f"{number:08x}" for name, number in ids.items()})
    path = single(tmp_path / "c.exr", described(None, manifest=manifest), ids=ids)
    assert [np.array_equal(shares()[name], matte(path, name)) for name in ids] == [True] * 4


def test_without_a_manifest_names_are_hashed(tmp_path: Path) -> None:
    path = single(tmp_path / "c.exr", described(None))
    assert np.array_equal(shares()[ODD] + shares()[CUBE], matte(path, ODD, CUBE))


def test_manifest_file_beside_tells_the_names(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(described(list(shares()))["cryptomatte/1a2b3c4/manifest"], "utf-8")
    path = single(tmp_path / "c.exr", described(None, manif_file="m.json"))
    found = np.array_equal(shares()[ODD], matte(path, ODD))
    assert (found, "the nearest are 'Hero'" in refusal(path, "Heros")) == (True, True)


def test_sum_is_clipped_to_coverage(tmp_path: Path) -> None:
    value = np.float32(0.75)
    planes = ranked({name: np.full((4, 4), value) for name in ("a", "b")} | {"c": np.full((4, 4), -value)}, 2)
    number = np.uint32(cryptomatte.name_id("c")).view(np.float32)
    planes |= {f"{LAYER}01.r": np.full((4, 4), number), f"{LAYER}01.g": np.full((4, 4), -value)}
    path = files.write(tmp_path / "c.exr", planes, **described(["a", "b", "c"]))
    assert [float(matte(path, *names).max()) for names in (("a", "b"), ("c",), ("a", "c"))] == [1.0, 0.0, 0.0]


def test_coverage_that_is_not_finite_reaches_the_check(tmp_path: Path) -> None:
    planes = ranked(shares())
    planes[f"{LAYER}00.g"][0, 0] = np.inf
    path = files.write(tmp_path / "c.exr", planes, **described(list(shares())))
    assert np.isinf(matte(path, *shares())[0, 0])


def test_many_names_give_the_same_sum_as_few() -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 1 << 32, 64, dtype=np.uint32)
    near = ids ^ np.uint32(1)  # the same upper halves
    pairs = [(rng.choice(np.concatenate([ids, near]), (40, 50)), rng.random((40, 50), np.float32)) for _ in range(3)]
    expected = sum(np.where(np.isin(bits, ids), share, np.float32(0)) for bits, share in pairs)
    assert np.array_equal(np.clip(expected, 0, 1), cryptomatte.coverage(pairs, [int(one) for one in ids]))


def two_layers(path: Path) -> Path:
    """Two layers, as Blender names them; the second has the hero's share in other places."""
    names = list(shares())
    turned = {name: np.ascontiguousarray(share[::-1]) for name, share in shares().items()}
    planes = ranked(shares(), layer="ViewLayer.CryptoObject") | ranked(turned, layer="ViewLayer.CryptoMaterial")
    first = described(names, "ViewLayer.CryptoObject", "aaaaaaa")
    return files.write(path, planes, **first, **described(names, "ViewLayer.CryptoMaterial", "bbbbbbb"))


@pytest.mark.parametrize("layer", ["CryptoMaterial", "ViewLayer.CryptoMaterial"])
def test_layer_is_told_by_its_name_or_its_end(tmp_path: Path, layer: str) -> None:
    path = two_layers(tmp_path / "c.exr")
    assert np.array_equal(shares()[HERO][::-1], matte(path, HERO, layer=layer))


@pytest.mark.parametrize(("layer", "wanted"), [(None, "one Cryptomatte,"), ("Crypto", "one Cryptomatte 'Crypto',")])
def test_several_layers_are_listed(tmp_path: Path, layer: str | None, wanted: str) -> None:
    path = two_layers(tmp_path / "c.exr")
    assert refusal(path, HERO, layer=layer) == (
        f"{path}: expected {wanted} it has ViewLayer.CryptoObject, ViewLayer.CryptoMaterial;"
        " name one (matte.cryptomatte_layer)"
    )


def test_unknown_names_are_told_with_the_nearest(tmp_path: Path) -> None:
    path = single(tmp_path / "c.exr")
    assert refusal(path, "hera", HERO) == (
        f"{path}: expected names of Cryptomatte CryptoObject, got 'hera'; the nearest are 'Hero'"
    )


def test_unknown_name_like_no_other_is_told_with_what_there_is(tmp_path: Path) -> None:
    path = files.write(tmp_path / "c.exr", ranked(shares()), **described([*shares(), *(f"o{n}" for n in range(8))]))
    assert refusal(path, "1234567").endswith(
        "got '1234567'; it has 'Cube, \"left\"', 'Hero', 'Hügel♪🎬', 'Wall', 'o0', 'o1', 'o2', 'o3' and 4 more"
    )


def test_name_that_comes_later_covers_nothing_before(tmp_path: Path) -> None:
    without = {name: share for name, share in shares().items() if name != HERO}
    early = files.write(tmp_path / "c.1.exr", ranked(without), **described(list(without)))
    late = single(tmp_path / "c.2.exr")
    found = matte(early, HERO, CUBE, others=[tmp_path / "lost.exr", early, late])
    assert np.array_equal(shares()[CUBE], found)


def test_file_without_a_cryptomatte_is_named_with_its_channels(tmp_path: Path) -> None:
    path = files.write(tmp_path / "c.exr", files.rgb(files.pixels()))
    assert refusal(path, HERO) == (
        f"{path}: expected a Cryptomatte (cryptomatte/... in the header), it has none; its channels are B, G, R"
    )


def test_file_that_is_no_exr_is_named_with_its_channels(tmp_path: Path) -> None:
    path = tmp_path / "c.png"
    out = Oiio.ImageOutput.create(str(path))
    assert out.open(str(path), Oiio.ImageSpec(4, 4, 3, Oiio.UINT8)) and out.write_image(np.zeros((4, 4, 3), np.uint8))
    out.close()
    assert refusal(path, HERO) == f"{path}: expected an EXR with a Cryptomatte, its channels are R, G, B"


@pytest.mark.parametrize("lost", ["CryptoObject00.g", "CryptoObject00.r", "CryptoObject01.a"])
def test_lacking_channel_is_named(tmp_path: Path, lost: str) -> None:
    planes = {name: plane for name, plane in ranked(shares()).items() if name != lost}
    path = files.write(tmp_path / "c.exr", planes, **described(list(shares())))
    assert f"expected channel {lost} of the Cryptomatte, its channels are CryptoObject0" in refusal(path, HERO)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"conversion": "own"}, "Cryptomatte CryptoObject: expected conversion uint32_to_float32, got own"),
        ({"hash": "own"}, "expected a manifest in the header or hash MurmurHash3_32, got own"),
        ({"manifest": "{"}, "expected a Cryptomatte manifest of names and 8 hex digits, got '{'"),
        ({"manifest": '{"Hero": 7}'}, "expected a Cryptomatte manifest of names and 8 hex digits"),
        ({"manifest": '{"Hero": "123456789"}'}, "expected a Cryptomatte manifest of names and 8 hex digits"),
        ({"manif_file": "m.json"}, "m.json: No such file or directory; bring it"),
        ({"manif_file": "../m.json"}, "expected the Cryptomatte's manifest file beside it, got ../m.json"),
        ({"manif_file": "own.json"}, "'Hero' has 00000007; write the manifest into the header"),
    ],
)
def test_header_that_cannot_be_followed_is_refused(tmp_path: Path, more: dict[str, str], expected: str) -> None:
    (tmp_path / "own.json").write_text('{"Hero": "00000007"}')
    path = single(tmp_path / "c.exr", described(None, **more))
    assert expected in refusal(path, HERO)


@pytest.mark.parametrize(
    ("compression", "letters", "refused"),
    [("PXR24", "rgba", True), ("DWAA", "RGBA", True), ("DWAB", "RGBA", True), ("DWAA", "rgba", False),
     ("B44", "RGBA", False), ("PIZ", "rgba", False)],
)  # fmt: skip
def test_compressions_that_cut_ids_are_refused(tmp_path: Path, compression: str, letters: str, refused: bool) -> None:
    header = {**described(list(shares())), "compression": getattr(OpenEXR, f"{compression}_COMPRESSION")}
    path = single(tmp_path / "c.exr", header, letters=letters)
    if refused:
        assert f"00.{letters[0]}, {compression} has cut their bits; write it as ZIP" in refusal(path, HERO)
    else:
        assert np.array_equal(shares()[HERO], matte(path, HERO))


def test_ids_in_half_are_refused(tmp_path: Path) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        planes = {name: plane.astype(np.float16) for name, plane in ranked(shares()).items()}
    path = files.write(tmp_path / "c.exr", planes, **described(list(shares())))
    assert "expected ids as float32 in CryptoObject00.r, got float16; render it in full float" in refusal(path, HERO)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    """A small shot whose matte lies beside it in two halves, as Cryptomattes of two objects and a wall."""
    made = small.make_shot(tmp_path / "shot", 3)
    (made.folder / "crypto").mkdir()
    for frame in made.frames:
        covered = small.matte_pixels(frame)[0].astype(np.float32)
        small.write(made.folder / "matte" / f"matte.{frame}.exr", covered[None], "A")
        halves = {HERO: covered / 2, ODD: covered / 2, "Wall": 1 - covered}
        files.write(made.folder / "crypto" / f"crypto.{frame}.exr", ranked(halves), **described(list(halves)))
    return made


def crypto_table(shot: Shot, *names: str, **more: Any) -> dict[str, Any]:
    return {"path": str(shot.folder / "crypto" / "crypto.####.exr"), "cryptomatte": list(names or (HERO, ODD)), **more}


def assert_same_pictures(shot: Shot, first: Any, second: Any) -> None:
    for frame in shot.frames:
        for aux in (False, True):
            one, other = delivered(first, frame, aux), delivered(second, frame, aux)
            assert {name: np.array_equal(plane, other[name]) for name, plane in one.items()} == dict.fromkeys(one, True)


def test_job_with_a_cryptomatte_gives_what_the_matte_as_a_file_gives(shot: Shot, tmp_path: Path) -> None:
    by_file = shot.recipe()
    by_names = into(shot.recipe(matte=crypto_table(shot, cryptomatte_layer=LAYER)), tmp_path / "named")
    render(by_file)
    render(by_names)
    assert_same_pictures(shot, by_file, by_names)


def test_inverted_wall_is_the_same_matte(shot: Shot, tmp_path: Path) -> None:
    by_file = shot.recipe()
    by_wall = into(shot.recipe(matte=crypto_table(shot, "Wall", invert=True)), tmp_path / "wall")
    render(by_file)
    render(by_wall)
    assert_same_pictures(shot, by_file, by_wall)


def test_job_inside_the_fence_gives_the_same(shot: Shot, tmp_path: Path, either: None) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc/self/fd (Linux)")
    recipe = shot.recipe(matte=crypto_table(shot))
    render(recipe)
    (tmp_path / "out").mkdir()
    inside = into(recipe, tmp_path / "out")
    with fence.enclosed([Root("shot", shot.folder), Root("out", tmp_path / "out", writable=True)]):
        render(inside)
    assert_same_pictures(shot, recipe, inside)


def test_manifest_file_outside_the_fence_is_refused(shot: Shot, tmp_path: Path, either: None) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (shot.folder / "crypto" / "m.json").symlink_to(tmp_path / "secret.json")
    for frame in shot.frames:
        path = shot.folder / "crypto" / f"crypto.{frame}.exr"
        files.write(path, ranked({HERO: small.matte_pixels(frame)[0].astype(np.float32)}),
                    **described(None, manif_file="m.json"))  # fmt: skip
    with fence.enclosed([Root("shot", shot.folder, writable=True)]):
        (error,) = checked(shot.recipe(matte=crypto_table(shot, HERO))).errors
    assert "m.json" in str(error) and type(error).__name__ == "ForbiddenPathError"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"cryptomatte": ["Heros"]}, "got 'Heros'; the nearest are 'Hero'"),
        ({"cryptomatte": ["Hero"], "cryptomatte_layer": "Other"}, "expected one Cryptomatte 'Other'"),
        ({"cryptomatte": ["Hero"], "path": "matte"}, "matte.1001.exr: expected a Cryptomatte"),
    ],
)
def test_check_refuses_in_one_sentence(shot: Shot, table: dict[str, Any], expected: str) -> None:
    path = str(shot.folder / table["path"]) if "path" in table else crypto_table(shot)["path"]
    (error,) = checked(shot.recipe(matte={**table, "path": path})).errors
    assert expected in str(error)


def test_frame_without_the_layer_falls_to_the_policy(shot: Shot) -> None:
    bad = shot.folder / "crypto" / "crypto.1002.exr"
    files.write(bad, {"A": np.ones((small.HEIGHT, small.WIDTH), np.float32)})
    (error,) = checked(shot.recipe(matte=crypto_table(shot))).errors
    plate = {"path": str(shot.folder / "plate" / "plate.####.exr"), "missing": "hold"}
    held = checked(shot.recipe(matte=crypto_table(shot), plate=plate))
    assert (f"damaged: {bad}: expected a Cryptomatte" in str(error), held.errors) == (True, ())


def test_empty_matte_names_the_layer_and_names(shot: Shot) -> None:
    for frame in shot.frames:
        halves = {HERO: np.zeros((small.HEIGHT, small.WIDTH), np.float32)}
        files.write(shot.folder / "crypto" / f"crypto.{frame}.exr", ranked(halves, 1), **described([HERO]))
    (error,) = checked(shot.recipe(matte=crypto_table(shot, HERO))).errors
    assert "the matte is empty in all 3 frames" in str(error)


SCENE = """
import sys
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
render = scene.render
render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 256
scene.cycles.use_adaptive_sampling = False
scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 1.0
render.resolution_x, render.resolution_y, render.resolution_percentage = 24, 16, 100
scene.frame_start = scene.frame_end = 1
camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
camera.data.type, camera.data.ortho_scale, camera.location = "ORTHO", 24, (0, 0, 5)
scene.collection.objects.link(camera)
scene.camera = camera
def plane(name, x_first, x_last, y_first, y_last, z):
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x, y in ((x_first, y_first), (x_last, y_first), (x_last, y_last), (x_first, y_last))]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    scene.collection.objects.link(bpy.data.objects.new(name, mesh))
plane("Hero", -8, 0, -4, 4, 0)
plane("H\\u00fcgel, left", 0, 5.5, -4, 4, 0)
plane("Wall", -100, 100, -100, 100, -1)
layer = scene.view_layers[0]
layer.use_pass_cryptomatte_object = layer.use_pass_cryptomatte_material = True
settings = render.image_settings
if hasattr(settings, "media_type"):
    settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
render.filepath = sys.argv[-1]
bpy.ops.render.render(animation=True)
"""


@pytest.mark.skipif(BLENDER is None, reason="needs a Python with bpy: run python -m tests.blender.matrix once")
def test_blenders_cryptomatte_gives_the_coverage_of_its_objects(tmp_path: Path) -> None:
    (tmp_path / "scene.py").write_text(SCENE, "utf-8")
    command = [str(BLENDER), str(tmp_path / "scene.py"), str(tmp_path / "c.####.exr")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300)
    path = tmp_path / "c.0001.exr"
    assert path.exists(), said.stdout + said.stderr
    hero, hill, wall = np.zeros((3, 16, 24), np.float32)
    hero[4:12, 4:12] = 1
    hill[4:12, 12:17] = 1
    hill[4:12, 17] = 0.5
    wall = 1 - hero - hill
    found = [matte(path, *names, layer=LAYER) for names in (("Hero",), ("Hügel, left",), ("Wall",))]
    both = matte(path, "Hero", "Hügel, left", "Wall", layer=LAYER)
    most = [float(np.abs(a - b).max()) for a, b in zip((hero, hill, wall), found, strict=True)]
    assert (most[0], most[1] < HALF_COVERED, most[2] < HALF_COVERED) == (0.0, True, True)
    assert float(np.abs(both - 1).max()) < 1e-6
