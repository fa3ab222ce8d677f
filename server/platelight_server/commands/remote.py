"""What the commands that talk to a server share: the option, the connection, finding a job, following it to its end.

It needs the base installation alone.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from platelight import errors
from platelight.errors import InputError, NotFoundError, PlatelightError, RefusedError, ServerError
from platelight_server import events

from .interrupts import EXIT_OF_SIGNAL, Stop
from .progress import Report, reporter

if TYPE_CHECKING:
    from platelight.client import Client, Job
    from platelight.messages import Event, JobResult, JobStatus

STOP = object()
ASK_AGAIN_S = 0.5


def add_server_argument(parser: argparse.ArgumentParser) -> None:
    """`--server`."""
    parser.add_argument(
        "--server", metavar="ADDR|FILE",
        help="an address such as tcp://gpu01:5577, or a connection file (default: $PLATELIGHT_SERVER, or the one here)",
    )  # fmt: skip


def connected(args: argparse.Namespace) -> Client:
    """A connection to the server that is meant, for a process that mostly moves bytes."""
    from platelight.client import connect
    from platelight_server.service.allocator import keep_memory

    keep_memory()
    return connect(args.server, program=f"platelight {args.command}")


def find_job(server: Client, text: str) -> Job:
    """A job by its id, or by the letters that only its id begins with. Raises `NotFoundError`, `InputError`."""
    if len(text) == 16:
        return server.job(text)
    found = [status.job for status in server.jobs() if text and status.job.startswith(text)]
    if not found:
        raise NotFoundError(f"{text}: no job's id begins like this; see: platelight jobs", "NOT_FOUND")
    if len(found) > 1:
        raise InputError(f"{text}: {len(found)} jobs' ids begin like this: {', '.join(found[:5])}; give more letters")
    return server.job(found[0])


def said_problems(error: RefusedError) -> PlatelightError:
    """A refusal as a run without a server would end: all problems but the first on stderr, the first as the error."""
    for problem in error.problems[1:]:
        print(f"error: {problem.text}", file=sys.stderr)
    if not error.problems:
        return error
    first = error.problems[0]
    kind = getattr(errors, first.kind, None)
    said = RefusedError(first.text, error.code, problems=error.problems)
    if isinstance(kind, type) and issubclass(kind, PlatelightError):
        said.exit_code = kind.exit_code
    return said


def upload_progress(quiet: bool) -> Callable[[int, int], None] | None:
    """Says on a terminal how far an upload is."""
    if quiet or not sys.stderr.isatty():
        return None

    def say(sent: int, total: int) -> None:
        end = "\n" if sent >= total else ""
        print(f"\ruploading {sent / 1e6:.0f} of {total / 1e6:.0f} MB", end=end, file=sys.stderr, flush=True)

    return say


@dataclass(frozen=True)
class Finished:
    """How a job ended, and by which signal where one did."""

    status: JobStatus
    result: JobResult | None
    received: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """Of a job that was cancelled."""
        return EXIT_OF_SIGNAL.get(self.received or signal.SIGINT, 130)


def follow(server: Client, job: Job, report: Report, stop: Stop | None = None) -> Finished:
    """Hands what happens to `report` until the job has ended. `stop` cancels it on the first signal."""
    from platelight.jobs import Follower
    from platelight.messages import Event
    from platelight.waiting import next_of

    queue: SimpleQueue[object] = SimpleQueue()
    follower = Follower(server.calls.watches, job.id, 0, queue.put)
    if stop is not None:
        stop.tell(lambda: queue.put(STOP))
    steps = _Steps(report)
    try:
        while not follower.ended:
            item = next_of(queue)
            if item is STOP:
                _cancel(job, queue)
                continue
            news = follower.read(item)
            if isinstance(news, Event):
                _report(news, report)
            elif news is not None:
                steps.see(news)
    finally:
        follower.close()
    told = follower.told
    assert told is not None and told.status is not None
    return Finished(told.status, told.result, stop.received if stop is not None else None)


def _cancel(job: Job, queue: SimpleQueue[object]) -> None:
    try:
        job.cancel()
    except (RefusedError, NotFoundError):  # it has ended meanwhile
        pass
    except ServerError:  # lost for the moment; the wish is not
        again = threading.Timer(ASK_AGAIN_S, lambda: queue.put(STOP))
        again.daemon = True
        again.start()


def _report(event: Event, report: Report) -> None:
    if event.kind != "state":
        report(events.Event(event.kind, event.frame, event.done, event.total, event.text))


class _Steps:
    """Reports an engine's step when a status shows another one."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last: tuple[str, int] = ("", 0)

    def see(self, status: JobStatus) -> None:
        """Looks at a status."""
        if status.stage and (status.stage, status.step) != self._last and status.state == "running":
            self._last = (status.stage, status.step)
            self._report(
                events.Event("step", None, status.done, status.total, "", status.stage, status.step, status.steps)
            )


def proof_of(server: Client, job: Job, result: JobResult) -> dict[str, Any]:
    """The proof of a job's result, from the server, with its sentences."""
    from platelight.downloads import chunks

    name = next((one.name for one in job.files() if one.name.endswith(".proof.json")), "")
    if not name:
        return _worded(result)
    data = b"".join(bytes(piece) for piece in chunks(server.calls.link, job.id, name))
    proof: dict[str, Any] = json.loads(data)
    return {**proof, **_worded(result)}


def _worded(result: JobResult) -> dict[str, Any]:
    return {"said": list(result.said), "advice": [asdict(one) for one in result.advice]}


def folder_of(server: Client, finished: Finished) -> str:
    """Where the result lies, as this machine sees it; as the server names it where this machine does not."""
    place = finished.status.folder or (finished.result.folder if finished.result else "")
    with suppress(ServerError):
        return str(server.roots.path(place))
    return place


def render(
    server: Client,
    job: Job,
    as_json: bool,
    quiet: bool,
    stop: Stop | None,
    total: int,
    fetch_to: Path | None = None,
) -> int:
    """Follows a job with progress, fetches its result where it is to be fetched, and sums up; the exit code."""
    from platelight.refusals import error_of_job

    from .summary import summary

    with reporter(total, as_json, quiet) as report:
        finished = follow(server, job, report, stop)
    status, result = finished.status, finished.result
    error = error_of_job(status, result)
    if status.state == "failed" or result is None:
        raise error or PlatelightError(f"job {status.job} has no result")
    if fetch_to is not None:
        job.fetch_all(fetch_to)
    folder = str(fetch_to) if fetch_to is not None else folder_of(server, finished)
    cancelled = status.state == "cancelled"
    summary(result, cancelled, folder, proof_of(server, job, result) if as_json else {}, as_json)
    if cancelled:
        return finished.exit_code
    if error is not None:
        raise error
    return 0
