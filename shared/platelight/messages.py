"""The messages between clients and the server, as typed values. `shared/PROTOCOL.md` says what each means.

A message is one frozen dataclass per type, its wire name in `NAMES`. How it becomes ZeroMQ frames is `wire`'s matter.
Requests carry an `id` that the client chose; what answers them carries the same. Unknown fields are left aside when
reading, so that a newer peer can be understood; a value of another type or out of its range is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .document import entry

State = Literal["queued", "preparing", "running", "paused", "done", "partial", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "preparing", "running", "paused", "done", "partial", "failed", "cancelled")
FINAL_STATES: tuple[State, ...] = ("done", "partial", "failed", "cancelled")

ID = r"[0-9A-Za-z_-]{1,64}"
JOB = r"[0-9a-f]{16}"
ANY_JOB = rf"{JOB}|\*"
BLOB = r"(sha256|blake3):[0-9a-f]{64}"
COUNT_MOST = 2**53


@dataclass(frozen=True)
class Message:
    """Any message. `id` is the request that it is or answers; empty where it does neither."""

    id: str = entry("request", default="", pattern=rf"({ID})?")


# ---- values inside messages


@dataclass(frozen=True)
class RootEntry:
    """A named media root. Files beneath it are called `NAME:path/below`."""

    name: str = entry("name", pattern=r"[a-z][a-z0-9_-]{1,31}")
    path: str = entry("folder on the server's machine")
    writable: bool = entry("results may be written below it", default=True)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, as the check or an error says it. `kind` is the error's class, such as FrameError."""

    kind: str = entry("class of error")
    text: str = entry("what was expected, what came, what to do")
    path: str = entry("key of the recipe, where one is to blame", default="")


@dataclass(frozen=True)
class FrameFailure:
    """A frame that could not be rendered."""

    frame: int = entry("frame")
    text: str = entry("why")


@dataclass(frozen=True)
class Advice:
    """A sentence of the proof about which something can be done. A front end names the settings as its users do."""

    text: str = entry("what was found")
    settings: tuple[str, ...] = entry("keys of the recipe that correct it, such as look.exposure_stops", default=())


@dataclass(frozen=True)
class JobResult:
    """What a job did. `said` are the sentences of its proof, `advice` those that settings can change."""

    rendered: int = entry("frames rendered", default=0)
    current: int = entry("frames that were current already", default=0)
    failed: tuple[FrameFailure, ...] = entry("frames that failed, the first hundred", default=())
    failed_frames: str = entry("all frames that failed, as a range", default="")
    said: tuple[str, ...] = entry("the proof in sentences", default=())
    advice: tuple[Advice, ...] = entry("what can be corrected, and with which settings", default=())
    folder: str = entry("where the result lies, as ROOT:path", default="")


@dataclass(frozen=True)
class JobStatus:
    """A job as it stands. `events` is the number of its last event."""

    job: str = entry("job", pattern=JOB)
    name: str = entry("the recipe's name")
    state: State = entry("state", choices=STATES)
    frames: str = entry("frames asked for")
    total: int = entry("frames asked for, counted", default=0)
    done: int = entry("frames behind us: rendered, current or failed", default=0)
    failed: int = entry("frames that failed", default=0)
    priority: int = entry("higher runs first", default=50)
    position: int = entry("jobs before it in the queue; 0 = next or running", default=0)
    wish: str = entry("what is to happen to it: cancel, pause or nothing", default="")
    created: float = entry("when it was submitted, Unix time", default=0.0, unit="s")
    client: str = entry("who submitted it", default="")
    attempt: int = entry("how often a worker took it", default=0)
    events: int = entry("number of its last event", default=0)
    stage: str = entry("what an engine is at", default="")
    step: int = entry("model step", default=0)
    steps: int = entry("model steps of the stage", default=0)
    seconds_left: float | None = entry("estimate", default=None, unit="s")
    code: str = entry("why it failed, as an error code", default="")
    text: str = entry("why it failed", default="")
    folder: str = entry("where the result goes, as ROOT:path", default="")


@dataclass(frozen=True)
class WorkerStatus:
    """A worker process of the server."""

    name: str = entry("name")
    state: str = entry("starting, idle, busy or down")
    device: str = entry("torch device", default="cpu")
    hardware: str = entry("what the device is", default="")
    memory_total: int = entry("of the device", default=0, unit="bytes")
    memory_free: int = entry("of the device", default=0, unit="bytes")
    job: str = entry("job it works on", default="")


@dataclass(frozen=True)
class NamedFile:
    """A file of a job's result."""

    name: str = entry("file name")
    size: int = entry("bytes")


# ---- requests, client to server


@dataclass(frozen=True)
class Hello(Message):
    """Opens a session; the first message on every connection."""

    version_least: int = entry("oldest protocol understood", default=1)
    version_most: int = entry("newest protocol understood", default=1)
    client: str = entry("name of the program", default="")
    client_version: str = entry("version of the program", default="")
    host: str = entry("machine", default="")
    user: str = entry("user", default="")
    pid: int = entry("process", default=0)


@dataclass(frozen=True)
class Ping(Message):
    """Asks for a sign of life."""


@dataclass(frozen=True)
class EnginesAsked(Message):
    """Asks what the engines need and can do."""


@dataclass(frozen=True)
class _WithRecipe(Message):
    """A request about a recipe: the payload holds it packed, or `recipe` names the blob that does."""

    recipe: str = entry("blob that holds the recipe; absent = the payload does", default="", pattern=rf"({BLOB})?")
    base: str = entry("folder that relative paths start at, as ROOT:path", default="")
    files: str = entry("blob that lists uploaded files", default="", pattern=rf"({BLOB})?")


@dataclass(frozen=True)
class Check(_WithRecipe):
    """Asks what is wrong with a recipe and what it will cost."""

    frames: str = entry("part of the recipe's frames; empty = all", default="")


@dataclass(frozen=True)
class Submit(_WithRecipe):
    """Asks for a job. The same `key` twice is the same job."""

    key: str = entry("chosen by the client, once per job", default="", pattern=ID)
    frames: str = entry("part of the recipe's frames; empty = all", default="")
    priority: int = entry("higher runs first", default=50, minimum=0, maximum=100)
    force: bool = entry("render frames that are current as well", default=False)


@dataclass(frozen=True)
class PreviewAsked(_WithRecipe):
    """Asks for one frame at reduced size, outside the queue."""

    frame: int = entry("frame", default=0)
    width: int = entry("of the picture", default=960, minimum=16, maximum=2048, unit="pixels")
    layers: tuple[str, ...] = entry("layers wanted", default=("composite",))
    credit: int = entry("chunks that may come at once", default=8, minimum=1, maximum=64)


@dataclass(frozen=True)
class JobsAsked(Message):
    """Asks for a page of the queue and the history, newest first."""

    after: str = entry("the last job of the page before", default="", pattern=rf"({JOB})?")
    states: tuple[str, ...] = entry("only jobs in these states; none = all", default=())


@dataclass(frozen=True)
class JobAsked(Message):
    """Asks for one job."""

    job: str = entry("job", default="", pattern=JOB)


@dataclass(frozen=True)
class Watch(Message):
    """Asks for a job's events from `after` on, or for the status of every job that changes."""

    job: str = entry("job, or *", default="", pattern=ANY_JOB)
    after: int = entry("number of the last event known", default=0, minimum=0)


@dataclass(frozen=True)
class Unwatch(Message):
    """Ends a watch."""

    job: str = entry("job, or *", default="", pattern=ANY_JOB)


@dataclass(frozen=True)
class Change(Message):
    """Asks for something to be done to a job. `priority` counts for the action of that name only."""

    job: str = entry("job", default="", pattern=JOB)
    action: Literal["cancel", "pause", "resume", "retry", "priority", "forget"] = entry(
        "action", default="cancel", choices=("cancel", "pause", "resume", "retry", "priority", "forget")
    )
    priority: int = entry("higher runs first", default=50, minimum=0, maximum=100)


@dataclass(frozen=True)
class Have(Message):
    """Asks whether a blob is known, and opens its upload where it is not."""

    blob: str = entry("hash of the content", default="", pattern=BLOB)
    size: int = entry("of the whole blob", default=0, minimum=0, maximum=COUNT_MOST, unit="bytes")


@dataclass(frozen=True)
class Put(Message):
    """Chunks of a blob, one behind the other: a payload each."""

    blob: str = entry("hash of the content", default="", pattern=BLOB)
    offset: int = entry("where the first chunk begins", default=0, minimum=0, maximum=COUNT_MOST, unit="bytes")


@dataclass(frozen=True)
class FilesAsked(Message):
    """Asks for the files of a job's result, by name."""

    job: str = entry("job", default="", pattern=JOB)
    after: str = entry("the last name of the page before", default="")


@dataclass(frozen=True)
class Get(Message):
    """Asks for a file of a job's result (or `log`) from `offset` on."""

    job: str = entry("job", default="", pattern=JOB)
    name: str = entry("file name, or log", default="")
    offset: int = entry("where to begin", default=0, minimum=0, maximum=COUNT_MOST, unit="bytes")
    credit: int = entry("chunks that may come at once", default=8, minimum=1, maximum=64)


@dataclass(frozen=True)
class Credit(Message):
    """Allows `count` more chunks of the transfer that request `id` began."""

    count: int = entry("chunks", default=1, minimum=1, maximum=64)


@dataclass(frozen=True)
class Stop(Message):
    """Ends the transfer, check or preview that request `id` began."""


# ---- answers and notices, server to client


@dataclass(frozen=True)
class Welcome(Message):
    """Answers `hello`: what the server is and what it allows."""

    version: int = entry("protocol spoken", default=1)
    server_version: str = entry("version of the program", default="")
    epoch: str = entry("another one for every start of the server", default="")
    host: str = entry("machine", default="")
    chunk: int = entry("most bytes of a payload", default=1 << 20, unit="bytes")
    window: int = entry("chunks of an upload that may be unanswered", default=8)
    outstanding: int = entry("requests that may be unanswered", default=200)
    heartbeat_s: float = entry("how often to ping", default=1.0, unit="s")
    silence_s: float = entry("after which the peer is taken for lost", default=4.0, unit="s")
    hashes: tuple[str, ...] = entry("algorithms of blob hashes", default=("sha256",))
    roots: tuple[RootEntry, ...] = entry("media roots", default=())
    together: int = entry("chunks that one put may carry", default=1)


@dataclass(frozen=True)
class Pong(Message):
    """Answers `ping`: the server in one line."""

    epoch: str = entry("of the server's start", default="")
    queued: int = entry("jobs waiting", default=0)
    running: int = entry("jobs running", default=0)
    workers: tuple[WorkerStatus, ...] = entry("workers", default=())


@dataclass(frozen=True)
class Engines(Message):
    """Answers `engines`; the payload is a msgpack list of the engines' capabilities."""


@dataclass(frozen=True)
class Working(Message):
    """A request is being worked on; more than one may come before its answer."""

    text: str = entry("at what", default="")


@dataclass(frozen=True)
class Checked(Message):
    """Answers `check`."""

    problems: tuple[Problem, ...] = entry("none = the job may start", default=())
    warnings: tuple[str, ...] = entry("worth knowing", default=())
    frames: int = entry("frames to render or to find current", default=0)
    windows: int = entry("windows", default=0)
    seconds: float = entry("estimate", default=0.0, unit="s")
    memory_bytes: int = entry("estimate", default=0, unit="bytes")
    disk_bytes: int = entry("estimate", default=0, unit="bytes")
    plan: str = entry("how the engine's models will be held in memory, in words", default="")


@dataclass(frozen=True)
class Accepted(Message):
    """Answers `submit`: from here on the job is not lost."""

    job: str = entry("job", default="", pattern=JOB)
    new: bool = entry("false where the key was known", default=True)
    position: int = entry("jobs before it", default=0)
    warnings: tuple[str, ...] = entry("worth knowing", default=())


@dataclass(frozen=True)
class Told(Message):
    """A job's status: the answer to `job` and `change`, or a notice to who watches."""

    status: JobStatus | None = entry("status; absent = the job was forgotten", default=None)
    job: str = entry("job", default="")
    result: JobResult | None = entry("once the job has ended", default=None)


@dataclass(frozen=True)
class Listed(Message):
    """Answers `jobs`: one page."""

    jobs: tuple[JobStatus, ...] = entry("newest first", default=())
    more: bool = entry("another page follows", default=False)


@dataclass(frozen=True)
class Watching(Message):
    """Answers `watch` and `unwatch`."""

    job: str = entry("job, or *", default="")


@dataclass(frozen=True)
class Event(Message):
    """Something happened to a job. Numbers are gap-free per job and survive restarts."""

    job: str = entry("job", default="")
    number: int = entry("from 1", default=0)
    kind: str = entry("state, prepared, current, done, failed", default="")
    frame: int | None = entry("frame", default=None)
    done: int = entry("frames behind us", default=0)
    total: int = entry("frames in all", default=0)
    state: str = entry("of the job, for kind state", default="")
    text: str = entry("more", default="")
    time: float = entry("Unix time", default=0.0, unit="s")


@dataclass(frozen=True)
class Had(Message):
    """Answers `have`."""

    state: Literal["complete", "partial", "none"] = entry(
        "of the blob", default="none", choices=("complete", "partial", "none")
    )
    offset: int = entry("where the upload goes on", default=0, minimum=0, maximum=COUNT_MOST, unit="bytes")


@dataclass(frozen=True)
class PutOk(Message):
    """Answers `put`: as many more chunks may come."""

    offset: int = entry("bytes held now", default=0, unit="bytes")
    complete: bool = entry("the blob is whole and its hash is right", default=False)


@dataclass(frozen=True)
class Named(Message):
    """Answers `files`: one page."""

    files: tuple[NamedFile, ...] = entry("by name", default=())
    more: bool = entry("another page follows", default=False)


@dataclass(frozen=True)
class Sending(Message):
    """Answers `get`: `data` follows."""

    size: int = entry("of the whole file", default=0, unit="bytes")


@dataclass(frozen=True)
class Previewed(Message):
    """Answers `preview`: `data` follows, planes of float16 (little endian), one channel after the other."""

    frame: int = entry("frame", default=0)
    width: int = entry("of the picture", default=0, unit="pixels")
    height: int = entry("of the picture", default=0, unit="pixels")
    channels: tuple[str, ...] = entry("names, in the order of the planes", default=())
    colorspace: str = entry("of the colour channels", default="")
    warnings: tuple[str, ...] = entry("worth knowing", default=())
    milliseconds: float = entry("time the server took", default=0.0, unit="ms")
    size: int = entry("of the data", default=0, unit="bytes")


@dataclass(frozen=True)
class Data(Message):
    """A chunk of a transfer; the payload is the chunk."""

    offset: int = entry("where the chunk begins", default=0, unit="bytes")
    last: bool = entry("nothing follows", default=False)


@dataclass(frozen=True)
class Refused(Message):
    """A request failed. `code` is one of `CODES`; `retry` says whether the same request may work later."""

    code: str = entry("code", default="INTERNAL")
    text: str = entry("what was expected, what came, what to do", default="")
    retry: bool = entry("the same request may work later", default=False)
    retry_after_s: float = entry("when", default=0.0, unit="s")
    problems: tuple[Problem, ...] = entry("where a check said no", default=())


@dataclass(frozen=True)
class Bye(Message):
    """The server stops, or the client goes. Nobody answers it."""

    text: str = entry("why", default="")


CODES: Mapping[str, str] = {
    "BAD_MESSAGE": "the message cannot be read, or makes no sense here",
    "UNSUPPORTED": "the type of message is not known",
    "VERSION": "the peers have no protocol version in common",
    "NO_SESSION": "say hello first",
    "BAD_INPUT": "the check refuses the recipe; problems say why",
    "FORBIDDEN_PATH": "a path lies outside the media roots",
    "NOT_FOUND": "no such job, file or blob",
    "WRONG_STATE": "the job is not in a state in which that can be done",
    "KEY_REUSED": "the key belongs to a job with another recipe",
    "QUEUE_FULL": "too many jobs wait",
    "BUSY": "too many requests or transfers at once",
    "NO_UPLOAD": "say have first",
    "BAD_OFFSET": "the chunk does not continue the upload",
    "HASH_MISMATCH": "the bytes uploaded are not those that the hash names",
    "QUOTA": "the server's spool is full",
    "DISK_FULL": "the server's disk is full",
    "IO": "the server cannot read or write a file",
    "OUT_OF_MEMORY": "memory or a device is short",
    "WORKER_CRASH": "the worker died",
    "STALLED": "the worker did not get on",
    "CANCELLED": "cancelled",
    "INTERNAL": "an error that nobody foresaw; the server's log has more",
}
RETRY_CODES = frozenset(
    {"QUEUE_FULL", "BUSY", "NO_UPLOAD", "BAD_OFFSET", "OUT_OF_MEMORY", "WORKER_CRASH", "STALLED", "NO_SESSION"}
)

REQUESTS: Mapping[str, type[Message]] = {
    "hello": Hello,
    "ping": Ping,
    "engines": EnginesAsked,
    "check": Check,
    "submit": Submit,
    "preview": PreviewAsked,
    "jobs": JobsAsked,
    "job": JobAsked,
    "watch": Watch,
    "unwatch": Unwatch,
    "change": Change,
    "have": Have,
    "put": Put,
    "files": FilesAsked,
    "get": Get,
    "credit": Credit,
    "stop": Stop,
    "bye": Bye,
}
ANSWERS: Mapping[str, type[Message]] = {
    "welcome": Welcome,
    "pong": Pong,
    "engines": Engines,
    "working": Working,
    "checked": Checked,
    "accepted": Accepted,
    "told": Told,
    "listed": Listed,
    "watching": Watching,
    "event": Event,
    "had": Had,
    "put_ok": PutOk,
    "named": Named,
    "sending": Sending,
    "previewed": Previewed,
    "data": Data,
    "refused": Refused,
    "bye": Bye,
}
NAMES: Mapping[type[Message], str] = {kind: name for table in (REQUESTS, ANSWERS) for name, kind in table.items()}
# Types of message that carry a payload frame; the recipe may come in a blob instead.
PAYLOAD: frozenset[type[Message]] = frozenset({Check, Submit, PreviewAsked, Put, Engines, Data})
