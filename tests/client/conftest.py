"""One server per module, and a small shot that it can see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import platelight
from tests.client.fixtures import own_home, serving
from tests.client.serving import Server

__all__ = ["own_home", "serving"]


@pytest.fixture
def server(serving: Server) -> Iterator[platelight.Client]:
    """A connection to it."""
    with serving.connect() as client:
        yield client
