"""One process at a time, as the server's home and a training run ask for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from platelight_server.alone import holder, only_one

HOLDS = "import sys, time; from pathlib import Path; from platelight_server.alone import only_one\n"
HOLDS += "held = only_one(Path(sys.argv[1])); print(held is not None, flush=True); time.sleep(60)"


def test_the_second_gets_nothing_and_reads_who_holds_it(tmp_path: Path) -> None:
    first = only_one(tmp_path / "lock")
    assert first is not None
    with first:
        assert only_one(tmp_path / "lock") is None
        assert holder(tmp_path / "lock") == f"process {os.getpid()} on {socket.gethostname()}"
    again = only_one(tmp_path / "lock")
    assert again is not None
    again.close()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    assert only_one(tmp_path / "lock") is None
    assert holder(tmp_path / "lock").startswith(f"process {process.pid} on ")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    mine = only_one(tmp_path / "lock")
    assert mine is not None
    mine.close()


def test_a_folder_that_is_not_there_is_an_error_and_no_other_process(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        only_one(tmp_path / "gone" / "lock")
