"""Shared fixtures. Tests marked `dev_data` read the development clips beside the project and are skipped without."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.shots.small import Shot

# Tiny networks gain nothing from several threads, and on a busy machine wait for each other for seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job ignores SIGINT, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

DEV_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "dev"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, by name, what needs clips that are not here."""
    if DEV_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"needs the development clips in {DEV_DATA}")
    for item in items:
        if item.get_closest_marker("dev_data"):
            item.add_marker(skip)


@pytest.fixture
def dev_data() -> Path:
    """The folder of the development clips."""
    return DEV_DATA


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    """A small shot of four frames."""
    from tests.shots.small import make_shot  # the tests in Blender's Python have no server beside them

    return make_shot(tmp_path / "shot")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny checkpoints under the catalogue's names, made once per run; not to be written to."""
    from tests.models import tiny  # loads torch and diffusers

    return tiny.everything(tmp_path_factory.mktemp("models"))


@pytest.fixture
def tiny_models(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, named by $PLATELIGHT_MODELS here and in processes that the test starts."""
    monkeypatch.setenv("PLATELIGHT_MODELS", str(tiny_folder))
    return tiny_folder


@pytest.fixture(autouse=True)
def no_ocio_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the config that Platelight brings, whatever the machine's $OCIO says."""
    monkeypatch.delenv("OCIO", raising=False)
