"""What a job tells while it runs, here or on a server. Needs the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """What happened: `kind` is "prepared", "current", "step", "done" or "failed"; `done` of `total` frames are behind.

    A "step" is one of the engine's: `step` of `steps` of `stage` are done, in the window whose first frame is `frame`
    (`None` while the engine looks at the whole shot).
    """

    kind: str
    frame: int | None
    done: int
    total: int
    message: str = ""
    stage: str = ""
    step: int = 0
    steps: int = 0
