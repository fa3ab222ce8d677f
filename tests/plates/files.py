"""Files that the reader must read right or refuse by name, each made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO as Oiio

WIDTH, HEIGHT = 32, 20
COMPRESSIONS = {
    name: value for name, value in vars(OpenEXR).items() if name.endswith("_COMPRESSION") and not name.startswith("NUM")
}
# Lossy ones keep half colours to about this fraction; the others must give back every bit.
LOSSY = {"B44_COMPRESSION": 0.05, "B44A_COMPRESSION": 0.05, "DWAA_COMPRESSION": 0.05, "DWAB_COMPRESSION": 0.05}


def pixels(dtype: type = np.float16, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(3, height, width), smooth, from -0.5 to 30 (whole numbers for integer types)."""
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x / width * 30 - 0.5, y / height + 0.25, (x + y) / (width + height)])
    return (np.abs(ramp * 1000) if np.issubdtype(dtype, np.integer) else ramp).astype(dtype)


def rgb(values: np.ndarray, names: Sequence[str] = "RGB", stem: str = "") -> dict[str, np.ndarray]:
    """Planes by channel name."""
    return {f"{stem}{name}": np.ascontiguousarray(plane) for name, plane in zip(names, values, strict=True)}


def write(path: Path, channels: dict[str, np.ndarray], **header: object) -> Path:
    """A single-part scanline file."""
    OpenEXR.File({"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION, **header}, channels).write(
        str(path)
    )
    return path


def write_parts(path: Path, parts: dict[str, dict[str, np.ndarray]], **headers: dict[str, object]) -> Path:
    """A multi-part file; `headers` adds attributes by part name."""
    made = [
        OpenEXR.Part({"type": OpenEXR.scanlineimage, **headers.get(name, {})}, channels, name)
        for name, channels in parts.items()
    ]
    OpenEXR.File(made).write(str(path))
    return path


def write_tiled(path: Path, values: np.ndarray, mipmaps: bool = False) -> Path:
    """A tiled half file; with `mipmaps` level 0 holds the values and smaller levels follow."""
    spec = Oiio.ImageSpec(values.shape[2], values.shape[1], 3, Oiio.HALF)
    spec.tile_width = spec.tile_height = 16
    if mipmaps:
        spec.attribute("textureformat", "Plain Texture")
        spec.attribute("openexr:levelmode", 1)
    out = Oiio.ImageOutput.create(str(path))
    level = np.ascontiguousarray(values.transpose(1, 2, 0))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(level)
    while mipmaps and level.shape[0] * level.shape[1] > 1:
        level = np.ascontiguousarray(level[: max(1, level.shape[0] // 2), : max(1, level.shape[1] // 2)] * 0)
        spec.width, spec.height = level.shape[1], level.shape[0]
        spec.full_width, spec.full_height = spec.width, spec.height
        assert out.open(str(path), spec, "AppendMIPLevel"), out.geterror()
        assert out.write_image(level)
    assert out.close()
    return path


def write_luminance_chroma(path: Path) -> Path:
    """Y at full size; the header says that RY and BY have half of it, as OpenEXR's WRITE_YC does."""
    write(path, rgb(pixels(), ("Y", "RY", "BY")))
    content = bytearray(path.read_bytes())
    for name in (b"RY\0", b"BY\0"):
        at = content.index(name) + len(name) + 8
        content[at : at + 8] = np.array([2, 2], "<i4").tobytes()
    path.write_bytes(content)
    return path


def write_deep(path: Path) -> Path:
    """Two samples in every pixel."""
    spec = Oiio.ImageSpec(8, 4, 4, Oiio.FLOAT)
    spec.channelnames, spec.deep = ("R", "G", "B", "Z"), True
    data = Oiio.DeepData()
    data.init(32, 4, [Oiio.FLOAT] * 4, list(spec.channelnames))
    for pixel in range(32):
        data.set_samples(pixel, 2)
    out = Oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec) and out.write_deep_image(data) and out.close()
    return path


def with_header_size(path: Path, source: Path, side: int) -> Path:
    """A copy whose dataWindow and displayWindow claim `side` x `side` pixels."""
    content = bytearray(source.read_bytes())
    for name in (b"dataWindow\0box2i\0", b"displayWindow\0box2i\0"):
        at = content.index(name) + len(name) + 4
        content[at : at + 16] = np.array([0, 0, side - 1, side - 1], "<i4").tobytes()
    path.write_bytes(content)
    return path
