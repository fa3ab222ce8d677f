"""A checkpoint is there whole or not at all, and gives back what was put in."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from platelight.errors import ModelError, OutputError
from platelight_server.training import checkpoints
from platelight_server.training.checkpoints import Checkpoint

STATE = {"step": 3, "config": {"seed": 1}}


def checkpoint(step: int, size: int = 1000) -> Checkpoint:
    weights = {"a": torch.full((size,), float(step)), "b": torch.arange(4.0)}
    moments = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    return Checkpoint({**STATE, "step": step}, weights, weights, moments, checkpoints.random_state())


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full for this process: no file grows beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    kept = checkpoint(7)
    path = checkpoints.write(tmp_path, kept, keep=2)
    read = checkpoints.read(path)
    assert checkpoints.latest(tmp_path) == path
    assert read.facts["step"] == 7
    assert torch.equal(read.weights["a"], kept.weights["a"])
    assert read.optimiser["param_groups"] == [{"lr": 0.1}]
    assert torch.equal(read.optimiser["state"][0]["exp_avg"], torch.ones(2))


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    path = checkpoints.write(tmp_path, checkpoint(1), keep=1)
    drawn = [(random.random(), np.random.standard_normal(), float(torch.randn(()))) for _ in range(3)]
    checkpoints.restore_random(checkpoints.read(path).randoms)
    again = [(random.random(), np.random.standard_normal(), float(torch.randn(()))) for _ in range(3)]
    assert again == drawn


def test_only_the_newest_stay(tmp_path: Path) -> None:
    for step in (1, 2, 3, 10):
        checkpoints.write(tmp_path, checkpoint(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-00000010"]


def test_a_full_disk_leaves_the_last_one_and_says_so(tmp_path: Path) -> None:
    before = checkpoints.write(tmp_path, checkpoint(1), keep=1)
    with (
        files_of_at_most(20_000),
        pytest.raises(OutputError, match="step-00000002: the checkpoint cannot be written") as raised,
    ):
        checkpoints.write(tmp_path, checkpoint(2, 50_000), keep=1)
    assert f"the last one, {before}, is whole" in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert checkpoints.read(before).facts["step"] == 1


def test_a_process_that_died_while_writing_leaves_nothing_that_counts(tmp_path: Path) -> None:
    before = checkpoints.write(tmp_path, checkpoint(1), keep=2)
    (tmp_path / ".step-00000002.999").mkdir()
    (tmp_path / ".step-00000002.999" / "weights.safetensors").write_bytes(b"half")
    assert checkpoints.latest(tmp_path) == before
    checkpoints.write(tmp_path, checkpoint(3), keep=2)
    assert not list(tmp_path.glob(".step-*"))


@pytest.mark.parametrize("name", ["weights.safetensors", "optimiser.pt", "state.json", "random-0.pt"])
def test_a_damaged_checkpoint_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    checkpoints.write(tmp_path, checkpoint(1), keep=2)
    path = checkpoints.write(tmp_path, checkpoint(2), keep=2)
    held = (path / name).read_bytes()
    (path / name).write_bytes(held[: len(held) // 2])
    with pytest.raises(ModelError, match="delete step-00000002 to go on from step-00000001"):
        checkpoints.read(path)
