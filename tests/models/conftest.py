"""A home that is not the user's own: records, stamps and agreements go there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks of a megabyte are slower on several threads, and much slower where others use the cores."""
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


@pytest.fixture
def copied(tiny_folder: Path, own_home: Path) -> Path:
    """CogVideoX-5b, tiny, in the home's models folder, to be damaged at will."""
    return Path(shutil.copytree(tiny_folder / "cogvideox-5b", own_home / "models" / "cogvideox-5b"))
