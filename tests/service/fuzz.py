"""Coverage-guided fuzzing (atheris) of the decoder and of the server's state machine.

    python -m tests.service.fuzz decoder --seconds 60
    python -m tests.service.fuzz machine --seconds 60

It ends with an error at the first input that raises what it should not, leaves a request without its one answer, or
makes memory grow. `test_fuzz.py` runs both for a few seconds.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import atheris
import psutil

with atheris.instrument_imports(include=["platelight", "platelight_server.service"]):
    from platelight import messages as m
    from platelight.errors import ProtocolError
    from platelight.wire import decode_frames, encode_frames
    from platelight_server.service.link import Ended, Looked, Report
    from tests.service.inprocess import Desk

from tests.service.golden.samples import SAMPLES

GROWTH_MOST = 256 << 20
IDS = ("a", "b", "c", "hello", "")
REQUESTS = [sample for sample in SAMPLES if type(sample) in m.REQUESTS.values()]


def fuzz_decoder(data: bytes) -> None:
    """Any bytes are a message or a ProtocolError."""
    cut = data[0] if data else 0
    frames = [data[1:]] if cut % 2 else [data[1 : 1 + cut], data[1 + cut :]]
    for kinds in (m.REQUESTS, m.ANSWERS):
        try:
            decode_frames(frames, kinds)
        except ProtocolError:
            continue


class Machine:
    """One server for many inputs, made anew now and then: starting one takes longer than an input."""

    def __init__(self) -> None:
        self.inputs = 0
        self.desk = self._fresh()

    def _fresh(self) -> Desk:
        return Desk(Path(tempfile.mkdtemp(prefix="platelight-fuzz-")), spool_bytes=1 << 20)

    def take(self, data: bytes) -> None:
        """A sequence of messages of two clients and of the workers."""
        self.inputs += 1
        if self.inputs % 200 == 0:
            self.desk.end()
            self.desk = self._fresh()
        provider = atheris.FuzzedDataProvider(data)
        for _ in range(provider.ConsumeIntInRange(1, 12)):
            self._step(provider)
        for ident in (b"x", b"y"):
            self._require_one_answer_each(ident)
            self.desk.said[ident].clear()

    def _step(self, provider: atheris.FuzzedDataProvider) -> None:
        desk, ident = self.desk, provider.PickValueInList([b"x", b"y"])
        what = provider.ConsumeIntInRange(0, 9)
        if what == 0:
            desk.hello(ident)
        elif what == 1:
            desk.say(ident, [provider.ConsumeBytes(80), provider.ConsumeBytes(40)][: provider.ConsumeIntInRange(0, 2)])
        elif what == 2:
            desk.time += provider.ConsumeFloatInRange(0.0, 70.0)
            desk.revive()
        elif what == 3:
            self._worker_speaks(provider)
        elif what == 4:
            desk.kill_worker(provider.PickValueInList(["render", "check"]))
        elif what == 5:
            desk.play_checks()
        else:
            message, payload = self._message(provider)
            desk.say(ident, encode_frames(message, payload))

    def _message(self, provider: atheris.FuzzedDataProvider) -> tuple[m.Message, bytes | None]:
        from dataclasses import replace

        message = provider.PickValueInList(REQUESTS)
        changes: dict[str, object] = {"id": provider.PickValueInList(list(IDS))}
        jobs = [job.id for job in self.desk.foreman.jobs] + ["0" * 16]
        if hasattr(message, "job"):
            changes["job"] = provider.PickValueInList(jobs)
        if hasattr(message, "key"):
            changes["key"] = provider.PickValueInList(["k1", "k2", "k3"])
        if hasattr(message, "action"):
            changes["action"] = provider.PickValueInList(["cancel", "pause", "resume", "retry", "priority", "forget"])
        if hasattr(message, "recipe"):
            changes["recipe"] = provider.PickValueInList(["", message.recipe])
        for name in ("offset", "size", "after", "credit", "count", "frame"):
            if isinstance(getattr(message, name, None), int):
                changes[name] = provider.ConsumeIntInRange(1, 60)
        payload = provider.ConsumeBytes(30) if type(message) in m.PAYLOAD and provider.ConsumeBool() else None
        return replace(message, **changes), payload

    def _worker_speaks(self, provider: atheris.FuzzedDataProvider) -> None:
        for role in ("render", "check"):
            task = self.desk.task_of(role)
            if task is None:
                continue
            identity, do = task
            done = Ended(id=do.id, state="done")
            answers = [
                Report(id=do.id, kind="done", frame=1, done=1, total=4),
                Report(id=do.id, kind="step", step=1, steps=9),
                Report(id="wrong", kind="done"),
                Ended(id=do.id, state="failed", code="OUT_OF_MEMORY", retry=True),
                Looked(id=do.id, name="n", frames="1-4", total=4, lane="/x/n") if role == "check" else done,
            ]
            self.desk.tell(identity, provider.PickValueInList(answers))

    def _require_one_answer_each(self, ident: bytes) -> None:
        session = self.desk.reception._sessions.get(ident)
        if session is not None:
            assert len(session.pending) <= 200, "requests are forgotten"
            assert len(session.outbox) == 0, "answers wait though the client reads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["decoder", "machine"])
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    machine = Machine() if args.what == "machine" else None
    count = 0
    began = psutil.Process().memory_info().rss  # not the peak: a process inherits its parent's over fork and exec

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        if machine is not None:
            machine.take(data)
        else:
            fuzz_decoder(data)

    def end() -> None:
        time.sleep(args.seconds)
        grown = psutil.Process().memory_info().rss - began
        print(f"{args.what}: {count} inputs in {args.seconds} s, memory grew by {grown >> 20} MiB", flush=True)
        os._exit(0 if grown < GROWTH_MOST else 1)

    corpus = Path(tempfile.mkdtemp(prefix="platelight-corpus-"))
    for number, sample in enumerate(SAMPLES):
        (corpus / str(number)).write_bytes(b"\x01" + bytes(encode_frames(sample)[0]))
    threading.Thread(target=end, daemon=True).start()
    atheris.Setup([sys.argv[0], str(corpus), "-verbosity=0", "-print_final_stats=0", "-rss_limit_mb=0"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
