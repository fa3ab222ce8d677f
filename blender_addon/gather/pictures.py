"""What an EXR's header says about a plate: its windows and its colour. Some hundred bytes are read, never pixels.

Blender's own sizes cost a decoded frame (0.4 s at 4K) where nothing has shown the clip yet, and Blender does not see
`chromaticities`. Only the first part is read. Anything that is no EXR is None, not an error: the server reads pictures,
this is for badges and for the camera. No `bpy` here.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

HEADER_MOST = 1 << 20  # bytes; a header beyond that carries something odd and is not needed
MAGIC = b"\x76\x2f\x31\x01"
ACES_FLAG, INTEROP, PRIMARIES, ASPECT = "acesImageContainerFlag", "colorInteropID", "chromaticities", "pixelAspectRatio"
CRYPTOMATTE = re.compile(r"cryptomatte/[^/]+/name")

INTEROP_NAMES = {
    "lin_rec709_scene": "Linear Rec.709",
    "lin_rec2020_scene": "Linear Rec.2020",
    "lin_p3d65_scene": "Linear DCI-P3 D65",
    "lin_adobergb_scene": "Linear AdobeRGB",
    "lin_ap1_scene": "ACEScg",
    "lin_ap0_scene": "ACES2065-1",
    "lin_ciexyzd65_scene": "Linear CIE-XYZ D65",
    "srgb_rec709_scene": "sRGB",
    "data": "Non-Color",
}
_WHITE_D65, _WHITE_ACES = (0.3127, 0.329), (0.32168, 0.33767)
CHROMATICITIES = {
    "Linear Rec.709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_WHITE_D65),
    "Linear Rec.2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_WHITE_D65),
    "Linear DCI-P3 D65": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_WHITE_D65),
    "Linear AdobeRGB": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_WHITE_D65),
    "ACEScg": (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, *_WHITE_ACES),
    "ACES2065-1": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, *_WHITE_ACES),
}
CHROMATICITY_TOLERANCE = 0.001  # the server's, see ocio/README.md


@dataclass(frozen=True)
class Header:
    """Display window's size, where the data window starts in it, the pixel aspect, and the colour space it tells.

    `colorspace` is a name of `ocio/`, "own" for primaries that have none, "" where the file says nothing.
    """

    width_px: int
    height_px: int
    data_x: int
    data_y: int
    data_width_px: int
    data_height_px: int
    pixel_aspect: float
    colorspace: str


def read_header(path: Path) -> Header | None:
    """The first part's header of an EXR, or None for what is not a readable EXR."""
    try:
        return _header(attributes(path))
    except (OSError, struct.error, ValueError, KeyError, IndexError):
        return None


def read_names(path: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names of the first part's channels, and of the Cryptomattes whose ids it holds; none of what is no EXR."""
    try:
        found = attributes(path)
        data, at, channels = found["channels"], 0, set()
        while data[at] != 0:
            end = data.index(0, at)
            channels.add(data[at:end].decode("latin-1"))
            at = end + 17  # type, linearity, sampling
    except (OSError, struct.error, ValueError, KeyError, IndexError):
        return frozenset(), ()
    layers = {text.decode("utf-8", "replace") for key, text in found.items() if CRYPTOMATTE.fullmatch(key)}
    return frozenset(channels), tuple(sorted(layers))


def attributes(path: Path) -> dict[str, bytes]:
    """The first part's header as name -> bytes. Raises OSError, and ValueError or IndexError for what is no EXR."""
    with path.open("rb") as file:
        data = file.read(HEADER_MOST)
    if data[:4] != MAGIC:
        raise ValueError("no EXR")
    found: dict[str, bytes] = {}
    at = 8
    while data[at] != 0:
        name_end = data.index(0, at)
        type_end = data.index(0, name_end + 1)
        (size,) = struct.unpack_from("<i", data, type_end + 1)
        start = type_end + 5
        if size < 0 or start + size > len(data):
            raise ValueError("an attribute that does not end")
        found[data[at:name_end].decode("latin-1")] = data[start : start + size]
        at = start + size
    return found


def _header(found: dict[str, bytes]) -> Header:
    left, top, right, bottom = struct.unpack("<4i", found["displayWindow"])
    x_first, y_first, x_last, y_last = struct.unpack("<4i", found["dataWindow"])
    (aspect,) = struct.unpack("<f", found.get(ASPECT, struct.pack("<f", 1.0)))
    return Header(
        right - left + 1, bottom - top + 1, x_first - left, y_first - top, x_last - x_first + 1, y_last - y_first + 1,
        aspect, _colorspace(found),
    )  # fmt: skip


def _colorspace(found: dict[str, bytes]) -> str:
    if found.get(ACES_FLAG, b"\0\0\0\0") != b"\0\0\0\0":
        return "ACES2065-1"
    interop = found.get(INTEROP, b"").decode("utf-8", "replace").rstrip("\0")
    if interop:
        return INTEROP_NAMES.get(interop, "own")
    if PRIMARIES not in found:
        return ""
    given = struct.unpack("<8f", found[PRIMARIES])
    for name, known in CHROMATICITIES.items():
        if all(abs(a - b) <= CHROMATICITY_TOLERANCE for a, b in zip(given, known, strict=True)):
            return name
    return "own"


KNOWN_SPACES = frozenset(
    {*INTEROP_NAMES.values(), "ACEScct"}
)  # what ocio/platelight.ocio knows; with $OCIO, Blender and the server share a config and any name is taken
UNTOUCHED = "Linear Rec.709"  # what Blender calls a float file that says nothing it understands


def colorspace(blender_name: str, header: Header | None, config_is_shared: bool) -> tuple[str, str]:
    """The recipe's colour space for a picture, and a sentence for the artist or "".

    The file is left to speak (`auto`) where it says the same as Blender, or where Blender shows its default only
    because it does not read what the file says. What the artist chose otherwise is told by name.
    """
    told = header.colorspace if header else ""
    if blender_name == "scene_linear":
        return ("auto" if told else UNTOUCHED), ""
    if told and told == blender_name:
        return "auto", ""
    if told and blender_name == UNTOUCHED:
        name = told if told != "own" else "primaries of its own"
        return "auto", f"its file says {name}, Blender shows it as {blender_name}"
    if config_is_shared or blender_name in KNOWN_SPACES:
        return blender_name, ""
    return "auto", f"Platelight does not know the colour space {blender_name}, so the file's own is taken"
