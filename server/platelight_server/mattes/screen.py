"""A screen behind the subject, as a few numbers that hold for a whole shot: its colour, and how it is lit.

The colour is told by which channels it is bright in: green is bright in one, yellow in two. What a keyer asks of a
pixel is its *level*, the least of the bright channels, and its *purity*, how far the others stay below it, as a share
of the level. Shade changes the level of a screen and not its purity; a subject in front of it changes the purity.

Where the screen is uneven its level is a low-order surface, fitted to the shot's sampled frames at once, so that
nothing about it changes from frame to frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from platelight.errors import FrameError

__all__ = ["Screen", "Seen", "detect", "fit", "look", "measured"]

# Of a frame, this many pixels in each direction are enough to fit a surface of six terms.
GRID = 96
# Where a screen is looked for first: the rim of the picture without its lower side, where subjects stand.
RIM = 0.06
# A pixel as pure as this share of the screen's own purity may be screen.
PURE = 0.85
LEVEL_LEAST = 1e-3
FEWEST = 200
REFITS = 12
# Screen pixels that noise takes below full transparency: this share is let go.
NOISE_SHARE, BLACK_MOST = 0.01, 0.3

_BRIGHT: dict[str, tuple[int, ...]] = {"green": (1,), "blue": (2,)}


@dataclass(frozen=True)
class Screen:
    """A screen's colour and light over the picture; `width` and `height` are those of the work window in pixels.

    `bright` are the channels that the screen is bright in, `color` is its middle colour (scene-linear, plate
    primaries), `purity` its own purity, `level` the six terms (1, x, y, xx, xy, yy over -1..1) of log2 of its level,
    `black` what alpha noise reaches on the bare screen.
    """

    bright: tuple[int, ...]
    color: tuple[float, float, float]
    purity: float
    level: tuple[float, ...]
    black: float
    width: int
    height: int

    @property
    def name(self) -> str:
        """ "green", "blue", or the channels of another colour."""
        named = {bright: name for name, bright in _BRIGHT.items()}
        return named.get(self.bright, "+".join("RGB"[channel] for channel in self.bright))

    def levels(self, rows: slice = slice(None)) -> np.ndarray:
        """(rows, W) float32: the level of the bare screen at each pixel, scene-linear."""
        x = np.linspace(-1, 1, self.width, dtype=np.float32)[None]
        y = np.linspace(-1, 1, self.height, dtype=np.float32)[rows, None]
        a, b, c, d, e, f = (np.float32(term) for term in self.level)
        return np.exp2(a + x * (b + d * x) + y * (c + f * y) + e * (x * y))


@dataclass(frozen=True)
class Seen:
    """A grid of a frame's pixels: `pixels` (3, n) float32 scene-linear, `at` (2, n) x and y over -1..1."""

    pixels: np.ndarray
    at: np.ndarray


def measured(plate: np.ndarray, bright: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Level and purity of pixels, for a screen that is bright in these channels.

    plate  (3, ...) float32, scene-linear, may be <0 and >1
    -> level (...) float32, purity (...) float32, 1 at most where no channel is negative, <=0 where it is another hue
    """
    level = reduce(np.minimum, (plate[channel] for channel in bright))
    darker = reduce(np.maximum, (plate[channel] for channel in range(3) if channel not in bright))
    below = level - np.maximum(darker, 0)
    return level, np.divide(below, level, out=np.minimum(below, 0), where=level > 1e-6)


def look(plate: np.ndarray, outside: np.ndarray | None = None) -> Seen:
    """A grid of a frame's pixels for `fit`; not those where `outside` is True.

    plate  (3, H, W) float16 or float32, scene-linear, finite; outside (H, W) bool
    """
    height, width = plate.shape[1:]
    rows = np.unique(np.linspace(0, height - 1, min(GRID, height)).round().astype(int))
    columns = np.unique(np.linspace(0, width - 1, min(GRID, width)).round().astype(int))
    picked = plate[:, rows[:, None], columns].astype(np.float32).reshape(3, -1)
    y, x = np.meshgrid(_axis(rows, height), _axis(columns, width), indexing="ij")
    at = np.stack([x.ravel(), y.ravel()]).astype(np.float32)
    if outside is not None:
        kept = ~outside[rows[:, None], columns].ravel()
        picked, at = picked[:, kept], at[:, kept]
    return Seen(picked, at)


def detect(plate: np.ndarray, outside: np.ndarray | None = None) -> str | None:
    """ "green" or "blue" where the rim of a frame, or else all of it, shows such a screen. One frame's opinion.

    plate  (3, H, W) float16 or float32, scene-linear, finite; outside (H, W) bool, True where no screen is looked for
    """
    import torch  # heavy, and whoever opens a shot without keying it needs none

    from ..finish.spill import detect_screen

    picture = torch.from_numpy(np.ascontiguousarray(plate, np.float32))
    height, width = plate.shape[1:]
    rim = torch.ones(1, height, width)
    rows, columns = max(1, round(RIM * height)), max(1, round(RIM * height))
    rim[:, :rows] = 0
    rim[:, : (3 * height) // 4, :columns] = 0
    rim[:, : (3 * height) // 4, -columns:] = 0
    for looked in (rim, torch.zeros(1, height, width)):
        if outside is not None:
            looked = torch.maximum(looked, torch.from_numpy(outside)[None].float())
        found = detect_screen(picture, looked)
        if found is not None:
            return found
    return None


def fit(
    seen: Iterable[Seen], size: tuple[int, int], bright: Sequence[int], color: Sequence[float] | None = None
) -> Screen:
    """The screen that sampled frames of a shot have in common. `size` is (height, width) of the work window.

    With `color` (scene-linear, plate primaries) only pixels near its hue are looked at. The surface is fitted by
    iteratively reweighted least squares with Tukey's weights (Beaton and Tukey 1974). Raises `FrameError` where too
    few pixels are of such a colour.
    """
    frames = list(seen)
    pixels = np.concatenate([one.pixels for one in frames], 1)
    at = np.concatenate([one.at for one in frames], 1)
    level, purity = measured(pixels, bright)
    least = PURE * float(measured(np.asarray(color, np.float32)[:, None], bright)[1][0]) if color is not None else 0.375
    may_be = (purity > least) & (level > LEVEL_LEAST)
    if may_be.sum() >= FEWEST:
        # The screen is the purest large thing there is: spill and grass are less so.
        may_be &= purity > PURE * np.quantile(purity[may_be], 0.75)
    if may_be.sum() < FEWEST:
        raise FrameError(
            f"expected a screen in {len(frames)} sampled frames, got {int(may_be.sum())} pixels of its colour"
        )
    pixels, level, purity, at = pixels[:, may_be], level[may_be], purity[may_be], at[:, may_be]
    terms, logs = _terms(at), np.log2(level)
    fitted, trust = _robust(terms, logs)
    screen = trust > 0
    middle = float(np.median(purity[screen]))
    clear = purity[screen] / middle * np.minimum(1, np.exp2(logs[screen] - terms[screen] @ fitted))
    # Shade lowers the level; what is left of that is noise of the purity.
    noisy = purity[screen] / middle
    black = float(np.clip(1 - np.quantile(np.maximum(clear, noisy), NOISE_SHARE), 0, BLACK_MOST))
    held = np.median(pixels[:, screen], 1)
    return Screen(
        tuple(bright), (float(held[0]), float(held[1]), float(held[2])), middle,
        tuple(float(term) for term in fitted), black, size[1], size[0],
    )  # fmt: skip


def bright_channels(color: Sequence[float]) -> tuple[int, ...]:
    """The channels that a colour is bright in: those over the middle between its least and its largest."""
    middle = (min(color) + max(color)) / 2
    return tuple(channel for channel in range(3) if color[channel] > middle)


def channels_of(name: str) -> tuple[int, ...]:
    """The bright channels of "green" or "blue"."""
    return _BRIGHT[name]


def _axis(numbers: np.ndarray, count: int) -> np.ndarray:
    return 2 * numbers / max(count - 1, 1) - 1


def _terms(at: np.ndarray) -> np.ndarray:
    x, y = at.astype(np.float64)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1)


def _robust(terms: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fitted terms and each sample's weight; samples far off end with 0."""
    weights, trust = np.zeros(terms.shape[1]), np.ones(len(values))
    # Bending is paid for a little: samples may lie on one side of the picture alone.
    stiff = np.diag([0.0, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2]) * len(values)
    for _ in range(REFITS):
        weighted = terms * trust[:, None]
        weights = np.linalg.solve(weighted.T @ terms + stiff + 1e-9 * np.eye(len(weights)), weighted.T @ values)
        off = np.abs(values - terms @ weights)
        usual = 1.4826 * float(np.median(off[trust > 0])) + 0.02
        trust = np.maximum(1 - (off / (4.685 * usual)) ** 2, 0) ** 2
    return weights, trust
