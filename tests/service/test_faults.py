"""A real server process under everything that goes wrong: killed, stopped, full disks, clients that vanish."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from platelight import messages as m
from platelight.wire import CHUNK, new_id
from tests.service.running import Peer, Server, files_of, on_wire, serving, wait_for
from tests.service.torture import torture
from tests.shots.small import make_shot

ROUNDS = 2  # `python -m tests.service.torture --rounds 20` is the long form
NOTICED_S = 15.0
# What a worker holds beyond an idle one after a cancelled job: allocators keep some, pictures in flight would be more.
KEPT_BYTES_MOST = 48 << 20


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.name == "nt" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this system does not let a small disk be mounted")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["front", "worker"])
def test_kill_9_loses_and_doubles_nothing(tmp_path: Path, target: str) -> None:
    done = torture(tmp_path, ROUNDS, target, seed=int(time.time()))
    assert done["kills"] == ROUNDS


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_within_fifteen_seconds_and_the_job_is_done(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 8)
    recipe = on_wire(shot.recipe(engine={"name": "test_wavy", "options": {"sleep_seconds": 0.3}}))
    with serving(tmp_path / "home") as server, Peer(server.connection) as peer:
        accepted = peer.submit(recipe, "hang")
        assert isinstance(accepted, m.Accepted)
        wait_for(lambda: peer.status(accepted.job).done >= 2)
        hung = server.workers("render")[0]
        hung.send_signal(signal.SIGSTOP)
        took = wait_for(lambda: hung.pid not in [one.pid for one in server.workers("render")], 30)
        assert took < NOTICED_S
        assert peer.end_of(accepted.job).status.state == "done"  # type: ignore[union-attr]
        assert len(files_of(shot.folder / "out")) == 16


@pytest.mark.slow
def test_cancel_keeps_what_is_finished_frees_memory_and_retry_goes_on(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 40, 640, 400)
    recipe = on_wire(shot.recipe(engine={"name": "test_wavy", "options": {"sleep_seconds": 0.1}}))
    with serving(tmp_path / "home") as server, Peer(server.connection) as peer:
        small = make_shot(tmp_path / "warm", 2)
        warm = peer.submit(on_wire(small.recipe()), "warm")
        assert isinstance(warm, m.Accepted)
        peer.end_of(warm.job)
        before = server.workers("render")[0].memory_info().rss
        accepted = peer.submit(recipe, "cancel")
        assert isinstance(accepted, m.Accepted)
        wait_for(lambda: peer.status(accepted.job).done >= 4)
        asked = time.monotonic()
        peer.ask(m.Change(new_id(), accepted.job, "cancel"))
        told = peer.end_of(accepted.job)
        took = time.monotonic() - asked
        assert told.status is not None and told.status.state == "cancelled"
        assert took < 3.0  # a frame takes about 0.2 s here; the rest is a busy machine's
        kept = files_of(shot.folder / "out")
        assert 4 <= len(kept) / 2 < 40
        wait_for(lambda: server.workers("render")[0].memory_info().rss < before + KEPT_BYTES_MOST, 10)
        peer.ask(m.Change(new_id(), accepted.job, "retry"))
        told = peer.end_of(accepted.job)
        assert told.status is not None and told.status.state == "done" and told.result is not None
        assert told.result.current >= len(kept) // 2
        assert {name: files_of(shot.folder / "out")[name] for name in kept} == kept


def test_a_full_disk_during_output_fails_the_job_with_a_code_and_keeps_what_is_whole(
    tmp_path: Path, full_disk: Path
) -> None:
    shot = make_shot(tmp_path / "shot", 12, 320, 200)
    recipe = shot.recipe()
    recipe = on_wire(replace(recipe, output=replace(recipe.output, directory=str(full_disk / "out"))))
    with serving(tmp_path / "home") as server, Peer(server.connection) as peer:
        accepted = peer.submit(recipe, "full")
        assert isinstance(accepted, m.Accepted)
        told = peer.end_of(accepted.job)
        assert told.status is not None and (told.status.state, told.status.code) == ("failed", "DISK_FULL")
        assert "no space left on the disk" in told.status.text
        assert 0 < len(files_of(full_disk / "out")) < 24
        shutil.rmtree(full_disk / "out")
        small = on_wire(
            replace(
                shot.recipe(), output=replace(shot.recipe().output, directory=str(full_disk / "out"), layers=("gain",))
            )
        )
        again = peer.submit(small, "smaller", frames="1001-1002")
        assert isinstance(again, m.Accepted)
        assert peer.end_of(again.job).status.state == "done"  # type: ignore[union-attr]


def test_a_full_disk_during_an_upload_is_told_and_the_server_goes_on(tmp_path: Path, full_disk: Path) -> None:
    data = os.urandom(8 * CHUNK)
    blob = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with serving(full_disk / "home") as server, Peer(server.connection) as peer:
        had = peer.ask(m.Have(new_id(), blob, len(data)))
        assert isinstance(had, m.Refused) and had.code == "DISK_FULL"
        # A disk that fills up under the upload: the room was there when it began.
        small = data[: CHUNK + CHUNK // 2]
        blob = f"sha256:{hashlib.sha256(small).hexdigest()}"
        assert isinstance(peer.ask(m.Have(new_id(), blob, len(small))), m.Had)
        filler = full_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass
        answer = peer.ask(m.Put(new_id(), blob, 0), small[:CHUNK])
        assert isinstance(answer, m.Refused) and answer.code == "DISK_FULL", answer
        assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)
        filler.unlink()
        had = peer.ask(m.Have(new_id(), blob, len(small)))
        assert isinstance(had, m.Had)
        offset = had.offset
        while offset < len(small):
            put = peer.ask(m.Put(new_id(), blob, offset), small[offset : offset + CHUNK])
            assert isinstance(put, m.PutOk), put
            offset = put.offset
        assert put.complete


@pytest.mark.slow
def test_a_client_that_vanishes_cancels_nothing_and_finds_its_job_from_another_port(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 8)
    recipe = on_wire(shot.recipe(engine={"name": "test_wavy", "options": {"sleep_seconds": 0.1}}))
    with serving(tmp_path / "home") as server:
        peer = Peer(server.connection)
        accepted = peer.submit(recipe, "vanish")
        assert isinstance(accepted, m.Accepted)
        peer.send(m.Watch(new_id(), accepted.job))
        peer.until(lambda one: isinstance(one, m.Event) and one.number >= 3)
        peer.close()
        with Peer(server.connection) as back:
            assert back.submit(recipe, "vanish") == m.Accepted(back.came[-1][0].id, accepted.job, False)
            back.send(m.Watch(new_id(), accepted.job, 3))
            back.until(lambda one: isinstance(one, m.Told) and one.result is not None)
            numbers = [one.number for one, _ in back.came if isinstance(one, m.Event)]
            assert numbers == list(range(4, 4 + len(numbers)))
            assert back.status(accepted.job).state == "done"


def test_clients_that_never_read_slow_nobody_and_cost_little(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server, Peer(server.connection) as peer:
        front = psutil.Process(server.pid)
        shot = make_shot(tmp_path / "shot", 2)
        accepted = peer.submit(on_wire(shot.recipe()), "log")
        assert isinstance(accepted, m.Accepted)
        peer.end_of(accepted.job)
        log = server.home / "server" / "spool" / "jobs" / accepted.job / "log"
        log.write_bytes(bytes(200 * CHUNK))
        before = front.memory_info().rss
        stalled = [Peer(server.connection) for _ in range(3)]
        for one in stalled:
            one.send(m.Watch(new_id(), "*"))
            one.send(m.Get(new_id(), accepted.job, "log", 0, 8))
            for _ in range(300):
                one.send(m.Ping(new_id()))
        trips = []
        for _ in range(100):
            asked = time.monotonic()
            peer.ask(m.Ping(new_id()))
            trips.append(time.monotonic() - asked)
        grown = front.memory_info().rss - before
        for one in stalled:
            one.close()
        assert sorted(trips)[98] < 0.25  # the bench holds the strict limit, on a quiet machine
        assert grown < len(stalled) * 2 * 8 * CHUNK


def test_the_server_ends_in_good_order_and_takes_its_connection_file_along(tmp_path: Path) -> None:
    server = Server(tmp_path / "home")
    with Peer(server.connection) as peer:
        workers = server.workers()
        os.kill(server.pid, signal.SIGTERM)
        bye = peer.until(lambda one: isinstance(one, m.Bye))
        assert isinstance(bye, m.Bye)
    assert server.stop() == 0
    assert not (tmp_path / "home" / "connection.json").exists()
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)


def test_two_servers_do_not_share_a_home(tmp_path: Path) -> None:
    from tests.cli.running import run

    with serving(tmp_path / "home"):
        second = run("serve", "--home", str(tmp_path / "home"))
        assert second.returncode == 75 and "another server uses it" in second.stderr
