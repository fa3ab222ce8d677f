"""Edges of a clip: the weightless detectors find what is there, HED has the published layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from platelight.errors import ModelError
from platelight_server.models.video.edges import canny_edges, hed_edges, soft_edges
from platelight_server.models.video.hed import FILE, HED


def step_clip() -> torch.Tensor:
    """Dark left, bright right, the border at column 32 of 64."""
    clip = torch.full((2, 3, 48, 64), -0.6)
    clip[..., 32:] = 0.6
    return clip


@pytest.mark.parametrize("detect", [canny_edges, soft_edges])
def test_a_step_is_an_edge_and_a_flat_field_is_none(detect) -> None:  # type: ignore[no-untyped-def]
    found = detect(step_clip())
    assert found.shape == (2, 1, 48, 64)
    assert found[:, :, 4:-4, 30:34].amax() == 1
    assert (found[..., :24] == -1).all()
    assert (found[..., 40:] == -1).all()


def test_a_flat_clip_has_no_edges() -> None:
    flat = torch.zeros(2, 3, 48, 64)
    assert (canny_edges(flat) == -1).all()
    assert (soft_edges(flat) == -1).all()


def test_soft_edges_are_scaled_for_the_clip_and_not_for_the_frame() -> None:
    clip = step_clip()
    clip[1] *= 0.5
    found = soft_edges(clip)
    assert found[0].amax() == 1
    assert 0.4 < (found[1].amax() + 1) / 2 < 0.6


def published_hed(folder: Path) -> dict[str, torch.Tensor]:
    """The published file's keys and shapes, with small random numbers."""
    torch.manual_seed(8)
    shapes: dict[str, tuple[int, ...]] = {"norm": (1, 3, 1, 1)}
    levels = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))
    for number, (channels, made, layers) in enumerate(levels, 1):
        for layer in range(layers):
            shapes[f"block{number}.convs.{layer}.weight"] = (made, made if layer else channels, 3, 3)
            shapes[f"block{number}.convs.{layer}.bias"] = (made,)
        shapes[f"block{number}.projection.weight"] = (1, made, 1, 1)
        shapes[f"block{number}.projection.bias"] = (1,)
    weights = {key: torch.randn(shape) / max(1, torch.Size(shape[1:]).numel()) ** 0.5 for key, shape in shapes.items()}
    save_file(weights, folder / FILE)
    return weights


def test_hed_reads_the_published_names_and_answers_at_the_clips_size(tmp_path: Path) -> None:
    published_hed(tmp_path)
    found = hed_edges(HED.from_folder(tmp_path), step_clip())
    assert found.shape == (2, 1, 48, 64)
    assert -1 < found.min() < found.max() < 1


def test_hed_is_a_mean_of_five_levels_as_a_probability(tmp_path: Path) -> None:
    weights = published_hed(tmp_path)
    for number in range(1, 6):
        weights[f"block{number}.projection.weight"].zero_()
        weights[f"block{number}.projection.bias"].fill_(float(number))
    save_file(weights, tmp_path / FILE)
    found = hed_edges(HED.from_folder(tmp_path), step_clip())
    torch.testing.assert_close(found, torch.full_like(found, 2 * torch.sigmoid(torch.tensor(3.0)).item() - 1))


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    save_file({"norm": torch.zeros(1, 3, 1, 1)}, tmp_path / FILE)
    with pytest.raises(ModelError, match=r"block1\.convs\.0\.bias is missing"):
        HED.from_folder(tmp_path)
