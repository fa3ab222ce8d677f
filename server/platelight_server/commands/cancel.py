"""`platelight cancel`: stops jobs within a step or a frame; what is finished stays."""

from __future__ import annotations

from .change import add_arguments, runner

__all__ = ["add_arguments", "run"]

run = runner("cancel")
