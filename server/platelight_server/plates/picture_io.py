"""Reading any picture file: EXR through `exr`, everything else (PNG, TIFF, JPEG, HDR, ...) through OpenImageIO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import OpenImageIO as Oiio

from platelight.errors import FrameError

from . import cryptomatte, exr, fence
from .picture import Box, Picture, PictureInfo

# OpenImageIO must not try other readers on a damaged file, nor start threads beside our own frame threads.
EXR_SUFFIXES = (".exr", ".sxr")
# Formats whose integer pixels are sRGB by custom. Others (DPX is mostly log) must be named.
SRGB_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".tga", ".webp", ".gif")
Oiio.attribute("try_all_readers", 0)
Oiio.attribute("threads", 1)


def read_info(path: Path) -> PictureInfo:
    """The header of a picture file. Raises `FrameError` naming the file."""
    _require_file(path)
    if path.suffix.lower() in EXR_SUFFIXES:
        return exr.read_info(path)
    with _opened(path) as source:
        return _oiio_info(path, source.spec())


def read(path: Path, names: Sequence[str]) -> Picture:
    """The channels `names`, in that order; integer files are scaled to 0..1. Raises `FrameError`.

    The one name may be a pseudo channel of `cryptomatte`, which gives the coverage that it stands for.

    -> (C, H, W) float16 or float32, in the file's colour space
    """
    _require_file(path)
    if path.suffix.lower() in EXR_SUFFIXES:
        asked = cryptomatte.asked_for(names)
        return exr.read(path, names) if asked is None else cryptomatte.read(path, asked)
    with _opened(path) as source:
        info = _oiio_info(path, source.spec())
        missing = [name for name in names if name not in info.channels]
        if missing:
            raise FrameError(f"{path}: expected channel {', '.join(missing)}, it has {', '.join(info.channels)}")
        pixels = source.read_image(0, 0, 0, len(info.channels), Oiio.FLOAT)
        if pixels is None:
            raise FrameError(f"{path}: its pixels cannot be decoded: {source.geterror()}")
    planes = np.asarray(pixels, np.float32).transpose(2, 0, 1)
    return Picture(info, np.ascontiguousarray(planes[[info.channels.index(name) for name in names]]))


def _require_file(path: Path) -> None:
    if not fence.is_file(path):
        raise FrameError(f"{path}: expected a file, got a folder" if fence.is_dir(path) else f"{path}: no such file")


@contextmanager
def _opened(path: Path) -> Iterator[Oiio.ImageInput]:
    """OpenImageIO's reader, open while the block runs. Raises `FrameError`, whose message names the file as given."""
    name = path
    try:
        with fence.readable(path, with_suffix=True) as name:
            source = _open(path, name)
            try:
                yield source
            finally:
                source.close()
    except OSError as error:
        raise FrameError(f"{path}: cannot be read: {error.strerror or error}") from None
    except FrameError as error:
        raise FrameError(str(error).replace(str(name), str(path))) from None


def _open(path: Path, name: Path) -> Oiio.ImageInput:
    config = Oiio.ImageSpec()
    # Straight colour as stored: alpha of a PNG is a matte here, not a coverage to multiply with.
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = Oiio.ImageInput.open(str(name), config)
    if source is None:
        raise FrameError(f"{path}: expected a picture file, {Oiio.geterror() or 'unknown format'}")
    return source


def _oiio_info(path: Path, spec: Oiio.ImageSpec) -> PictureInfo:
    box = Box(spec.x, spec.y, spec.x + spec.width - 1, spec.y + spec.height - 1)
    whole = Box(spec.full_x, spec.full_y, spec.full_x + spec.full_width - 1, spec.full_y + spec.full_height - 1)
    integer = spec.format in (Oiio.UINT8, Oiio.UINT16)
    suffix = path.suffix.lower()
    hint = "sRGB" if integer and suffix in SRGB_SUFFIXES else "Linear Rec.709" if suffix in (".hdr", ".rgbe") else None
    aspect = float(spec.getattribute("PixelAspectRatio") or 1.0)
    return PictureInfo(path, tuple(spec.channelnames), box, whole, {}, aspect, False, hint)
