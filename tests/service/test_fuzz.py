"""The fuzzers for a few seconds. The long form is `python -m tests.service.fuzz decoder|machine --seconds 60`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.service.running import ROOT

pytest.importorskip("atheris", reason="atheris is made for Linux only")
SECONDS = 4


@pytest.mark.parametrize("what", ["decoder", "machine"])
def test_fuzzer_finds_nothing(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.service.fuzz", what, "--seconds", str(SECONDS)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert "inputs in" in done.stdout
