"""Doctor: for every way in which a server does not answer, one sentence that names it and says what to do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from platelight import messages as m
from platelight.connection import read_connection, write_connection
from platelight.keys import new_pair
from platelight.wire import decode_frames, encode_frames
from tests.cli.running import here, run
from tests.client.serving import Server, running


def doctor(*arguments: str) -> tuple[int, str]:
    """Exit code, and what the server's line says."""
    done = here("doctor", *arguments, "--json")
    return done.returncode, json.loads(done.stdout)["server"]


def altered(server: Server, folder: Path, **changes: str) -> str:
    """A connection file like the server's, with other fields."""
    path = folder / "altered.json"
    write_connection(path, replace(read_connection(server.file), **changes))
    return str(path)


@pytest.fixture(scope="module")
def insecure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("insecure"), "--insecure-loopback") as server:
        yield server


def test_server_that_answers_is_described(serving: Server) -> None:
    code, text = doctor("--server", str(serving.file))
    assert (code, serving.address in text, "answers after" in text, "fs = /" in text) == (0, True, True, True), text


def test_text_has_one_line_for_it(serving: Server) -> None:
    lines = here("doctor", "--server", str(serving.file)).stdout.splitlines()
    assert (len(lines), lines[-1].startswith("server      tcp://")) == (11, True)


def test_no_server_here_is_no_error(own_home: Path) -> None:
    code, text = doctor()
    assert (code, text) == (
        0, f"{own_home / 'connection.json'}: no server is running here; start one with: platelight serve",
    )  # fmt: skip


def test_connection_file_that_is_not_there(tmp_path: Path) -> None:
    code, text = doctor("--server", str(tmp_path / "gone.json"))
    assert (code, "no server is running here" in text) == (1, True)


def test_stale_connection_file(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.process is not None
        server.kill()
        code, text = doctor("--server", str(server.file))
        assert (code, f"(process {server.process.pid}) is gone; start one with: platelight serve" in text) == (1, True)
        server.start()


def test_connection_file_that_others_can_read(serving: Server, tmp_path: Path) -> None:
    path = Path(altered(serving, tmp_path))
    path.chmod(0o644)
    code, text = doctor("--server", str(path))
    assert (code, "expected a file that its user alone can read, got mode 0644; run: chmod 600" in text) == (1, True)


def test_nothing_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        code, text = doctor("--server", address)
    assert (code, f"nothing listens on port {address.rpartition(':')[2]}" in text) == (1, True)


def test_machine_that_nobody_knows() -> None:
    code, text = doctor("--server", "tcp://no-such-machine.invalid:5577")
    assert (code, "server's key is not known here" in text) == (1, True)
    assert here("keys", "trust", "tcp://no-such-machine.invalid:5577", new_pair().public).returncode == 0
    code, text = doctor("--server", "tcp://no-such-machine.invalid:5577")
    assert (code, "no machine of the name no-such-machine.invalid" in text) == (1, True)


def test_wrong_server_key(serving: Server, tmp_path: Path) -> None:
    code, text = doctor("--server", altered(serving, tmp_path, server_key=new_pair().public))
    assert (code, "the server has another key than" in text) == (1, True), text


def test_key_that_is_not_on_the_list(serving: Server, tmp_path: Path) -> None:
    stranger = new_pair()
    file = altered(serving, tmp_path, public_key=stranger.public, secret_key=stranger.secret)
    code, text = doctor("--server", file)
    assert (code, f"platelight keys allow NAME '{stranger.public}'" in text) == (1, True), text


def test_client_without_curve(serving: Server) -> None:
    code, text = doctor("--server", serving.address)
    assert (code, "the server asks for CURVE and its key is not known here" in text) == (1, True), text


def test_server_without_curve(insecure: Server, serving: Server, tmp_path: Path) -> None:
    pair = new_pair()
    file = altered(insecure, tmp_path, server_key=pair.public, public_key=pair.public, secret_key=pair.secret)
    code, text = doctor("--server", file)
    assert (code, "the server speaks without CURVE" in text) == (1, True), text


def test_insecure_server_is_used_as_it_is(insecure: Server) -> None:
    assert doctor("--server", insecure.address)[0] == doctor("--server", str(insecure.file))[0] == 0


def test_frozen_server(serving: Server) -> None:
    with serving.frozen():
        code, text = doctor("--server", str(serving.file))
    assert (code, "the server hangs: see its log, or start it again" in text) == (1, True), text


def test_server_that_shakes_hands_and_hangs(tmp_path: Path) -> None:
    """Its main loop hangs while libzmq's own thread lives on."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        code, text = doctor("--server", f"tcp://127.0.0.1:{port}")
    assert (code, "takes connections but answers nothing; it hangs" in text) == (1, True), text


def test_port_of_another_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def talk() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = other.accept()
                    taken.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
                    taken.close()

        threading.Thread(target=talk, daemon=True).start()
        code, text = doctor("--server", f"tcp://127.0.0.1:{other.getsockname()[1]}")
    assert (code, "something else than a Platelight server listens there" in text) == (1, True), text


def test_version_that_is_not_spoken(tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")

        def refuse() -> None:
            ident, header = router.recv_multipart()
            hello, _ = decode_frames([header], m.REQUESTS)
            text = "expected protocol version 9, the client speaks 1 to 1; update the client"
            router.send_multipart([ident, *encode_frames(m.Refused(hello.id, "VERSION", text))])

        answering = threading.Thread(target=refuse)
        answering.start()
        code, text = doctor("--server", f"tcp://127.0.0.1:{port}")
        answering.join()
    assert (code, "expected protocol version 9, the client speaks 1 to 1; update the client" in text) == (1, True)


def test_path_that_the_server_does_not_see(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    with running(tmp_path, "--root", f"shows={tmp_path / 'media'}") as server:
        file = str(server.file)
        seen = doctor("--server", file, "--path", str(tmp_path / "media" / "sh010" / "p.1001.exr"))
        unseen = doctor("--server", file, "--path", str(tmp_path / "p.1001.exr"))
    assert (seen[0], "is shows:sh010/p.1001.exr there" in seen[1]) == (0, True), seen
    assert (unseen[0], f"outside the media roots (shows = {tmp_path / 'media'})" in unseen[1]) == (1, True), unseen


def test_doctor_ends_by_itself(serving: Server, tmp_path: Path) -> None:
    """A monitor that is torn down in the wrong order would hang the exit of the process."""
    done = run("doctor", "--server", altered(serving, tmp_path, server_key=new_pair().public))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_variable_names_the_server(serving: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATELIGHT_SERVER", str(serving.file))
    assert (doctor()[0], "PLATELIGHT_SERVER" in os.environ) == (0, True)
