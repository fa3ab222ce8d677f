"""What a finished job says: the same lines whether it ran here or on a server."""

from __future__ import annotations

import json
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Protocol

from platelight.messages import Advice


class Result(Protocol):
    """What is summed up; `platelight.JobResult` is one."""

    @property
    def rendered(self) -> int: ...
    @property
    def current(self) -> int: ...
    @property
    def failed(self) -> Sized: ...
    @property
    def said(self) -> tuple[str, ...]: ...
    @property
    def advice(self) -> tuple[Advice, ...]: ...


@dataclass(frozen=True)
class Summed:
    """The result of a run without a server."""

    rendered: int
    current: int
    failed: tuple[int, ...]
    said: tuple[str, ...]
    advice: tuple[Advice, ...]


def summary(result: Result, cancelled: bool, folder: str, proof: dict[str, Any], as_json: bool) -> None:
    """Prints it: as JSON the whole proof, else its sentences."""
    if as_json:
        print(json.dumps({"event": "end", "proof": proof}, ensure_ascii=False))
        return
    if not result.rendered and not result.failed and not cancelled:
        print(f"nothing to do: all {result.current} frames in {folder} are current")
        return
    kept = f", {result.current} were current" if result.current else ""
    stopped = "; stopped, the same command goes on from here" if cancelled else ""
    print(f"{result.rendered} frames rendered{kept}{stopped}: {folder}")
    for line in (*result.said, *map(advised, result.advice)):
        print(line)


def advised(advice: Advice) -> str:
    """An advice with its settings as the command line takes them."""
    settings = " or ".join(f"--set {setting}=VALUE" for setting in advice.settings)
    return f"{advice.text}; correct it with {settings}" if settings else advice.text
