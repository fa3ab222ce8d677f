"""The crew: worker processes, started, watched and replaced.

A worker that has died is noticed at the next tick, one that is silent for ten seconds is given up: first asked for a
trace of what it is at (SIGABRT), two seconds later killed. One that speaks and does not get on is given up after a
quarter of an hour. A worker that keeps dying is started again after longer and longer pauses.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from platelight.messages import Message, WorkerStatus
from platelight.wire import Bytes

from .link import Beat, Do, Ended, Looked, Ready, StopTask, WorkerConfig

SILENCE_S = 10.0
START_S = 120.0  # from the start of the process to its first word: a cold disk loads Python slowly
ABORT_S = 2.0
STALL_S = 900.0
STOP_S = 60.0  # from being asked to stop to being made to
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
IDLE_S = 600.0  # after which a preview worker is let go
LOG_MOST = 10 << 20
log = logging.getLogger(__name__)


class Process(Protocol):
    """A worker's process."""

    def poll(self) -> int | None: ...
    def abort(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


class Task(Protocol):
    """Something for a worker to do, and whom to tell."""

    @property
    def do(self) -> Do: ...
    @property
    def payload(self) -> bytes: ...
    def answer(self, message: Message, payload: Bytes | None) -> None: ...
    def lost(self, code: str, why: str) -> None: ...


@dataclass
class Worker:
    """A place for one worker process, whichever process is in it now."""

    name: str
    role: str
    device: str
    on_demand: bool = False
    process: Process | None = None
    state: str = "down"
    task: Task | None = None
    heard: float = 0.0
    spoke: bool = False
    moved: float = 0.0
    asked_to_stop: float | None = None
    aborted: float | None = None
    starts: int = 0
    failures: int = 0
    start_at: float = 0.0
    generation: int = 0
    hardware: str = ""
    memory_total: int = 0
    memory_free: int = 0

    @property
    def identity(self) -> str:
        """The routing id of the process that is in it now; what an earlier one says goes nowhere."""
        return f"{self.name}.{self.generation}"

    def status(self) -> WorkerStatus:
        """As clients see it."""
        job = self.task.do.job if self.task is not None else ""
        return WorkerStatus(
            self.name, self.state, self.device, self.hardware, self.memory_total, self.memory_free, job
        )  # fmt: skip


@dataclass
class Crew:
    """All workers. `idle` is called with each that can take a task, `post` sends to one by its identity."""

    spawn: Callable[[Worker], Process]
    post: Callable[[str, Message, Bytes | None], None]
    idle: Callable[[Worker], None]
    now: Callable[[], float]
    engines: bytes = b""
    stall_s: float = STALL_S
    workers: list[Worker] = field(default_factory=list)

    def of(self, role: str) -> list[Worker]:
        """The workers of a role."""
        return [worker for worker in self.workers if worker.role == role]

    def status(self) -> tuple[WorkerStatus, ...]:
        """Every worker as clients see it."""
        return tuple(worker.status() for worker in self.workers)

    def give(self, worker: Worker, task: Task) -> None:
        """Hands a task to an idle worker."""
        worker.state, worker.task, worker.moved, worker.asked_to_stop = "busy", task, self.now(), None
        self.post(worker.identity, task.do, task.payload)

    def stop_task(self, task_id: str) -> None:
        """Asks the worker of a task to give it up at its next step or frame."""
        for worker in self.workers:
            if worker.task is not None and worker.task.do.id == task_id and worker.asked_to_stop is None:
                worker.asked_to_stop = self.now()
                self.post(worker.identity, StopTask(id=task_id), None)

    def heard(self, identity: str, message: Message, payload: Bytes | None) -> None:
        """A worker has spoken."""
        worker = next((one for one in self.workers if one.identity == identity), None)
        if worker is None or worker.process is None:
            return
        worker.heard, worker.spoke = self.now(), True
        if isinstance(message, Beat):
            worker.memory_free = message.memory_free
        elif isinstance(message, Ready):
            worker.hardware, worker.memory_total = message.hardware, message.memory_total
            worker.memory_free, worker.state = message.memory_free, "idle"
            self.engines = bytes(payload or b"") or self.engines
            self.idle(worker)
        elif worker.task is not None and worker.task.do.id == message.id:
            worker.moved = self.now()
            self._answer(worker, worker.task, message, payload)

    def _answer(self, worker: Worker, task: Task, message: Message, payload: Bytes | None) -> None:
        last = isinstance(message, (Looked, Ended)) or getattr(message, "last", False)
        if last:
            worker.task, worker.state, worker.failures = None, "idle", 0
        task.answer(message, payload)
        if last:
            self.idle(worker)

    def tick(self) -> None:
        """Looks after everyone. What has come in must have been read before: silence counts from there."""
        for worker in self.workers:
            if worker.process is None:
                wanted = not worker.on_demand or worker.start_at > 0
                if wanted and self.now() >= worker.start_at:
                    self._start(worker)
            else:
                self._look_after(worker, worker.process)

    def wake(self, role: str) -> None:
        """Starts workers that are started on demand only."""
        for worker in self.of(role):
            if worker.process is None and worker.start_at <= 0:
                worker.start_at = self.now()

    def close(self) -> None:
        """Ends all processes."""
        for worker in self.workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.close()
                worker.process, worker.state = None, "down"

    def _start(self, worker: Worker) -> None:
        worker.generation += 1
        worker.starts += 1
        worker.heard = worker.moved = self.now()
        worker.spoke, worker.aborted, worker.asked_to_stop, worker.state = False, None, None, "starting"
        worker.process = self.spawn(worker)
        log.info("worker=%s started generation=%d", worker.name, worker.generation)

    def _look_after(self, worker: Worker, process: Process) -> None:
        code = process.poll()
        if code is not None:
            self._gone(worker, process, "WORKER_CRASH", f"the worker ended with {_named(code)}")
            return
        now = self.now()
        silent = now - worker.heard > (SILENCE_S if worker.spoke else START_S)
        stalled = worker.task is not None and now - worker.moved > self.stall_s
        stubborn = worker.asked_to_stop is not None and worker.task is not None and now - worker.asked_to_stop > STOP_S
        if worker.aborted is None and (silent or stalled or stubborn):
            why = "silent" if silent else "stalled" if stalled else "not stopping"
            log.warning("worker=%s is %s; given up", worker.name, why)
            worker.aborted = now
            process.abort()
        elif worker.aborted is not None and now - worker.aborted > ABORT_S:
            process.kill()
            self._gone(worker, process, "STALLED", "the worker did not get on and was replaced")
        elif worker.on_demand and worker.state == "idle" and now - worker.moved > IDLE_S:
            process.kill()
            self._gone(worker, process, "", "")
            worker.start_at = 0.0

    def _gone(self, worker: Worker, process: Process, code: str, why: str) -> None:
        process.close()
        if worker.aborted is not None:
            code, why = "STALLED", "the worker did not get on and was replaced"
        task = worker.task
        worker.process, worker.task, worker.state = None, None, "down"
        pause = PAUSES_S[min(worker.failures, len(PAUSES_S) - 1)]
        worker.failures += 1
        worker.start_at = self.now() + pause
        log.warning("worker=%s gone: %s; again in %.1f s", worker.name, why, pause)
        if task is not None:
            task.lost(code, why)


def _named(code: int) -> str:
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


class _Process:
    """A real worker process; its standard input stays open as long as the front lives."""

    def __init__(self, config: str, log_file: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "platelight_server.service.worker"],
            stdin=subprocess.PIPE, stdout=log_file, stderr=log_file,
            start_new_session=True,  # Ctrl-C in the front's terminal is the front's to handle
        )  # fmt: skip
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(config.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has died already: poll says so
            log.warning("pid=%d a worker died before it was told what it is", self._process.pid)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def abort(self) -> None:
        self._process.send_signal(getattr(signal, "SIGABRT", signal.SIGTERM))

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()


def spawner(config: Callable[[Worker], WorkerConfig], logs: Path) -> Callable[[Worker], Process]:
    """Starts real processes, each with a log file of its own below `logs`."""
    import json

    from platelight.document import encode

    def spawn(worker: Worker) -> Process:
        path = logs / f"{worker.name}.log"
        if path.exists() and path.stat().st_size > LOG_MOST:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as file:
            path.chmod(0o600)
            return _Process(json.dumps(encode(config(worker))), file)

    return spawn


def identities(workers: Iterable[Worker]) -> frozenset[str]:
    """Of the processes that are alive."""
    return frozenset(worker.identity for worker in workers if worker.process is not None)
