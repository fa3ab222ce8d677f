"""The queue against a model, under any order of submits, changes, crashes and restarts.

What must hold whatever happens: an acknowledged job is never lost and never doubled, events have no gaps, at most one
worker owns a job, and an ended job stays as it is until somebody asks for more.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from platelight import messages as m
from platelight_server.service.link import Ended, Report
from platelight_server.service.store import integrity
from tests.service.inprocess import Desk

CLIENT = b"c"


class Queue(RuleBasedStateMachine):
    """A server, a client and a worker that a test plays."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="platelight-queue-"))
        self.desk = Desk(self.folder)
        self.desk.hello(CLIENT)
        self.acknowledged: dict[str, str] = {}
        self.forgotten: set[str] = set()
        self.requests = 0

    def teardown(self) -> None:
        self.desk.end()
        assert integrity(self.folder / "jobs.sqlite") == "ok"
        shutil.rmtree(self.folder)

    def next_id(self) -> str:
        self.requests += 1
        return f"r{self.requests}"

    @rule(key=st.sampled_from("abcdef"), priority=st.integers(0, 100))
    def submit(self, key: str, priority: int) -> None:
        self.ask(m.Submit(f"{self.next_id()}-{key}", key=key, priority=priority), b"recipe")
        self.desk.play_checks()

    def ask(self, message: m.Message, payload: bytes | None = None) -> list[m.Message]:
        self.desk.hello(CLIENT)
        return self.desk.ask(CLIENT, message, payload)

    def learn(self) -> None:
        """Takes note of every job that was acknowledged."""
        for message, _ in self.desk.said[CLIENT]:
            if isinstance(message, m.Accepted):
                key = message.id.rpartition("-")[2]
                known = self.acknowledged.get(key)
                assert known in (None, message.job) or known in self.forgotten
                self.acknowledged[key] = message.job
        self.desk.said[CLIENT].clear()

    @rule(
        key=st.sampled_from("abcdef"),
        action=st.sampled_from(["cancel", "pause", "resume", "retry", "priority", "forget"]),
    )
    def change(self, key: str, action: str) -> None:
        job = self.acknowledged.get(key)
        if job is None or job in self.forgotten:
            return
        answers = self.ask(m.Change(self.next_id(), job, action))  # type: ignore[arg-type]
        assert len(answers) == 1
        if action == "forget" and isinstance(answers[0], m.Told):
            self.forgotten.add(job)

    @precondition(lambda self: self.desk.task_of("render") is not None)
    @rule(frame=st.integers(1, 4), kind=st.sampled_from(["prepared", "current", "done", "failed"]))
    def work(self, frame: int, kind: str) -> None:
        identity, do = self.desk.task_of("render") or ("", None)
        assert do is not None
        self.desk.tell(identity, Report(id=do.id, kind=kind, frame=frame, done=frame, total=4))

    @precondition(lambda self: self.desk.task_of("render") is not None)
    @rule(how=st.sampled_from(["done", "partial", "failed"]))
    def end_work(self, how: str) -> None:
        identity, do = self.desk.task_of("render") or ("", None)
        assert do is not None
        stopped = do.id in self.desk.stopped
        self.desk.tell(identity, Ended(id=do.id, state="cancelled" if stopped else how, result=m.JobResult()))

    @rule()
    def kill_worker(self) -> None:
        self.desk.kill_worker("render")
        self.desk.revive()

    @rule()
    def kill_server(self) -> None:
        self.desk.end()
        self.desk.start()

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        self.desk.time += seconds
        self.desk.turn()
        self.desk.revive()

    @invariant()
    def no_job_is_lost_or_doubled(self) -> None:
        self.learn()
        there = {job.id: job.key for job in self.desk.foreman.jobs}
        assert {job for job in self.acknowledged.values() if job not in self.forgotten} <= set(there)
        assert len(set(there.values())) == len(there), "two jobs of one key"
        assert not self.forgotten & set(there)

    @invariant()
    def a_job_has_at_most_one_worker(self) -> None:
        running = self.desk.foreman.jobs.running()
        assert len(running) <= len(self.desk.crew.of("render"))

    @invariant()
    def events_have_no_gaps(self) -> None:
        store = self.desk.foreman.store
        for job in self.desk.foreman.jobs:
            numbers = [number for number, _ in store.events(job.id, 0, 100_000)]
            assert numbers == list(range(1, job.saved + 1))

    @invariant()
    def an_idle_worker_means_that_nothing_waits(self) -> None:
        idle = any(worker.state == "idle" for worker in self.desk.crew.of("render"))
        assert not (idle and self.desk.foreman.jobs.waiting())


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
