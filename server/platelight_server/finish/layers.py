"""The layers of one frame at plate size, as half planes, from the plate, the matte and the change of light.

Owns `finish_frame`. Works in strips, so memory is the planes plus a strip. What is delivered obeys, to half rounding:
    relit     = foreground · 2^gain + alpha · fill
    composite = relit + (1 − alpha) · background · shadow
The sums are computed as differences from the plate, so what does not change is the plate bit for bit:
    composite is the plate where the background is kept and the matte or the change is 0 (and no shadow is given);
    composite is the new background where the matte is 0 and the shadow 1;
    relit is the plate where the matte is 1 and the change 0 (and no screen's spill is taken off).
The composite's alpha is 1 everywhere: a composite covers the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from platelight_server.engines.interface import LightChange
from platelight_server.finish.change import GAIN_LIMIT_STOPS
from platelight_server.finish.edges import TILE, SoftEdges, split_edges
from platelight_server.finish.half import HALF_MAX, Repairs, repaired, sound
from platelight_server.finish.planes import ALL_LAYERS, COLOUR, LAYERS, EdgeLook, Extras, Layers
from platelight_server.finish.spill import suppress_spill
from platelight_server.finish.upsample import Enlarged
from platelight_server.finish.wrap import wrap_fill

__all__ = ["ALL_LAYERS", "LAYERS", "EdgeLook", "Extras", "Layers", "finish_frame"]

# A strip of 4096 px and three planes stays in a core's cache share; whole tiles, so that no tile straddles two strips.
STRIP_ROWS = TILE


def finish_frame(
    plate: torch.Tensor,
    matte: torch.Tensor,
    background: torch.Tensor | None,
    change: LightChange,
    shadow: torch.Tensor | None = None,
    edges: EdgeLook | None = None,
    extras: Extras | None = None,
    wanted: frozenset[str] = ALL_LAYERS,
    kind: torch.dtype = torch.float16,
) -> Layers:
    """Applies `change` to the untouched plate and returns the layers `wanted` (names of `LAYERS`).

    plate       (3, H, W) float16 or float32, scene-linear, working primaries, may be <0 and >1
    matte       (1, H, W) float16 or float32, 0..1
    background  (3, H, W) same space as the plate; `None` keeps the plate's, then `background` is what edges say of it
    change      at model size, unpremultiplied
    shadow      (1, h, w) at any size, 1 = none, multiplies the background, the plate's own too
    kind        of the planes: torch.float16 or torch.float32
    """
    unknown = wanted - ALL_LAYERS
    if unknown:
        raise ValueError(f"layers: expected names of {sorted(ALL_LAYERS)}, got {sorted(unknown)}")
    height, width = plate.shape[-2:]
    if matte.shape != (1, height, width) or (background is not None and background.shape != plate.shape):
        found = None if background is None else tuple(background.shape)
        raise ValueError(
            f"finish: expected matte (1, {height}, {width}) and background (3, {height}, {width}), "
            f"got {tuple(matte.shape)} and {found}"
        )
    return _Frame(
        plate, matte, background, change, shadow, edges or EdgeLook(), extras or Extras(), wanted, kind
    ).finish()


@dataclass(frozen=True)
class _Strip:
    """One strip's float32 pixels: rows first..end, columns left..right (where there is matte), all (C, n, m)."""

    first: int
    end: int
    left: int
    right: int
    plate: torch.Tensor
    alpha: torch.Tensor
    foreground: torch.Tensor
    background: torch.Tensor | None

    def of(self, layer: torch.Tensor) -> torch.Tensor:
        """This strip's part of a whole layer."""
        return layer[:, self.first : self.end, self.left : self.right]


class _Frame:
    """One frame in work: the fields at plate size, and the planes that fill up strip by strip."""

    def __init__(
        self,
        plate: torch.Tensor,
        matte: torch.Tensor,
        background: torch.Tensor | None,
        change: LightChange,
        shadow: torch.Tensor | None,
        edges: EdgeLook,
        extras: Extras,
        wanted: frozenset[str],
        kind: torch.dtype,
    ) -> None:
        self.repairs, self.look, self.kind = Repairs(), edges, kind
        # Everything is computed with the alpha that is delivered, or a bright background behind a nearly opaque edge
        # would show the difference.
        self.matte = sound(matte).clamp(0, 1).to(kind)
        self.plate = sound(plate, self.repairs)
        self.background = None if background is None else sound(background, self.repairs)
        self.height, self.width = plate.shape[-2:]
        self.soft: SoftEdges | None = split_edges(self.plate, self.matte) if edges.edge == "clean" else None
        fill = change.fill
        if edges.light_wrap > 0 and self.background is not None:
            fill = fill + edges.light_wrap * wrap_fill(self.background, self.matte, (fill.shape[1], fill.shape[2]))
        inside = F.interpolate(self.matte[None].float(), (fill.shape[1], fill.shape[2]), mode="area")[0] > 0
        self.largest_gain, self.largest_fill = _largest(change.gain, inside), _largest(fill, inside)
        self.gain = self._enlarged(torch.nan_to_num(change.gain, nan=0.0), keep_means=True)
        self.fill = self._enlarged(torch.nan_to_num(fill, nan=0.0, posinf=HALF_MAX), keep_means=True)
        self.shadow = None if shadow is None else self._enlarged(torch.nan_to_num(shadow, nan=1.0).clamp_min(0))
        self.behind = self._enlarged(self.soft.wide_background) if self.soft and background is None else None
        plain: dict[str, torch.Tensor | None] = {
            "confidence": torch.nan_to_num(change.confidence),
            "normal": extras.normal,
            "albedo": extras.albedo,
            "depth": extras.depth,
            "model": extras.model,
        }
        self.plain = {k: self._enlarged(x) for k, x in plain.items() if x is not None and k in wanted}
        absent = {k for k, x in plain.items() if x is None}
        self.out = {name: self._blank(name) for name in LAYERS if name in wanted - absent}

    def _enlarged(self, x: torch.Tensor, keep_means: bool = False) -> Enlarged:
        return Enlarged(x.float(), self.height, self.width, keep_means=keep_means)

    def _blank(self, name: str) -> torch.Tensor:
        """A layer's colour planes as they are where there is no matte: what lies behind, or nothing."""
        behind = self.plate if self.background is None else self.background
        if name == "composite":
            return behind.to(self.kind, copy=True)
        if name == "background":  # a new one is delivered as it came
            return behind.to(self.kind, copy=self.background is None)
        shape = (len(COLOUR[name]), self.height, self.width)
        unchanged = (name == "gain" and self.gain.is_zero) or (name == "fill" and self.fill.is_zero)
        if unchanged or (name == "shadow" and self.shadow is None):
            return _constant(1.0 if name == "shadow" else 0.0, self.height, self.width, self.kind).expand(shape)
        # numpy takes zeroed pages from the system, torch writes the zeros: 0.1 s a frame at 4K.
        single = name == "depth" or self.kind == torch.float32
        return torch.from_numpy(np.zeros(shape, np.float32 if single else np.float16))

    def finish(self) -> Layers:
        for first in range(0, self.height, STRIP_ROWS):
            end = min(self.height, first + STRIP_ROWS)
            gain = self._gain_rows(first, end)
            for name, enlarged in self.plain.items():
                self.out[name][:, first:end].copy_(_plain(name, enlarged.rows(first, end)))
            left, right = self._columns(first, end)
            if left < right:
                strip = self._strip(first, end, left, right)
                relit, added = self._relit(strip, gain)
                self._composite(strip, relit, added)
        return Layers(
            self._planes(), self.repairs.nonfinite, self.repairs.clipped, self.largest_gain, self.largest_fill
        )

    def _planes(self) -> dict[str, torch.Tensor]:
        """Every delivered channel. The alphas are one plane, and so are planes of one value."""
        planes: dict[str, torch.Tensor] = {}
        for name, layer in self.out.items():
            planes.update(zip(COLOUR[name], layer, strict=True))
            if name in ("relit", "foreground"):
                planes[f"{name}.A"] = self.matte[0]
        if "alpha" in self.out:
            planes["alpha.A"] = self.matte[0]
        if "composite" in self.out:
            planes["A"] = _constant(1.0, self.height, self.width, self.kind)
        return planes

    def _gain_rows(self, first: int, end: int) -> torch.Tensor | None:
        """The delivered gain of a strip, all columns; `None` where nothing changes."""
        if not self.fill.is_zero and "fill" in self.out:
            self.out["fill"][:, first:end].copy_(self._fill_rows(first, end))
        if self.gain.is_zero:
            return None
        gain = self.gain.rows(first, end).clamp_(-GAIN_LIMIT_STOPS, GAIN_LIMIT_STOPS).to(self.kind)
        if "gain" in self.out:
            self.out["gain"][:, first:end].copy_(gain)
        return gain

    def _fill_rows(self, first: int, end: int) -> torch.Tensor:
        return repaired(self.fill.rows(first, end).clamp_min_(0), self.repairs)

    def _columns(self, first: int, end: int) -> tuple[int, int]:
        """Where the strip has matte, or everywhere under a shadow."""
        if self.shadow is not None:
            return 0, self.width
        held = self.matte[0, first:end].amax(0).nonzero()
        return (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)

    def _strip(self, first: int, end: int, left: int, right: int) -> _Strip:
        part = (slice(None), slice(first, end), slice(left, right))
        plate, alpha = self.plate[part].float(), self.matte[part].float()
        tiles = [] if self.soft is None else self.soft.tiles(first, end)
        colours = plate if self.soft is None else self._laid(plate, tiles, self.soft.foreground, left)
        if self.background is None:
            background = self._kept(plate, alpha, first, end, left, right)
        else:
            background = self.background[part].float()
            if self.look.screen is not None and self.look.spill > 0:
                colours = suppress_spill(colours, alpha, self.look.screen, self.look.spill)
        return _Strip(first, end, left, right, plate, alpha, colours * alpha, background)

    def _kept(
        self, plate: torch.Tensor, alpha: torch.Tensor, first: int, end: int, left: int, right: int
    ) -> torch.Tensor | None:
        """The plate's own background in a strip; guessed where the matte hides it."""
        if "background" not in self.out and self.shadow is None:
            return None
        if self.soft is None or self.behind is None:
            return plate
        background = torch.where(alpha >= 1, self.behind.rows(first, end)[:, :, left:right], plate)
        return self._laid(background, self.soft.tiles(first, end), self.soft.background, left)

    def _laid(self, under: torch.Tensor, tiles: list[int], colours: torch.Tensor, left: int) -> torch.Tensor:
        """`under` with the tiles' colours in their places; a tile may reach out of the strip's columns."""
        if not tiles or self.soft is None:
            return under
        laid = under.clone()
        for i in tiles:
            start = max(0, self.soft.columns[i] - left)
            skipped = max(0, left - self.soft.columns[i])
            part = laid[:, :, start : self.soft.columns[i] - left + TILE]
            part.copy_(colours[i][:, : part.shape[1], skipped : skipped + part.shape[2]])
        return laid

    def _relit(self, strip: _Strip, gain: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The relit foreground, premultiplied, and what it adds to the foreground; `None` where that is nothing."""
        added = None
        if gain is not None:
            # The factor is taken from the delivered gain, or a compositor's multiply would differ by two roundings.
            added = strip.foreground * torch.exp2(gain[:, :, strip.left : strip.right].float()).sub_(1)
        if not self.fill.is_zero:
            light = strip.alpha * self._fill_rows(strip.first, strip.end)[:, :, strip.left : strip.right]
            added = light if added is None else added.add_(light)
        relit = strip.foreground if added is None else strip.foreground + added
        self._put("relit", strip, relit)
        self._put("foreground", strip, strip.foreground)
        return relit, added

    def _composite(self, strip: _Strip, relit: torch.Tensor, added: torch.Tensor | None) -> None:
        shadow = None if self.shadow is None else self.shadow.rows(strip.first, strip.end)
        if shadow is not None:
            self._put("shadow", strip, shadow)
        if strip.background is not None and self.background is None:
            self._put("background", strip, strip.background)
        if "composite" not in self.out:
            return
        other = 1 - strip.alpha
        if self.background is None:
            composite = strip.plate if added is None else strip.plate + added
            if shadow is not None and strip.background is not None:
                composite = composite + other * strip.background * (shadow - 1)
            if composite is not strip.plate:
                # Also keeps the sign of a zero outside the matte.
                still = strip.alpha <= 0 if shadow is None else (strip.alpha <= 0) & (shadow == 1)
                composite = torch.where(still, strip.plate, composite)
        else:
            assert strip.background is not None
            behind = other * strip.background
            composite = relit + (behind if shadow is None else behind.mul_(shadow))
        self._put("composite", strip, composite)

    def _put(self, name: str, strip: _Strip, colour: torch.Tensor) -> None:
        if name in self.out:
            strip.of(self.out[name]).copy_(repaired(colour, self.repairs))


@lru_cache(maxsize=4)
def _constant(value: float, height: int, width: int, kind: torch.dtype) -> torch.Tensor:
    """A plane of one value, shared by all frames and channels that hold it: nobody writes into a delivered plane."""
    return torch.full((height, width), value, dtype=kind)


def _plain(name: str, x: torch.Tensor) -> torch.Tensor:
    if name == "normal":
        return torch.nan_to_num(x / x.square().sum(0, keepdim=True).sqrt().clamp_min(1e-6))
    if name == "confidence":
        return x.clamp(0, 1)
    return x if name == "depth" else repaired(x)


def _largest(x: torch.Tensor, inside: torch.Tensor) -> float:
    """The largest magnitude inside the matte, at model size."""
    return float((torch.nan_to_num(x, nan=0.0, posinf=HALF_MAX).abs().amax(0, keepdim=True) * inside).amax())
