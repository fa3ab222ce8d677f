"""HED (Xie and Tu 2015), holistically nested edges, with the names of the weights in `ControlNetHED` (Apache-2.0).

Five VGG levels each say where edges are; their mean, as a probability, is the soft edge that ControlNets were trained
with. Published as a pickle, which `platelight models convert` makes a safetensors file of.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from platelight_server.models.loading import load_file_checked, load_state

__all__ = ["HED"]

_LEVELS = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))  # channels in, out, layers
FILE = "ControlNetHED.safetensors"


class HED(nn.Module):
    """The network. RGB (F, 3, h, w), 0..255 -> edges (F, 1, h, w) float32, 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        for number, (channels, made, layers) in enumerate(_LEVELS, 1):
            self.add_module(f"block{number}", _Level(channels, made, layers))

    @classmethod
    def from_folder(cls, folder: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> HED:
        """Loads ControlNetHED.safetensors. Raises ModelError where it is not there, or is another network's."""
        network = cls()
        load_state(network, load_file_checked(folder / FILE), folder / FILE)
        return network.to(device, dtype).eval().requires_grad_(False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        features, size = pictures - self.norm, pictures.shape[-2:]
        said = []
        for number in range(1, len(_LEVELS) + 1):
            features = features if number == 1 else functional.max_pool2d(features, 2, 2)
            features, edges = self.get_submodule(f"block{number}")(features)
            said.append(functional.interpolate(edges.float(), size=size, mode="bilinear", align_corners=False))
        return torch.stack(said).mean(0).sigmoid()


class _Level(nn.Module):
    def __init__(self, channels: int, made: int, layers: int) -> None:
        super().__init__()
        widths = [channels, *[made] * layers]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:], strict=False))
        self.projection = nn.Conv2d(made, 1, 1)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for conv in self.convs:
            features = conv(features).relu()
        return features, self.projection(features)
