"""Tiny IC-Light checkpoints, loaded once, and one thread: on a busy machine a second one only waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from platelight_server.models.image.iclight import IcLight


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def parts(tiny_folder: Path) -> IcLight:
    """In float32, so that orders of summation are all that differs."""
    return tiny_parts(tiny_folder)


def tiny_parts(folder: Path, dtype: torch.dtype = torch.float32, codec: torch.dtype = torch.float32) -> IcLight:
    """IC-Light from the tiny folders, its self-attention made as strong as a trained one's: random weights look at all
    tokens alike and add next to nothing."""
    names = ("realistic-vision-v51", "iclight-fc", "iclight-fbc")
    made = IcLight.from_folders(*(folder / name for name in names), dtype, "cpu", codec)
    for unet in (made.fc, made.fbc):
        for name, weight in unet.named_parameters():
            if "attn1.to_v" in name or "attn1.to_out.0.weight" in name:
                weight.mul_(5)
    return made
