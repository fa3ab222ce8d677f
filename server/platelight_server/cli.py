"""The command line: parses, calls one command, turns errors into one sentence and an exit code.

Commands live in `commands/`, one module each, imported when called: `--help` loads nothing but the standard library.
Results go to stdout, progress and messages to stderr.

Exit codes: 0 ok · 1 unexpected · 2 usage · 3 some frames failed · 4 the job failed · 65 bad input, do not retry
· 69 no server answers · 70 the server met an error · 74 the result cannot be written · 75 temporary, retry
· 76 the server speaks another protocol · 77 a key or a path is not let in · 130 interrupted · 143 terminated
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from platelight._version import __version__
from platelight.errors import MissingExtraError, PlatelightError

# Command -> one line of help. Each is a module of `commands` with add_arguments(parser) and run(args) -> exit code.
COMMANDS = {
    "demo": "relight a small shot that comes with Platelight, and make a contact sheet",
    "init": "print a recipe made from the same flags as relight",
    "check": "look for problems and estimate the cost, render nothing",
    "matte": "make mattes of a plate: key its screen, or follow a subject that is pointed at",
    "relight": "render a shot, from a recipe or from flags, here or on a server",
    "deflicker": "steady the light of a relit sequence against its plate, without any model",
    "serve": "run the server: a queue for this machine's GPUs",
    "submit": "put a shot into a server's queue",
    "jobs": "list a server's queue and history",
    "watch": "follow a job, or the whole queue",
    "cancel": "stop jobs; what is finished stays",
    "pause": "stop jobs for now; they keep their place",
    "resume": "queue paused jobs again",
    "retry": "queue ended jobs again; finished frames stay",
    "logs": "print what a job's worker wrote",
    "fetch": "copy a job's result from a server",
    "keys": "let clients in, know servers, show your own key",
    "engines": "list the engines, what they need, their options and licences",
    "models": "list the models, where they lie and how to get them; check files, agree to licences",
    "info": "show an EXR's layers, colour, recipe and whether it is current",
    "doctor": "explain this machine, this installation, and why a server does not answer",
    "evaluate": "measure a result against a truth, or against plate and background",
    "data": "make and check what HarmoVid's networks are trained on",
    "train": "train HarmoVid's networks, or go on with a run",
    "bench": "measure speed, memory and start-up",
    "selftest": "check what an engine promises, on this machine and its models",
    "completion": "print a shell completion script",
}
EXIT_UNEXPECTED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; with `command` only that command's arguments are filled in, with None all are."""
    top = argparse.ArgumentParser(prog="platelight", description="Relights filmed plates in linear EXR.")
    top.add_argument("--version", action="version", version=f"platelight {__version__}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = subparsers.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if command in (None, name):
            import_module(f"platelight_server.commands.{name}").add_arguments(sub)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = next((word for word in given if word in COMMANDS), "")
    args = parser(named).parse_args(given)
    _guard_stdout()
    try:
        code: int = import_module(f"platelight_server.commands.{args.command}").run(args)
        sys.stdout.flush()
        return code
    except PlatelightError as error:
        print(f"platelight {args.command}: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        extra = _extra_of(error)
        if extra is None:
            raise
        missing = MissingExtraError(f"{error.name} is not installed; run: pip install 'platelight[{extra}]'")
        print(f"platelight {args.command}: {missing}", file=sys.stderr)
        return missing.exit_code
    except KeyboardInterrupt:
        print(f"platelight {args.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNEXPECTED


def _extra_of(error: ModuleNotFoundError) -> str | None:
    name = (error.name or "").split(".")[0]
    if name in ("torch", "OpenImageIO", "OpenEXR", "PyOpenColorIO", "cv2", "rich", "shtab", "PIL"):
        return "server"
    if name in ("diffusers", "transformers", "accelerate", "safetensors", "sentencepiece", "ftfy"):
        return "models"
    if name in ("peft", "tensorboard"):
        return "train"
    return None


def _guard_stdout() -> None:
    """Keeps stdout for results: what libraries print, on file descriptor 1 or through Python, goes to stderr."""
    from .plates.printing import ResultStream

    if sys.stdout is not sys.__stdout__ or sys.stdout is None:
        return  # a test or a host has replaced it
    try:
        sys.stdout.flush()
        ours = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        return
    results = os.fdopen(ours, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    sys.stdout = ResultStream(results)


if __name__ == "__main__":
    sys.exit(main())
