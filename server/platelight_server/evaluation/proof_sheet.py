"""The one-page picture of a proof: three frames before and after, the foreground's light over time, and the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from platelight.frames import sample_frames

from ..check import Checked
from . import pictures
from .contact_sheet import row

WIDTH, MARGIN, TILE_WIDTH = 1280, 32, 292
BEFORE, AFTER = (170, 110, 60), (40, 100, 170)


def sheet_png(checked: Checked, proof: Mapping[str, Any], frames: Mapping[int, Mapping[str, Any]]) -> bytes:
    """The page as PNG bytes. Layers that were not delivered are left out of it."""
    shown = [frame for frame in sample_frames(sorted(frames), 3)] if frames else []
    rows = [row(checked, frame, ("plate", "composite", "relit", "gain"), TILE_WIDTH) for frame in shown]
    row_height = max((pixels.shape[0] for one in rows for _, pixels in one), default=0) + 34
    sheet, pen = pictures.page(WIDTH, 92 + row_height * len(rows) + 470)
    pen.text((MARGIN, 20), f"{proof['name']}: proof", pictures.INK, pictures.font(26))
    pen.text(
        (MARGIN, 56),
        f"recipe {proof['recipeHash'][:12]}, platelight {proof['version']}",
        pictures.FAINT,
        pictures.font(14),
    )
    top = 92
    for one in rows:
        pictures.tiles(sheet, pen, top, MARGIN, one)
        top += row_height
    _curves(pen, frames, top + 30)
    for number, line in enumerate(_figures(proof)):
        column, place = divmod(number, 10)
        pen.text((MARGIN + column * 620, top + 216 + place * 23), line, pictures.INK, pictures.font(15))
    return pictures.png(sheet)


def _curves(pen: Any, frames: Mapping[int, Mapping[str, Any]], top: int) -> None:
    stated = [said for _, said in sorted(frames.items()) if said["before"] and said["after"]]

    def stops(which: str) -> list[float]:
        return [math.log2(max(0.0, sum(said[which]) / 3) + 0.005) for said in stated]

    half = (WIDTH - 3 * MARGIN) // 2
    box = (MARGIN, top, MARGIN + half, top + 130)
    pictures.curve(
        pen, box, "mean foreground, log2", [("before", stops("before"), BEFORE), ("after", stops("after"), AFTER)]
    )
    change = [b - a for a, b in zip(stops("before"), stops("after"), strict=True)]
    box = (2 * MARGIN + half, top, WIDTH - MARGIN, top + 130)
    pictures.curve(pen, box, "change of light, stops", [("after - before", change, AFTER)])


def _figures(proof: Mapping[str, Any]) -> list[str]:
    def said(value: Any, unit: str = "") -> str:
        return "not measured" if value is None else f"{value}{unit}"

    licences = ", ".join(f"{m['model']} ({m['licence']})" for m in proof["models"]) or "no model, no weights"
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in proof["cpuSeconds"].items() if value)
    memory = proof["peakMemoryBytes"]
    return [
        f"frames on disk: {proof['framesOnDisk']} of {proof['frames']}, failed: {len(proof['framesFailed'])}",
        f"difference outside the matte: {said(proof['outsideDifference'])} (background {proof['background']})",
        f"flicker before: {said(proof['flickerBeforeMilliStops'], ' mEV')},"
        f" after: {said(proof['flickerAfterMilliStops'], ' mEV')}",
        f"seam step at window joins: {said(proof['seamStepMilliStops'], ' mEV')}",
        f"foreground's mean light: {said(proof['exposureChangeStops'], ' stops')}",
        f"largest gain: {proof['largestGainStops']} stops, largest fill: {proof['largestFill']}",
        f"clipped values: {proof['clippedValues']}, not finite: {proof['nonfiniteValues']},"
        f" repaired in the plate: {proof['repairedPlateValues']}",
        f"colour space: {proof['colorspace']}",
        f"engine: {proof['engine']} {proof['engineVersion']}; {licences}",
        *(f"{key}: {value}" for key, value in list(proof["notes"].items())[:5]),
        f"CPU seconds: {seconds}" if seconds else "CPU seconds: nothing was rendered",
        f"wall {proof['wallSeconds']:.1f} s, peak memory {said(memory and memory >> 20, ' MiB')}",
    ]
