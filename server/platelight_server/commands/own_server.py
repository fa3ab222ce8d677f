"""A server of one's own for a while: a process that ends with this one, whatever ends this one.

`python -m platelight_server.commands.own_server ARGUMENTS` is `platelight ARGUMENTS` that ends when its standard input
closes; the pipe closes by itself when the process that holds its other end is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platelight.connection import FILE_NAME
from platelight.errors import UnreachableError

END_WITHIN_S = 10.0


@contextmanager
def own_server(*arguments: str) -> Iterator[Path]:
    """Starts a server with a home of its own and gives its connection file; the server ends with the block.

    Raises `UnreachableError` with the last that it said where it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="platelight-") as folder:
        home, log = Path(folder) / "home", Path(folder) / "log"
        with log.open("w") as said:
            # A session of its own: Ctrl-C on the terminal is for this process, which ends the job in good order.
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, "serve", "--home", str(home), *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True,
            )  # fmt: skip
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise UnreachableError(f"the server did not start: {last[0]}")
            yield home / FILE_NAME
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.poll() is None:  # a second Ctrl-C while waiting
            process.kill()
            process.wait()
        process.stdout.close()


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from platelight_server.cli import main

    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    sys.exit(main())
