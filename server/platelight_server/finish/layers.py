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

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.engines.interface import LightChange
from platelight_server.finish.change import GAIN_LIMIT_STOPS
from platelight_server.finish.edges import TILE, SoftEdges, split_edges
from platelight_server.finish.half import HALF_MAX, Repairs, repaired
from platelight_server.finish.planes import ALL_LAYERS, LAYERS, EdgeLook, Extras, Layers
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
) -> Layers:
    """Applies `change` to the untouched plate and returns the layers `wanted` (names of `LAYERS`).

    plate       (3, H, W) float16 or float32, scene-linear, working primaries, may be <0 and >1
    matte       (1, H, W) float16 or float32, 0..1
    background  (3, H, W) same space as the plate; `None` keeps the plate's, then `background` is what edges say of it
    change      at model size, unpremultiplied
    shadow      (1, h, w) at any size, 1 = none, multiplies the background, the plate's own too
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
    return _Frame(plate, matte, background, change, shadow, edges or EdgeLook(), extras or Extras(), wanted).finish()


@dataclass(frozen=True)
class _Strip:
    """One strip's float32 pixels: rows first..end, all (C, n, W)."""

    first: int
    end: int
    plate: torch.Tensor
    alpha: torch.Tensor
    foreground: torch.Tensor
    background: torch.Tensor | None


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
    ) -> None:
        # The delivered alpha is half: everything is computed with what is delivered, or a bright background behind
        # a nearly opaque edge would show the difference.
        matte = torch.nan_to_num(matte).clamp(0, 1).half()
        self.plate, self.matte, self.background, self.look = plate, matte, background, edges
        self.height, self.width = plate.shape[-2:]
        self.repairs = Repairs()
        self.soft: SoftEdges | None = split_edges(plate, matte) if edges.edge == "clean" else None
        fill = change.fill
        if edges.light_wrap > 0 and background is not None:
            fill = fill + edges.light_wrap * wrap_fill(background, matte, (fill.shape[1], fill.shape[2]))
        inside = F.interpolate(matte[None].float(), (fill.shape[1], fill.shape[2]), mode="area")[0] > 0
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
        self.out = {
            name: torch.empty(
                len(LAYERS[name]), self.height, self.width, dtype=torch.float32 if name == "depth" else torch.float16
            )
            for name in LAYERS
            if name in wanted - absent
        }

    def _enlarged(self, x: torch.Tensor, keep_means: bool = False) -> Enlarged:
        return Enlarged(x.float(), self.height, self.width, keep_means=keep_means)

    def finish(self) -> Layers:
        for strip in self._strips():
            relit, added = self._relit(strip)
            self._composite(strip, relit, added)
            self._put("foreground", strip, repaired(strip.foreground, self.repairs), strip.alpha)
            self._put("alpha", strip, strip.alpha)
            for name, enlarged in self.plain.items():
                self._put(name, strip, _plain(name, enlarged.rows(strip.first, strip.end)))
        planes = {channel: layer[i] for name, layer in self.out.items() for i, channel in enumerate(LAYERS[name])}
        return Layers(planes, self.repairs.nonfinite, self.repairs.clipped, self.largest_gain, self.largest_fill)

    def _strips(self) -> Iterator[_Strip]:
        for first in range(0, self.height, STRIP_ROWS):
            end = min(self.height, first + STRIP_ROWS)
            plate = repaired(self.plate[:, first:end].float(), self.repairs)
            alpha = self.matte[:, first:end].float()
            if self.background is None:
                colours, background = self._kept(plate, first, end)
            else:
                colours, background = self._tiled(plate, first, end), self.background[:, first:end].float()
                background = repaired(background, self.repairs)
                if self.look.screen is not None and self.look.spill > 0:
                    colours = suppress_spill(colours, alpha, self.look.screen, self.look.spill)
            yield _Strip(first, end, plate, alpha, colours * alpha, background)

    def _tiled(self, plate: torch.Tensor, first: int, end: int) -> torch.Tensor:
        """Foreground colours: the plate, and the estimate where the matte is soft."""
        tiles = self.soft.tiles(first, end) if self.soft else []
        return self._laid(plate, tiles, self.soft.foreground, end - first) if self.soft and tiles else plate

    def _kept(self, plate: torch.Tensor, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Foreground colours and the plate's own background; the latter is guessed where the matte hides it."""
        colours = self._tiled(plate, first, end)
        if "background" not in self.out and self.shadow is None:
            return colours, None
        if self.soft is None or self.behind is None:
            return colours, plate
        hidden = self.matte[:, first:end] >= 1
        background = torch.where(hidden, self.behind.rows(first, end), plate) if bool(hidden.any()) else plate
        tiles = self.soft.tiles(first, end)
        return colours, self._laid(background, tiles, self.soft.background, end - first)

    def _laid(self, under: torch.Tensor, tiles: list[int], colours: torch.Tensor, rows: int) -> torch.Tensor:
        if not tiles or self.soft is None:
            return under
        laid = under.clone()
        for i in tiles:
            column = self.soft.columns[i]
            part = laid[:, :, column : column + TILE]
            part.copy_(colours[i][:, :rows, : part.shape[2]])
        return laid

    def _relit(self, strip: _Strip) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The relit foreground, premultiplied, and what it adds to the foreground; `None` where that is nothing."""
        gain = fill = added = None
        if not self.gain.is_zero:
            rows = self.gain.rows(strip.first, strip.end).clamp_(-GAIN_LIMIT_STOPS, GAIN_LIMIT_STOPS)
            gain = rows.half()
            # The factor is taken from the delivered half, or a compositor's multiply would differ by two roundings.
            added = strip.foreground * torch.exp2(gain.float()).sub_(1)
        if not self.fill.is_zero:
            fill = repaired(self.fill.rows(strip.first, strip.end).clamp_min_(0), self.repairs)
            light = strip.alpha * fill
            added = light if added is None else added.add_(light)
        self._put("gain", strip, gain)
        self._put("fill", strip, fill)
        relit = strip.foreground if added is None else strip.foreground + added
        self._put("relit", strip, repaired(relit, self.repairs), strip.alpha)
        return relit, added

    def _composite(self, strip: _Strip, relit: torch.Tensor, added: torch.Tensor | None) -> None:
        shadow = None if self.shadow is None else self.shadow.rows(strip.first, strip.end)
        self._put("shadow", strip, shadow, blank=1.0)
        if strip.background is not None:
            self._put("background", strip, strip.background)
        if "composite" not in self.out:
            return
        other = 1 - strip.alpha
        if self.background is None:
            composite = strip.plate if added is None else strip.plate + added
            if shadow is not None and strip.background is not None:
                composite = composite + other * strip.background * (shadow - 1)
            if composite is not strip.plate:
                # Also keeps the sign of a zero, and a NaN's neighbour, outside the matte.
                still = strip.alpha <= 0 if shadow is None else (strip.alpha <= 0) & (shadow == 1)
                composite = torch.where(still, strip.plate, composite)
        else:
            assert strip.background is not None
            behind = other * strip.background
            composite = relit + (behind if shadow is None else behind.mul_(shadow))
        self._put("composite", strip, repaired(composite, self.repairs), blank=1.0)

    def _put(
        self,
        name: str,
        strip: _Strip,
        colour: torch.Tensor | None,
        alpha: torch.Tensor | None = None,
        blank: float = 0.0,
    ) -> None:
        """Writes a strip of a layer; planes that are not given hold `blank`."""
        if name not in self.out:
            return
        rows = self.out[name][:, strip.first : strip.end]
        given = 0 if colour is None else colour.shape[0]
        if colour is not None:
            rows[:given].copy_(colour)
        if alpha is not None:
            rows[given : given + 1].copy_(alpha)
            given += 1
        rows[given:].fill_(blank)


def _plain(name: str, x: torch.Tensor) -> torch.Tensor:
    if name == "normal":
        return torch.nan_to_num(x / x.square().sum(0, keepdim=True).sqrt().clamp_min(1e-6))
    if name == "confidence":
        return x.clamp(0, 1)
    return x if name == "depth" else repaired(x)


def _largest(x: torch.Tensor, inside: torch.Tensor) -> float:
    """The largest magnitude inside the matte, at model size."""
    return float((torch.nan_to_num(x, nan=0.0, posinf=HALF_MAX).abs().amax(0, keepdim=True) * inside).amax())
