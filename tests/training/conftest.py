"""One tiny base and one dataset for all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.models import tiny
from tests.training.small import write_dataset


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks of a megabyte are slower on several threads, and much slower where others use the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CogVideoX-5b, tiny; not to be written to."""
    return tiny.cogvideox(tmp_path_factory.mktemp("base") / "tiny-5b", "5b", layers=2, text_tokens=16)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips with all roles of both networks but `clean`; not to be written to."""
    folder = tmp_path_factory.mktemp("data") / "pairs"
    write_dataset(folder)
    return folder
