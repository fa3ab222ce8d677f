"""`platelight resume`: queues paused jobs again."""

from __future__ import annotations

from .change import add_arguments, runner

__all__ = ["add_arguments", "run"]

run = runner("resume")
