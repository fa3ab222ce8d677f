"""One thread, and a home folder that is not the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks of a megabyte are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no models folder but the one in it."""
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PLATELIGHT_MODELS", raising=False)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_mattes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny matte models, made once per run; not to be written to."""
    from tests.mattes import tiny_mattes

    return tiny_mattes.everything(tmp_path_factory.mktemp("matte-models"))


@pytest.fixture
def tiny_mattes_models(tiny_mattes_folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, named by $PLATELIGHT_MODELS."""
    monkeypatch.setenv("PLATELIGHT_MODELS", str(tiny_mattes_folder))
    return tiny_mattes_folder
