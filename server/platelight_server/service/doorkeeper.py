"""Who is let in: the CURVE keys that the sockets accept, and those that are no longer accepted in mid-session."""

from __future__ import annotations

import logging
import time
from typing import Any

import zmq
import zmq.auth.thread

from platelight.errors import PlatelightError
from platelight.keys import KeyPair, Register

CLIENTS, WORKERS = "clients", "workers"  # ZAP domains
LOOK_AGAIN_S = 0.5
log = logging.getLogger(__name__)


class Guests:
    """Public keys that may come in: the one of this machine's user, and those of the register, read when it changes."""

    def __init__(self, own: str, register: Register | None) -> None:
        self._own, self._register = own, register
        self._known: dict[str, str] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0

    def allowed(self, key: str) -> bool:
        """Whether this key is let in now."""
        return key == self._own or key in self._entries()

    def callback(self, domain: str, key: bytes) -> bool:
        """What ZAP asks, with the key in Z85."""
        name = key.decode("ascii", "replace")
        allowed = self.allowed(name)
        if not allowed:
            log.warning("domain=%s key=%s is not let in", domain, name)
        return allowed

    def _entries(self) -> dict[str, str]:
        now = time.monotonic()
        if self._register is None or now - self._looked < LOOK_AGAIN_S:
            return self._known
        self._looked = now
        try:
            status = self._register.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._known, self._stamp = self._register.entries(), stamp
        except FileNotFoundError:
            self._known, self._stamp = {}, None
        except (OSError, PlatelightError) as error:  # a half-edited file lets nobody new in, and throws nobody out
            log.error("%s: %s; the keys known before stay", self._register.path, error)
        return self._known


class WorkerKeys:
    """Public keys of the worker processes that are alive."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def callback(self, domain: str, key: bytes) -> bool:
        """What ZAP asks."""
        return key.decode("ascii", "replace") in self.keys


class Doorkeeper:
    """Answers ZeroMQ's questions in a thread of its own."""

    def __init__(self, context: zmq.Context[Any], guests: Guests, workers: WorkerKeys) -> None:
        self._thread = zmq.auth.thread.ThreadAuthenticator(context, log=logging.getLogger("platelight.zap"))
        self._thread.start()
        self._thread.configure_curve_callback(domain=CLIENTS, credentials_provider=guests)
        self._thread.configure_curve_callback(domain=WORKERS, credentials_provider=workers)

    def close(self) -> None:
        """Ends the thread."""
        self._thread.stop()


def lock(socket: zmq.Socket[Any], domain: str, pair: KeyPair) -> None:
    """Has a socket demand keys. Before it is bound."""
    socket.setsockopt_string(zmq.ZAP_DOMAIN, domain)
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.curve_publickey = pair.public.encode()
    socket.curve_secretkey = pair.secret.encode()
