"""How much synthetic flicker the deflickering takes off, on clips whose steady version is known.

A clip is a source, a steady relit picture of it and a matte. Flicker is put on the relit foreground, new each frame:
`lut`, a random exposure, white balance, contrast and 3-D table; `shadow`, a smooth random field of gain. Measured are

temporal error  mean over the matte of |log2 X_t - log2 X_t-1 brought to t by the clean clip's motion|, stops;
                what flicker adds is the error less the clean clip's own; `removed` is the share of that taken off
worst_gain_db   the least, over the frames, of PSNR of the result less PSNR of the flickering picture, both to the clean
                clip, display-encoded (sRGB), over the foreground
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from platelight.errors import FrameError
from platelight_server.deflicker import motion
from platelight_server.deflicker.clip import steadied_frames
from platelight_server.deflicker.steady import DEFAULT_RADIUS
from platelight_server.plates import picture_io
from platelight_server.plates.channels import matte_channels, picture_channels
from platelight_server.plates.listing import scan, sequence_at

Array = np.ndarray
FLOOR = 5e-3  # of the error's logarithms
KINDS = ("lut", "shadow")
# Root mean square over the foreground, the same on every frame: on a frame that flicker by chance leaves alone, PSNR is
# without end, and no way that does not know the clean clip can keep it.
STRENGTH_STOPS = 0.35
LEAST_REMOVED = 0.7


@dataclass(frozen=True)
class Clip:
    """source, clean (F, 3, H, W) and matte (F, 1, H, W) float32, scene-linear."""

    name: str
    source: Array
    clean: Array
    matte: Array


def measure_deflicker(
    data: Path, radius: int = DEFAULT_RADIUS, seed: int = 0, strength: float = STRENGTH_STOPS
) -> list[dict[str, Any]]:
    """Rows of clip, flicker and what each way achieves, for every clip of a folder.

    seed      another one is other flicker of the same kind
    strength  stops RMS of the flicker, on every frame

    Raises `FrameError` where the folder has no clip.
    """
    rows = [row for clip in clips(data) for kind in KINDS for row in measure_clip(clip, kind, radius, seed, strength)]
    if not rows:
        raise FrameError(f"{data}: expected folders gt_* or real_* with plates and mattes")
    return rows


def clips(data: Path) -> Iterator[Clip]:
    """The clips of a development set. A plate is its own steady relit picture; of a rendered shot the true relit
    picture is one as well."""
    for folder in sorted(data.glob("gt_*")) + sorted(data.glob("real_*")):
        plate = folder / ("plate_a" if folder.name.startswith("gt_") else "plate")
        if not plate.is_dir():
            continue
        source, matte = _pictures(plate), _mattes(folder / "matte")
        yield Clip(folder.name, source, source, matte)
        if (folder / "comp_b").is_dir():
            yield Clip(f"{folder.name} relit", source, _pictures(folder / "comp_b"), matte)


def measure_clip(
    clip: Clip, kind: str, radius: int = DEFAULT_RADIUS, seed: int = 0, strength: float = STRENGTH_STOPS
) -> list[dict[str, Any]]:
    """What deflickering and a per-frame exposure match make of one clip under one kind of flicker."""
    flickering = flicker(clip.clean, clip.matte, kind, seed, strength)
    ways: dict[str, Callable[[], Array]] = {
        "exposure match": lambda: exposure_match(clip.source, flickering, clip.matte),
        "deflicker": lambda: np.stack(list(steadied_frames(clip.source, flickering, clip.matte, radius))),
    }
    flows = [motion.flow(b, a) for a, b in _pairs([_contrast(one) for one in clip.clean])]
    errors = {name: temporal_error(x, clip.matte, flows) for name, x in (("clean", clip.clean), ("with", flickering))}
    before = [_psnr(*frames) for frames in zip(flickering, clip.clean, clip.matte, strict=True)]
    rows = []
    for name, way in ways.items():
        result = way()
        error = temporal_error(result, clip.matte, flows)
        after = [_psnr(*frames) for frames in zip(result, clip.clean, clip.matte, strict=True)]
        rows.append(
            {
                "clip": clip.name, "flicker": kind, "way": name,
                "clean_stops": errors["clean"], "flicker_stops": errors["with"], "result_stops": error,
                "removed": 1 - (error - errors["clean"]) / (errors["with"] - errors["clean"]),
                "worst_gain_db": min(a - b for a, b in zip(after, before, strict=True)),
                "mean_gain_db": float(np.mean(after) - np.mean(before)),
            }
        )  # fmt: skip
    return rows


def flicker(clean: Array, matte: Array, kind: str, seed: int, strength: float = STRENGTH_STOPS) -> Array:
    """The clip with flicker of `strength` stops RMS on its foreground, new on every frame.

    (F, 3, H, W), (F, 1, H, W) -> (F, 3, H, W)
    """
    found = []
    for number, (picture, alpha) in enumerate(zip(clean, matte, strict=True)):
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        gain = _lut(picture, rng) if kind == "lut" else _shadow(picture.shape[1:], rng)
        gain = np.broadcast_to(gain, picture.shape)
        inside = np.broadcast_to(alpha > 0.5, picture.shape)
        if inside.any():
            gain = gain * np.float32(strength / np.sqrt((gain[inside] ** 2).mean()))
        changed = picture * np.exp2(gain)
        found.append(picture + alpha * (changed - picture))
    return np.stack(found).astype(np.float32)


def exposure_match(source: Array, relit: Array, matte: Array) -> Array:
    """The plain way: each frame's foreground gets one gain per channel, so that its mean log ratio to the source is
    that of the whole clip."""
    stops = np.log2(np.maximum(relit, 0) + FLOOR) - np.log2(np.maximum(source, 0) + FLOOR)
    weight = (matte > 0.5).astype(np.float32)
    levels = (stops * weight).sum((2, 3)) / (weight.sum((2, 3)) + 1e-6)
    gains = np.exp2(levels.mean(0) - levels)[..., None, None]
    return np.asarray(relit + matte * (relit * gains - relit), np.float32)


def temporal_error(clip: Array, matte: Array, flows: Sequence[Array]) -> float:
    """See the module. `flows` lead from each frame but the first to the one before."""
    found = []
    stops = np.log2(np.maximum(clip, 0) + FLOOR).transpose(0, 2, 3, 1)
    for i, back in enumerate(flows, start=1):
        inside = (matte[i, 0] > 0.5) & (motion.warped(matte[i - 1, 0], back) > 0.5)
        if inside.any():
            found.append(np.abs(stops[i] - motion.warped(stops[i - 1], back)).mean(2)[inside].mean())
    return float(np.mean(found))


def _lut(picture: Array, rng: np.random.Generator) -> Array:
    """Stops (3, H, W): exposure, white balance, contrast around mid grey and a table of 4 x 4 x 4 colours."""
    code = np.clip(np.log2(np.maximum(picture, 1e-4) / 0.18) / 12 + 0.65, 0, 1)
    gain = rng.normal(0, 0.2) + rng.normal(0, 0.1, (3, 1, 1)) + (code - 0.65) * 12 * rng.normal(0, 0.05, (3, 1, 1))
    table = rng.normal(0, 0.25, (4, 4, 4, 3)).astype(np.float32)
    places = code * 3
    low = np.minimum(places.astype(int), 2)
    part = places - low
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod([part[c] if up else 1 - part[c] for c, up in enumerate(corner)], 0)
        entry = table[tuple(low[c] + up for c, up in enumerate(corner))]
        gain = gain + np.moveaxis(entry, -1, 0) * weight
    return np.asarray(gain, np.float32)


def _shadow(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Stops (1, H, W): a smooth field of 7 x 4 random numbers."""
    coarse = rng.normal(0, 0.5, (4, 7)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))[None]


def _psnr(result: Array, clean: Array, matte: Array) -> float:
    inside = np.broadcast_to(matte > 0.5, clean.shape)
    if not inside.any():
        return 99.0
    error = ((_display(result) - _display(clean))[inside] ** 2).mean()
    return float(-10 * np.log10(max(error, 1e-10)))


def _display(light: Array) -> Array:
    x = np.clip(light, 0, 1)
    return np.asarray(np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055))


def _contrast(picture: Array) -> Array:
    return motion.contrast(np.log2(np.maximum(picture, 0) + FLOOR).mean(0).astype(np.float32))


def _pairs(items: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
    return zip(items, items[1:], strict=False)


def _pictures(folder: Path) -> Array:
    paths = list(scan(sequence_at(str(folder))).values())
    return np.stack([picture_io.read(p, picture_channels(picture_io.read_info(p))).pixels for p in paths]).astype(
        np.float32
    )


def _mattes(folder: Path) -> Array:
    paths = list(scan(sequence_at(str(folder))).values())
    return np.stack([picture_io.read(p, matte_channels(picture_io.read_info(p))).pixels[:1] for p in paths]).astype(
        np.float32
    )
