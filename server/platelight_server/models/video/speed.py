"""Two ways to make a transformer faster that leave its result alone up to rounding: attention kernels, compilation.

`set_attention_backend` of diffusers is not among them: CogVideoX's attention ignores it without a word, and it changes
the backend of every other model in the process.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["ATTENTION", "Speed"]

ATTENTION = {
    "math": SDPBackend.MATH,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}


@dataclass(frozen=True)
class Speed:
    """`attention`: "auto" (PyTorch chooses) or a name in ATTENTION; `compiled`: blocks go through torch.compile."""

    attention: str = "auto"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.attention != "auto" and self.attention not in ATTENTION:
            raise ValueError(f"attention: expected auto, {', '.join(ATTENTION)}, got {self.attention}")

    def kernels(self) -> AbstractContextManager[None]:
        """The context in which the transformer runs. Only the chosen kernel is allowed in it."""
        return nullcontext() if self.attention == "auto" else sdpa_kernel(ATTENTION[self.attention])

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Compiles a transformer's blocks in place: all have one shape, so one compilation serves them all."""
        if self.compiled:
            for block in blocks:
                block.compile()
