"""Refusals and ended jobs as errors: one table from the wire's codes to the classes of `errors`."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import (
    AccessError,
    BusyError,
    CancelledError,
    JobFailedError,
    NotFoundError,
    PartialError,
    PlatelightError,
    ProtocolError,
    RefusedError,
    ServerError,
)
from .messages import JobResult, JobStatus, Refused

ERRORS: Mapping[str, type[ServerError]] = {
    "BAD_MESSAGE": ProtocolError,
    "UNSUPPORTED": ProtocolError,
    "VERSION": ProtocolError,
    "BAD_INPUT": RefusedError,
    "WRONG_STATE": RefusedError,
    "KEY_REUSED": RefusedError,
    "FORBIDDEN_PATH": AccessError,
    "NOT_FOUND": NotFoundError,
    "QUEUE_FULL": BusyError,
    "BUSY": BusyError,
    "QUOTA": BusyError,
    "CANCELLED": CancelledError,
}
# What the command line returns for codes whose class says less than the code does.
EXIT_CODES: Mapping[str, int] = {
    "BAD_INPUT": 65, "FORBIDDEN_PATH": 77, "DISK_FULL": 74, "IO": 74, "OUT_OF_MEMORY": 75, "WORKER_CRASH": 75,
    "STALLED": 75,
}  # fmt: skip


def error_of(refused: Refused) -> ServerError:
    """A refusal as an error of the class that its code stands for."""
    kind = ERRORS.get(refused.code, ServerError)
    text = refused.text or refused.code
    if kind is ProtocolError:
        return ProtocolError(text, refused.code, refused.id)
    error = kind(text, refused.code, refused.retry, refused.retry_after_s, refused.problems)
    error.exit_code = EXIT_CODES.get(refused.code, kind.exit_code)
    return error


def error_of_job(status: JobStatus, result: JobResult | None) -> PlatelightError | None:
    """Why an ended job has no full result; None where it has one."""
    if status.state == "done":
        return None
    if status.state == "partial":
        failed = result.failed if result is not None else ()
        first = f", the first is {failed[0].frame}: {failed[0].text}" if failed else ""
        partial = PartialError(f"{status.failed or len(failed)} of {status.total} frames failed{first}")
        partial.result = result
        return partial
    if status.state == "cancelled":
        return CancelledError(f"job {status.job} was cancelled; {status.done} of {status.total} frames are finished")
    error = JobFailedError(f"job {status.job} failed: {status.text or status.code or 'no reason given'}", status.code)
    error.exit_code = EXIT_CODES.get(status.code, JobFailedError.exit_code)
    return error
