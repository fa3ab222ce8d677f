"""Reading pictures: every storage gives the same pixels, what would be read wrong is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as Oiio
import pytest

from platelight.errors import FrameError
from platelight_server.plates import exr, picture_io
from platelight_server.plates.picture import Box
from tests.plates import files


@pytest.mark.parametrize("name", sorted(set(files.COMPRESSIONS) - set(files.LOSSY)))
def test_lossless_compression_gives_back_every_bit(tmp_path: Path, name: str) -> None:
    written = files.pixels()
    path = files.write(tmp_path / "a.exr", files.rgb(written), compression=files.COMPRESSIONS[name])
    assert np.array_equal(exr.read(path, "RGB").pixels, written)


@pytest.mark.parametrize("name", sorted(files.LOSSY))
def test_lossy_compression_is_read_within_its_own_loss(tmp_path: Path, name: str) -> None:
    written = files.pixels()
    path = files.write(tmp_path / "a.exr", files.rgb(written), compression=files.COMPRESSIONS[name])
    read = exr.read(path, "RGB").pixels.astype(np.float64)
    assert np.abs(read - written).max() <= files.LOSSY[name] * float(np.abs(written).max())


@pytest.mark.parametrize(
    ("stored", "given"), [(np.float16, np.float16), (np.float32, np.float32), (np.uint32, np.float32)]
)
def test_pixel_types_arrive_as_half_or_float(tmp_path: Path, stored: type, given: type) -> None:
    written = files.pixels(stored)
    read = exr.read(files.write(tmp_path / "a.exr", files.rgb(written)), "RGB").pixels
    assert (read.dtype, np.array_equal(read, written.astype(given))) == (np.dtype(given), True)


def test_half_and_float_channels_together_arrive_as_float(tmp_path: Path) -> None:
    channels = files.rgb(files.pixels()) | {"A": np.full((files.HEIGHT, files.WIDTH), 0.3, np.float32)}
    assert exr.read(files.write(tmp_path / "a.exr", channels), "RGBA").pixels[3, 0, 0] == np.float32(0.3)


def test_tiled_file_is_read(tmp_path: Path) -> None:
    written = files.pixels()
    assert np.array_equal(exr.read(files.write_tiled(tmp_path / "a.exr", written), "RGB").pixels, written)


def test_mipmapped_file_gives_its_largest_level(tmp_path: Path) -> None:
    written = files.pixels(height=32)
    read = exr.read(files.write_tiled(tmp_path / "a.exr", written, mipmaps=True), "RGB")
    assert np.array_equal(read.pixels, written)


def test_channels_come_in_the_order_asked(tmp_path: Path) -> None:
    written = files.pixels()
    path = files.write(tmp_path / "a.exr", files.rgb(written))
    assert np.array_equal(exr.read(path, ("B", "R")).pixels, written[[2, 0]])


def test_nan_inf_and_negatives_arrive_as_stored(tmp_path: Path) -> None:
    written = files.pixels()
    written[0, 0, :4] = (np.nan, np.inf, -np.inf, -2)
    read = exr.read(files.write(tmp_path / "a.exr", files.rgb(written)), "RGB").pixels
    assert np.array_equal(read.view(np.uint16), written.view(np.uint16))


def test_negative_data_window_is_known(tmp_path: Path) -> None:
    window = {"dataWindow": ((-4, -3), (files.WIDTH - 5, files.HEIGHT - 4)), "displayWindow": ((0, 0), (9, 9))}
    info = exr.read_info(files.write(tmp_path / "a.exr", files.rgb(files.pixels()), **window))
    assert (info.data, info.display) == (Box(-4, -3, 27, 16), Box(0, 0, 9, 9))


def test_parts_become_layers(tmp_path: Path) -> None:
    parts = {"rgba": files.rgb(files.pixels()), "depth": {"Z": files.pixels()[0]}}
    assert set(exr.read_info(files.write_parts(tmp_path / "a.exr", parts)).channels) == {"R", "G", "B", "depth.Z"}


def test_part_with_larger_data_window_loses_nothing(tmp_path: Path) -> None:
    written = files.pixels()
    crop = {"dataWindow": ((8, 4), (15, 11)), "displayWindow": ((0, 0), (files.WIDTH - 1, files.HEIGHT - 1))}
    parts = {"depth": {"Z": np.zeros((8, 8), np.float32)}, "rgba": files.rgb(written)}
    path = files.write_parts(tmp_path / "a.exr", parts, depth=crop)
    assert np.array_equal(exr.read(path, "RGB").pixels, written)


def test_two_views_in_parts_are_two_layers(tmp_path: Path) -> None:
    parts = {"rgb_right": files.rgb(files.pixels()), "rgb_left": files.rgb(files.pixels())}
    path = files.write_parts(tmp_path / "a.exr", parts, rgb_right={"view": "right"}, rgb_left={"view": "left"})
    assert {name.split(".")[0] for name in exr.read_info(path).channels} == {"rgb_left", "rgb_right"}


def test_luminance_chroma_is_refused_by_name(tmp_path: Path) -> None:
    path = files.write_luminance_chroma(tmp_path / "a.exr")
    with pytest.raises(FrameError, match=r"a\.exr: expected full-size channels, got BY subsampled 2x2"):
        exr.read_info(path)


def test_deep_data_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"a\.exr: expected flat pixels, got deep data"):
        exr.read_info(files.write_deep(tmp_path / "a.exr"))


def test_absent_channel_names_those_that_are_there(tmp_path: Path) -> None:
    path = files.write(tmp_path / "a.exr", files.rgb(files.pixels()))
    with pytest.raises(FrameError, match=r"a\.exr: expected channel A, it has B, G, R"):
        exr.read(path, "RGBA")


@pytest.mark.parametrize("folder", ["mit Leerzeichen", "grün/日本", "gru\u0308n"])
def test_paths_of_any_letters_are_read(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    written = files.pixels()
    path = files.write(tmp_path / folder / "plaque é.exr", files.rgb(written))
    assert np.array_equal(picture_io.read(path, "RGB").pixels, written)


@pytest.mark.parametrize(("kind", "most"), [(Oiio.UINT8, 255), (Oiio.UINT16, 65535)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_integer_mattes_are_scaled_to_one(tmp_path: Path, kind: object, most: int, suffix: str) -> None:
    path = tmp_path / f"matte{suffix}"
    out = Oiio.ImageOutput.create(str(path))
    out.open(str(path), Oiio.ImageSpec(3, 1, 1, kind))
    out.write_image(np.array([[[0], [most // 5], [most]]], np.uint16 if most > 255 else np.uint8))
    out.close()
    names = picture_io.read_info(path).channels
    # The library multiplies by 1/most in float32.
    assert picture_io.read(path, names).pixels.ravel().tolist() == pytest.approx([0.0, 0.2, 1.0], abs=1e-7)


def test_integer_dpx_has_no_colour_space_by_custom(tmp_path: Path) -> None:
    path = tmp_path / "a.dpx"
    out = Oiio.ImageOutput.create(str(path))
    out.open(str(path), Oiio.ImageSpec(4, 4, 3, Oiio.UINT16))
    out.write_image(np.zeros((4, 4, 3), np.uint16))
    out.close()
    assert picture_io.read_info(path).space_hint is None
