"""What CLIP says of a result: whether frames resemble each other, and the text of the new place (Radford et al. 2021).

The picture is prepared as CLIP's own processor does: shorter side to the network's size (bicubic, antialiased), middle
square, normalised. Sides of wide frames are not seen, as in the papers' numbers.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional
from transformers import CLIPModel, CLIPTokenizer

from platelight_server.models.catalogue import card
from platelight_server.models.folders import find
from platelight_server.models.loading import load
from platelight_server.models.record import ensure

from .frame import Frame

__all__ = ["MODEL", "Clip", "clip"]

MODEL = "clip-vit-large-patch14"


class Clip:
    """CLIP from a folder. Embeddings have length 1."""

    MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.device = device
        self._model = load(folder, CLIPModel, dtype=torch.float32, device=device)
        self._tokenizer = load(folder, CLIPTokenizer)
        self._known: WeakKeyDictionary[Frame, torch.Tensor] = WeakKeyDictionary()

    @torch.no_grad()
    def frame(self, frame: Frame) -> torch.Tensor:
        """The embedding of a frame's result, (d,) float32; found once however many gauges ask."""
        if frame not in self._known:
            codes = torch.from_numpy(frame.result_display).permute(2, 0, 1)[None].to(self.device)
            said = self._model.vision_model(pixel_values=self._prepared(codes)).pooler_output
            self._known[frame] = functional.normalize(self._model.visual_projection(said)[0].float(), dim=0)
        return self._known[frame]

    @torch.no_grad()
    def text(self, prompt: str) -> torch.Tensor:
        """The embedding of a text, (d,) float32; what does not fit its 77 tokens is cut off."""
        most = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer([prompt], truncation=True, max_length=most, return_tensors="pt").to(self.device)
        said = self._model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return functional.normalize(self._model.text_projection(said)[0].float(), dim=0)

    def _prepared(self, codes: torch.Tensor) -> torch.Tensor:
        """(1, 3, H, W) codes 0..1 -> (1, 3, side, side) normalised."""
        side = int(self._model.config.vision_config.image_size)
        height, width = codes.shape[-2:]
        scale = side / min(height, width)
        size = (max(side, round(height * scale)), max(side, round(width * scale)))
        small = functional.interpolate(codes, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        mean, deviation = (torch.tensor(x, device=codes.device).view(1, 3, 1, 1) for x in (self.MEAN, self.DEVIATION))
        return (small[..., top : top + side, left : left + side] - mean) / deviation


def clip(roots: tuple[Path, ...] | None, device: str) -> Clip:
    """The network of the catalogue's folder, loaded once. Raises `ModelError`."""
    return _loaded(find(card(MODEL), roots), device)


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> Clip:
    return Clip(ensure(card(MODEL), folder).folder, device)
