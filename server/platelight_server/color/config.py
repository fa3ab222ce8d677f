"""The OCIO configuration in force, and the names that it knows.

`$OCIO` is honoured; without it the config in `ocio/` is used, whose names match Blender's. A name that the user's
config lacks is looked up in ours. Nothing here reads pixels, and OCIO's file rules are asked in `identify` alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import PyOpenColorIO as Ocio

from platelight.errors import ColorError

OCIO_ERRORS = (Ocio.Exception, Ocio.ExceptionMissingFile)  # the second does not derive from the first

# Names of the interop ids in configs that are too old to carry them as aliases (ACES 1.x configs, older Blender).
OLDER_NAMES = {
    "lin_rec709_scene": ("Linear Rec.709 (sRGB)", "Linear Rec.709", "lin_srgb", "Utility - Linear - sRGB", "Linear"),
    "lin_ap1_scene": ("ACEScg", "lin_ap1", "ACES - ACEScg", "Linear ACEScg"),
    "lin_ap0_scene": ("ACES2065-1", "lin_ap0", "ACES - ACES2065-1", "Linear ACES"),
    "lin_rec2020_scene": ("Linear Rec.2020", "lin_rec2020", "Utility - Linear - Rec.2020"),
    "lin_p3d65_scene": ("Linear P3-D65", "Linear DCI-P3 D65", "lin_p3d65", "Utility - Linear - P3-D65"),
    "lin_adobergb_scene": ("Linear AdobeRGB", "lin_adobergb"),
    "lin_ciexyzd65_scene": ("CIE XYZ-D65 - Scene-referred", "Linear CIE-XYZ D65"),
    "srgb_rec709_scene": ("sRGB Encoded Rec.709 (sRGB)", "sRGB - Texture", "Utility - sRGB - Texture", "sRGB"),
    "data": ("data", "Non-Color", "Raw", "Utility - Raw"),
}


def bundled_config_path() -> Path:
    """`platelight.ocio`: inside the package in a wheel, in `ocio/` beside `server/` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "ocio", package.parents[1] / "ocio"):
        if (folder / "platelight.ocio").is_file():
            return folder / "platelight.ocio"
    raise ColorError(f"platelight.ocio: expected in {package / 'ocio'}, found nothing; reinstall platelight")


@dataclass(frozen=True)
class Config:
    """An OCIO config, where it came from, and whether the user chose it."""

    ocio: Any
    source: str
    from_user: bool

    def find(self, name: str) -> str | None:
        """The config's own name of a colour space, role, alias or interop id; `None` where it has none."""
        for candidate in (name, *OLDER_NAMES.get(name, ())):
            space = self.ocio.getColorSpace(candidate)
            if space is not None:
                return str(space.getName())
        return None

    def names(self) -> list[str]:
        """All colour space names, in the config's order."""
        return [str(name) for name in self.ocio.getColorSpaceNames()]


@lru_cache(maxsize=8)
def _load(source: str, from_user: bool) -> Config:
    try:
        return Config(Ocio.Config.CreateFromFile(source), source, from_user)
    except OCIO_ERRORS as error:
        raise ColorError(f"{source}: expected an OCIO config, OCIO says: {error}") from None


def bundled_config() -> Config:
    """The config in `ocio/`."""
    return _load(str(bundled_config_path()), False)


def active_config() -> Config:
    """`$OCIO` where it is set, else ours. Raises `ColorError` where `$OCIO` cannot be read."""
    source = os.environ.get("OCIO", "").strip()
    return _load(source, True) if source else bundled_config()
