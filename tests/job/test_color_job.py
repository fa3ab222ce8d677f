"""Colour through a whole job: backgrounds of another space, output in the plate's or a named one, and its tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as Ocio
import pytest

from tests.job.rendering import STILL, checked, delivered, header, render, stack
from tests.shots import small
from tests.shots.small import Shot

STUDIO = {
    "lin_ap1_scene": "ACEScg",
    "lin_rec709_scene": "Linear Rec.709 (sRGB)",
    "lin_rec2020_scene": "Linear Rec.2020",
}
SRGB = "sRGB Encoded Rec.709 (sRGB)"
PAIRS = [(plate, background) for plate in STUDIO for background in STUDIO if plate != background]
CAMERA = (0.73, 0.28, 0.14, 0.855, 0.1, -0.05, 0.3127, 0.329)
# One step of half: ours and OpenColorIO's float32 may fall on either side of where half rounds.
HALF_STEP = 2.0**-10


def by_ocio(pixels: np.ndarray, source: str, target: str) -> np.ndarray:
    """(3, H, W) by OpenColorIO's own studio config."""
    config = Ocio.Config.CreateFromFile("ocio://studio-config-latest")
    processor = config.getProcessor(source, target).getOptimizedCPUProcessor(
        Ocio.BIT_DEPTH_F32, Ocio.BIT_DEPTH_F32, Ocio.OPTIMIZATION_LOSSLESS
    )
    packed = np.array(pixels.transpose(1, 2, 0), np.float32, order="C")
    processor.apply(Ocio.PackedImageDesc(packed, packed.shape[1], packed.shape[0], 3))
    return packed.transpose(2, 0, 1)


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    scale = np.maximum(np.abs(expected).max(0), 2.0**-14)
    return bool((np.abs(found.astype(np.float64) - expected).max(0) <= HALF_STEP * scale).all())


def shot_in(folder: Path, plate: dict[str, Any], background: dict[str, Any]) -> Shot:
    shot = small.make_shot(folder, 2, header=plate)
    small.write(folder / "background.exr", np.abs(small.plate_pixels(5)), "RGB", background)
    return shot


@pytest.mark.parametrize(("plate", "background"), PAIRS)
def test_background_arrives_in_the_plates_space(tmp_path: Path, plate: str, background: str) -> None:
    recipe = shot_in(tmp_path, {"colorInteropID": plate}, {"colorInteropID": background}).recipe(engine=STILL)
    render(recipe)
    expected = by_ocio(np.abs(small.plate_pixels(5)), STUDIO[background], STUDIO[plate])
    assert close(stack(delivered(recipe, 1001), "background"), expected)


@pytest.mark.parametrize("plate", sorted(STUDIO))
def test_output_is_tagged_with_the_plates_id_alone(tmp_path: Path, plate: str) -> None:
    recipe = shot_in(tmp_path, {"colorInteropID": plate}, small.REC709).recipe(engine=STILL)
    render(recipe)
    found = header(recipe, 1001)
    assert (found.get("colorInteropID"), "chromaticities" in found) == (plate, False)


def test_chromaticities_of_a_known_plate_become_its_id(tmp_path: Path) -> None:
    rec2020 = {"chromaticities": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)}
    recipe = shot_in(tmp_path, rec2020, small.REC709).recipe(engine=STILL)
    render(recipe)
    assert header(recipe, 1001).get("colorInteropID") == "lin_rec2020_scene"


def test_camera_primaries_are_stated_as_they_came(tmp_path: Path) -> None:
    recipe = shot_in(tmp_path, {"chromaticities": CAMERA}, small.REC709).recipe(engine=STILL)
    render(recipe)
    found = header(recipe, 1001)
    stated = [float(v) for v in found["chromaticities"]]
    assert (stated, "colorInteropID" in found) == (pytest.approx(CAMERA, abs=1e-7), False)


def test_space_that_has_no_id_is_stated_by_its_primaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", "ocio://cg-config-v1.0.0_aces-v1.3_ocio-v2.1")
    shot = shot_in(tmp_path, {}, {"colorInteropID": "lin_ap1_scene"})
    plate = {"path": str(tmp_path / "plate" / "plate.####.exr"), "colorspace": "Linear P3-D65"}
    recipe = shot.recipe(plate=plate, engine=STILL)
    render(recipe)
    assert header(recipe, 1001).get("colorInteropID") == "lin_p3d65_scene"


def test_encoded_background_is_linearised(tmp_path: Path) -> None:
    shot = shot_in(tmp_path, {"colorInteropID": "lin_ap1_scene"}, {"colorInteropID": "srgb_rec709_scene"})
    pixels = np.clip(np.abs(small.plate_pixels(5)), 0, 1)
    small.write(tmp_path / "background.exr", pixels, "RGB", {"colorInteropID": "srgb_rec709_scene"})
    recipe = shot.recipe(engine=STILL)
    render(recipe)
    assert close(stack(delivered(recipe, 1001), "background"), by_ocio(pixels, SRGB, "ACEScg"))


def test_output_in_another_space_is_worked_in_it(tmp_path: Path) -> None:
    shot = shot_in(tmp_path, small.REC709, small.REC709)
    recipe = shot.recipe(
        background=None, engine=STILL, output={"directory": str(tmp_path / "out"), "colorspace": "ACEScg"}
    )
    render(recipe)
    expected = by_ocio(small.plate_pixels(1001), "Linear Rec.709 (sRGB)", "ACEScg")
    assert close(stack(delivered(recipe, 1001), ""), expected)


def test_output_in_another_space_is_tagged_with_it(tmp_path: Path) -> None:
    shot = shot_in(tmp_path, small.REC709, small.REC709)
    recipe = shot.recipe(engine=STILL, output={"directory": str(tmp_path / "out"), "colorspace": "Linear Rec.2020"})
    render(recipe)
    assert header(recipe, 1001).get("colorInteropID") == "lin_rec2020_scene"


def test_recipe_is_trusted_before_the_header(tmp_path: Path) -> None:
    shot = shot_in(tmp_path, small.REC709, {"colorInteropID": "lin_ap1_scene"})
    plate = {"path": str(tmp_path / "plate" / "plate.####.exr"), "colorspace": "Linear Rec.2020"}
    recipe = shot.recipe(plate=plate, engine=STILL)
    render(recipe)
    assert header(recipe, 1001).get("colorInteropID") == "lin_rec2020_scene"


WRONG: dict[str, Any] = {
    "encoded plate": ({"colorInteropID": "srgb_rec709_scene"}, {}, r"expected a scene-linear plate, got sRGB"),
    "data plate": ({"colorInteropID": "data"}, {}, r"expected a scene-linear plate, got Non-Color"),
    "untagged plate": ({}, {}, r"plate\.colorspace: .*plate\.1001\.exr: no colour space"),
    "unknown id": ({"colorInteropID": "lin_mars"}, {}, r"plate\.1001\.exr: colorInteropID 'lin_mars'"),
    "unknown output": (small.REC709, {"colorspace": "Linear Mars"}, r"colour space 'Linear Mars'"),
    "encoded output": (small.REC709, {"colorspace": "sRGB"}, r"output\.colorspace: expected a scene-linear space"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_colour_is_refused_by_name(tmp_path: Path, name: str) -> None:
    plate, output, message = WRONG[name]
    shot = shot_in(tmp_path, plate, small.REC709)
    with pytest.raises(Exception, match=message):
        checked(shot.recipe(output={"directory": str(tmp_path / "out"), **output})).raise_first()


def test_ocio_variable_that_cannot_be_read_is_an_error_of_the_check(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCIO", "/gone/config.ocio")
    assert "/gone/config.ocio: expected an OCIO config" in str(checked(shot.recipe()).errors[0])


def test_no_job_prefers_a_catch_all_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", "ocio://studio-config-latest")
    shot = shot_in(tmp_path, {}, small.REC709)
    assert "no colour space" in str(checked(shot.recipe()).errors[0])
