"""A tracker without weights: corners of the background followed by Lucas and Kanade's flow, held together by a plane.

Corners outside the matte are followed from frame to frame (Lucas and Kanade 1981, pyramidal, Bouguet 2001), kept where
the way back ends where it began (Kalal 2010), and fitted by a homography, or by an affine map where they are too few
(RANSAC). The grid of tracks moves with the chained maps: right for a camera that turns, and for a flat or far
background; parallax of a deep set is not seen, for which the camera has to be solved. Depth is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from platelight.errors import InputError

from .tracks import CELLS, GRID, Tracks

__all__ = ["LucasKanade"]

Array = np.ndarray

MATTE_MOST = 0.02  # a pixel of more matte than this is subject
RETURN_MOST_PX = 0.5  # how far the way back may end from where it began
HOMOGRAPHY_LEAST, AFFINE_LEAST = 16, 6  # corners
CELLS_LEAST = 6  # of 8x8 over the picture, that hold a corner


@dataclass(frozen=True)
class LucasKanade:
    """A `Tracker`. `first_frame` is the number of the first picture, for messages."""

    first_frame: int = 0
    corners: int = 600

    def track(self, video: Array, matte: Array) -> Tracks:
        """See `Tracker`. Raises `InputError` naming the frame where too little of the background can be followed."""
        greys = [_grey(frame) for frame in video]
        free = [_free(one[0]) for one in matte]
        height, width = greys[0].shape
        moves = [np.eye(3)]
        for later in range(1, len(greys)):
            step = self._step(greys[later - 1], greys[later], free[later - 1], self.first_frame + later)
            moves.append(step @ moves[-1])
        x, y = np.meshgrid(*((np.arange(GRID) + 0.5) / GRID * size for size in (width, height)))
        grid = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        moved = np.stack([move @ grid for move in moves])
        shown = moved[:, 2] > 1e-6
        xy = moved[:, :2] / np.where(shown, moved[:, 2], 1.0)[:, None]
        return Tracks(xy.transpose(0, 2, 1), np.zeros(shown.shape), shown)

    def _step(self, before: Array, after: Array, free: Array, frame: int) -> Array:
        """(3, 3) pixels of one picture -> pixels of the next."""
        found = cv2.goodFeaturesToTrack(before, self.corners, 0.005, 5, mask=free)
        start = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
        if len(start):
            there, followed, _ = cv2.calcOpticalFlowPyrLK(before, after, start, start.copy())
            back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, there.copy())
            kept = (followed[:, 0] == 1) & (returned[:, 0] == 1)
            kept &= np.linalg.norm(back - start, axis=1) < RETURN_MOST_PX
            start, there = start[kept], there[kept]
            # OpenCV has the middle of the first pixel at 0.
            move, inside = _fitted(start + 0.5, there + 0.5)
            if move is not None and _cells(start[inside], before.shape) >= CELLS_LEAST:
                return move
        raise InputError(
            f"frame {frame}: too few points of the background can be followed from the frame before"
            f" ({len(start)} corners outside the matte, in {_cells(start, before.shape)} of {CELLS**2} parts of the"
            f" picture, expected {CELLS_LEAST} parts); give a solved camera, a background, or a matte that leaves more"
        )


def _fitted(start: Array, there: Array) -> tuple[Array | None, Array]:
    """The map and which points keep to it (N,) bool."""
    if len(start) >= HOMOGRAPHY_LEAST:
        move, inside = cv2.findHomography(start, there, cv2.RANSAC, 1.0)
        if move is not None and inside.sum() >= HOMOGRAPHY_LEAST:
            return move, inside[:, 0] == 1
    if len(start) >= AFFINE_LEAST:
        move, inside = cv2.estimateAffine2D(start, there, method=cv2.RANSAC, ransacReprojThreshold=1.0)
        if move is not None and inside.sum() >= AFFINE_LEAST:
            return np.concatenate([move, [[0.0, 0.0, 1.0]]]), inside[:, 0] == 1
    return None, np.zeros(len(start), bool)


def _grey(picture: Array) -> Array:
    """(3, h, w) codes -> (h, w) 8 bits, which this tracker of OpenCV looks at; nothing of it is shown."""
    grey = picture[0] * 0.299 + picture[1] * 0.587 + picture[2] * 0.114
    return np.asarray(np.clip((grey + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8))


def _free(matte: Array) -> Array:
    """(h, w) -> 255 where a corner's surroundings (5 px) hold nothing of the subject."""
    subject = (matte > MATTE_MOST).astype(np.uint8)
    return np.asarray((1 - cv2.dilate(subject, np.ones((11, 11), np.uint8))) * np.uint8(255))


def _cells(points: Array, shape: tuple[int, ...]) -> int:
    cells = (points / (shape[1], shape[0]) * CELLS).astype(int)
    return len({tuple(cell) for cell in cells.tolist()})
