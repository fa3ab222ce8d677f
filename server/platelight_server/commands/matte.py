"""`platelight matte`: mattes of a plate by keying its screen, or by a model that is told or finds the subject."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platelight.document import decode
from platelight.errors import FrameError, InputError
from platelight.frames import FrameRange, SequencePath
from platelight.recipe import Plate, Recipe
from platelight.recipe_parts import Keying

from .interrupts import EXIT_OF_SIGNAL, Stop

if TYPE_CHECKING:
    from platelight_server.mattes.interface import Asked, MatteSource, Prompt
    from platelight_server.plates.facts import Facts
    from platelight_server.plates.inputs import Inputs

METHODS = ("key", "sam2", "birefnet")  # as mattes.registry has them; a test holds the two together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of matte."""
    parser.add_argument("--plate", metavar="PATTERN", required=True, help="plate sequence: name.####.exr or its folder")
    parser.add_argument(
        "--plate-colorspace", metavar="NAME", default="auto", help="its colour space, where the header does not say"
    )
    parser.add_argument(
        "--frames", metavar="RANGE", help="the part to make, 1001-1048 or 1-100x2 (default: all on disk)"
    )
    parser.add_argument(
        "--method", choices=METHODS, default="key", help="how the subject is told (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("mattes"), help="folder (default: %(default)s)")
    parser.add_argument("--name", default="matte", help="name of the files (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="make frames that are current as well")
    parser.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    key = parser.add_argument_group("key")
    key.add_argument(
        "--screen", metavar="COLOR", default="auto", help="auto, green, blue, or R,G,B scene-linear (default: auto)"
    )
    key.add_argument("--black", type=float, help="alpha that becomes 0 (default: what the bare screen's noise reaches)")
    for name, what in (
        ("white", "alpha that becomes 1"),
        ("shade", "how dark a shadow on the screen may be"),
        ("core", "how far inside the foreground the screen's light is no hole, as a share of the height"),
    ):
        key.add_argument(
            f"--{name}", type=float, default=getattr(Keying(), name), help=f"{what} (default: %(default)s)"
        )
    for name, what in (("garbage", "background"), ("hold-out", "foreground")):
        key.add_argument(f"--{name}", metavar="X0,Y0,X1,Y1", action="append", default=[], help=f"a box that is {what}")
    told = parser.add_argument_group("models", "places are pixels of the plate's display window, from the top left")
    told.add_argument("--point", metavar="FRAME,X,Y", action="append", default=[], help="a point on the subject")
    told.add_argument("--exclude", metavar="FRAME,X,Y", action="append", default=[], help="a point that is not on it")
    told.add_argument("--box", metavar="FRAME,X0,Y0,X1,Y1", action="append", default=[], help="a box around it")
    told.add_argument("--text", metavar="[FRAME:]WORDS", help="what it is; found on the frame (default: the first)")
    told.add_argument("--model", metavar="NAME", help="which model (see: platelight models)")
    told.add_argument("--device", default="cpu", help="torch device (default: cpu)")


def run(args: argparse.Namespace) -> int:
    """Makes mattes. 0 when all are there."""
    from platelight_server.engines.interface import Cancelled
    from platelight_server.plates import frames_out

    from .relight import check_device

    check_device(args.device)
    dials, prompts = _dials(args), _prompts(args)
    frames_out.prepare_folder(args.out)
    frames_out.remove_abandoned(args.out)
    shot, part = _frames(args)
    inputs, facts = _opened(args, shot, _needed(args, shot, part, prompts))
    with Stop() as stop:
        try:
            return _made(args, dials, prompts, inputs, facts, shot, part, stop)
        except Cancelled:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return EXIT_OF_SIGNAL.get(stop.received or signal.SIGINT, 130)


def _made(
    args: argparse.Namespace,
    dials: Keying,
    prompts: tuple[Prompt, ...],
    inputs: Inputs,
    facts: Mapping[tuple[str, Path], Facts],
    shot: tuple[int, ...],
    frames: tuple[int, ...],
    stop: Stop,
) -> int:
    from platelight_server.engines.interface import Cancelled
    from platelight_server.events import Event
    from platelight_server.mattes.registry import create
    from platelight_server.mattes.writing import MatteFiles, write_mattes

    from .progress import reporter

    done = {"current": 0, "done": 0}
    with reporter(len(frames), args.json, args.quiet) as report:

        def step(stage: str, one: int, steps: int) -> None:
            if stop.asked():
                raise Cancelled
            report(Event("step", None, done["done"], len(frames), stage=stage, step=one, steps=steps))

        source = create(args.method, _asked(args, inputs, shot, dials, prompts, step))
        files = MatteFiles.of(args.out, args.name, inputs, facts, asdict(dials) if args.method == "key" else {})
        report(Event("prepared", None, 0, len(frames)))
        for kind, frame in write_mattes(files, source, frames, args.force, stop.asked):
            done[kind] += 1
            report(Event(kind, frame, done["done"], len(frames) - done["current"]))
    if stop.asked():
        raise Cancelled
    _end(args, done, source)
    return 0


def _end(args: argparse.Namespace, done: Mapping[str, int], source: MatteSource) -> None:
    if args.json:
        said = {"event": "end", "written": done["done"], "current": done["current"], "folder": str(args.out)}
        print(json.dumps({**said, "said": dict(source.said)}, ensure_ascii=False))
    elif not done["done"]:
        print(f"nothing to do: all {done['current']} mattes in {args.out} are current")
    else:
        kept = f", {done['current']} were current" if done["current"] else ""
        print(f"{done['done']} mattes made{kept}: {args.out}")
        print(f"use them with: --matte '{args.out / (args.name + '.####.exr')}'")


def _frames(args: argparse.Namespace) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The frames of the shot, which are all on disk, and those to make. What holds for the shot is measured on all."""
    sequence = SequencePath.from_path(args.plate)
    if sequence.is_still:
        raise FrameError(f"--plate: expected a sequence such as name.####.exr, got one picture, {args.plate}")
    shot = tuple(sequence.scan())
    if not shot:
        raise FrameError(f"--plate: expected frames on disk, got none that match {args.plate}")
    part = shot if args.frames is None else tuple(FrameRange.parse(args.frames))
    missing = sorted(set(part) - set(shot))
    if missing:
        raise FrameError(
            f"--frames: expected frames of {args.plate}, it has {FrameRange.of(shot)}, got {FrameRange.of(missing)}"
        )
    return shot, part


def _needed(
    args: argparse.Namespace, shot: tuple[int, ...], part: tuple[int, ...], prompts: tuple[Prompt, ...]
) -> tuple[int, ...]:
    """The frames that are read: what is followed is followed from where it was pointed at."""
    if args.method == "birefnet":
        return part
    if args.method == "key":
        from platelight_server.mattes.finding import screen_frames

        return tuple(sorted({*part, *screen_frames(shot)}))
    told = {one.frame for one in prompts}
    if args.text is not None:
        told.add(_text(args.text)[0] or shot[0])
    first, last = min({*part, *told}), max({*part, *told})
    return tuple(frame for frame in shot if first <= frame <= last)


def _opened(
    args: argparse.Namespace, shot: tuple[int, ...], needed: tuple[int, ...]
) -> tuple[Inputs, dict[tuple[str, Path], Facts]]:
    """The plate, opened as a job opens it. Raises the first of what is wrong with it."""
    from platelight_server.plates.facts import FactIndex
    from platelight_server.plates.opening import Found
    from platelight_server.plates.shot import open_shot

    from .progress import looking

    plate = Plate(path=args.plate, colorspace=args.plate_colorspace)
    written = Recipe(name=args.name, frames=FrameRange.of(shot), plate=plate)
    recipe = Recipe.from_dict(written.to_dict()).resolved(Path.cwd())
    facts: dict[tuple[str, Path], Facts] = {}
    found, index = Found(), FactIndex(FactIndex.place(args.out, args.name))
    with looking(len(needed), args.json or args.quiet):
        inputs = open_shot(recipe, shot, needed, index, os.cpu_count() or 1, facts, found)
    index.save()
    for error in found.errors[1:]:
        print(f"error: {error}", file=sys.stderr)
    if found.errors:
        raise found.errors[0]
    for text in found.warnings:
        print(f"warning: {text}", file=sys.stderr)
    assert inputs is not None
    return inputs, facts


def _asked(
    args: argparse.Namespace,
    inputs: Inputs,
    frames: tuple[int, ...],
    dials: Keying,
    prompts: tuple[Prompt, ...],
    step: Callable[[str, int, int], None],
) -> Asked:
    from platelight_server.color.spaces import matrix, named
    from platelight_server.mattes.interface import Asked, ShotFrames

    work, display = inputs.work, inputs.display
    shot = ShotFrames(
        frames,
        lambda frame: inputs.read(frame).plate,
        (work.height, work.width),
        (work.x_first - display.x_first, work.y_first - display.y_first),
        matrix(inputs.space, named("lin_rec709_scene")),
    )
    screen = "auto" if dials.color is not None else args.screen
    text_frame, text = _text(args.text)
    return Asked(shot, screen, dials, prompts, text, text_frame, args.model, device=args.device, step=step)


def _dials(args: argparse.Namespace) -> Keying:
    """The keyer's dials, held to the rules of a recipe. Raises `RecipeError`, `InputError`."""
    given: dict[str, Any] = {name: getattr(args, name) for name in ("black", "white", "shade", "core")}
    if args.screen not in ("auto", "green", "blue"):
        given["color"] = _numbers("--screen", args.screen, 3, "auto, green, blue or R,G,B")
    for name in ("garbage", "hold_out"):
        given[name] = [_numbers(f"--{name.replace('_', '-')}", one, 4, "X0,Y0,X1,Y1") for one in getattr(args, name)]
    known = {name: value for name, value in given.items() if value is not None}
    return decode(Keying, known, "key")


def _prompts(args: argparse.Namespace) -> tuple[Prompt, ...]:
    from platelight_server.mattes.interface import Prompt

    found = []
    for text in args.point:
        frame, *place = _placed("--point", text, 2, "FRAME,X,Y")
        found.append(Prompt(int(frame), points=((place[0], place[1]),)))
    for text in args.exclude:
        frame, *place = _placed("--exclude", text, 2, "FRAME,X,Y")
        found.append(Prompt(int(frame), outside=((place[0], place[1]),)))
    for text in args.box:
        frame, *place = _placed("--box", text, 4, "FRAME,X0,Y0,X1,Y1")
        if not (place[0] < place[2] and place[1] < place[3]):
            raise InputError(f"--box: expected X0 < X1 and Y0 < Y1, got {text!r}")
        found.append(Prompt(int(frame), box=(place[0], place[1], place[2], place[3])))
    return tuple(found)


def _placed(flag: str, text: str, count: int, form: str) -> list[float]:
    numbers = _numbers(flag, text, count + 1, form)
    if not numbers[0].is_integer():
        raise InputError(f"{flag}: expected a whole frame number, got {text!r}")
    return numbers


def _numbers(flag: str, text: str, count: int, form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(isfinite, numbers)):
        raise InputError(f"{flag}: expected {form}, got {text!r}")
    return numbers


def _text(given: str | None) -> tuple[int | None, str | None]:
    """ "FRAME:WORDS" or "WORDS"."""
    if given is None:
        return None, None
    frame, colon, words = given.partition(":")
    if colon and frame.strip().lstrip("-").isdigit():
        return int(frame), words.strip()
    return None, given.strip()
