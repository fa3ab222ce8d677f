"""RAFT, the optical flow of Teed and Deng 2020 (their larger network), from the weights as published.

One file, `raft-things.pth`, made safetensors by `platelight models convert`. Its names are kept, but for the `module.`
of parallel training and for `norm3`, the second name of a norm that lies in `downsample` too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from platelight_server.models.catalogue import card
from platelight_server.models.folders import find
from platelight_server.models.loading import load_file_checked, load_state
from platelight_server.models.record import ensure

__all__ = ["LEVELS", "MODEL", "STEPS", "WEIGHTS", "Raft", "raft"]

MODEL, WEIGHTS = "raft-things", "raft-things.safetensors"
STEPS = 20  # of the authors' demo
LEVELS, RADIUS = 4, 4  # of the pyramid of correlations, and how far each is looked around
CELL = 8  # pixels that one feature stands for, a side
HIDDEN = 128

Norm = Callable[[int], nn.Module]


class Raft(nn.Module):
    """Two pictures (1, 3, h, w), sRGB codes 0..1, sides in multiples of 8 from 64 -> flow (1, 2, h, w) in pixels."""

    # The correlation of all pairs of cells grows with the square of the area: 350 MB at 960x540, 90 GB at 4K. A flow of
    # 960x540 takes half a minute of a CPU core.
    most_px = 960

    def __init__(self) -> None:
        super().__init__()
        self.fnet = _Encoder(256, nn.InstanceNorm2d)
        self.cnet = _Encoder(2 * HIDDEN, nn.BatchNorm2d)
        self.update_block = _Update()

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device | str = "cpu") -> Raft:
        """Loads the file. Raises `ModelError` where it is not there, or is another network's."""
        stored = load_file_checked(folder / WEIGHTS)
        state = {name.removeprefix("module."): tensor for name, tensor in stored.items() if ".norm3." not in name}
        network = cls()
        load_state(network, state, folder / WEIGHTS)
        return network.to(device, torch.float32).eval().requires_grad_(False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        pyramid = _correlations(self.fnet(2 * first - 1), self.fnet(2 * second - 1))
        hidden, context = self.cnet(2 * first - 1).split(HIDDEN, 1)
        hidden, context = hidden.tanh(), context.relu()
        height, width = hidden.shape[-2:]
        cells = _cells(height, width, hidden.device)
        flow = torch.zeros_like(cells)
        for _ in range(STEPS):
            hidden, step = self.update_block(hidden, context, _looked_up(pyramid, cells + flow), flow)
            flow = flow + step
        # The paper's convex upsampling: each pixel is a mean of the nine cells around it, by weights that are learned.
        weights = (0.25 * self.update_block.mask(hidden)).view(1, 9, CELL, CELL, height, width).softmax(1)
        around = functional.unfold(CELL * flow, 3, padding=1).view(1, 2, 9, height, width)
        fine = torch.einsum("nkabhw,nckhw->nchawb", weights, around)
        return fine.reshape(1, 2, CELL * height, CELL * width)

    @torch.no_grad()
    def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32 sRGB, 0..1, each -> (H, W, 2) float32: where each pixel of `first` went, in its pixels.

        Pictures over 960 px on the longer side are seen smaller. Borders are continued up to multiples of 8.
        """
        height, width = first.shape[:2]
        scale = min(1.0, self.most_px / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        right, below = (max(64, -(-side // CELL) * CELL) - side for side in size)
        left, above = right // 2, below // 2
        prepared = [
            functional.pad(_tensor(picture, size), (left, right - left, above, below - above), "replicate").to(
                next(self.parameters()).device
            )
            for picture in (first, second)
        ]
        found = self(*prepared)[0, :, above : above + size[1], left : left + size[0]]
        flow = found.permute(1, 2, 0).cpu().numpy() * np.array([width / size[0], height / size[1]], np.float32)
        return np.asarray(flow if scale == 1 else cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR))


class _Encoder(nn.Module):
    """A picture -> features of an eighth of its sides."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 7, 2, 3), norm(64)
        self.layer1 = nn.Sequential(_Residual(64, 64, 1, norm), _Residual(64, 64, 1, norm))
        self.layer2 = nn.Sequential(_Residual(64, 96, 2, norm), _Residual(96, 96, 1, norm))
        self.layer3 = nn.Sequential(_Residual(96, 128, 2, norm), _Residual(128, 128, 1, norm))
        self.conv2 = nn.Conv2d(128, channels, 1)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        features = self.norm1(self.conv1(picture)).relu()
        return self.conv2(self.layer3(self.layer2(self.layer1(features))))  # type: ignore[no-any-return]


class _Residual(nn.Module):
    def __init__(self, given: int, made: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(given, made, 3, stride, 1), norm(made)
        self.conv2, self.norm2 = nn.Conv2d(made, made, 3, 1, 1), norm(made)
        smaller = nn.Sequential(nn.Conv2d(given, made, 1, stride), norm(made))
        self.downsample = smaller if stride > 1 else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        change = self.norm2(self.conv2(self.norm1(self.conv1(features)).relu())).relu()
        return (self.downsample(features) + change).relu()  # type: ignore[no-any-return]


class _Update(nn.Module):
    """One step: what is remembered, and by how much the flow is changed."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Motion()
        self.gru = _Gru()
        self.flow_head = nn.ModuleDict({"conv1": nn.Conv2d(HIDDEN, 256, 3, 1, 1), "conv2": nn.Conv2d(256, 2, 3, 1, 1)})
        self.mask = nn.Sequential(nn.Conv2d(HIDDEN, 256, 3, 1, 1), nn.ReLU(), nn.Conv2d(256, 9 * CELL**2, 1))

    def forward(
        self, hidden: torch.Tensor, context: torch.Tensor, seen: torch.Tensor, flow: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.gru(hidden, torch.cat([context, self.encoder(seen, flow)], 1))
        return hidden, self.flow_head["conv2"](self.flow_head["conv1"](hidden).relu())


class _Motion(nn.Module):
    """What was looked up, and the flow so far, as features."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, 1, 1)
        self.convf1 = nn.Conv2d(2, 128, 7, 1, 3)
        self.convf2 = nn.Conv2d(128, 64, 3, 1, 1)
        self.conv = nn.Conv2d(192 + 64, HIDDEN - 2, 3, 1, 1)

    def forward(self, seen: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        likeness = self.convc2(self.convc1(seen).relu()).relu()
        motion = self.convf2(self.convf1(flow).relu()).relu()
        return torch.cat([self.conv(torch.cat([likeness, motion], 1)).relu(), flow], 1)


class _Gru(nn.Module):
    """A gated recurrent unit of convolutions, along rows and then along columns."""

    def __init__(self) -> None:
        super().__init__()
        for way, kernel, padding in (("1", (1, 5), (0, 2)), ("2", (5, 1), (2, 0))):
            for gate in "zrq":
                self.add_module(f"conv{gate}{way}", nn.Conv2d(3 * HIDDEN, HIDDEN, kernel, 1, padding))

    def forward(self, hidden: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        for way in "12":
            update, reset, candidate = (self.get_submodule(f"conv{gate}{way}") for gate in "zrq")
            both = torch.cat([hidden, given], 1)
            kept = torch.cat([reset(both).sigmoid() * hidden, given], 1)
            hidden = hidden.lerp(candidate(kept).tanh(), update(both).sigmoid())
        return hidden


def _correlations(first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
    """Features (1, c, h, w) each -> how alike all pairs of cells are: (h w, 1, h, w), then halves of its sides."""
    _, channels, height, width = first.shape
    alike = (first[0].flatten(1).T @ second[0].flatten(1)) / channels**0.5
    pyramid = [alike.view(height * width, 1, height, width)]
    for _ in range(LEVELS - 1):
        pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
    return pyramid


def _looked_up(pyramid: list[torch.Tensor], places: torch.Tensor) -> torch.Tensor:
    """Each level around where each cell went, (1, 2, h, w) x, y in cells -> (1, levels * 81, h, w); 0 from outside."""
    reach = torch.arange(-RADIUS, RADIUS + 1, device=places.device, dtype=places.dtype)
    window = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), -1)  # x runs slowest, as in the weights
    centres = places[0].flatten(1).T[:, None, None]
    found = []
    for level, alike in enumerate(pyramid):
        sides = places.new_tensor([alike.shape[-1], alike.shape[-2]])
        there = (2 * (centres / 2**level + window) + 1) / sides - 1
        found.append(functional.grid_sample(alike, there, align_corners=False).flatten(1))
    return torch.cat(found, 1).T.reshape(1, -1, *places.shape[-2:])


def _cells(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(1, 2, h, w): x and y of each cell."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y])[None].to(device, torch.float32)


def _tensor(picture: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """(H, W, 3) -> (1, 3, h, w) of size (w, h)."""
    same = picture.shape[1::-1] == size
    small = picture if same else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(small, np.float32)).permute(2, 0, 1)[None]


def raft(roots: tuple[Path, ...] | None, device: str) -> Raft:
    """The network of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots), device)


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> Raft:
    return Raft.from_folder(ensure(card(MODEL), folder).folder, device)
