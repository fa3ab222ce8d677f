"""Memory that was freed: what of it is handed back to the system, and what is kept for the next chunk."""

from __future__ import annotations

import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


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


def keep_memory() -> None:
    """Has glibc keep some freed memory for the next chunks.

    By default it hands every mebibyte back to the system, and takes a fresh one for the next message: 256 page faults
    and cleared pages, up to 0.8 ms (virtual machine), where hashing and writing the chunk cost 0.4.
    """
    if sys.platform == "linux":
        import ctypes

        set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if set_option is not None:
            set_option(M_MMAP_THRESHOLD, 4 << 20)
            set_option(M_TRIM_THRESHOLD, 16 << 20)
