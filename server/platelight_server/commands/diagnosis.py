"""Why a server does not answer, in one sentence.

An ordinary client only sees that nothing comes. Here one short connection has a socket monitor, which tells the
handshake's failures apart. The monitor is read until it has stopped before anything is closed: in another order libzmq
waits for ever.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from platelight.client import connect
from platelight.connection import Connection
from platelight.errors import PlatelightError, ProtocolError, UnreachableError
from platelight.messages import ANSWERS, Hello, Refused
from platelight.targets import Target, target_of
from platelight.wire import decode_frames, encode_frames

CONNECT_S = 2.0
ANSWER_S = 3.0
DECISIVE = {int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)}
TCP = re.compile(r"tcp://(?P<host>\[.+\]|[^:]+):(?P<port>\d+)")


@dataclass(frozen=True)
class Finding:
    """What is the matter with a server, in one sentence. `kind` is "ok", "none" (nobody runs one here) or "error"."""

    kind: str
    text: str


def diagnose(server: str | None, path: Path | None = None) -> Finding:
    """Looks for the server and says what it finds; with `path` also whether the server can see that file."""
    try:
        target = target_of(server)
        try:
            connection = target.read()
        except UnreachableError as error:
            absent = target.file is not None and not target.file.exists() and server is None
            return Finding("none" if absent else "error", str(error))
        trouble = _tcp_trouble(connection.address)
        if trouble:
            return Finding("error", trouble)
        return _asked(target, connection, server, path)
    except PlatelightError as error:
        return Finding("error", str(error))


def _asked(target: Target, connection: Connection, server: str | None, path: Path | None) -> Finding:
    began = time.perf_counter()
    try:
        with connect(server, timeout=ANSWER_S, program="platelight doctor") as client:
            took = (time.perf_counter() - began) * 1000
            status = client.status()
            roots = client.roots
    except ProtocolError as error:
        return Finding("error", f"{connection.address}: {error}")
    except UnreachableError:
        return Finding("error", _handshake_trouble(target, connection))
    workers = ", ".join(f"{one.name} {one.state} on {one.hardware or one.device}" for one in status.workers)
    text = (
        f"{status.address} answers after {took:.0f} ms: version {status.version} on {status.host}, {status.queued} jobs"
        f" wait, {status.running} run; {workers}; roots {roots.named()}"
    )
    if path is None:
        return Finding("ok", text)
    place = roots.place(path.absolute())  # an error that names the roots
    return Finding("ok", f"{text}; {path} is {place} there")


def _tcp_trouble(address: str) -> str:
    """Why there can be no connection at all; empty where the port takes one."""
    match = TCP.fullmatch(address)
    if match is None:
        return "" if address.startswith("ipc://") else f"{address}: expected an address such as tcp://gpu01:5577"
    host, port = match["host"].strip("[]"), int(match["port"])
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except socket.gaierror:
        return f"{address}: no machine of the name {host} is known here; check the name"
    except ConnectionRefusedError:
        return f"{address}: nothing listens on port {port}; start the server there with: platelight serve"
    except TimeoutError:
        return f"{address}: {host} does not take the connection; a firewall is in between, or the machine is off"
    except (OSError, OverflowError) as error:
        return f"{address}: no connection: {error}"
    return ""


def _handshake_trouble(target: Target, connection: Connection) -> str:
    address, with_key = connection.address, bool(connection.server_key)
    mechanism = _mechanism(address)
    if mechanism == "":
        return f"{address}: the port is open but silent; the server hangs: see its log, or start it again"
    if mechanism == "?":
        return f"{address}: something else than a Platelight server listens there; check host and port"
    if with_key and mechanism == "NULL":
        return (
            f"{address}: the server speaks without CURVE (--insecure-loopback), this client expects its key; start"
            " the server without that option, or connect by its connection file"
        )
    if not with_key and mechanism == "CURVE":
        return (
            f"{address}: the server asks for CURVE and its key is not known here; run:"
            f" platelight keys trust {address} KEY, with what `platelight keys show --server-key` prints there"
        )
    seen, refused = _watched_connection(connection)
    if refused is not None:
        return f"{address}: {refused.text}"
    if zmq.EVENT_HANDSHAKE_FAILED_AUTH in seen:
        return (
            f"{address}: this key is not on the server's list; run on its machine:"
            f" platelight keys allow NAME '{connection.public_key}'"
        )
    if zmq.EVENT_HANDSHAKE_SUCCEEDED in seen:
        return f"{address}: the server takes connections but answers nothing; it hangs: see its log, or start it again"
    if with_key and seen & {int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), int(zmq.EVENT_DISCONNECTED)}:
        return (
            f"{address}: the server has another key than {connection.server_key}; if it was set up anew, run:"
            f" platelight keys trust {address} KEY, with what `platelight keys show --server-key` prints there"
        )
    return f"{address}: no answer, and no reason to be seen ({target.named})"


def _mechanism(address: str) -> str:
    """The security mechanism in a server's greeting (ZMTP 3): "CURVE" or "NULL"; "?" where it does not speak ZMTP, and
    empty where nothing comes.

    The peer sends its greeting once it has our signature and version; with the rest withheld it does not yet refuse us.
    (libzmq's own events for two mechanisms that differ depend on who closes first.)
    """
    match = TCP.fullmatch(address)
    if match is None:
        return "CURVE"
    greeting = b""
    try:
        with socket.create_connection((match["host"].strip("[]"), int(match["port"])), CONNECT_S) as raw:
            raw.settimeout(CONNECT_S)
            raw.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00")
            while len(greeting) < 32 and (piece := raw.recv(64)):
                greeting += piece
    except TimeoutError:
        if not greeting:
            return ""
    except OSError:  # it hung up
        pass
    name = greeting[12:32].rstrip(b"\0").decode("ascii", "replace")
    return name if greeting[:1] == b"\xff" and name in ("CURVE", "NULL") else "?"


def _watched_connection(connection: Connection) -> tuple[set[int], Refused | None]:
    """The monitor's events of one connection, and the refusal where one came."""
    context: zmq.Context[Any] = zmq.Context()
    dealer: zmq.Socket[Any] = context.socket(zmq.DEALER)
    seen: set[int] = set()
    refused: Refused | None = None
    try:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.IMMEDIATE, 1)
        dealer.setsockopt(zmq.IPV6, 1 if "[" in connection.address else 0)
        if connection.server_key:
            dealer.curve_serverkey = connection.server_key.encode()
            dealer.curve_publickey = connection.public_key.encode()
            dealer.curve_secretkey = connection.secret_key.encode()
        monitor = dealer.get_monitor_socket()
        dealer.connect(connection.address)
        end, greeted = time.monotonic() + ANSWER_S, False
        while time.monotonic() < end and refused is None and not seen & DECISIVE:
            if monitor.poll(100):
                seen.add(int(recv_monitor_message(monitor)["event"]))
            if zmq.EVENT_HANDSHAKE_SUCCEEDED in seen and not greeted and dealer.poll(0, zmq.POLLOUT):
                dealer.send_multipart(encode_frames(Hello("doctor", client="platelight doctor")), zmq.DONTWAIT)
                greeted = True
            if greeted and dealer.poll(0):
                message, _ = decode_frames(dealer.recv_multipart(), ANSWERS)
                refused = message if isinstance(message, Refused) else None
        dealer.disable_monitor()
        while monitor.poll(1000) and int(recv_monitor_message(monitor)["event"]) != zmq.EVENT_MONITOR_STOPPED:
            pass
        monitor.close(linger=0)
    finally:
        dealer.close(linger=0)
        context.destroy(linger=0)
    return seen, refused
