"""Signals: the first asks a job to stop, the second ends the command at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

EXIT_OF_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stop:
    """The first interrupt or termination asks the job to stop after the frames being written; a second one ends it."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._told: Callable[[], None] = lambda: None
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        """True once a signal has come."""
        return self.received is not None

    def tell(self, told: Callable[[], None]) -> None:
        """Calls `told` when the first signal comes, or now where it has come."""
        self._told = told
        if self.received is not None:
            told()

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in EXIT_OF_SIGNAL:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        print("stopping after the frames that are being written; once more to stop at once", file=sys.stderr)
        self._told()
