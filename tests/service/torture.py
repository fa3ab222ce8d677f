"""kill -9 of the front or of a worker at random moments of uploads and jobs, again and again.

    python -m tests.service.torture --rounds 20

Afterwards: no acknowledged request is lost, no job is doubled, events have no gaps, no finished frame was rendered
again, the upload is whole, and the results are byte for byte those of an undisturbed run. `test_faults.py` does a few
rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import tempfile
import threading
import time
from pathlib import Path

import zmq

from platelight import messages as m
from platelight.errors import UnreachableError
from platelight.wire import CHUNK, new_id
from tests.shots.small import make_shot

from .running import Peer, Server, files_of, on_wire, wait_for

FRAMES = 24
UPLOAD = 24 * CHUNK + 12345


class Client:
    """A client that does not give up: it connects again, and asks again what was not answered."""

    def __init__(self, server: Server) -> None:
        self.server, self.peer = server, None
        self.acknowledged: dict[str, str] = {}
        self.tries = 0
        self.refusals: list[m.Refused] = []

    def close(self) -> None:
        """Goes."""
        if self.peer is not None:
            self.peer.close()
            self.peer = None

    def connect(self) -> Peer:
        """A connection to whichever server there is now."""
        while True:
            self.close()
            try:
                self.peer = Peer(self.server.connection, hello=False)
                self.peer.ask(m.Hello(new_id()), wait_s=1.0)
                return self.peer
            except (TimeoutError, UnreachableError, zmq.ZMQError):
                time.sleep(0.05)

    def ask(self, message: m.Message, payload: bytes | None = None, wait_s: float = 6.0) -> m.Message:
        """Asks until there is an answer."""
        while True:
            self.tries += 1
            try:
                peer = self.peer or self.connect()
                answer = peer.ask(message, payload, wait_s)
                if not (isinstance(answer, m.Refused) and answer.retry) or answer.code in ("NO_UPLOAD", "BAD_OFFSET"):
                    return answer  # those two are answered with have, not with the same chunk again
                self.refusals.append(answer)
                if answer.code == "NO_SESSION":
                    self.connect()
            except (TimeoutError, zmq.ZMQError):
                self.connect()

    def submit(self, recipe: bytes, key: str) -> str:
        """A job, acknowledged."""
        answer = self.ask(m.Submit(new_id(), key=key), recipe, 20.0)
        assert isinstance(answer, m.Accepted), answer
        assert self.acknowledged.setdefault(key, answer.job) == answer.job
        return answer.job

    def upload(self, data: bytes) -> None:
        """A blob, chunk by chunk, going on where it was."""
        blob = f"sha256:{hashlib.sha256(data).hexdigest()}"
        while True:
            had = self.ask(m.Have(new_id(), blob, len(data)))
            assert isinstance(had, m.Had), had
            if had.state == "complete":
                return
            offset = had.offset
            while offset < len(data):
                answer = self.ask(m.Put(new_id(), blob, offset), data[offset : offset + CHUNK])
                if not isinstance(answer, m.PutOk):
                    assert isinstance(answer, m.Refused)
                    self.refusals.append(answer)
                    break
                offset = answer.offset


def torture(folder: Path, rounds: int, target: str, seed: int) -> dict[str, float]:
    """`rounds` rounds of a job and an upload, each with one kill -9 of `target` ("front" or "worker")."""
    dice = random.Random(seed)
    shot = make_shot(folder / "shot", FRAMES)
    recipe = shot.recipe(engine={"name": "test_wavy", "options": {"sleep_seconds": 0.02}})
    server = Server(folder / "home")
    client = Client(server)
    try:
        undisturbed = _render(client, recipe, shot.folder / "undisturbed", "undisturbed")
        began = time.monotonic()
        kills = 0
        for number in range(rounds):
            data = os.urandom(UPLOAD)
            uploader = Client(server)
            upload = threading.Thread(target=_upload, args=(uploader, data))
            upload.start()
            delay = dice.uniform(0.0, 1.2)
            killer = threading.Timer(delay, _kill, (server, target))
            killer.start()
            result = _render(client, recipe, shot.folder / f"out{number}", f"key-{number}")
            killer.join()
            upload.join(60)
            kills += 1
            assert not upload.is_alive(), f"the upload did not come to its end: {uploader.refusals[-5:]}"
            blob = server.home / "server" / "spool" / "blobs" / f"sha256-{hashlib.sha256(data).hexdigest()}"
            assert blob.read_bytes() == data
            assert result == undisturbed, f"round {number}: the results differ"
            shutil.rmtree(shot.folder / f"out{number}")
        _require_all(client)
        return {"kills": kills, "jobs": len(client.acknowledged), "seconds": time.monotonic() - began}
    finally:
        client.close()
        assert server.stop() == 0


def _upload(client: Client, data: bytes) -> None:
    try:
        client.upload(data)
    finally:
        client.close()


def _kill(server: Server, target: str) -> None:
    if target == "front":
        old = server.workers()
        server.kill()
        server.start()
        wait_for(lambda: not any(one.is_running() and one.status() != "zombie" for one in old), 20)
    else:
        for worker in server.workers("render"):
            worker.kill()


def _render(client: Client, recipe: object, out: Path, key: str) -> dict[str, bytes]:
    from dataclasses import replace

    from platelight.recipe import Recipe

    assert isinstance(recipe, Recipe)
    moved = on_wire(replace(recipe, output=replace(recipe.output, directory=str(out))))
    job = client.submit(moved.pack(), key)
    while True:
        told = client.ask(m.JobAsked(new_id(), job))
        assert isinstance(told, m.Told) and told.status is not None, told
        if told.status.state in m.FINAL_STATES:
            assert told.status.state == "done", told
            return files_of(out)
        time.sleep(0.05)


def _require_all(client: Client) -> None:
    """Every acknowledged job is there once and done, its events without gaps."""
    listed: list[m.JobStatus] = []
    after = ""
    while True:
        page = client.ask(m.JobsAsked(new_id(), after))
        assert isinstance(page, m.Listed)
        listed += page.jobs
        if not page.more:
            break
        after = page.jobs[-1].job
    assert sorted(one.job for one in listed) == sorted(client.acknowledged.values())
    for one in listed:
        assert one.state == "done"
        peer = client.connect()
        watch = m.Watch(new_id(), one.job)
        peer.send(watch)
        peer.until(lambda message: isinstance(message, m.Told))
        numbers = [message.number for message, _ in peer.came if isinstance(message, m.Event)]
        assert numbers == list(range(1, one.events + 1))
        frames = [message.frame for message, _ in peer.came if isinstance(message, m.Event) and message.kind == "done"]
        assert len(frames) == len(set(frames)), "a finished frame was rendered again"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    for target in ("front", "worker"):
        folder = Path(tempfile.mkdtemp(prefix="platelight-torture-"))
        print(target, torture(folder, args.rounds, target, args.seed), f"seed {args.seed}", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
