"""LPIPS, the perceptual distance of Zhang et al. 2018, version 0.1 with AlexNet, from the weights as published.

Two files: the linear layers of the authors (`alex.pth`) and torchvision's AlexNet (`alexnet-owt-7be5be79.pth`), both
made safetensors by `platelight models convert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from platelight_server.models.catalogue import card
from platelight_server.models.folders import find
from platelight_server.models.loading import load_file_checked, load_state
from platelight_server.models.record import ensure

__all__ = ["LEAST_PX", "LPIPS", "MODEL", "lpips"]

MODEL = "lpips-alex"
LINEAR, FEATURES = "alex.safetensors", "alexnet-owt-7be5be79.safetensors"
LEAST_PX = 63  # AlexNet's own; smaller pictures have no pixels left at its end

# Channels in and out, kernel, stride, padding, whether a pooling comes before, and the name in torchvision's file.
_LAYERS = (
    (3, 64, 11, 4, 2, False, "features.0"),
    (64, 192, 5, 1, 2, True, "features.3"),
    (192, 384, 3, 1, 1, True, "features.6"),
    (384, 256, 3, 1, 1, False, "features.8"),
    (256, 256, 3, 1, 1, False, "features.10"),
)


class LPIPS(nn.Module):
    """Two pictures (1, 3, h, w), sRGB codes -1..1 -> their distance, a scalar."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(layer[0], layer[1], layer[2], layer[3], layer[4]) for layer in _LAYERS
        )
        self.weights = nn.ModuleList(nn.Conv2d(layer[1], 1, 1, bias=False) for layer in _LAYERS)
        # ImageNet's mean and deviation, for codes of -1..1.
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device | str = "cpu") -> LPIPS:
        """Loads both files. Raises `ModelError` where one is not there, or is another network's."""
        network = cls()
        load_state(network.weights, _linear(load_file_checked(folder / LINEAR)), folder / LINEAR)
        load_state(network.convolutions, _features(load_file_checked(folder / FEATURES)), folder / FEATURES)
        return network.to(device, torch.float32).eval().requires_grad_(False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        a, b = ((codes - self.shift) / self.scale for codes in (first, second))
        distance = torch.zeros((), device=first.device)
        for layer, convolution, weight in zip(_LAYERS, self.convolutions, self.weights, strict=True):
            if layer[5]:
                a, b = functional.max_pool2d(a, 3, 2), functional.max_pool2d(b, 3, 2)
            a, b = convolution(a).relu(), convolution(b).relu()
            distance = distance + weight((_unit(a) - _unit(b)).square()).mean()
        return distance


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _linear(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`lin0.model.1.weight` -> `0.weight`; what has another name is left for `load_state` to refuse."""
    return {
        name.removeprefix("lin").replace(".model.1.", ".") if name.startswith("lin") else name: tensor
        for name, tensor in state.items()
    }


def _features(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Torchvision's `features.3.weight` -> `1.weight`; its classifier is not used."""
    places = {layer[6]: str(place) for place, layer in enumerate(_LAYERS)}
    renamed = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if not name.startswith("classifier."):
            renamed[f"{places[layer]}.{kind}" if layer in places else name] = tensor
    return renamed


def lpips(roots: tuple[Path, ...] | None, device: str) -> LPIPS:
    """The network of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots), device)


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> LPIPS:
    return LPIPS.from_folder(ensure(card(MODEL), folder).folder, device)
