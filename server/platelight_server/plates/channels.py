"""Which channels of a file are the picture, and which one is the matte.

Names decide, never pixel values, so that the choice is the same for every frame. Where names leave a doubt the file is
refused with the list of what it has.
"""

from __future__ import annotations

from platelight.errors import FrameError

from .picture import PictureInfo

MATTE_LAYERS = ("matte", "alpha", "mask")


def layers(info: PictureInfo) -> dict[str, tuple[str, ...]]:
    """Layer name ("" for the top level) -> its channels' last names, in file order."""
    found: dict[str, tuple[str, ...]] = {}
    for name in info.channels:
        layer, _, last = name.rpartition(".")
        found[layer] = (*found.get(layer, ()), last)
    return found


def picture_channels(info: PictureInfo, layer: str = "auto") -> tuple[str, str, str]:
    """The R, G, B channels of a layer; "auto": top level, else Blender's `*.Combined`, else the only coloured layer."""
    with_color = {name for name, lasts in layers(info).items() if {"R", "G", "B"} <= set(lasts)}
    if layer != "auto":
        chosen = "" if layer in ("RGB", "RGBA", "rgb", "rgba", "") else layer
        if chosen not in with_color:
            raise FrameError(f"{info.path}: expected R,G,B in layer {layer!r}, it has {_described(info)}")
        return _rgb(chosen)
    if "" in with_color:
        return _rgb("")
    combined = [name for name in with_color if name == "Combined" or name.endswith(".Combined")]
    candidates = combined or sorted(with_color)
    if len(candidates) == 1:
        return _rgb(candidates[0])
    if not candidates:
        raise FrameError(f"{info.path}: expected channels R,G,B, it has {_described(info)}")
    raise FrameError(
        f"{info.path}: expected one layer with R,G,B, it has {', '.join(candidates)}; name one (plate.channels)"
    )


def alpha_channel(info: PictureInfo, picture: tuple[str, str, str]) -> str:
    """The alpha that belongs to the picture channels. Raises `FrameError` where there is none."""
    alpha = picture[0][:-1] + "A"
    if alpha not in info.channels:
        raise FrameError(f"{info.path}: expected an alpha channel {alpha} for the matte, it has {_described(info)}")
    return alpha


def matte_channels(info: PictureInfo, channel: str = "auto") -> tuple[str, ...]:
    """The channel that is the matte, or R,G,B where only those exist (equal by contract; the reader checks).

    "auto": A, else the one channel there is, else a layer called matte, alpha or mask, else R,G,B.
    """
    if channel != "auto":
        if channel in info.channels:
            return (channel,)
        raise FrameError(f"{info.path}: expected matte channel {channel!r}, it has {_described(info)}")
    if "A" in info.channels:
        return ("A",)
    if len(info.channels) == 1:
        return (info.channels[0],)
    named = [n for n in info.channels if n.rpartition(".")[0].lower() in MATTE_LAYERS or n.lower() in MATTE_LAYERS]
    if len(named) == 1:
        return (named[0],)
    for single in ("Y", "V"):
        if single in info.channels:
            return (single,)
    if {"R", "G", "B"} == set(info.channels):
        return ("R", "G", "B")
    raise FrameError(f"{info.path}: expected one matte channel, it has {_described(info)}; name one (matte.channel)")


def _rgb(layer: str) -> tuple[str, str, str]:
    stem = f"{layer}." if layer else ""
    return f"{stem}R", f"{stem}G", f"{stem}B"


def _described(info: PictureInfo) -> str:
    return ", ".join(info.channels)
