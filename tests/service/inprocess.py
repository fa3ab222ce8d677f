"""The server without sockets and processes: real reception, foreman, queue, store, spool; workers that a test plays.

What a fuzzer or a state machine says to `Desk` goes the way that a client's message goes. Time stands still unless it
is moved.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from platelight import messages as m
from platelight.wire import Bytes, Payload, decode_frames, encode_frames
from platelight_server.service.background import Mailbox
from platelight_server.service.crew import Crew, Worker
from platelight_server.service.foreman import Foreman
from platelight_server.service.link import Do, Ended, Looked, Ready, Report, StopTask
from platelight_server.service.reception import About, Reception
from platelight_server.service.spool import Spool
from platelight_server.service.store import Store


class Inline:
    """In place of a background thread: the work is done at once, the result comes with the next delivery."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def call(self, work: Callable[[], Any], then: Callable[[Any, Exception | None], None]) -> None:
        try:
            result = work()
        except Exception as error:
            self._mailbox.post(then, None, error)
        else:
            self._mailbox.post(then, result, None)


def _raised(error: Exception) -> None:
    raise error


class PlayedProcess:
    """A worker's process, played by the test."""

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def abort(self) -> None:
        pass

    def kill(self) -> None:
        self.code = -9

    def close(self) -> None:
        pass


class Desk:
    """A server in this process. `said[ident]` is what each client was sent, `refuses` which clients read nothing."""

    def __init__(self, folder: Path | None = None, most_waiting: int = 20, spool_bytes: int = 8 << 20) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="platelight-desk-"))
        self.time = 1000.0
        self.said: dict[bytes, list[tuple[m.Message, Bytes | None]]] = defaultdict(list)
        self.refuses: set[bytes] = set()
        self.given: dict[str, Do] = {}  # worker identity -> its task
        self.stopped: set[str] = set()
        self.processes: dict[str, PlayedProcess] = {}
        self.most_waiting, self.spool_bytes = most_waiting, spool_bytes
        self.start()

    def start(self) -> None:
        """Starts the server on its folder; also after `end`."""
        self.mailbox = Mailbox(broken=_raised)
        inline: Any = Inline(self.mailbox)
        self.foreman = Foreman(
            Store(self.folder / "jobs.sqlite"), Spool(self.folder / "spool", self.spool_bytes), inline, inline,
            lambda: self.time, lambda: self.time, self.most_waiting,
        )  # fmt: skip
        roots = (m.RootEntry("shows", str(self.folder / "shows")),)
        about = About("epoch", "test", "here", roots, True)
        self.reception = Reception(about, self.foreman, inline, self._post, lambda: self.time)
        crew = Crew(self._spawn, self._give, self.foreman.idle, lambda: self.time)
        crew.workers = [Worker("render-0", "render", "cpu"), Worker("check-0", "check", "cpu")]
        self.foreman.crew = self.crew = crew
        self.turn()
        for worker in crew.workers:
            crew.heard(worker.identity, Ready(), b"\x90")
        self.turn()

    def end(self) -> None:
        """As kill -9: nothing is said or kept any more."""
        self.foreman.store.close()
        self.foreman.spool.close()
        self.given.clear()

    def turn(self, times: int = 3) -> None:
        """Turns of the loop."""
        for _ in range(times):
            self.mailbox.deliver()
            self.crew.tick()
            self.foreman.tick()
            self.reception.tick()

    def say(self, ident: bytes, frames: Sequence[Bytes]) -> None:
        """A client sends raw frames."""
        self.reception.receive(ident, frames)
        self.turn()

    def ask(self, ident: bytes, message: m.Message, payload: Payload | None = None) -> list[m.Message]:
        """A client sends a message; what comes with its id."""
        before = len(self.said[ident])
        self.say(ident, encode_frames(message, payload))
        return [one for one, _ in self.said[ident][before:] if one.id == message.id]

    def hello(self, ident: bytes) -> None:
        """Opens a session."""
        self.ask(ident, m.Hello(id="hello"))

    def submit(self, ident: bytes, key: str, recipe: bytes = b"recipe", **more: Any) -> str:
        """A job whose check says yes; returns its id."""
        before = len(self.said[ident])
        self.ask(ident, m.Submit(id=f"s-{key}-{before}", key=key, **more), recipe)
        self.play_checks()
        accepted = [one for one, _ in self.said[ident][before:] if isinstance(one, m.Accepted)]
        return accepted[-1].job if accepted else ""

    def play_checks(self, problems: Sequence[m.Problem] = ()) -> None:
        """Answers all checks that wait."""
        while (task := self.task_of("check")) is not None:
            identity, do = task
            looked = Looked(
                id=do.id, problems=tuple(problems), name="shot", frames="1-4", total=4, lane=f"/shows/{do.id}/shot"
            )  # fmt: skip
            self.tell(identity, looked)

    def task_of(self, role: str) -> tuple[str, Do] | None:
        """What the worker of a role has to do."""
        alive = {worker.identity for worker in self.crew.of(role) if worker.process is not None}
        return next(((name, do) for name, do in self.given.items() if name in alive), None)

    def tell(self, identity: str, message: m.Message, payload: Bytes | None = None) -> None:
        """A worker says something."""
        if isinstance(message, (Looked, Ended)):
            self.given.pop(identity, None)
        self.crew.heard(identity, message, payload)
        self.turn()

    def frame_done(self, frame: int, done: int, total: int = 4) -> None:
        """The render worker has finished a frame."""
        task = self.task_of("render")
        assert task is not None
        self.tell(task[0], Report(id=task[1].id, kind="done", frame=frame, done=done, total=total))

    def kill_worker(self, role: str) -> None:
        """The process of a role dies."""
        worker = self.crew.of(role)[0]
        self.given.pop(worker.identity, None)
        if worker.identity in self.processes:
            self.processes[worker.identity].code = -9
        self.turn()

    def revive(self) -> None:
        """Time passes, and workers that were started again say that they are ready."""
        self.time += 40
        self.turn()
        for worker in self.crew.workers:
            if worker.state == "starting":
                self.crew.heard(worker.identity, Ready(), b"\x90")
        self.turn()

    def beat(self) -> None:
        """Every worker gives a sign of life."""
        from platelight_server.service.link import Beat

        for worker in self.crew.workers:
            self.crew.heard(worker.identity, Beat(), None)

    def _post(self, ident: bytes, frames: list[Bytes]) -> str:
        if ident in self.refuses:
            return "full"
        self.said[ident].append(decode_frames([bytes(frame) for frame in frames], m.ANSWERS))  # as the wire: copied
        return "sent"

    def _spawn(self, worker: Worker) -> PlayedProcess:
        self.processes[worker.identity] = PlayedProcess()
        return self.processes[worker.identity]

    def _give(self, identity: str, message: m.Message, payload: Bytes | None) -> None:
        if isinstance(message, Do):
            self.given[identity] = message
        elif isinstance(message, StopTask):
            self.stopped.add(message.id)
