"""`platelight retry`: queues ended jobs again; frames that are current are not rendered again."""

from __future__ import annotations

from .change import add_arguments, runner

__all__ = ["add_arguments", "run"]

run = runner("retry")
