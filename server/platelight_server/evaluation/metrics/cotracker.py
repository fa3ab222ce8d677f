"""CoTracker3 (Karaev et al. 2024), offline, by its authors' own package where that is installed; none of it is here.

The package and its weights are CC-BY-NC-4.0, so they are used only where somebody installed the one and agreed to the
licence of the other. The network is asked directly: the package's predictor keeps tracks that it is 90 % sure of, and
the measure has a threshold of its own.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from platelight.errors import ModelError
from platelight_server.models.catalogue import card
from platelight_server.models.folders import find
from platelight_server.models.loading import load_file_checked, load_state
from platelight_server.models.record import ensure

__all__ = ["MODEL", "WEIGHTS", "CoTracker", "cotracker"]

MODEL, WEIGHTS = "cotracker3-offline", "scaled_offline.safetensors"
STEPS = 6  # as the package's predictor


class CoTracker:
    """The network. It sees pictures of one size, `width` x `height`.

    It is made for a GPU: 400 points through 4 frames took a minute on two CPU cores.
    """

    stretch = 60  # frames that it was trained to see at once

    def __init__(self, network: torch.nn.Module, height: int, width: int, device: str = "cpu") -> None:
        self.height, self.width, self._device = height, width, device
        self._network = network.to(device, torch.float32).eval().requires_grad_(False)

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> CoTracker:
        """Loads the file into the package's network. Raises `ModelError` for another network's, or another package."""
        with torch.random.fork_rng(devices=[]):  # the package seeds torch when it is imported
            try:
                from cotracker.predictor import CoTrackerPredictor

                predictor = CoTrackerPredictor(checkpoint=None, offline=True, window_len=cls.stretch)
                network, (height, width) = predictor.model, predictor.interp_shape
            except (ImportError, AttributeError, TypeError) as error:
                raise ModelError(f"package cotracker: expected version 3 of CoTracker, got {error}") from None
        load_state(network, load_file_checked(folder / WEIGHTS), folder / WEIGHTS)
        return cls(network, int(height), int(width), device)

    @torch.no_grad()
    def tracks(self, pictures: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Follows points of the first picture through all.

        pictures are (t, height, width, 3) uint8 sRGB, points (n, 2) x, y in their pixels -> (t, n, 3) float32: x, y,
        and how sure it is that the point is seen, 0..1.
        """
        video = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2)[None].float()
        asked = torch.from_numpy(np.pad(points.astype(np.float32), ((0, 0), (1, 0)))).to(self._device)[None]
        places, seen, *_ = self._network(video=video, queries=asked, iters=STEPS)
        found = torch.cat([places[0], seen[0, ..., None]], -1).cpu().numpy()
        found[0, :, :2], found[0, :, 2] = points, 1  # the points that were asked for are where they were asked for
        return np.asarray(found, np.float32)


def cotracker(roots: tuple[Path, ...] | None, device: str) -> CoTracker:
    """The network of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots), device)


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> CoTracker:
    return CoTracker.from_folder(ensure(card(MODEL), folder).folder, device)
