"""A real server in a process of its own, with the engines that tests render with, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import platelight
from platelight.connection import FILE_NAME, read_connection
from tests.cli.running import environment


class Server:
    """`platelight serve` with its own home. `start` after `kill` is the same server again, on another port."""

    def __init__(self, folder: Path, *arguments: str, name: str = "home") -> None:
        self.home, self.arguments = folder / name, arguments
        self.file = self.home / FILE_NAME
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> Server:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "platelight_server.cli", "serve", "--home", str(self.home), "--engine-module",
                 "tests.shots.engines", *self.arguments, *arguments],
                env=environment(), stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("serving on "), self.log.read_text()[-3000:]
        return self

    @property
    def address(self) -> str:
        return read_connection(self.file).address

    def kill(self) -> None:
        """As a power cut would end it; its workers see it and end too."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> int:
        """Asks it to end."""
        assert self.process is not None and self.process.stdout is not None
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A server that hangs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def connect(self, **more: object) -> platelight.Client:
        return platelight.connect(connection_file=self.file, **more)  # type: ignore[arg-type]


@contextmanager
def running(folder: Path, *arguments: str, name: str = "home") -> Iterator[Server]:
    """A server until the end of the block."""
    server = Server(folder, *arguments, name=name)
    try:
        yield server.start()
    finally:
        if server.process is not None:
            server.stop()


def until(true: object, within_s: float = 20.0) -> None:
    """Waits until `true()`."""
    assert callable(true)
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def interpreters() -> Sequence[str]:
    """Other Pythons of this machine that the client is meant for; more are named in $PLATELIGHT_TEST_PYTHONS."""
    named = [one for one in os.environ.get("PLATELIGHT_TEST_PYTHONS", "").split(os.pathsep) if one]
    found = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob("3.1[123].*"))
    return named + [str(one / "bin" / "python") for one in found if (one / "bin" / "python").exists()]
