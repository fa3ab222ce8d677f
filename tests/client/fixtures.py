"""What tests of the client and of the commands share: a home of their own, and a server per module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.serving import Server, running


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tests neither see nor touch the keys and servers of who runs them."""
    home = tmp_path / "own_home"
    monkeypatch.setenv("PLATELIGHT_HOME", str(home))
    for name in ("PLATELIGHT_SERVER", "PLATELIGHT_ROOTS"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests of a module."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server
