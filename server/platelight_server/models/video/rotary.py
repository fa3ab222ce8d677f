"""Rotary position embeddings of CogVideoX, as its published pipelines make them."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed

__all__ = ["rotary_embedding"]


def rotary_embedding(
    config: Any, latent: tuple[int, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Cosines and sines, each (tokens, head width), for a latent of shape (F', C, h', w'); None where there are none.

    1.0 stretches its own grid over another aspect, fitted inside; 1.5 cuts the grid's first rows and columns.
    """
    if not config.use_rotary_positional_embeddings:
        return None
    frames, (rows, columns) = latent[0], (side // config.patch_size for side in latent[-2:])
    own_rows, own_columns = config.sample_height // config.patch_size, config.sample_width // config.patch_size
    given: dict[str, Any] = {"embed_dim": config.attention_head_dim, "grid_size": (rows, columns), "device": device}
    if config.patch_size_t is not None:
        given |= {"temporal_size": frames // config.patch_size_t, "grid_type": "slice", "crops_coords": None}
        given |= {"max_size": (own_rows, own_columns)}
    else:
        given |= {"temporal_size": frames, "crops_coords": _fitted(rows, columns, own_rows, own_columns)}
    cosines, sines = get_3d_rotary_pos_embed(**given)
    return cosines, sines


def _fitted(rows: int, columns: int, own_rows: int, own_columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The largest rectangle of the wanted aspect in the middle of the own grid: (top, left), (bottom, right)."""
    if rows * own_columns > own_rows * columns:
        height, width = own_rows, round(own_rows / rows * columns)
    else:
        height, width = round(own_columns / columns * rows), own_columns
    top, left = round((own_rows - height) / 2), round((own_columns - width) / 2)
    return (top, left), (top + height, left + width)
