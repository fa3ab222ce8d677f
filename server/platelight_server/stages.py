"""CPU seconds per stage of a job, and the peak of memory: what the proof and the benchmarks report."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGES = ("check", "prepare", "read", "engine", "finish", "write")


@dataclass
class Stages:
    """Seconds of CPU time per stage, summed over threads, and wall seconds since the start."""

    cpu_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Counts this thread's CPU time towards a stage."""
        start = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.cpu_seconds[stage] += time.thread_time() - start

    @property
    def wall_seconds(self) -> float:
        """Wall time since the job began."""
        return time.monotonic() - self.started


def peak_memory_bytes() -> int | None:
    """The process's largest resident size so far; `None` where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
