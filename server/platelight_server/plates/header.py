"""What a result's header holds: the plate's own attributes, carried, and what Platelight says about the frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..color.spaces import Space, primaries

# How pixels are stored: decided anew by the writer.
STORAGE = frozenset(
    [
        "channels",
        "compression",
        "lineOrder",
        "type",
        "name",
        "view",
        "multiView",
        "chunkCount",
        "version",
        "tiles",
        "preview",
        "dwaCompressionLevel",
        "envmap",
        "wrapmodes",
        "maxSamplesPerPixel",
        "idManifest",
        "deepImageState",
    ]
)
# What the colours mean: stated anew, never carried blindly.
COLOR = frozenset(
    [
        "colorInteropID",
        "chromaticities",
        "acesImageContainerFlag",
        "adoptedNeutral",
        "whiteLuminance",
        "renderingTransform",
        "lookModTransform",
        "oiio:ColorSpace",
    ]
)
# What belongs to one moment: a frame that another one stands in for must not carry these.
MOMENT = frozenset(["timeCode", "keyCode", "imageCounter", "capDate", "worldToCamera", "worldToNDC"])
PREFIX = "platelight:"


def carried(plate_header: Mapping[str, Any]) -> dict[str, Any]:
    """The plate's attributes that hold for the result as well: windows, time code, rate, camera, owner, studio."""
    return {
        key: value
        for key, value in plate_header.items()
        if key not in STORAGE and key not in COLOR and not key.startswith(PREFIX)
    }


def untimed(plate_header: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a plate whose frame stands in for another one: without time code, camera and the like."""
    return {key: value for key, value in plate_header.items() if key not in MOMENT}


def color_attributes(space: Space) -> dict[str, Any]:
    """`colorInteropID` where the space has one, else its `chromaticities`; never both, never a guess."""
    if space.interop_id:
        return {"colorInteropID": space.interop_id}
    return {"chromaticities": primaries(space)}


def stated(values: Mapping[str, Any]) -> dict[str, str]:
    """Platelight's own attributes: text stays text, everything else becomes canonical JSON."""
    return {
        PREFIX + key: value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
        for key, value in values.items()
    }


def read_stated(header: Mapping[str, Any]) -> dict[str, str]:
    """Platelight's attributes of a header, without their prefix; empty for other files."""
    return {key[len(PREFIX) :]: str(value) for key, value in header.items() if key.startswith(PREFIX)}
