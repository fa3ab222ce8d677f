"""What was measured, against the limits, as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Reports = Mapping[str, Mapping[str, Any]]
STALL_MS = 60.0  # what the eye takes for a stutter
BEYOND_ALONE = 1.25  # how much longer than Blender's own stalls may be: two runs differ by as much


@dataclass(frozen=True)
class Limit:
    """A number of a part's report, and what it may be at most; milliseconds."""

    part: str
    words: str
    found: Callable[[Mapping[str, Any]], float]
    most: Callable[[Mapping[str, Any]], float]


LIMITS = (
    Limit("stall", "a turn of the pump, idle, 99 of 100", lambda r: r["idle"]["turn"]["p99"], lambda r: 5),
    Limit("stall", "a turn of the pump, 4K nodes built in it", lambda r: r["job"]["turn"]["max"], lambda r: 50),
    Limit("stall", "the extension's part of any stall, 4K job", lambda r: r["job"]["own"], lambda r: STALL_MS),
    Limit(
        "stall", "a stall, 4K job, 99 of 100; Blender alone is the limit",
        lambda r: r["job"]["stall"]["p99"], lambda r: max(STALL_MS, BEYOND_ALONE * r["alone"]["stall"]["p99"]),
    ),
    Limit("submit", "Relight returns, 1000 frames of 4K", lambda r: r["submit"], lambda r: 100),
    Limit("submit", "a turn of the pump while they are sent", lambda r: r["sent"]["turn"]["max"], lambda r: 50),
    Limit("live", "move of a lamp to picture on the screen, median", lambda r: r["seen"]["p50"], lambda r: 400),
    Limit("live", "the same, the longest of 20", lambda r: r["seen"]["max"], lambda r: 400),
    Limit("live", "the extension's part of any stall, drag", lambda r: r["drag"]["own"], lambda r: STALL_MS),
)  # fmt: skip


def said(part: str, report: Mapping[str, Any]) -> bool:
    """Prints how a part went. Returns whether it failed."""
    for one in report["held"]:
        print(f"  held  {part}: {one}")
    if "failed" in report:
        print(f"  FAIL  {part}: {report['failed']}", flush=True)
    else:
        print(f"  ok    {part} in Blender {report['blender']}", flush=True)
    return "failed" in report


def printed(reports: Reports) -> bool:
    """Prints the table. Returns whether a limit was missed."""
    missed = False
    for limit in LIMITS:
        report = reports.get(limit.part, {})
        if not report or "failed" in report:
            continue
        found, most = limit.found(report), limit.most(report)
        missed |= found > most
        print(f"{'MISSED' if found > most else 'ok':6s} {limit.words:62s} {found:8.1f} ms, at most {most:.0f}")
    if "drag_last" in reports.get("live", {}):
        told = reports["live"]
        print(f"       a drag has {told['drag_per_s']} previews a second, the last {told['drag_last']:.0f} ms after it")
    for words, value in _thread_times(reports):
        print(f"       {words:62s} {value:8.1f} ms of the thread")
    busy = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""
    print(f"       {busy}: on a machine that others use, too, the clock also counts their turns")
    return missed


def _thread_times(reports: Reports) -> list[tuple[str, float]]:
    found = []
    for part, phase in (("stall", "idle"), ("stall", "job"), ("submit", "sent"), ("live", "drag")):
        report = reports.get(part, {})
        if phase in report:
            found.append((f"{part}, {phase}: a turn of the pump at most", report[phase]["turn_thread"]["max"]))
            found.append((f"{part}, {phase}: the extension's part of any stall", report[phase]["own_thread"]))
    return found
