"""Prompts for T5 and UMT5. A prompt is never cut: one of too many tokens is refused, with its count."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

import ftfy
import torch

from platelight.errors import RecipeError
from platelight_server.models.video.interface import Placed, Prompt

__all__ = ["PromptReader", "cleaned"]


def cleaned(text: str) -> str:
    """A prompt as Wan was trained on it: encoding repaired (ftfy), HTML entities resolved, single spaces."""
    return re.sub(r"\s+", " ", html.unescape(html.unescape(ftfy.fix_text(text)))).strip()


@dataclass(frozen=True)
class PromptReader:
    """A tokenizer with its encoder, which runs on `device` and reads at most `tokens_most` tokens.

    `masked` hides padding from the encoder and sets its places to zero (Wan); without it the encoder sees the padding
    (CogVideoX).
    """

    tokenizer: Any
    encoder: Any
    tokens_most: int
    masked: bool
    device: torch.device
    known: dict[tuple[str, str], Prompt] = field(default_factory=dict)

    def read(self, prompt: str, negative: str, placed: Placed) -> Prompt:
        """A pair that was read before is not read again, and asks for no encoder.

        Raises RecipeError naming the count of tokens, the end token included, where it is over the limit.
        """
        if (prompt, negative) not in self.known:
            with placed("text_encoder"):
                away = self._embedded(negative, "engine.negative_prompt")
                self.known[prompt, negative] = Prompt(self._embedded(prompt, "background.prompt"), away)
        return self.known[prompt, negative]

    @torch.no_grad()
    def _embedded(self, text: str, key: str) -> torch.Tensor:
        count = len(self.tokenizer(text, verbose=False).input_ids)
        if count > self.tokens_most:
            raise RecipeError(key, f"at most {self.tokens_most} tokens", f"{count}; shorten the text")
        padded = self.tokenizer(text, padding="max_length", max_length=self.tokens_most, return_tensors="pt")
        ids, mask = padded.input_ids.to(self.device), padded.attention_mask.to(self.device)
        if not self.masked:
            return self.encoder(ids)[0].float().cpu()  # type: ignore[no-any-return]
        return (self.encoder(ids, mask)[0].float() * mask[..., None]).cpu()  # type: ignore[no-any-return]
