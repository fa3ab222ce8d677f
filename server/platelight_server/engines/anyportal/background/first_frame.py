"""The first frame of a painted background: relit as the light stage does, its subject taken out.

The light stage paints subject and scene together (text: IC-Light fc; a picture to follow: fbc with the user's
reference). What it leaves of the subject is filled from around it, by a diffusion model that knows the scene in words,
or without weights by Telea's method, which continues what borders on the hole and suits plain places alone.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
import torch

from platelight.errors import InputError

__all__ = ["Remover", "TeleaRemover", "hole", "without_subject"]

# The published dilation, 10 px at 480 lines: what relighting paints of a subject reaches beyond its matte.
MARGIN, LINES = 5, 480
MATTE_MOST = 0.02
# OpenCV adds up to 2 to what it fills, a slope of no length and the rounding of whole numbers, in floats too.
TELEA_SCALE = np.float32(1e4)
COVER_MOST = 0.95  # of the picture, which leaves too little to continue


class Remover(Protocol):
    """Fills a hole in a picture from around it."""

    def fill(self, picture: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        """picture (3, h, w) float32, codes -1..1; hole (1, h, w) float32, 1 where it is to be filled -> (3, h, w)."""


class TeleaRemover:
    """Fills without weights (Telea 2004), in float. The stated fallback: it knows nothing of the scene."""

    def fill(self, picture: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        """See `Remover`."""
        mask = (hole[0].cpu().numpy() > 0.5).astype(np.uint8)
        radius = max(3, round(MARGIN * picture.shape[-2] / LINES))
        planes = [
            cv2.inpaint(plane * TELEA_SCALE, mask, radius, cv2.INPAINT_TELEA) / TELEA_SCALE
            for plane in picture.float().cpu().numpy()
        ]
        return torch.from_numpy(np.stack(planes)).to(picture)


def without_subject(picture: torch.Tensor, matte: torch.Tensor, remover: Remover, frame: int) -> torch.Tensor:
    """The picture with the subject taken out; outside the hole every bit is kept.

    picture (3, h, w) float32, codes -1..1; matte (1, h, w) float32, 0..1. Raises `InputError` naming `frame` where the
    subject leaves too little of the scene.
    """
    mask = hole(matte)
    covered = float(mask.mean())
    if covered > COVER_MOST:
        raise InputError(
            f"frame {frame}: expected some background around the subject in the frame that the background is painted"
            f" from, the matte covers {covered:.0%}; begin the shot on another frame, or give a background"
        )
    if covered == 0:
        return picture
    filled = remover.fill(picture, mask).to(picture)
    return torch.where(mask > 0.5, filled, picture)


def hole(matte: torch.Tensor) -> torch.Tensor:
    """(1, h, w) -> (1, h, w) float32, 1 on the subject and a margin around it."""
    margin = max(1, round(MARGIN * matte.shape[-2] / LINES))
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    grown = cv2.dilate((matte[0].cpu().numpy() > MATTE_MOST).astype(np.uint8), shape)
    return torch.from_numpy(grown[None]).to(matte.device, torch.float32)
