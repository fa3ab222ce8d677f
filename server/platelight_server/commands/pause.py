"""`platelight pause`: stops jobs for now; they keep their place in the queue."""

from __future__ import annotations

from .change import add_arguments, runner

__all__ = ["add_arguments", "run"]

run = runner("pause")
