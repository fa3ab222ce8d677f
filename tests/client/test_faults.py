"""Servers that are killed, frozen and replaced while a client works with them: nothing is lost and nothing hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

import platelight
from platelight import messages as m
from platelight.calls import Calls
from platelight.connection import Connection, write_connection
from platelight.errors import BusyError, ProtocolError, RestartedError, UnreachableError
from platelight.link import Link
from platelight.recipe import EngineChoice, Recipe
from platelight.requests import Request
from platelight.uploads import upload_bytes
from platelight.wire import decode_frames, encode_frames
from tests.client.serving import Server, until
from tests.job.rendering import frames_in
from tests.shots.small import make_shot

CLOSE_MOST_S = 1.0


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server of one test."""
    server = Server(tmp_path)
    yield server.start()
    if server.process is not None:
        server.stop()


def slow(recipe: Recipe, seconds: float) -> Recipe:
    return replace(recipe, engine=EngineChoice("test_wavy", {"sleep_seconds": seconds}))


def test_job_outlives_a_killed_server_and_events_have_no_gap(mortal: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 12)
    undisturbed = replace(slow(shot.recipe(), 0.2), output=replace(shot.recipe().output, directory=str(tmp_path / "b")))
    with mortal.connect() as server:
        job = server.submit(slow(shot.recipe(), 0.2))
        future, numbers, kills = job.future, [], 0
        for event in job.events():
            numbers.append(event.number)
            if event.kind == "done" and event.done == 3 and kills < 2:
                kills += 1
                mortal.kill()
                mortal.start()
        result = future.result(60)
        assert (numbers, result.rendered + result.current) == (list(range(1, len(numbers) + 1)), 12)
        assert server.calls.link.reconnects == kills == 2
        server.submit(undisturbed).result(60)
    assert frames_in(shot.folder / "out") == frames_in(tmp_path / "b")


def test_upload_goes_on_where_a_killed_server_left_off(mortal: Server) -> None:
    data = np.random.default_rng(0).integers(0, 255, 96 << 20, dtype=np.uint8).tobytes()
    with mortal.connect() as server:
        link = server.calls.link
        sent: list[int] = []
        push = link._push

        def counting(message: m.Message, payload: object = None) -> bool:
            taken = push(message, payload)  # type: ignore[arg-type]
            if taken and isinstance(message, m.Put):
                assert isinstance(payload, tuple)
                sent.append(len(payload))
            return taken

        link._push = counting  # type: ignore[method-assign,assignment]
        spool = mortal.home / "server" / "spool" / "part"

        def restart() -> None:
            until(lambda: any(one.stat().st_size > 8 << 20 for one in spool.glob("*")))
            mortal.kill()
            mortal.start()

        killer = threading.Thread(target=restart)
        killer.start()
        blob = upload_bytes(link, data, server.calls.welcome.hashes)
        killer.join()
        whole = mortal.home / "server" / "spool" / "blobs" / blob.name.replace(":", "-")
        assert (whole.read_bytes() == data, link.reconnects) == (True, 1)
        assert 96 <= sum(sent) < 96 + 80, "it began anew instead of going on"


def test_submit_across_a_restart_is_one_job(mortal: Server, tmp_path: Path) -> None:
    """The server is killed while it works on the request; the client asks again with the same key by itself."""
    shot = make_shot(tmp_path / "shot", 4)
    with mortal.connect() as server:
        threading.Timer(0.01, mortal.kill).start()
        threading.Timer(1.0, mortal.start).start()
        job = server.submit(shot.recipe())
        assert (job.result(60).rendered + job.result().current, len(server.jobs())) == (4, 1)


def test_watch_of_everything_goes_on_after_a_restart(mortal: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 4)
    with mortal.connect() as server:
        statuses = server.watch()
        mortal.kill()
        mortal.start()
        threading.Timer(0.1, lambda: server.submit(shot.recipe())).start()
        assert next(one for one in statuses if one.state == "done").done == 4


def test_end_that_was_missed_is_told_by_the_watch_of_everything(mortal: Server, tmp_path: Path) -> None:
    """The job ends while this client has no connection."""
    shot = make_shot(tmp_path / "shot", 8)
    with mortal.connect() as server, mortal.connect() as other:
        statuses = server.watch()
        job = other.submit(slow(shot.recipe(), 0.2))
        assert next(statuses).job == job.id
        mute(server.calls.link, 5.0)
        job.result(60)
        assert next(one for one in statuses if one.state == "done").job == job.id


def mute(link: Link, seconds: float) -> None:
    """Takes the network away from a client for a while."""
    end, read = time.monotonic() + seconds, link._read

    def nowhere() -> Connection:
        if time.monotonic() < end:
            raise UnreachableError("no network")
        return read()

    link._read = nowhere
    link._heard = 0.0


def test_frozen_server_is_noticed_and_found_again(mortal: Server) -> None:
    with mortal.connect() as server:
        with mortal.frozen():
            until(lambda: not server.is_connected, 8)
        until(lambda: server.is_connected, 12)
        assert server.status().host != ""


def test_request_that_may_not_be_repeated_fails_with_the_server(mortal: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 12)
    with mortal.connect() as server:
        job = server.submit(slow(shot.recipe(), 0.2))
        with mortal.frozen(), pytest.raises(RestartedError, match="ask again"):
            job.cancel()


def test_short_request_gives_up_when_the_server_stays_away(mortal: Server) -> None:
    with mortal.connect(timeout=1.0) as server:
        mortal.kill()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer within 1 s"):
            server.jobs()
        assert time.monotonic() - began < 4


def test_close_is_quick_while_the_server_is_away(mortal: Server) -> None:
    server = mortal.connect()
    mortal.kill()
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < CLOSE_MOST_S


def test_server_that_stops_in_good_order_is_found_again(mortal: Server) -> None:
    with mortal.connect() as server:
        assert mortal.stop() == 0
        until(lambda: not server.is_connected, 3)
        mortal.start()
        until(lambda: server.is_connected, 10)


# ---- what a real server cannot be made to do: a hand-made one


class Puppet:
    """A ROUTER that answers what a test tells it to."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.file = folder / "puppet.json"
        write_connection(self.file, Connection(f"tcp://127.0.0.1:{port}"))

    def hear(self) -> tuple[bytes, m.Message]:
        """The next message that is no ping."""
        while True:
            assert self.router.poll(5000), "nothing came"
            ident, *frames = self.router.recv_multipart()
            message, _ = decode_frames(frames, m.REQUESTS)
            if not isinstance(message, m.Ping):
                return ident, message

    def say(self, ident: bytes, message: m.Message, payload: bytes | None = None) -> None:
        self.router.send_multipart([ident, *encode_frames(message, payload)])

    def welcome(self, **more: object) -> bytes:
        ident, hello = self.hear()
        assert isinstance(hello, m.Hello)
        self.say(ident, m.Welcome(hello.id, epoch="1", **more))  # type: ignore[arg-type]
        return ident


@pytest.fixture
def puppet(tmp_path: Path) -> Iterator[Puppet]:
    made = Puppet(tmp_path)
    yield made
    made.context.destroy(linger=0)


def linked(puppet: Puppet, **more: object) -> tuple[Link, bytes]:
    from platelight.targets import Target

    link = Link(Target(puppet.file).read)
    return link, puppet.welcome(**more)


def test_new_epoch_fails_what_may_not_be_repeated_and_asks_the_rest_again(puppet: Puppet) -> None:
    """And a late answer to a request that has failed ends nothing: the thread lives."""
    link, ident = linked(puppet)
    try:
        once = link.ask(Request(m.Change(job="0" * 16)))
        twice = m.JobAsked(job="0" * 16)
        again = link.ask(Request(twice, again=lambda: twice))
        first, second = puppet.hear()[1], puppet.hear()[1]
        assert (type(first), type(second)) == (m.Change, m.JobAsked)
        puppet.say(ident, m.Pong("x", epoch="2"))
        ident, hello = puppet.hear()
        puppet.say(ident, m.Welcome(hello.id, epoch="2"))
        with pytest.raises(RestartedError):
            once.future.result(5)
        puppet.say(ident, m.Told(first.id, job="0" * 16))
        repeated = puppet.hear()[1]
        puppet.say(ident, m.Told(repeated.id, job="0" * 16))
        assert (type(repeated), again.future.result(5).job) == (m.JobAsked, "0" * 16)
    finally:
        link.close()


def test_forgotten_session_says_hello_and_loses_nothing(puppet: Puppet) -> None:
    link, ident = linked(puppet)
    try:
        request = link.ask(Request(m.Change(job="0" * 16)))
        asked = puppet.hear()[1]
        puppet.say(ident, m.Refused(asked.id, "NO_SESSION", "say hello first", True))
        puppet.welcome()
        repeated = puppet.hear()[1]
        puppet.say(ident, m.Told(repeated.id, job="0" * 16))
        assert (repeated.id != asked.id, request.future.result(5).job) == (True, "0" * 16)
    finally:
        link.close()


@pytest.mark.parametrize(
    "frames", [[b""], [b"\xc1"], [b"\x80"], [b"\x81\xa1t\xa4what"], [b"x" * 70000], [b"a", b"b", b"c"]]
)
def test_nonsense_from_a_server_ends_nothing(puppet: Puppet, frames: list[bytes]) -> None:
    link, ident = linked(puppet)
    try:
        puppet.router.send_multipart([ident, *frames])
        request = link.ask(Request(m.JobAsked(job="0" * 16)))
        puppet.say(ident, m.Told(puppet.hear()[1].id, job="0" * 16))
        assert request.future.result(5).job == "0" * 16
    finally:
        link.close()


def test_answer_of_another_type_fails_its_request_alone(puppet: Puppet) -> None:
    link, ident = linked(puppet)
    try:
        future = Calls(link, {}, 5.0).told("0" * 16)
        puppet.say(ident, m.Had(puppet.hear()[1].id))
        with pytest.raises(ProtocolError, match="expected told, got had"):
            future.result(5)
        assert link.is_up
    finally:
        link.close()


def test_burst_larger_than_the_socket_takes_is_parked_and_answered(puppet: Puppet) -> None:
    """Nobody reads for a while: what does not fit waits, nothing fails."""
    link, ident = linked(puppet, outstanding=4000, silence_s=60.0)
    try:
        piece = b"\0" * (1 << 20)
        message = m.Put(blob="sha256:" + "0" * 64)
        requests = [link.ask(Request(message, piece)) for _ in range(200)]
        time.sleep(0.5)
        for _ in requests:
            puppet.say(ident, m.PutOk(puppet.hear()[1].id))
        assert [request.future.result(10).complete for request in requests] == [False] * 200
    finally:
        link.close()


def test_busy_server_is_asked_again(puppet: Puppet) -> None:
    link, ident = linked(puppet)
    try:
        future = Calls(link, {}, 5.0).told("0" * 16)
        puppet.say(ident, m.Refused(puppet.hear()[1].id, "BUSY", "wait", True, 0.05))
        puppet.say(ident, m.Told(puppet.hear()[1].id, job="0" * 16))
        assert future.result(5).job == "0" * 16
    finally:
        link.close()


def test_handler_that_breaks_fails_its_own_request(puppet: Puppet) -> None:
    link, ident = linked(puppet)

    def broken(message: m.Message, payload: object) -> object:
        raise ZeroDivisionError

    try:
        one = link.ask(Request(m.JobAsked(job="0" * 16), take=broken))
        two = link.ask(Request(m.JobAsked(job="0" * 16)))
        for _ in range(2):
            puppet.say(ident, m.Told(puppet.hear()[1].id, job="0" * 16))
        with pytest.raises(ZeroDivisionError):
            one.future.result(5)
        assert two.future.result(5).job == "0" * 16
    finally:
        link.close()


def test_gap_in_events_is_asked_for_again(puppet: Puppet) -> None:
    job = "0" * 16
    link, ident = linked(puppet)
    client = platelight.Client(link, None, {}, 5.0)  # type: ignore[arg-type]
    try:
        events = platelight.Job(client, m.Accepted(job=job)).events()
        got: list[int] = []
        reading = threading.Thread(target=lambda: got.extend(one.number for one in events))
        reading.start()
        watch = puppet.hear()[1]
        for number in (1, 2, 5):
            puppet.say(ident, m.Event(watch.id, job, number, "done"))
        again = puppet.hear()[1]
        assert isinstance(again, m.Watch) and again.after == 2
        for number in (3, 4, 5):
            puppet.say(ident, m.Event(again.id, job, number, "done"))
        status = m.JobStatus(job, "n", "done", "1-5", events=5)
        puppet.say(ident, m.Told(again.id, status, job, m.JobResult()))
        reading.join(5)
        assert got == [1, 2, 3, 4, 5]
    finally:
        client.close()


def test_server_without_room_is_named_so(puppet: Puppet) -> None:
    def refuse() -> None:
        ident, hello = puppet.hear()
        puppet.say(ident, m.Refused(hello.id, "BUSY", "256 connections are open", True, 5.0))

    answering = threading.Thread(target=refuse)
    answering.start()
    with pytest.raises(BusyError, match="256 connections are open"):
        platelight.connect(connection_file=puppet.file, timeout=1.0)
    answering.join()


def test_version_that_is_not_spoken_is_said(puppet: Puppet) -> None:
    def refuse() -> None:
        ident, hello = puppet.hear()
        puppet.say(ident, m.Refused(hello.id, "VERSION", "expected protocol version 9, the client speaks 1 to 1"))

    answering = threading.Thread(target=refuse)
    answering.start()
    with pytest.raises(ProtocolError, match="expected protocol version 9"):
        platelight.connect(connection_file=puppet.file)
    answering.join()
