"""The messages between the front and its workers, framed as those of clients, over a loopback socket with CURVE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from platelight.document import entry
from platelight.messages import Data, JobResult, Message, Previewed, Problem, RootEntry


@dataclass(frozen=True)
class Do(Message):
    """Front to worker: a task. `id` names it; the payload is the packed recipe."""

    kind: str = entry("check, preview or job", default="")
    job: str = entry("job", default="")
    epoch: int = entry("fence: which taking of the job this is", default=0)
    base: str = entry("folder that relative paths start at, as ROOT:path", default="")
    folder: str = entry("the job's own folder", default="")
    frames: str = entry("part of the recipe's frames; empty = all", default="")
    force: bool = entry("render frames that are current as well", default=False)
    commits: bool = entry("the check belongs to a submit: what it learns of the inputs is kept", default=False)
    frame: int = entry("of a preview", default=0)
    width: int = entry("of a preview", default=960)
    layers: tuple[str, ...] = entry("of a preview", default=())
    recipe_file: str = entry("the recipe, where it is too large for a payload", default="")


@dataclass(frozen=True)
class StopTask(Message):
    """Front to worker: give up the task `id` at the next step or frame."""


@dataclass(frozen=True)
class Ready(Message):
    """Worker to front: it has loaded and takes tasks. The payload lists the engines' capabilities."""

    hardware: str = entry("what the device is", default="")
    memory_total: int = entry("bytes", default=0)
    memory_free: int = entry("bytes", default=0)


@dataclass(frozen=True)
class Beat(Message):
    """Worker to front: alive."""

    memory_free: int = entry("bytes", default=0)


@dataclass(frozen=True)
class Report(Message):
    """Worker to front: something happened to the job of task `id`."""

    kind: str = entry("prepared, current, done, failed or step", default="")
    frame: int | None = entry("frame", default=None)
    done: int = entry("frames behind us", default=0)
    total: int = entry("frames to render", default=0)
    text: str = entry("more", default="")
    stage: str = entry("of the engine", default="")
    step: int = entry("of the stage", default=0)
    steps: int = entry("of the stage", default=0)
    seconds_left: float | None = entry("estimate", default=None)


@dataclass(frozen=True)
class Looked(Message):
    """Worker to front: the answer to a check."""

    problems: tuple[Problem, ...] = entry("problems", default=())
    forbidden: bool = entry("one of them is a path outside the roots", default=False)
    warnings: tuple[str, ...] = entry("warnings", default=())
    name: str = entry("of the recipe", default="")
    frames: str = entry("asked for", default="")
    total: int = entry("frames asked for", default=0)
    windows: int = entry("windows", default=0)
    seconds: float = entry("estimate", default=0.0)
    memory_bytes: int = entry("estimate", default=0)
    disk_bytes: int = entry("estimate", default=0)
    plan: str = entry("how models will be held", default="")
    lane: str = entry("folder and name of the result", default="")
    place: str = entry("folder of the result, as ROOT:path", default="")


@dataclass(frozen=True)
class Ended(Message):
    """Worker to front: task `id` is over. `state` is done, partial, failed, or cancelled where it was stopped."""

    state: str = entry("how", default="")
    code: str = entry("why it failed", default="")
    text: str = entry("why it failed", default="")
    retry: bool = entry("may work later", default=False)
    problems: tuple[Problem, ...] = entry("where a check said no", default=())
    result: JobResult | None = entry("of a job", default=None)


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told on its standard input when it starts."""

    address: str = entry("of the front")
    name: str = entry("of the worker")
    role: str = entry("check, preview or render")
    device: str = entry("torch device", default="cpu")
    server_key: str = entry("CURVE", default="")
    public_key: str = entry("CURVE", default="")
    secret_key: str = entry("CURVE", default="")
    roots: tuple[RootEntry, ...] = entry("media roots", default=())
    fenced: bool = entry("nothing outside the roots may be touched", default=True)
    cores: int = entry("frames finished at once", default=1)
    modules: tuple[str, ...] = entry("imported at the start, to register more engines", default=())


TO_WORKER: Mapping[str, type[Message]] = {"do": Do, "stop_task": StopTask}
TO_FRONT: Mapping[str, type[Message]] = {
    "ready": Ready,
    "beat": Beat,
    "report": Report,
    "looked": Looked,
    "ended": Ended,
    "previewed": Previewed,
    "data": Data,
}
NAMES: Mapping[type[Message], str] = {kind: name for table in (TO_WORKER, TO_FRONT) for name, kind in table.items()}
PAYLOAD: frozenset[type[Message]] = frozenset({Do, Ready, Data})
