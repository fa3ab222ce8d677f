"""Whether a face is still the same person's: YuNet finds it and SFace describes it, both run by OpenCV.

The face is found on the plate and looked at in the same place of the result, as a relight moves nothing: so that a
detector that is less sure in the dark does not count as another person.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from platelight.errors import ModelError
from platelight_server.models.catalogue import card
from platelight_server.models.folders import find
from platelight_server.models.record import ensure

__all__ = ["DETECTOR", "MODEL", "RECOGNIZER", "Faces", "faces", "reading"]

MODEL = "opencv-faces"
DETECTOR = "models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
RECOGNIZER = "models/face_recognition_sface/face_recognition_sface_2021dec.onnx"
LEAST_SCORE = 0.8
ERRORS_ALONE = 2  # OpenCV's LOG_LEVEL_ERROR


class Faces:
    """Both networks, from a folder. Pictures are (H, W, 3) float32 sRGB, 0..1."""

    def __init__(self, folder: Path) -> None:
        """Raises `ModelError` naming a file that OpenCV cannot read as the network it should be."""
        with reading(folder / DETECTOR):
            self._detector = cv2.FaceDetectorYN.create(str(folder / DETECTOR), "", (320, 320), LEAST_SCORE)
        with reading(folder / RECOGNIZER):
            self._recognizer = cv2.FaceRecognizerSF.create(str(folder / RECOGNIZER), "")

    def largest(self, picture: np.ndarray) -> np.ndarray | None:
        """The largest face: box, five landmarks and score, (15,) float32, pixels; None where there is none."""
        self._detector.setInputSize((picture.shape[1], picture.shape[0]))
        _, found = self._detector.detect(_bgr(picture))
        return None if found is None else np.asarray(max(found, key=lambda face: face[2] * face[3]))

    def aligned(self, picture: np.ndarray, face: np.ndarray) -> np.ndarray:
        """The face turned and scaled to the template of recognisers, (112, 112, 3) uint8 BGR."""
        return np.asarray(self._recognizer.alignCrop(_bgr(picture), face))

    def distance(self, first: np.ndarray, second: np.ndarray, face: np.ndarray) -> float:
        """1 - cosine of what SFace says of the face at the same place of both pictures."""
        a, b = (self._recognizer.feature(self.aligned(picture, face)).copy() for picture in (first, second))
        return max(0.0, 1 - float(self._recognizer.match(a, b, cv2.FaceRecognizerSF_FR_COSINE)))


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turns what OpenCV says of a file that is no network into a `ModelError`, and keeps its warnings out."""
    # OpenCV 5 has moved it. It would warn of targets nobody set, and of older parsers.
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    level = set_level(ERRORS_ALONE)
    try:
        yield
    except (cv2.error, SystemError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file}: expected an ONNX network that OpenCV reads, got {reason}") from None
    finally:
        set_level(level)


def faces(roots: tuple[Path, ...] | None) -> Faces:
    """The networks of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots))


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> Faces:
    return Faces(ensure(card(MODEL), folder).folder)


def _bgr(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((picture[..., ::-1] * 255 + 0.5).astype(np.uint8))
