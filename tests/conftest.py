"""Shared fixtures. Tests marked `dev_data` read the development clips beside the project and are skipped without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.shots.small import Shot

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


@pytest.fixture(autouse=True)
def no_ocio_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the config that Platelight brings, whatever the machine's $OCIO says."""
    monkeypatch.delenv("OCIO", raising=False)
