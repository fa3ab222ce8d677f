"""Memory that libraries keep after it was freed, handed back to the system."""

from __future__ import annotations

import sys


def give_memory_back() -> None:
    """Empties the caches of torch, where it is loaded, and of glibc's allocator."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
