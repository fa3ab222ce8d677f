"""Whether a face is still the same person's: YuNet finds it and SFace describes it, both run by OpenCV.

The face is found on the plate and looked at in the same place of the result, as a relight moves nothing: so that a
detector that is less sure in the dark does not count as another person.
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

__all__ = ["DETECTOR", "MODEL", "RECOGNIZER", "Faces", "faces"]

MODEL = "opencv-faces"
DETECTOR = "models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
RECOGNIZER = "models/face_recognition_sface/face_recognition_sface_2021dec.onnx"
LEAST_SCORE = 0.8


class Faces:
    """Both networks, from a folder. Pictures are (H, W, 3) float32 sRGB, 0..1."""

    def __init__(self, folder: Path) -> None:
        """Raises `ModelError` naming a file that OpenCV cannot read as the network it should be."""
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of targets nobody set
        try:
            self._detector = cv2.FaceDetectorYN.create(str(folder / DETECTOR), "", (320, 320), LEAST_SCORE)
            self._recognizer = cv2.FaceRecognizerSF.create(str(folder / RECOGNIZER), "")
        except (cv2.error, SystemError) as error:
            name = RECOGNIZER if hasattr(self, "_detector") else DETECTOR
            raise ModelError(f"{folder / name}: expected an ONNX network that OpenCV reads, got {error}") from None
        finally:
            cv2.utils.logging.setLogLevel(level)

    def largest(self, picture: np.ndarray) -> np.ndarray | None:
        """The largest face: box, five landmarks and score, (15,) float32, pixels; None where there is none."""
        self._detector.setInputSize((picture.shape[1], picture.shape[0]))
        _, found = self._detector.detect(_bgr(picture))
        return None if found is None else np.asarray(max(found, key=lambda face: face[2] * face[3]))

    def distance(self, first: np.ndarray, second: np.ndarray, face: np.ndarray) -> float:
        """1 - cosine of what SFace says of the face at the same place of both pictures."""
        a, b = (
            self._recognizer.feature(self._recognizer.alignCrop(_bgr(picture), face)).copy()
            for picture in (first, second)
        )
        return max(0.0, 1 - float(self._recognizer.match(a, b, cv2.FaceRecognizerSF_FR_COSINE)))


def faces(roots: tuple[Path, ...] | None) -> Faces:
    """The networks of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots))


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> Faces:
    return Faces(ensure(card(MODEL), folder).folder)


def _bgr(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((picture[..., ::-1] * 255 + 0.5).astype(np.uint8))
