"""Runs networks beside a stock CogVideoX transformer, by PyTorch's own forward hooks: no subclass, no changed method.

Hooks see what they need: the transformer's pre-hook its noisy latent, timestep and prompt; the first block's pre-hook
the video tokens, modulation and rotary embedding; every block's hook what it made. They run around `forward`, so they
live beside diffusers' own hooks (group offload, layerwise casting), which run inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import nn

from platelight_server.models.video.interface import Branch, TransformerCall

__all__ = ["attached"]

_TRANSFORMER = ("hidden_states", "encoder_hidden_states", "timestep")
_BLOCK = ("hidden_states", "encoder_hidden_states", "temb", "image_rotary_emb")


@contextmanager
def attached(transformer: CogVideoXTransformer3DModel, branches: Sequence[Branch]) -> Iterator[None]:
    """Runs `branches` beside `transformer` while the context is open.

    However the context is left, no hook stays behind. Without branches nothing is touched.
    """
    run = _Run(branches, transformer.config.out_channels)
    blocks = list(transformer.transformer_blocks) if branches else []
    hooks = []
    try:
        if branches:
            hooks.append(transformer.register_forward_pre_hook(run.enter, with_kwargs=True))
            hooks.append(blocks[0].register_forward_pre_hook(run.begin, with_kwargs=True))
        for number, block in enumerate(blocks):
            hooks.append(block.register_forward_hook(run.following(number)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Run:
    """The hooks' shared state: what the transformer was called with, from its entry to its first block."""

    def __init__(self, branches: Sequence[Branch], latent_channels: int) -> None:
        self.branches, self.latent_channels = branches, latent_channels
        self.called: dict[str, Any] = {}

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # a compiled block calls its hooks uncompiled
    def enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.called = _named(_TRANSFORMER, args, kwargs)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def begin(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = _named(_BLOCK, args, kwargs)
        call = TransformerCall(
            latent=self.called["hidden_states"][:, :, : self.latent_channels],
            timestep=self.called["timestep"],
            prompt=self.called["encoder_hidden_states"],
            tokens=given["hidden_states"],
            text=given["encoder_hidden_states"],
            modulation=given["temb"],
            rotary=given.get("image_rotary_emb"),
        )
        self.called = {}
        for branch in self.branches:
            call = replace(call, tokens=branch.begin(call))
        return (), {**given, "hidden_states": call.tokens}

    def following(self, number: int) -> Any:
        @torch.compiler.disable  # type: ignore[untyped-decorator]
        def after(
            _: nn.Module, args: tuple[Any, ...], made: tuple[torch.Tensor, torch.Tensor]
        ) -> tuple[torch.Tensor, torch.Tensor]:
            tokens, text = made
            for branch in self.branches:
                tokens = branch.after(number, tokens, text)
            return tokens, text

        return after


def _named(names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}
