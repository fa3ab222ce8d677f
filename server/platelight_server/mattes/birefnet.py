"""BiRefNet's mattes: whatever stands out, frame by frame, with the author's weights and none of the hub's code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import torch

from ..models.loading import load_file_checked, load_state
from .birefnet_net import BiRefNet, BiRefNetShape, network_state
from .interface import Asked, MatteSource, code_values
from .refine import refined
from .use import stated_models, used

__all__ = ["BIREFNET", "BiRefNetMattes", "load_birefnet"]

BIREFNET = "birefnet"
SIDE = 1024
# As the author's demonstration does: ImageNet's means and deviations.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BiRefNetMattes(MatteSource):
    """Each frame stands alone, so its mattes may flicker where the subject hardly stands out."""

    def __init__(self, asked: Asked, shape: BiRefNetShape = BiRefNetShape(), side: int = SIDE) -> None:  # noqa: B008
        """Finds the model. Raises `ModelError`."""
        self._asked, self._shot, self._side = asked, asked.shot, side
        found = used(asked.model or BIREFNET)
        self._network = load_birefnet(found.folder, shape).to(asked.device)
        self.said = {"method": "birefnet", "version": 1, "models": stated_models([found])}

    def depends(self, frame: int) -> Collection[int]:
        return (frame,)

    def mattes(self, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        ordered = [frame for frame in self._shot.frames if frame in wanted]
        for done, frame in enumerate(ordered):
            self._asked.step("find", done, len(ordered))
            plate = self._shot.read(frame)
            picture = code_values(plate, (self._side, self._side), self._shot.to_rec709)
            pixels = (picture - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
            with torch.inference_mode():
                logits = self._network(pixels[None].to(self._asked.device))[0, 0]
            yield frame, refined(logits, code_values(plate, self._shot.size, self._shot.to_rec709).numpy())


def load_birefnet(folder: Path, shape: BiRefNetShape = BiRefNetShape()) -> BiRefNet:  # noqa: B008
    """The network of a published folder, float32, for inference. Raises `ModelError` naming what does not fit."""
    file = folder / "model.safetensors"
    network = BiRefNet(shape)
    load_state(network, network_state(load_file_checked(file)), file)
    return network.eval().requires_grad_(False)
