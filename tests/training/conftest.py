"""One tiny base and one dataset for all tests of a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.models import tiny, video_nets
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


@pytest.fixture(scope="session")
def later_base(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CogVideoX 1.5, tiny: two latent frames in a token, patches by a linear layer; not to be written to."""
    folder = shutil.copytree(base, tmp_path_factory.mktemp("base") / "tiny-1.5")
    shutil.rmtree(folder / "transformer")
    video_nets.cogvideox15(text_tokens=16).transformer.save_pretrained(folder / "transformer")
    return folder


@pytest.fixture(scope="session")
def longer_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 17 frames, the fewest that 1.5 trains on; not to be written to."""
    folder = tmp_path_factory.mktemp("data") / "longer"
    write_dataset(folder, clips=1, frames=17)
    return folder
