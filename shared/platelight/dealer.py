"""The client's sockets: a DEALER with the protocol's options, what it says first, and a bell to wake its thread."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
from typing import Any

import zmq

from ._version import __version__
from .connection import Connection
from .errors import InputError
from .messages import Hello
from .wire import FRAME_MOST, new_id


def dealer(context: zmq.Context[Any], connection: Connection) -> zmq.Socket[Any]:
    """A socket that connects. Raises `InputError` for an address that is none."""
    made: zmq.Socket[Any] = context.socket(zmq.DEALER)
    options = {
        zmq.LINGER: 0, zmq.IMMEDIATE: 1, zmq.RECONNECT_IVL: 100, zmq.RECONNECT_IVL_MAX: 2000, zmq.SNDHWM: 64,
        zmq.RCVHWM: 64, zmq.TCP_KEEPALIVE: 1, zmq.MAXMSGSIZE: FRAME_MOST,
        zmq.IPV6: 1 if "[" in connection.address else 0,
    }  # fmt: skip
    try:
        for option, value in options.items():
            made.setsockopt(option, value)
        if connection.server_key:
            made.curve_serverkey = connection.server_key.encode()
            made.curve_publickey = connection.public_key.encode()
            made.curve_secretkey = connection.secret_key.encode()
        made.connect(connection.address)
    except (zmq.ZMQError, UnicodeError) as error:
        made.close(linger=0)
        raise InputError(f"{connection.address}: expected an address such as tcp://gpu01:5577: {error}") from None
    return made


def hello(program: str) -> Hello:
    """What a client says first."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no entry in the password file, as in some containers
        user = ""
    return Hello(
        new_id(), client=program, client_version=__version__, host=socket.gethostname(), user=user, pid=os.getpid()
    )  # fmt: skip


class Bell:
    """Wakes a thread that polls `woken`. `ring` may be called from any thread."""

    def __init__(self, context: zmq.Context[Any]) -> None:
        self._lock = threading.Lock()
        self._rings: zmq.Socket[Any] | None = context.socket(zmq.PAIR)
        self._rings.setsockopt(zmq.LINGER, 0)
        self._rings.bind("inproc://wake")
        self.woken: zmq.Socket[Any] = context.socket(zmq.PAIR)
        self.woken.setsockopt(zmq.LINGER, 0)
        self.woken.connect("inproc://wake")

    def ring(self) -> None:
        """Wakes the thread."""
        with self._lock:
            if self._rings is not None:
                with contextlib.suppress(zmq.ZMQError):  # then it is awake
                    self._rings.send(b"", zmq.DONTWAIT)

    def drain(self) -> None:
        """Takes in what was rung; by the thread itself."""
        with contextlib.suppress(zmq.Again):
            while True:
                self.woken.recv(zmq.DONTWAIT)

    def close(self) -> bool:
        """Ends the callers' half; false where it was closed before."""
        with self._lock:
            if self._rings is None:
                return False
            self._rings.close(linger=0)
            self._rings = None
            return True
