"""Live progress on a terminal: frames, rate and time left, and results that are whole beside it."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.cli.running import command, environment, flags
from tests.shots import small

pytest.importorskip("pty", reason="a terminal of Unix")
COLUMNS = 80
FRAMES = 6


def on_terminal(arguments: list[str], cwd: Path, result_too: bool) -> tuple[int, str, str]:
    """Exit code, what the terminal got, and what stdout got where it is not the terminal as well."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    clean = {key: value for key, value in environment(TERM="xterm").items() if key not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(
        command(arguments), cwd=cwd, env=clean, stdin=theirs, stderr=theirs,
        stdout=theirs if result_too else subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
        result = b"" if process.stdout is None else process.stdout.read()
    return process.returncode, seen.decode(), result.decode()


def states(seen: str) -> list[str]:
    """The lines that the terminal showed one after the other, without colours."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    return [part.rstrip() for part in re.split(r"[\r\n]+", plain) if part.strip()]


def test_demo_shows_frames_rate_and_time_left_on_one_line(tmp_path: Path) -> None:
    code, seen, _ = on_terminal(["demo"], tmp_path, result_too=True)
    shown = states(seen)
    running = [line for line in shown if re.search(r"^frame 10\d\d +\S+ +\d+/12 +\d+\.\d\d fps \d:\d\d:\d\d$", line)]
    assert (code, running != [], [line for line in shown if "fps" in line and len(line) > COLUMNS]) == (
        0, True, [],
    ), shown  # fmt: skip
    after = shown[len(shown) - shown[::-1].index(running[-1]) :]  # the bar is drawn again until the proof is there
    assert after[0] == f"12 frames rendered: {tmp_path / 'demo_out'}"
    assert not any("fps" in line for line in after)


def test_terminal_shows_progress_while_the_result_goes_elsewhere(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path / "shot", FRAMES)
    arguments = ["relight", *flags(shot), "--set", "engine.sleep_seconds=0.05"]
    code, seen, result = on_terminal(arguments, tmp_path, result_too=False)
    shown = states(seen)
    lines = result.splitlines()
    assert (code, lines[0], lines[-1]) == (
        0, f"{FRAMES} frames rendered: {shot.folder / 'out'}", f"proof: {shot.folder / 'out' / 'small.proof.png'}",
    )  # fmt: skip
    assert (f"{FRAMES}/{FRAMES}" in shown[-1], "\x1b" in result, "rendered" in seen) == (True, False, False)


@pytest.mark.parametrize("flag", ["--quiet"])
def test_quiet_leaves_the_terminal_alone(tmp_path: Path, flag: str) -> None:
    shot = small.make_shot(tmp_path / "shot", 2)
    code, seen, result = on_terminal(["relight", *flags(shot), flag], tmp_path, result_too=False)
    assert (code, seen, result != "") == (0, "", True)
