"""Which colour space a file is in.

The order of trust (ASWF Color Interop Forum, "Identifying the Color Space of OpenEXR Files" 1.0.0): the recipe, the
ACES container flag, `colorInteropID`, `chromaticities`, then a file rule of the user's `$OCIO` that speaks of this very
file.
A catch-all rule does not count: ACES configs map every `*.exr` to ACES2065-1, which is wrong for most untagged plates.
There is no further guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platelight.errors import ColorError

from .config import active_config
from .spaces import Space, configs, from_chromaticities, named


def identify(path: Path, header: Mapping[str, Any], asked: str = "auto") -> Space:
    """The space of the picture in `path`. `asked` is the recipe's word, "auto" leaves it to the file.

    Raises `ColorError` naming the file, what was looked at, and the key that settles it.
    """
    if asked != "auto":
        return named(asked)
    if header.get("acesImageContainerFlag") == 1:
        return named("lin_ap0_scene", "acesImageContainerFlag in the header")
    interop = str(header.get("colorInteropID") or "")
    if interop and interop != "unknown":
        return _from_interop(path, interop)
    chromaticities = header.get("chromaticities")
    if chromaticities is not None:
        red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y = (float(v) for v in chromaticities)
        try:
            return from_chromaticities((red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y))
        except ColorError as error:
            raise ColorError(f"{path}: {error}; name the space in the recipe") from None
    ruled = _from_rules(path)
    if ruled is not None:
        return ruled
    raise ColorError(
        f"{path}: no colour space: expected colorInteropID or chromaticities in the header or a $OCIO rule, found"
        " none; name it in the recipe (plate.colorspace, background.colorspace), for example 'ACEScg'"
    )


def _from_interop(path: Path, interop: str) -> Space:
    why = "colorInteropID in the header"
    try:
        # Ids of OCIO's own carry its prefix in the configs that know them.
        known = any(config.find(interop) for config in configs())
        return named(interop if known else interop.removeprefix("ocio:"), why)
    except ColorError as error:
        raise ColorError(f"{path}: colorInteropID {interop!r} in the header is unknown: {error}") from None


def _from_rules(path: Path) -> Space | None:
    config = active_config()
    if not config.from_user:
        return None
    name, rule = config.ocio.getColorSpaceFromFilepath(str(path))
    rules = config.ocio.getFileRules()
    catch_all = rules.getName(rule) == "Default" or rules.getPattern(rule) in ("", "*")
    if catch_all and not rules.getRegex(rule):
        return None
    return named(name, f"$OCIO file rule {rules.getName(rule)!r}")
