"""A text becomes a box: OWLv2 (Minderer, Gritsenko and Houlsby 2023), an open-vocabulary detector, on one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTokenizer, Owlv2ForObjectDetection

from platelight.errors import InputError

from ..models.loading import load
from .interface import code_values

__all__ = ["DETECTOR", "box_of_text"]

DETECTOR = "owlv2-base"
# As the published preprocessor does: padded to a square with grey, CLIP's means and deviations.
GREY = 0.5
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LEAST_SCORE = 0.1


def box_of_text(
    folder: Path, text: str, plate: np.ndarray, to_rec709: np.ndarray, device: str = "cpu", least: float = LEAST_SCORE
) -> tuple[float, float, float, float]:
    """The box (x0, y0, x1, y1, pixels of the plate) that fits a text best.

    plate  (3, H, W) float16 or float32, scene-linear, plate primaries

    Raises `InputError` where the text is empty or too long for the model, or nothing fits it; `ModelError`.
    """
    network = load(folder, Owlv2ForObjectDetection, dtype=torch.float32, device=device)
    tokens = _tokens(load(folder, CLIPTokenizer), text, network.config.text_config.max_position_embeddings)
    height, width = plate.shape[1:]
    longest, side = max(height, width), network.config.vision_config.image_size
    small = (max(1, round(height * side / longest)), max(1, round(width * side / longest)))
    square = torch.full((3, side, side), GREY)
    square[:, : small[0], : small[1]] = code_values(plate, small, to_rec709)
    pixels = (square - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    with torch.inference_mode():
        answer = network(
            input_ids=tokens.to(device),
            attention_mask=(tokens != 0).long().to(device),
            pixel_values=pixels[None].to(device),
        )
    scores = answer.logits[0].float().sigmoid().amax(-1).cpu()
    best = int(scores.argmax())
    if scores[best] < least:
        raise InputError(
            f"text {text!r}: expected something in the frame that fits it, the best fits by {float(scores[best]):.2f}"
            f" of the {least:g} needed; say it in other words, or give a point or a box"
        )
    x, y, across, down = (float(value) * longest for value in answer.pred_boxes[0, best])
    x0, x1 = (min(max(value, 0.0), float(width)) for value in (x - across / 2, x + across / 2))
    y0, y1 = (min(max(value, 0.0), float(height)) for value in (y - down / 2, y + down / 2))
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise InputError(f"text {text!r}: expected a box within the frame, got one outside it; give a point or a box")
    return x0, y0, x1, y1


def _tokens(tokenizer: CLIPTokenizer, text: str, most: int) -> torch.Tensor:
    """(1, most) tokens, padded with 0 as the published tokenizer pads. A text that is too long is refused, not cut."""
    if not text.strip():
        raise InputError("text: expected words that name the subject, got none")
    found = tokenizer(text)["input_ids"]
    if len(found) > most:
        raise InputError(f"text: expected at most {most} tokens, got {len(found)}; say it shorter")
    return torch.tensor([found + [0] * (most - len(found))])
