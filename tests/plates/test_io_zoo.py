"""The reader torture set: every file is read right, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from platelight.errors import ColorError, FrameError
from platelight.frames import SequencePath
from platelight_server.color.identify import identify
from platelight_server.plates import picture_io
from platelight_server.plates.channels import alpha_channel, matte_channels, picture_channels
from platelight_server.plates.picture import Box

pytestmark = pytest.mark.dev_data
COMMON = Box(0, 0, 239, 134)

PLATES = {
    "anamorphic_par2.exr": (COMMON, COMMON),
    "cropped_datawindow.exr": (Box(30, 20, 269, 154), Box(0, 0, 479, 269)),
    "multipart_beauty_matte_depth.exr": (COMMON, COMMON),
    "nan_inf_negative.exr": (COMMON, COMMON),
    "openexr_BrightRingsNanInf.exr": (Box(0, 0, 799, 799), Box(0, 0, 799, 799)),
    "openexr_WideColorGamut.exr": (Box(0, 0, 799, 799), Box(0, 0, 799, 799)),
    "openexr_t01.exr": (Box(0, 0, 399, 299), Box(0, 0, 399, 299)),
    "openexr_t05.exr": (Box(0, 0, 399, 299), Box(30, 20, 369, 279)),
    "openexr_t09.exr": (Box(0, 0, 399, 299), Box(400, 0, 599, 299)),
    "openexr_t14.exr": (Box(0, 0, 399, 299), Box(-100, -100, 0, 0)),
    "overscan_datawindow.exr": (Box(-12, -8, 227, 126), Box(0, 0, 215, 118)),
    "plate_acescg.exr": (COMMON, COMMON),
    "rgba_premult.exr": (COMMON, COMMON),
    "rgba_straight_matte.exr": (COMMON, COMMON),
    "tiled_float.exr": (Box(0, 0, 95, 53), Box(0, 0, 95, 53)),
}
MATTES = {
    "matte_16bit.png": ("Y",),
    "matte_8bit.png": ("Y",),
    "matte_half_res.exr": ("A",),
    "matte_in_R_only.exr": ("R",),
    "matte_named.exr": ("matte.alpha",),
    "matte_rgb.exr": ("R", "G", "B"),
    "multipart_beauty_matte_depth.exr": ("matte.A",),
    "rgba_straight_matte.exr": ("A",),
    "luma_only_Y.exr": ("Y",),
}


@pytest.fixture
def zoo(dev_data: Path) -> Path:
    return dev_data / "io_zoo"


@pytest.mark.parametrize("name", sorted(PLATES))
def test_plate_has_its_windows(zoo: Path, name: str) -> None:
    info = picture_io.read_info(zoo / name)
    assert (info.data, info.display) == PLATES[name]


@pytest.mark.parametrize("name", sorted(PLATES))
def test_plate_is_the_top_level_picture(zoo: Path, name: str) -> None:
    assert picture_channels(picture_io.read_info(zoo / name)) == ("R", "G", "B")


@pytest.mark.parametrize("name", sorted(PLATES))
def test_plate_pixels_cover_its_data_window(zoo: Path, name: str) -> None:
    picture = picture_io.read(zoo / name, "RGB")
    assert picture.pixels.shape == (3, picture.info.data.height, picture.info.data.width)


@pytest.mark.parametrize("name", sorted(MATTES))
def test_matte_channel_is_found(zoo: Path, name: str) -> None:
    assert matte_channels(picture_io.read_info(zoo / name)) == MATTES[name]


def test_the_same_matte_is_read_from_every_storage(zoo: Path) -> None:
    reference = picture_io.read(zoo / "matte_named.exr", ("matte.alpha",)).pixels[0].astype(np.float32)
    worst = {}
    for name in ("matte_16bit.png", "matte_8bit.png", "matte_in_R_only.exr", "matte_rgb.exr"):
        other = picture_io.read(zoo / name, MATTES[name][:1]).pixels[0].astype(np.float32)
        worst[name] = bool(np.abs(other - reference).max() <= 1 / 255)  # one step of the coarsest of them
    assert set(worst.values()) == {True}


def test_two_eyes_in_one_file_are_named_in_the_error(zoo: Path) -> None:
    with pytest.raises(FrameError, match=r"layers_left_right\.exr: expected one layer with R,G,B, it has left, right"):
        picture_channels(picture_io.read_info(zoo / "layers_left_right.exr"))


def test_a_named_eye_is_taken(zoo: Path) -> None:
    info = picture_io.read_info(zoo / "layers_left_right.exr")
    assert picture_channels(info, "right") == ("right.R", "right.G", "right.B")


def test_eye_without_alpha_is_refused_as_matte(zoo: Path) -> None:
    info = picture_io.read_info(zoo / "layers_left_right.exr")
    with pytest.raises(FrameError, match=r"expected an alpha channel right\.A"):
        alpha_channel(info, ("right.R", "right.G", "right.B"))


@pytest.mark.parametrize("name", ["luma_only_Y.exr", "openexr_Garden.exr"])
def test_luminance_alone_is_no_plate(zoo: Path, name: str) -> None:
    with pytest.raises(FrameError, match=f"{name}: expected channels R,G,B, it has Y"):
        picture_channels(picture_io.read_info(zoo / name))


def test_anamorphic_pixel_aspect_is_known(zoo: Path) -> None:
    assert picture_io.read_info(zoo / "anamorphic_par2.exr").pixel_aspect == 2.0


def test_sequence_grows_from_three_digits_to_four(zoo: Path) -> None:
    assert tuple(SequencePath.parse(zoo / "gap_seq" / "gap.###.exr").scan()) == (998, 999, 1000, 1002, 1003)


def test_acescg_primaries_are_recognised(zoo: Path) -> None:
    info = picture_io.read_info(zoo / "plate_acescg.exr")
    assert identify(info.path, info.header).interop_id == "lin_ap1_scene"


def test_untagged_plate_is_in_no_space(zoo: Path) -> None:
    info = picture_io.read_info(zoo / "cropped_datawindow.exr")
    with pytest.raises(ColorError, match=r"cropped_datawindow\.exr: no colour space"):
        identify(info.path, info.header)
