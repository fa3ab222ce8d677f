"""The client in every Python that it is meant for, from its source and its dependencies alone, and without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT
from tests.client.serving import Server, interpreters
from tests.shots.small import Shot

CODE = """
import sys, platelight
from pathlib import Path
with platelight.connect(connection_file=sys.argv[1]) as server:
    job = server.submit(Path(sys.argv[2]), key="python-%d-%d" % sys.version_info[:2])
    events = list(job.events())
    print(job.result(60).rendered + job.result(60).current, server.status().host != "", "torch" in sys.modules)
"""
LIBRARIES = ("zmq", "msgpack", "numpy")


@pytest.mark.parametrize("python", [sys.executable, *interpreters()])
def test_client_connects_and_renders(python: str, serving: Server, shot: Shot, tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYENV"))}
    has = subprocess.run([python, "-c", f"import {','.join(LIBRARIES)}"], env=clean, capture_output=True, check=False)
    if has.returncode:
        pytest.skip(f"{python} has not {', '.join(LIBRARIES)}")
    recipe = tmp_path / "shot.toml"
    recipe.write_text(shot.recipe().to_toml())
    done = subprocess.run(
        [python, "-W", "error", "-c", CODE, str(serving.file), str(recipe)],
        env={**clean, "PYTHONPATH": str(ROOT / "shared")}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "4 True False\n"), done.stderr
