"""The page that comes with a measurement: frames side by side, how they differ, curves over time, and the figures.

One page, drawn as a PNG or written as an HTML file that needs no other file.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from platelight.errors import InputError, OutputError
from platelight.frames import sample_frames

from .. import pictures
from .frame import Frame
from .light import FLOOR, display
from .measuring import Report, paste
from .registry import METRICS
from .sources import FilesClip

__all__ = ["Sheet", "require_suffix", "sheet_of", "write"]

SUFFIXES = (".html", ".png")
TILE_PX, MARGIN, CURVE_PX = 292, 32, 130
INKS = {"result": (40, 100, 170), "paste": (170, 110, 60), "truth": (60, 140, 80)}
# Curves worth a place on the page, and which of a row's curves is drawn as the truth.
CURVES = {
    "light_result": "mean foreground, log2",
    "light_change": "change of the foreground's light, stops",
    "ev_fg": "error of light, stops",
    "psnr_disp_fg": "PSNR of the foreground, dB",
    "ssim_disp_full": "SSIM of the frame",
    "lpips_full": "LPIPS of the frame",
    "warp_err": "warp error",
    "plate_warp_ratio": "warp error over the plate's",
    "log_ratio_warp_mEV": "unsteadiness of the change of light, mEV",
    "motion_epe_fg": "motion error, px",
    "motion_epe_raft_fg": "motion error by RAFT, px",
    "clip_consistency": "CLIP, frame to frame",
}

Series = tuple[str, list[float], tuple[int, int, int]]


@dataclass(frozen=True)
class Sheet:
    """What the page shows: rows of (caption, (h, w, 3) uint8), curves of (title, series), lines of the table."""

    title: str
    said: str
    rows: Sequence[Sequence[tuple[str, np.ndarray]]]
    curves: Sequence[tuple[str, Sequence[Series]]]
    table: Sequence[tuple[str, ...]]
    notes: Sequence[str]


def write(path: Path, sheet: Sheet) -> None:
    """Writes `path`, whose suffix says which kind. Raises `InputError` and `OutputError`."""
    require_suffix(path)
    data = _png(sheet) if path.suffix.lower() == ".png" else _html(sheet).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None


def require_suffix(path: Path) -> None:
    """Refuses a report of a kind that is not written. Raises `InputError`."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a report called *.html or *.png, got {path.suffix or 'no suffix'}")


def sheet_of(report: Report, clip: FilesClip, shown: int = 3) -> Sheet:
    """Gathers the page; reads `shown` frames again."""
    places = sample_frames(range(len(clip.numbers)), shown)
    better = {"nearer 1": "near 1", "nearer 0": "near 0"}
    table = [("metric", *report.rows, "better", "region")]
    for name in report.rows["result"]:
        metric = METRICS[name]
        values = [figure(row.get(name), metric.unit) for row in report.rows.values()]
        table.append((name, *values, better.get(metric.better, metric.better), metric.region))
    failed = [f"gates that are not kept: {', '.join(report.failed)}"] if report.failed else []
    nonfinite = [f"{report.nonfinite} values of the result are not finite"] if report.nonfinite else []
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.skipped.items():
        by_reason.setdefault(reason.partition(":")[0], []).append(name)
    skipped = [f"not measured ({reason}): {', '.join(names)}" for reason, names in by_reason.items()]
    said = f"{len(report.frames)} frames, {report.frames[0]}-{report.frames[-1]}"
    rows = [_tiles(clip.frame(at)) for at in places]
    return Sheet(f"{report.name}: measured", said, rows, _series(report), table, [*failed, *nonfinite, *skipped])


def figure(value: float | None, unit: str = "") -> str:
    """A value for people."""
    return "-" if value is None else f"{value:.3f}" + (f" {unit}" if unit else "")


def _tiles(frame: Frame) -> list[tuple[str, np.ndarray]]:
    height = max(1, round(frame.result.shape[0] * TILE_PX / frame.result.shape[1]))

    def tile(light: np.ndarray) -> np.ndarray:
        small = cv2.resize(display(light), (TILE_PX, height), interpolation=cv2.INTER_AREA)
        return np.asarray((small * 255 + 0.5).astype(np.uint8))

    given = {"plate": frame.plate, "paste": paste(frame), "truth": frame.truth, "result": frame.result}
    tiles = [(f"{name} {frame.number}", tile(light)) for name, light in given.items() if light is not None]
    wanted = frame.truth if frame.truth is not None else frame.plate
    if wanted is not None:
        after, before = (np.maximum(light, 0) + FLOOR for light in (frame.result, wanted))
        name = "truth" if frame.truth is not None else "plate"
        ratio = pictures.gain_to_display(np.log2(after / before).transpose(2, 0, 1), TILE_PX, height)
        tiles.append((f"result over {name}, white = +{pictures.GAIN_SPAN_STOPS:g} stops", ratio))
        tiles.append((f"|result - {name}| of sRGB", tile_of_error(display(frame.result), display(wanted), height)))
    return tiles


def tile_of_error(first: np.ndarray, second: np.ndarray, height: int) -> np.ndarray:
    """The largest difference of a channel, black to yellow; yellow is half the range and more. (height, w, 3) uint8"""
    error = np.abs(first - second).max(-1).clip(0, 0.5) * 2
    small = cv2.resize(np.ascontiguousarray(error, np.float32), (TILE_PX, height), interpolation=cv2.INTER_AREA)
    shaded = cv2.applyColorMap((small * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(shaded[..., ::-1])


def _series(report: Report) -> list[tuple[str, list[Series]]]:
    found = []
    for name, title in CURVES.items():
        series = [
            (row, [curves[name][frame] for frame in sorted(curves[name])], INKS[row])
            for row, curves in report.curves.items()
            if curves.get(name)
        ]
        truth = report.curves["result"].get("light_truth", {})
        if name == "light_result" and truth:
            series.append(("truth", [truth[frame] for frame in sorted(truth)], INKS["truth"]))
        if series:
            found.append((title, series))
    return found


def _png(sheet: Sheet) -> bytes:
    row_height = max((pixels.shape[0] for row in sheet.rows for _, pixels in row), default=0) + 34
    width = 2 * MARGIN + max([2, *map(len, sheet.rows)]) * (TILE_PX + 12)
    columns = 3 if width > 1200 else 2
    curve_width = (width - MARGIN) // columns - MARGIN
    curve_rows, half = math.ceil(len(sheet.curves) / columns), math.ceil(len(sheet.table) / 2)
    height = 92 + row_height * len(sheet.rows) + curve_rows * (CURVE_PX + 60) + 22 * (half + len(sheet.notes)) + 40
    page, pen = pictures.page(width, height)
    pen.text((MARGIN, 20), sheet.title, pictures.INK, pictures.font(26))
    pen.text((MARGIN, 56), sheet.said, pictures.FAINT, pictures.font(14))
    top = 92
    for row in sheet.rows:
        pictures.tiles(page, pen, top, MARGIN, row)
        top += row_height
    for number, (title, series) in enumerate(sheet.curves):
        line, column = divmod(number, columns)
        left, high = MARGIN + column * (curve_width + MARGIN), top + 24 + line * (CURVE_PX + 60)
        pictures.curve(pen, (left, high, left + curve_width, high + CURVE_PX), title, series)
    top += curve_rows * (CURVE_PX + 60) + 12
    for number, cells in enumerate(sheet.table):
        column, line = divmod(number, half)
        left = MARGIN + column * (width // 2)
        for place, text in enumerate(cells[:-1]):
            pen.text((left + (0, 190, 300, 410)[min(place, 3)], top + 22 * line), text, pictures.INK, pictures.font(13))
    for number, note in enumerate(sheet.notes):
        pen.text((MARGIN, top + 22 * (half + number) + 12), note[: width // 7], pictures.INK, pictures.font(13))
    return pictures.png(page)


STYLE = (
    "body{font:14px/1.4 sans-serif;margin:32px;color:#202024;background:#fafaf8}figure{display:inline-block;"
    "margin:0 12px 12px 0}figcaption{font-size:12px}td,th{padding:1px 14px 1px 0;text-align:left}svg{background:#fff;"
    "border:1px solid #bbb}td:nth-child(n+2){font-variant-numeric:tabular-nums}"
)


def _html(sheet: Sheet) -> str:
    def safe(text: str) -> str:
        return html.escape(text, quote=True)

    tiles = "".join(
        "<div>"
        + "".join(f"<figure>{_image(pixels)}<figcaption>{safe(c)}</figcaption></figure>" for c, pixels in row)
        + "</div>"
        for row in sheet.rows
    )
    curves = "".join(
        f"<figure>{_svg(series)}<figcaption>{safe(title)}: {_legend(series)}</figcaption></figure>"
        for title, series in sheet.curves
    )
    head, *lines = sheet.table
    body = "".join(
        f'<tr title="{safe(METRICS[line[0]].formula)} ({safe(METRICS[line[0]].source)})">'
        + "".join(f"<td>{safe(cell)}</td>" for cell in line)
        + "</tr>"
        for line in lines
    )
    table = "<table><tr>" + "".join(f"<th>{safe(cell)}</th>" for cell in head) + f"</tr>{body}</table>"
    notes = "".join(f"<p>{safe(note)}</p>" for note in sheet.notes)
    title = safe(sheet.title)
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{safe(sheet.said)}</p>{tiles}{curves}{table}{notes}</html>\n"
    )


def _image(pixels: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}">'


def _svg(series: Sequence[Series], width: int = 420) -> str:
    values = [value for _, line, _ in series for value in line]
    low, high = min(values), max(values)
    span = max(high - low, 1e-6)
    lines = []
    for _, line, ink in series:
        step = (width - 8) / max(1, len(line) - 1)
        points = " ".join(
            f"{4 + i * step:.1f},{CURVE_PX - 4 - (value - low) / span * (CURVE_PX - 8):.1f}"
            for i, value in enumerate(line)
        )
        lines.append(f'<polyline fill="none" stroke="rgb{ink}" stroke-width="2" points="{points}"/>')
    marks = "".join(
        f'<text x="{width - 4}" y="{y}" font-size="11" fill="#888" text-anchor="end">{value:.3g}</text>'
        for y, value in ((12, high), (CURVE_PX - 5, low))
    )
    return f'<svg width="{width}" height="{CURVE_PX}">{"".join(lines)}{marks}</svg>'


def _legend(series: Sequence[Series]) -> str:
    return " ".join(f'<span style="color:rgb{ink}">{html.escape(name)}</span>' for name, _, ink in series)
