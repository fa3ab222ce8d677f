"""Progress of a job: a live bar with rate and ETA on a terminal, a line per frame elsewhere, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from platelight_server.job import Event

Report = Callable[[Event], None]


@contextmanager
def reporter(total: int, as_json: bool, quiet: bool) -> Iterator[Report]:
    """A function that takes the job's events."""
    if as_json:
        yield _json_lines
    elif quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _live(total) as report:
            yield report
    else:
        yield _lines()


def _json_lines(event: Event) -> None:
    fields = asdict(event)
    print(json.dumps({"event": fields.pop("kind"), **fields}, ensure_ascii=False))


def _lines() -> Report:
    started = time.monotonic()

    def report(event: Event) -> None:
        if event.kind == "done":
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
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("reading the shot", total=total, rate="")
        started = time.monotonic()

        def report(event: Event) -> None:
            if event.kind == "failed":
                console.print(f"frame {event.frame} failed: {event.message}", style="red", markup=False)
            if event.kind == "current":
                return
            rate = event.done / max(time.monotonic() - started, 1e-9)
            bar.update(
                task, total=event.total, completed=event.done,
                description="relighting" if event.frame is None else f"frame {event.frame}",
                rate=f"{rate:.2f} fps" if event.done else "",
            )  # fmt: skip

        yield report
