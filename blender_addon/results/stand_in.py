"""A file of one pixel with the layers of another: from it Blender learns the layers without decoding a picture.

Whenever an Image node gets an image, Blender reads the frame that the image is named by, on the main thread: 0.4 to
2.5 s at 4K. So the node gets the stand-in, and then the image is given its real name, which reads nothing. Blender
decodes a frame when it shows it, in the compositor's own thread. No `bpy` here.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..gather.pictures import MAGIC, attributes

LONG_NAMES = 0x400  # of the version field's flags, the only one that a scan line file with layers may have
BYTES_OF = {0: 4, 1: 2, 2: 4}  # of a sample: unsigned integer, half, float
CHANNEL_TAIL = 16  # bytes of a channel after its name: type, linearity, sampling in x and y


@contextmanager
def stand_in(path: Path) -> Iterator[Path]:
    """A file named like `path` in a folder of its own, while the block lasts; `path` itself where it is no EXR."""
    try:
        found = attributes(path)
        written = _one_pixel(found["channels"], found.get("colorInteropID"))
    except (OSError, ValueError, LookupError, struct.error):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="platelight-") as folder:
        small = Path(folder) / path.name
        small.write_bytes(written)
        yield small


def _one_pixel(channels: bytes, space: bytes | None) -> bytes:
    """An EXR of one black pixel, uncompressed (OpenEXR file layout, scan line image)."""
    box = struct.pack("<4i", 0, 0, 0, 0)
    header = MAGIC + struct.pack("<i", 2 | LONG_NAMES)
    header += _attribute("channels", "chlist", channels)
    if space is not None:
        header += _attribute("colorInteropID", "string", space)
    header += _attribute("compression", "compression", b"\0")
    header += _attribute("dataWindow", "box2i", box) + _attribute("displayWindow", "box2i", box)
    header += _attribute("lineOrder", "lineOrder", b"\0")
    header += _attribute("pixelAspectRatio", "float", struct.pack("<f", 1.0))
    header += _attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0))
    header += _attribute("screenWindowWidth", "float", struct.pack("<f", 1.0)) + b"\0"
    pixel = bytes(sum(_sample_bytes(channels)))
    return header + struct.pack("<Q", len(header) + 8) + struct.pack("<2i", 0, len(pixel)) + pixel


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value


def _sample_bytes(channels: bytes) -> Iterator[int]:
    at = 0
    while channels[at] != 0:
        end = channels.index(0, at)
        yield BYTES_OF[struct.unpack_from("<i", channels, end + 1)[0]]
        at = end + 1 + CHANNEL_TAIL
