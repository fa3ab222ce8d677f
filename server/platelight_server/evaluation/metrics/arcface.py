"""What ArcFace says of a face (Deng et al. 2019): InsightFace's ResNet-50 of WebFace600K as ONNX, run by OpenCV.

The face is found by YuNet and aligned by OpenCV to the 112x112 template that both recognisers were trained on: the
similarity of least squares (Umeyama 1991) from five landmarks.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from platelight.errors import ModelError
from platelight_server.models.catalogue import card
from platelight_server.models.folders import find
from platelight_server.models.record import ensure

from .faces import reading

__all__ = ["MODEL", "RECOGNIZER", "SIDE_PX", "ArcFace", "arcface"]

MODEL = "arcface-w600k-r50"
RECOGNIZER = "models/buffalo_l/w600k_r50.onnx"
SIDE_PX = 112


class ArcFace:
    """The network, from a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises `ModelError` naming a file that OpenCV cannot read, or that is another network."""
        file = folder / RECOGNIZER
        with reading(file):
            self._network = cv2.dnn.readNetFromONNX(str(file))
            said = self._said(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8))
        if said.ndim != 2 or len(said) != 1:
            raise ModelError(f"{file}: expected one description of a face, got values of shape {said.shape}")

    def description(self, aligned: np.ndarray) -> np.ndarray:
        """(112, 112, 3) uint8 BGR of an aligned face -> (512,) float32 of length 1."""
        said = self._said(aligned)[0]
        return np.asarray(said / max(float(np.linalg.norm(said)), 1e-12))

    def _said(self, aligned: np.ndarray) -> np.ndarray:
        codes = cv2.dnn.blobFromImage(aligned, 1 / 127.5, (SIDE_PX, SIDE_PX), (127.5, 127.5, 127.5), swapRB=True)
        self._network.setInput(codes)
        return np.array(self._network.forward())  # a copy: OpenCV writes the next answer over this one


def arcface(roots: tuple[Path, ...] | None) -> ArcFace:
    """The network of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots))


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> ArcFace:
    return ArcFace(ensure(card(MODEL), folder).folder)
