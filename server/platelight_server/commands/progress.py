"""Progress of a job: a live bar with rate and ETA on a terminal, a line per frame elsewhere, or JSON lines.

Rates count from the moment the shot has been read, so that the first frames do not look slow.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

from platelight_server.events import Event

Report = Callable[[Event], None]
# Rich forgets what is older than its half minute, and then has no estimate for frames that take longer.
ESTIMATE_OVER_S = 3600.0


def looking(frames: int, quiet: bool) -> AbstractContextManager[Any]:
    """Says on a terminal that the shot is being checked: a long one takes a while before its first frame."""
    if quiet or not sys.stderr.isatty() or not _has_rich():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"checking {frames} frames")


@contextmanager
def reporter(total: int, as_json: bool, quiet: bool) -> Iterator[Report]:
    """A function that takes the job's events."""
    if as_json:
        yield _json_lines
    elif quiet:
        yield lambda event: None
    elif sys.stderr.isatty() and _has_rich():
        with _live(total) as report:
            yield report
    else:
        yield _lines()


def _has_rich() -> bool:
    """A client's installation has no bar; it gets lines."""
    try:
        import rich  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def _json_lines(event: Event) -> None:
    fields = asdict(event)
    if event.kind != "step":
        for name in ("stage", "step", "steps"):
            del fields[name]
    print(json.dumps({"event": fields.pop("kind"), **fields}, ensure_ascii=False))


def _lines() -> Report:
    started = time.monotonic()

    def report(event: Event) -> None:
        nonlocal started
        if event.kind == "prepared":
            started = time.monotonic()
        elif event.kind == "done":
            rate = event.done / max(time.monotonic() - started, 1e-9)
            left = (event.total - event.done) / rate
            print(
                f"frame {event.frame}: {event.done} of {event.total}, {rate:.2f} fps, {left:.0f} s left",
                file=sys.stderr,
            )
        elif event.kind == "failed":
            print(f"frame {event.frame} failed: {event.message}", file=sys.stderr)

    return report


@contextmanager
def _live(total: int) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<16}"), BarColumn(None), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>9}"), TimeRemainingColumn(elapsed_when_finished=True),
    )  # fmt: skip
    with Progress(*columns, console=console, speed_estimate_period=ESTIMATE_OVER_S) as bar:
        task = bar.add_task("reading the shot", total=total, rate="")
        started = time.monotonic()

        def report(event: Event) -> None:
            nonlocal started
            if event.kind == "current":
                return
            if event.kind == "step":  # the bar counts frames; a step says only where the engine is
                bar.update(task, description=f"{event.stage[:9]} {event.step}/{event.steps}")
                return
            if event.kind == "prepared":
                started = time.monotonic()
            if event.kind == "failed":
                console.print(f"frame {event.frame} failed: {event.message}", style="red", markup=False)
            rate = event.done / max(time.monotonic() - started, 1e-9)
            bar.update(
                task, total=event.total, completed=event.done,
                description="relighting" if event.frame is None else f"frame {event.frame}",
                rate=f"{rate:.2f} fps" if event.done else "",
            )  # fmt: skip

        yield report
