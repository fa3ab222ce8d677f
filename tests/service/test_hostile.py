"""A real server against peers that mean harm: no key, wrong key, garbage, floods, bombs, and paths that lead out."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import zmq

from platelight import keys, places
from platelight import messages as m
from platelight.connection import Connection
from platelight.recipe import Recipe
from platelight.wire import CHUNK, new_id
from tests.cli.running import run
from tests.service.running import ROOT, Peer, files_of, serving, wait_for
from tests.service.test_wire import BOMBS
from tests.shots.small import Shot, make_shot

# What a flood may leave in the front's memory: buffers of the sockets, not the flood.
LEFT_BYTES_MOST = 24 << 20
ANSWER_S = 2.0


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return make_shot(tmp_path_factory.mktemp("shows") / "sh010", 2)


@pytest.fixture(scope="module")
def media(shot: Shot) -> Path:
    """The media root, with a secret beside it and links that lead there."""
    root = shot.folder.parent
    outside = root.parent / f"{root.name}-secret"
    outside.mkdir()
    (outside / "plate.1001.exr").write_bytes((shot.folder / "plate" / "plate.1001.exr").read_bytes())
    (outside / "plate.1002.exr").write_bytes((shot.folder / "plate" / "plate.1002.exr").read_bytes())
    (root / "link").symlink_to(outside)
    (root / "etc").symlink_to("/etc")
    (root / "good").symlink_to("sh010/plate")
    return root


@pytest.fixture(scope="module")
def connection(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A server with one root."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    with serving(home, "--root", f"shows={media}") as server:
        yield server.connection


@pytest.fixture
def peer(connection: Connection) -> Iterator[Peer]:
    with Peer(connection) as found:
        yield found


def recipe_of(shot: Shot, plate: str, out: str = "shows:out") -> Recipe:
    return shot.recipe(
        plate={"path": plate}, matte={"path": "shows:sh010/matte/matte.####.exr"},
        background={"still": "shows:sh010/background.exr"}, output={"directory": out},
    )  # fmt: skip


def everything(media: Path) -> list[Path]:
    """All files in the root and beside it, without the server's own home."""
    return sorted(path for folder in media.parent.glob(f"{media.name}*") for path in (folder, *folder.rglob("*")))


ATTACKS = [
    "../../{name}-secret/plate.####.exr",
    "../sh010/../../{name}-secret/plate.####.exr",
    "../../{name}X/plate.####.exr",
    "{outside}/plate.####.exr",
    "/etc/plate.####.exr",
    "shows:../{name}-secret/plate.####.exr",
    "shows:sh010/../../{name}-secret/plate.####.exr",
    "shows:/etc/plate.####.exr",
    "shows:{outside}/plate.####.exr",
    "shows:link/plate.####.exr",
    "shows:etc/plate.####.exr",
    "shows:/proc/self/root{outside}/plate.####.exr",
    "shows:link/../link/plate.####.exr",
    "other:sh010/plate/plate.####.exr",
    "fs:{outside}/plate.####.exr",
    "job:../../../jobs.sqlite",
    "job:in/../../../../jobs.sqlite",
    "C:\\shows\\plate.####.exr",
    "\\\\server\\share\\plate.####.exr",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("role", ["plate", "out"])
def test_paths_that_lead_out_are_refused_and_touch_nothing(
    peer: Peer, shot: Shot, media: Path, attack: str, role: str
) -> None:
    outside = media.parent / f"{media.name}-secret"
    text = attack.format(root=media, outside=outside, name=media.name)
    if role == "out":
        text = text.replace("/plate.####.exr", "/new")
    recipe = recipe_of(shot, text) if role == "plate" else recipe_of(shot, "shows:sh010/plate/plate.####.exr", text)
    before = everything(media)
    answer = peer.submit(recipe, new_id(), base="shows:sh010")
    assert isinstance(answer, m.Refused), answer
    assert answer.code in ("FORBIDDEN_PATH", "BAD_INPUT")
    if answer.code == "FORBIDDEN_PATH":
        assert "shows" in answer.text  # the roots are named
    assert everything(media) == before


def test_what_stays_inside_is_let_through_also_over_a_link(peer: Peer, shot: Shot, media: Path) -> None:
    for number, plate in enumerate(
        ("shows:sh010/plate/plate.####.exr", "plate/plate.####.exr", "shows:good/plate.####.exr")
    ):
        answer = peer.submit(recipe_of(shot, plate, f"shows:out{number}"), new_id(), base="shows:sh010")
        assert isinstance(answer, m.Accepted), answer
        assert peer.end_of(answer.job).status.state == "done"  # type: ignore[union-attr]
        assert len(files_of(media / f"out{number}")) == 4


def test_a_base_that_leads_out_is_refused(peer: Peer, shot: Shot) -> None:
    for base in ("shows:..", "fs:", "shows:link", "/etc", "shows:/"):
        answer = peer.submit(recipe_of(shot, "plate.####.exr"), new_id(), base=base)
        assert isinstance(answer, m.Refused) and answer.code in ("FORBIDDEN_PATH", "BAD_INPUT"), (base, answer)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="swaps names with renameat2")
def test_a_link_swapped_during_jobs_leaks_and_writes_nothing(peer: Peer, shot: Shot, media: Path) -> None:
    """A folder changes places with a link to the outside, thousands of times while jobs read and write below it."""
    inside, flip, other = media / "race", media / "race" / "flip", media / "race" / "other"
    outside = media.parent / f"{media.name}-target"
    flip.mkdir(parents=True)
    outside.mkdir()
    secret = make_shot(outside / "secret", 2, 96, 64)
    for frame in shot.frames:
        (flip / f"plate.{frame}.exr").write_bytes((shot.folder / "plate" / f"plate.{frame}.exr").read_bytes())
        # The secret's pixels differ: a leak would show in the result.
        (secret.folder / "matte" / f"matte.{frame}.exr").replace(outside / f"plate.{frame}.exr")
    other.symlink_to(outside)
    swapper = subprocess.Popen(
        [sys.executable, "-c", _SWAP, str(flip), str(other)], cwd=ROOT, stdin=subprocess.PIPE
    )  # fmt: skip
    before = sorted(outside.rglob("*"))
    states = []
    try:
        for number in range(12):
            recipe = recipe_of(shot, "shows:race/flip/plate.####.exr", "shows:race/flip/out")
            answer = peer.submit(replace(recipe, name=f"race{number}"), new_id())
            if isinstance(answer, m.Accepted):
                states.append(peer.end_of(answer.job).status.state)  # type: ignore[union-attr]
    finally:
        swapper.kill()
        swapper.wait()
        assert swapper.stdin is not None
        swapper.stdin.close()
    assert sorted(outside.rglob("*")) == before
    # Whatever was rendered has the pixels of the plate inside: the other's would not even have its channels.
    assert set(states) <= {"done", "failed", "partial"}
    assert inside.is_dir()


_SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(name) for name in sys.argv[1:])
while True:
    libc.syscall(316, -100, one, -100, other, 2)
"""


def test_nobody_without_the_right_keys_is_answered(connection: Connection) -> None:
    stranger = keys.new_pair()
    cases = {
        "unknown key": {"public": stranger.public, "secret": stranger.secret},
        "wrong server key": {"server": stranger.public},
        "no curve": {"server": ""},
    }
    for name, changed in cases.items():
        peer = Peer(connection, hello=False, **changed)
        peer.send(m.Hello(new_id()))
        assert peer.next(ANSWER_S) is None, name
        peer.close()


def test_the_connection_file_and_keys_are_private(connection: Connection, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        for path in (server.home / "connection.json", server.home / "keys" / "server.key"):
            assert path.stat().st_mode & 0o777 == 0o600
        for path in (server.home, server.home / "server", server.home / "server" / "spool"):
            assert path.stat().st_mode & 0o077 == 0


def test_a_known_key_is_let_in_and_a_revoked_one_is_thrown_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    pair = keys.new_pair()
    with serving(home) as server:
        local = server.connection
        keys.allow("ana", pair.public, home / "keys")
        time.sleep(0.6)
        with Peer(local, public=pair.public, secret=pair.secret) as peer:
            assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)
            assert keys.revoke("ana", home / "keys") == 1
            time.sleep(0.6)
            peer.send(m.Ping(new_id()))
            assert peer.next(ANSWER_S) is None
        with Peer(local) as peer:
            assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)


def test_listening_elsewhere_demands_keys_and_roots(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for arguments, said in (
        ((), "expected at least one client key"),
        (("--insecure-loopback",), "expected a loopback address"),
    ):
        done = run("serve", "--home", str(home), "--listen", "tcp://0.0.0.0:*", *arguments)
        assert done.returncode == 65 and said in done.stderr, done.stderr
    keys.allow("ana", keys.new_pair().public, home / "keys")
    done = run("serve", "--home", str(home), "--listen", "tcp://0.0.0.0:*")
    assert done.returncode == 65 and "expected media roots" in done.stderr


@pytest.mark.parametrize("name", ["job=.", "shows", "X=.", "shows=/does/not/exist", "a=."])
def test_roots_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    done = run("serve", "--home", str(tmp_path / "home"), "--root", name)
    assert done.returncode == 65 and "--root" in done.stderr, done.stderr


def test_garbage_on_the_port_costs_nobody_anything(connection: Connection, peer: Peer) -> None:
    port = int(connection.address.rpartition(":")[2])
    front = psutil.Process(connection.pid)
    before, descriptors = front.memory_info().rss, front.num_fds()
    sockets = []
    for data in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        os.urandom(4096),
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00CURVE" + bytes(48) + os.urandom(4096),
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(49) + b"\x02" + struct.pack(">Q", 1 << 40),
        b"",
    ):
        for _ in range(10):
            raw = socket.create_connection(("127.0.0.1", port))
            raw.sendall(data)
            sockets.append(raw)
    for _ in range(20):
        began = time.monotonic()
        assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)
        assert time.monotonic() - began < ANSWER_S
    for raw in sockets:
        raw.close()
    wait_for(lambda: front.num_fds() <= descriptors + 8, 60)
    assert front.memory_info().rss < before + LEFT_BYTES_MOST


def test_endless_multipart_without_a_key_is_cut_off(connection: Connection, peer: Peer) -> None:
    """A peer that speaks ZMTP without CURVE and never ends its message."""
    port = int(connection.address.rpartition(":")[2])
    front = psutil.Process(connection.pid)
    before = front.memory_info().rss
    raw = socket.create_connection(("127.0.0.1", port))
    raw.settimeout(ANSWER_S)
    raw.sendall(b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(16) + bytes(33))
    sent = 0
    frame = b"\x03" + struct.pack(">Q", 65536) + bytes(65536)
    try:
        while sent < 512 << 20:
            raw.sendall(frame)
            sent += len(frame)
    except OSError:
        pass
    raw.close()
    assert sent < 64 << 20
    assert front.memory_info().rss < before + LEFT_BYTES_MOST
    assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)


def test_an_endless_message_of_a_client_that_is_let_in_is_thrown_away(tmp_path: Path) -> None:
    """No option of ZeroMQ bounds it. The server listens anew, and the others connect again by themselves.

    The peer speaks ZMTP by hand, to a server without CURVE: ZeroMQ itself sends no message before its end.
    """
    limit = 128 << 20
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
    with serving(tmp_path / "home", "--insecure-loopback", "--memory-mb", str(limit >> 20)) as server:
        front, peak, sent = psutil.Process(server.pid), 0, 0
        with Peer(server.connection) as peer:
            raw = socket.create_connection(("127.0.0.1", int(server.connection.address.rpartition(":")[2])))
            raw.settimeout(5.0)
            raw.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
            raw.sendall(b"\x04" + bytes([len(ready)]) + ready)
            part = b"\x03" + struct.pack(">Q", CHUNK) + bytes(CHUNK)
            with contextlib.suppress(OSError):
                while sent < 2 << 30:
                    raw.sendall(part)
                    sent += CHUNK
                    peak = max(peak, front.memory_info().rss)
            raw.close()
            assert limit // 2 < sent < 2 << 30  # it was let in, and cut off
            assert peak < 3 * limit
            assert "listening anew" in server.said()
            answer = peer.ask(m.Ping(new_id()), wait_s=10)
            assert isinstance(answer, m.Refused) and answer.code == "NO_SESSION"
            assert isinstance(peer.ask(m.Hello(new_id())), m.Welcome)
        wait_for(lambda: front.memory_info().rss < limit, 10)


def test_bombs_and_malformed_messages_get_an_answer_and_the_next_request_too(
    connection: Connection, peer: Peer
) -> None:
    front = psutil.Process(connection.pid)
    before = front.memory_info().rss
    for bomb in (*BOMBS.values(), b"", b"\xc1", b"\x80", os.urandom(1000)):
        peer.socket.send_multipart([bomb])
        answer = peer.next()
        assert answer is not None and isinstance(answer[0], m.Refused)
        assert answer[0].code in ("BAD_MESSAGE", "UNSUPPORTED")
    peer.socket.send_multipart([b"\x80"] * 500)
    answer = peer.next()
    assert answer is not None and isinstance(answer[0], m.Refused)
    assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)
    assert front.memory_info().rss < before + LEFT_BYTES_MOST


def test_a_message_over_the_limit_ends_the_connection_of_who_sent_it(connection: Connection, peer: Peer) -> None:
    with Peer(connection) as bad:
        bad.socket.send_multipart([b"\x80", bytes(CHUNK + 8192)])
        bad.send(m.Ping(new_id()))
        came = bad.next(ANSWER_S)
        # ZeroMQ connects again by itself; the new connection is a new session.
        assert came is None or (isinstance(came[0], m.Refused) and came[0].code == "NO_SESSION")
    assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)


def test_a_flood_of_requests_slows_nobody(connection: Connection, peer: Peer) -> None:
    stop = threading.Event()

    def flood() -> None:
        with Peer(connection) as bad:
            while not stop.is_set():
                for _ in range(100):
                    bad.socket.send_multipart([os.urandom(50)])
                while bad.socket.poll(0):
                    bad.socket.recv_multipart()

    floods = [threading.Thread(target=flood) for _ in range(2)]
    for one in floods:
        one.start()
    trips = []
    for _ in range(50):
        began = time.monotonic()
        assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)
        trips.append(time.monotonic() - began)
    stop.set()
    for one in floods:
        one.join()
    assert sorted(trips)[45] < ANSWER_S / 4


def test_a_recipe_bomb_is_refused_and_the_checker_goes_on(peer: Peer, shot: Shot) -> None:
    for data in (
        b"\xdd\x00\x0f\x00\x00" + b"\x80" * 983_040,
        b"\x91" * 1_000_000,
        b"",
        b"\x81\xa1a" + b"\xd4\x01\x00" * 1000,
    ):
        answer = peer.ask(m.Check(new_id(), base="shows:sh010"), data)
        problems = answer.problems if isinstance(answer, (m.Checked, m.Refused)) else ()
        assert problems or isinstance(answer, m.Refused), answer
    good = peer.ask(m.Check(new_id(), base="shows:sh010"), recipe_of(shot, "plate/plate.####.exr").pack())
    assert isinstance(good, m.Checked) and good.problems == ()


def test_a_damaged_picture_that_claims_to_be_huge_costs_a_check_not_the_server(
    peer: Peer, shot: Shot, media: Path
) -> None:
    folder = media / "huge"
    folder.mkdir()
    for frame in shot.frames:
        data = bytearray((shot.folder / "plate" / f"plate.{frame}.exr").read_bytes())
        for window in (b"dataWindow\0box2i\0", b"displayWindow\0box2i\0"):
            at = data.index(window) + len(window) + 4
            data[at : at + 16] = struct.pack("<4i", 0, 0, 2**30, 2**30)
        (folder / f"plate.{frame}.exr").write_bytes(data)
    began = time.monotonic()
    answer = peer.submit(recipe_of(shot, "shows:huge/plate.####.exr"), new_id())
    assert isinstance(answer, m.Refused) and answer.code == "BAD_INPUT"
    assert "plate.1001.exr" in answer.text
    assert time.monotonic() - began < 30
    assert isinstance(peer.ask(m.Ping(new_id())), m.Pong)


def test_places_lead_nowhere_else(tmp_path: Path) -> None:
    roots = places.Roots({"shows": tmp_path / "shows", "deep": tmp_path / "shows" / "deep"})
    assert roots.place(tmp_path / "shows" / "a b" / "c.exr") == "shows:a b/c.exr"
    assert roots.place(tmp_path / "shows" / "deep" / "c.exr") == "deep:c.exr"
    assert roots.path("shows:a b/c.exr") == tmp_path / "shows" / "a b" / "c.exr"
    for bad in ("shows:../x", "shows:/x", "other:x", "x", "", "shows:a\0b", "shows", "C:x", "shows:a/../../x"):
        with pytest.raises(Exception, match="expected"):
            roots.path(bad)
    with pytest.raises(Exception, match="outside the media roots"):
        roots.place(tmp_path / "showsX" / "c.exr")


def test_zmq_has_curve() -> None:
    assert zmq.has("curve")
