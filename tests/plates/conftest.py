"""Fixtures of the tests around the fence."""

from __future__ import annotations

from pathlib import Path

import pytest

from platelight_server.plates import fence

from .fenced import make_top

WITH_DESCRIPTORS = fence.DESCRIPTORS


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """The folder that the roots and the secrets lie in."""
    if not WITH_DESCRIPTORS:
        pytest.skip("needs /proc/self/fd and O_PATH (Linux)")
    return make_top(tmp_path)


@pytest.fixture(params=[True, False], ids=["descriptors", "real paths"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the names of descriptors, and as on systems that have none."""
    monkeypatch.setattr(fence, "DESCRIPTORS", request.param)
