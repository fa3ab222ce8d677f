"""What a worker does: check a recipe, preview a frame, run a job. The same code as without a server, inside a fence.

Every way in which a task can go wrong ends in an answer with a code; the process itself goes on.
"""

from __future__ import annotations

import gc
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from platelight.errors import InputError, OutputError, PlatelightError, RecipeError, ResourceError, ServerError
from platelight.frames import FrameRange
from platelight.messages import Advice, Data, FrameFailure, JobResult, Message, Previewed, Problem
from platelight.places import JOB_ROOT, Roots
from platelight.recipe import Recipe, paths_of
from platelight.wire import CHUNK, Bytes

from .. import job
from ..check import Checked, check
from ..engines.interface import Cancelled
from ..evaluation.proof import write_proof
from ..fingerprint import frame_hashes, is_current
from ..plates import delivery, fence
from ..plates.frames_out import prepare_folder
from .allocator import give_memory_back
from .link import Do, Ended, Looked, Report, WorkerConfig

PROBLEMS_MOST, TEXT_MOST, FAILURES_MOST = 40, 1000, 40
STEP_EVERY_S = 0.1
LOOK_EVERY_S = 1.0
log = logging.getLogger("platelight.worker")


class Sender(Protocol):
    """The half of the link that a task needs."""

    def send(self, message: Message, payload: Bytes | None = None) -> None: ...
    def stopped(self, task: str) -> bool: ...


class Tasks:
    """Does tasks for the front."""

    def __init__(self, config: WorkerConfig, link: Sender) -> None:
        self._config, self._link = config, link
        if config.fenced:  # also for a thread that a task should leave behind
            fence.enclose(_fence_roots(config))
        if config.role == "preview":
            from ..preview import Previewer

            self._previewer = Previewer()

    def do(self, do: Do, payload: bytes) -> None:
        """Does one task and answers it, whatever happens."""
        try:
            with self._fenced(do), job_log(do):
                if do.kind == "check":
                    self._link.send(self._check(do, payload))
                elif do.kind == "preview":
                    self._preview(do, payload)
                else:
                    self._link.send(self._job(do, payload))
        except Exception as error:  # the border of the process: whoever asked is told, the worker goes on
            self._link.send(ended_with(do.id, error))
        if do.kind == "job":
            gc.collect()
            give_memory_back()

    @contextmanager
    def _fenced(self, do: Do) -> Iterator[None]:
        if not self._config.fenced:
            yield
            return
        roots = _fence_roots(self._config)
        if do.folder:
            roots.append(fence.Root(JOB_ROOT, Path(do.folder), True))
        with fence.enclosed(roots):
            yield

    def _recipe(self, do: Do, payload: bytes) -> tuple[Recipe, Path]:
        """The recipe with this machine's paths, and the folder that its relative paths start at."""
        data = Path(do.recipe_file).read_bytes() if do.recipe_file else payload
        roots = self._all_roots(do)
        recipe = roots.from_wire(Recipe.unpack(data))
        return recipe, roots.path(do.base) if do.base else _require_places(recipe)

    def _check(self, do: Do, payload: bytes) -> Looked:
        try:
            recipe, base = self._recipe(do, payload)
            only = FrameRange.parse(do.frames) if do.frames else None
        except (InputError, ServerError) as error:
            return Looked(id=do.id, problems=(problem_of(error),), forbidden=is_forbidden(error))
        checked = check(recipe, base, only, self._config.cores, _Looking(do.id, self._link), self._config.device)
        problems = tuple(problem_of(error) for error in checked.errors[:PROBLEMS_MOST])
        if len(checked.errors) > PROBLEMS_MOST:
            more = len(checked.errors) - PROBLEMS_MOST
            problems = (*problems, Problem("InputError", f"and {more} more problems"))
        if do.commits and not problems and checked.index is not None:
            prepare_folder(Path(checked.recipe.output.directory))
            checked.index.save()  # what was learnt of the inputs; the job need not look again
        estimate = checked.estimate
        return Looked(
            id=do.id, problems=problems, forbidden=any(is_forbidden(error) for error in checked.errors),
            warnings=tuple(text[:TEXT_MOST] for text in checked.warnings[:PROBLEMS_MOST]), name=recipe.name,
            frames=str(FrameRange.of(checked.wanted)) if checked.wanted else do.frames or str(recipe.frames),
            total=len(checked.wanted), windows=len(checked.windows),
            seconds=estimate.seconds if estimate else 0.0, memory_bytes=estimate.memory_bytes if estimate else 0,
            disk_bytes=estimate.disk_bytes if estimate else 0, plan=estimate.plan[:TEXT_MOST] if estimate else "",
            lane=f"{checked.recipe.output.directory}/{checked.recipe.output_name}", place=self._place(checked, do),
        )  # fmt: skip

    def _all_roots(self, do: Do) -> Roots:
        own = {JOB_ROOT: Path(do.folder)} if do.folder else {}
        return Roots({**{entry.name: Path(entry.path) for entry in self._config.roots}, **own})

    def _place(self, checked: Checked, do: Do) -> str:
        """The folder of the result as the client may name it; empty where no root holds it."""
        try:
            return self._all_roots(do).place(Path(checked.recipe.output.directory))
        except ServerError:
            return ""

    def _preview(self, do: Do, payload: bytes) -> None:
        began = time.perf_counter()
        recipe, base = self._recipe(do, payload)
        seen = self._previewer.preview(
            recipe, base, do.frame, do.width, do.layers, self._config.device, lambda: self._link.stopped(do.id)
        )  # fmt: skip
        names = tuple(seen.channels)
        planes = np.stack([np.ascontiguousarray(seen.channels[name], "<f2") for name in names])
        data = memoryview(planes.tobytes())
        took = (time.perf_counter() - began) * 1000
        self._link.send(
            Previewed(
                id=do.id, frame=do.frame, width=planes.shape[2], height=planes.shape[1], channels=names,
                colorspace=seen.colorspace, warnings=tuple(seen.warnings), milliseconds=took, size=len(data),
            )
        )  # fmt: skip
        for offset in range(0, len(data), CHUNK):
            piece = data[offset : offset + CHUNK]
            self._link.send(Data(id=do.id, offset=offset, last=offset + CHUNK >= len(data)), piece)

    def _job(self, do: Do, payload: bytes) -> Ended:
        recipe, base = self._recipe(do, payload)
        only = FrameRange.parse(do.frames) if do.frames else None
        log.info("job=%s frames=%s attempt=%d", do.job, do.frames or recipe.frames, do.epoch)
        checked = check(recipe, base, only, self._config.cores, _Looking(do.id, self._link), self._config.device)
        for text in checked.warnings:
            log.warning("job=%s %s", do.job, text)
        if checked.errors:
            problems = tuple(problem_of(error) for error in checked.errors[:PROBLEMS_MOST])
            return Ended(
                id=do.id, state="failed", code=code_of(checked.errors[0]), text=problems[0].text, problems=problems
            )
        reporter = _Reporter(do.id, self._link, len(checked.wanted))
        outcome = job.run(
            checked, reporter, lambda: self._link.stopped(do.id), self._config.device, self._config.cores, do.force
        )
        proof = write_proof(checked, outcome)
        failed = sorted(outcome.failed.items())
        result = JobResult(
            rendered=len(outcome.rendered), current=len(outcome.current), said=tuple(proof["said"]),
            advice=tuple(Advice(one["text"], tuple(one["settings"])) for one in proof["advice"]),
            failed=tuple(FrameFailure(frame, text[:TEXT_MOST]) for frame, text in failed[:FAILURES_MOST]),
            failed_frames=str(FrameRange.of(outcome.failed)) if outcome.failed else "", folder=self._place(checked, do),
        )  # fmt: skip
        log.info(
            "job=%s rendered=%d current=%d failed=%d", do.job, result.rendered, result.current, len(outcome.failed)
        )
        if outcome.cancelled:
            return Ended(id=do.id, state="cancelled", result=result)
        if outcome.failed:
            return Ended(id=do.id, state="partial", result=result, text=f"{len(outcome.failed)} frames failed")
        absent = _not_current(checked)
        if absent:
            raise OutputError(f"frames {FrameRange.of(absent)} are not what was written: something else changed them")
        return Ended(id=do.id, state="done", result=result)


class _Looking:
    """Tells the front how many files the check has looked at, once a second: a long check is not a hung one."""

    def __init__(self, task: str, link: Sender) -> None:
        self._task, self._link = task, link
        self._count, self._told = 0, time.monotonic()

    def __call__(self, file: Path) -> None:
        self._count += 1
        if time.monotonic() - self._told >= LOOK_EVERY_S:
            self._told = time.monotonic()
            text = f"{self._count} files looked at"
            self._link.send(Report(id=self._task, kind="step", stage="check", step=self._count, text=text))


def _fence_roots(config: WorkerConfig) -> list[fence.Root]:
    return [fence.Root(entry.name, Path(entry.path), entry.writable) for entry in config.roots]


class _Reporter:
    """Hands the job's events to the front; steps at most ten a second."""

    def __init__(self, task: str, link: Sender, total: int) -> None:
        self._task, self._link = task, link
        self._began, self._last_step = time.monotonic(), 0.0

    def __call__(self, event: job.Event) -> None:
        now = time.monotonic()
        if event.kind == "prepared":
            self._began = now
        if event.kind == "step":
            if now - self._last_step < STEP_EVERY_S and event.step < event.steps:
                return
            self._last_step = now
            self._link.send(Report(id=self._task, kind="step", stage=event.stage, step=event.step, steps=event.steps))
            return
        left = None
        if event.kind == "done" and event.done:
            left = round((now - self._began) / event.done * (event.total - event.done), 2)
        if event.kind == "failed":
            log.error("frame=%s %s", event.frame, event.message)
        self._link.send(
            Report(
                id=self._task, kind=event.kind, frame=event.frame, done=event.done, total=event.total,
                text=event.message[:TEXT_MOST], seconds_left=left,
            )
        )  # fmt: skip


def _require_places(recipe: Recipe) -> Path:
    """Without a base every path must be a place, hence absolute by now. Raises `RecipeError`."""
    for key, text in paths_of(recipe):
        if not Path(text).is_absolute():
            raise RecipeError(key, "ROOT:path, since the request has no base", repr(text))
    return Path("/")


def _not_current(checked: Checked) -> list[int]:
    """Wanted frames whose files do not carry the job's hash: nothing is called done that was not looked at."""
    hashes = frame_hashes(checked)
    return [f for f in checked.wanted if not is_current(delivery.files_of(checked.recipe, f).all(), hashes[f])]


def problem_of(error: PlatelightError) -> Problem:
    """An error as the wire carries it."""
    return Problem(type(error).__name__, str(error)[:TEXT_MOST], getattr(error, "path", ""))


def is_forbidden(error: BaseException) -> bool:
    """Whether an error says that a path lies outside the roots."""
    return isinstance(error, fence.ForbiddenPathError) or getattr(error, "code", "") == "FORBIDDEN_PATH"


def code_of(error: BaseException) -> str:
    """The wire's code of an error."""
    if isinstance(error, ServerError):
        return error.code
    if isinstance(error, Cancelled):
        return "CANCELLED"
    if is_forbidden(error):
        return "FORBIDDEN_PATH"
    if isinstance(error, InputError):
        return "BAD_INPUT"
    if isinstance(error, OutputError):
        return "DISK_FULL" if "no space left" in str(error) else "IO"
    if isinstance(error, (ResourceError, MemoryError)):
        return "OUT_OF_MEMORY"
    return "INTERNAL"


def ended_with(task: str, error: Exception) -> Ended:
    """The answer to a task that an error ended."""
    code = code_of(error)
    if code == "INTERNAL":
        log.error("task=%s %s", task, traceback.format_exc().replace("\n", " | "))
    else:
        log.error("task=%s code=%s %s", task, code, error)
    text = str(error) if isinstance(error, PlatelightError) else f"{type(error).__name__}: {error}"
    problems = (problem_of(error),) if isinstance(error, PlatelightError) else ()
    return Ended(
        id=task, state="failed", code=code, text=text[:TEXT_MOST], retry=code == "OUT_OF_MEMORY", problems=problems
    )


@contextmanager
def job_log(do: Do) -> Iterator[None]:
    """Writes what is logged during a job to the job's own log as well."""
    if do.kind != "job" or not do.folder:
        yield
        return
    handler = logging.FileHandler(Path(do.folder) / "log", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


class OneLine(logging.Formatter):
    """A line per record: what a file's header or a user says cannot begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
