"""From pictures in linear light to what the models see, and back: primaries, encoding, and the canvas they lie on.

A model is trained on display-encoded Rec.709 pictures of certain sizes. Colours are brought there and back by a matrix
and a curve with an inverse (`color.encoding`); a picture of another shape lies in the canvas's top left corner with its
last row and column repeated beyond it, so nothing is squeezed. Only the change of light comes back from here to the
plate, see the finish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from platelight_server.color.encoding import Encoding, Shoulder

__all__ = ["Canvas", "Colors"]


@dataclass(frozen=True)
class Colors:
    """Scene-linear light in the working primaries to model code values -1..1, and back."""

    to_rec709: tuple[tuple[float, float, float], ...]
    encoding: Encoding = field(default_factory=Shoulder)

    def encode(self, light: torch.Tensor) -> torch.Tensor:
        """(..., 3, h, w) float32, scene-linear, working primaries, may be <0 and >1 -> codes -1..1."""
        return self.encoding.encode(_turned(light, self._matrix(light))) * 2 - 1

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """(..., 3, h, w) float32 codes, may leave -1..1 -> scene-linear, working primaries."""
        return _turned(self.encoding.decode((codes.float() + 1) / 2), torch.linalg.inv(self._matrix(codes)))

    def _matrix(self, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.to_rec709, dtype=torch.float32, device=like.device)


@dataclass(frozen=True)
class Canvas:
    """A picture of `height` x `width` on a canvas of at least that size."""

    height: int
    width: int
    canvas_height: int
    canvas_width: int

    @classmethod
    def of(cls, height: int, width: int, canvases: Sequence[tuple[int, int]], multiple: int) -> Canvas:
        """The smallest of `canvases` that holds the picture; with none given, the next multiple of `multiple`.

        Raises ValueError where the picture is larger than every canvas.
        """
        if not canvases:
            return cls(height, width, -(-height // multiple) * multiple, -(-width // multiple) * multiple)
        fitting = [(h, w) for h, w in canvases if h >= height and w >= width]
        if not fitting:
            raise ValueError(f"canvas: expected a picture within {canvases}, got {height} x {width}")
        return cls(height, width, *min(fitting, key=lambda size: size[0] * size[1]))

    def lay(self, pictures: torch.Tensor) -> torch.Tensor:
        """(F, C, height, width) -> (F, C, canvas_height, canvas_width): the last row and column are repeated."""
        beyond = (0, self.canvas_width - self.width, 0, self.canvas_height - self.height)
        return F.pad(pictures, beyond, mode="replicate") if any(beyond) else pictures

    def take(self, pictures: torch.Tensor) -> torch.Tensor:
        """The inverse of `lay`."""
        return pictures[..., : self.height, : self.width]


def _turned(light: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix, light)
