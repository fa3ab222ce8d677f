"""The keyer: mattes of known subjects, whatever colour the screen has and however it is lit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from platelight.errors import FrameError
from platelight.frames import sample_frames
from platelight.recipe_parts import Keying
from platelight_server.mattes.finding import found_screen, screen_frames
from platelight_server.mattes.keyer import key
from platelight_server.mattes.screen import Screen, bright_channels, detect
from platelight_server.plates import exr
from tests.mattes import screens

# The disc's soft edge covers 4 % of the picture; its dark side is as dark as the screen's shade may be.
MEAN_ERROR, FAR_OUTSIDE = 0.01, 0.004
colors = pytest.mark.parametrize(
    ("asked", "color"), [("green", screens.GREEN), ("blue", screens.BLUE), ("auto", screens.YELLOW)]
)


def screen_of(asked: str, color: tuple[float, float, float], dials: Keying, spill: float = 0.0) -> Screen:
    return found_screen(screens.FRAMES, lambda frame: screens.plate_of(frame, color, spill), asked, dials)


def dials_for(color: tuple[float, float, float], **dials: object) -> Keying:
    return Keying(color=color if color == screens.YELLOW else None, **dials)  # type: ignore[arg-type]


@colors
def test_matte_is_the_subjects(asked: str, color: tuple[float, float, float]) -> None:
    dials = dials_for(color)
    screen = screen_of(asked, color, dials)
    for frame in screens.FRAMES:
        matte, true = key(screens.plate_of(frame, color), screen, dials), screens.alpha_of(frame)
        assert matte.shape == (1, screens.HEIGHT, screens.WIDTH) and matte.dtype == np.float32
        error = np.abs(matte[0] - true)
        assert error.mean() < MEAN_ERROR
        assert matte[0][true == 0].mean() < FAR_OUTSIDE  # shadow and fall-off are no subject
        # Grain on its dark side is of any hue; a warm grey is half of the way to yellow.
        assert np.quantile(matte[0][true == 1], 0.02) > 0.95


def test_shade_dial_says_how_dark_a_shadow_may_be() -> None:
    plate = screens.plate_of(1001)
    tolerant, strict = (Keying(shade=shade) for shade in (0.6, 0.1))
    screen = screen_of("auto", screens.GREEN, tolerant)
    shadow = screens.in_shadow() & (screens.alpha_of(1001) == 0)
    assert key(plate, screen, tolerant)[0][shadow].max() < 0.15
    assert key(plate, screen, strict)[0][shadow].mean() > 0.3


def test_screens_light_inside_the_subject_is_no_hole() -> None:
    plate = screens.plate_of(1003, spill=0.3)
    screen = screen_of("green", screens.GREEN, Keying(), spill=0.3)
    inside = cv2.erode((screens.alpha_of(1003) == 1).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert key(plate, screen, Keying(core=0))[0][inside].min() < 0.8
    assert key(plate, screen, Keying(core=0.02))[0][inside].min() > 0.99


def test_level_of_the_screen_is_found_where_the_subject_stands() -> None:
    screen = screen_of("auto", screens.GREEN, Keying())
    x = np.arange(screens.WIDTH)
    expected = screens.GREEN[1] * 2.0 ** (-1.5 * x / screens.WIDTH)
    found = screen.levels()[screens.HEIGHT // 3]
    assert np.abs(np.log2(found / expected)).max() < 0.15
    assert screen.name == "green"


def test_boxes_are_background_and_foreground() -> None:
    dials = Keying(garbage=((0, 0, 20, 10),), hold_out=((100, 60, 110, 70),))
    screen = screen_of("auto", screens.GREEN, dials)
    plate = screens.plate_of(1001).astype(np.float32)
    plate[:, :10, :20] = 0.7  # a lamp beside the screen
    matte = key(plate, screen, dials)[0]
    assert matte[:10, :20].max() == 0.0
    assert matte[60:70, 100:110].min() == 1.0
    moved = key(plate, screen, dials, offset=(100, 60))[0]
    assert moved[:10, :10].min() == 1.0


def test_rig_at_the_rim_is_left_out_by_a_box() -> None:
    """Half of the picture shows the studio; detection looks at what is not boxed."""
    plate = np.array(screens.plate_of(1001))
    plate[:, :, 80:] = 0.3
    plate[:, :45] = 0.3
    outside = np.zeros(plate.shape[1:], bool)
    outside[:45], outside[:, 80:] = True, True
    assert (detect(plate), detect(plate, outside)) == (None, "green")


@pytest.mark.parametrize("asked", ["auto", "blue"])
def test_plate_without_such_a_screen_is_refused(asked: str) -> None:
    grey = np.full((3, 40, 60), 0.3, np.float16)
    with pytest.raises(FrameError, match="frames 1-7: expected a .*screen .*got"):
        found_screen(range(1, 8), lambda frame: grey, asked, Keying())


@pytest.mark.parametrize(
    ("color", "bright"),
    [(screens.GREEN, (1,)), (screens.BLUE, (2,)), (screens.YELLOW, (0, 1)), ((0.6, 0.1, 0.5), (0, 2))],
)
def test_colour_says_its_bright_channels(color: tuple[float, float, float], bright: tuple[int, ...]) -> None:
    assert bright_channels(color) == bright


def test_sampled_frames_are_those_of_the_whole_shot() -> None:
    assert screen_frames(range(1001, 1101))[:2] == (1001, 1017)
    assert screen_frames(range(1001, 1101))[-1] == 1100


@pytest.mark.dev_data
@pytest.mark.parametrize(
    ("shot", "plate", "color", "mean", "edge"),
    [  # measured over all frames: 0.013, 0.077 and 0.006, 0.065; the second one's reference is another keyer's matte
        ("gt_creature_forest", "plate_a", None, 0.016, 0.085),
        ("real_mdn_chroma", "plate", (0.58, 0.58, 0.004), 0.009, 0.08),
    ],
)
def test_clips_are_keyed_near_their_mattes(
    shot: str, plate: str, color: tuple[float, float, float] | None, mean: float, edge: float, dev_data: Path
) -> None:
    plates = sorted((dev_data / shot / plate).glob("*.exr"))
    mattes = sorted((dev_data / shot / "matte").glob("*.exr"))
    dials = Keying(color=color)
    looked = sample_frames(range(len(plates)), 7)
    screen = found_screen(looked, lambda i: exr.read(plates[i], "RGB").pixels, "auto", dials)
    errors, edges = [], []
    for i in range(0, len(plates), 6):
        true = exr.read(mattes[i], "A").pixels[0].astype(np.float32)
        error = np.abs(key(exr.read(plates[i], "RGB").pixels, screen, dials)[0] - true)
        soft = ((true > 0.02) & (true < 0.98)).astype(np.uint8)
        errors.append(error.mean())
        edges.append(error[cv2.dilate(soft, np.ones((5, 5), np.uint8)) > 0].mean())
    assert np.mean(errors) < mean
    assert np.mean(edges) < edge
