"""Which frames are delivered, as nodes: 1 on those frames, 0 on all others.

Computed from the scene's time, so it needs no keyframes and no driver. While frames land, only numbers in these nodes
change; they are wired anew only where there are more runs of delivered frames than were ever foreseen.
"""

from __future__ import annotations

from bpy.types import NodeSocket, NodeTree

from .delivery import Run
from .wiring import Wiring

_RUN = "platelight_run"  # on a Compare node: which run it tells

# Frames are whole numbers that arrive as float32.
SLACK = 0.25

# Frames land out of order, by a few workers. To wire a group anew that is shown takes 80 ms of Blender's main thread.
RUNS_FORESEEN = 4
NEVER = Run(-(10**9), -(10**9), 1)


def delivered_flag(wiring: Wiring, runs: tuple[Run, ...]) -> NodeSocket:
    """The flag's socket, for at least one run."""
    wiring.stage("Delivered frames", 3)
    now = wiring.add("CompositorNodeSceneTime").outputs["Frame"]
    flags = [_one(wiring, now, place, run) for place, run in enumerate(_foreseen(runs))]
    flag = flags[0]
    for other in flags[1:]:
        flag = wiring.math("MAXIMUM", flag, other)
    return flag


def shape_of(runs: tuple[Run, ...]) -> str:
    """What the wiring depends on; two runs of one shape differ in numbers alone."""
    return ",".join("1" if run.step == 1 else f"{run.step} from {run.first}" for run in _foreseen(runs))


def set_runs(group: NodeTree, runs: tuple[Run, ...]) -> None:
    """Writes the numbers of these runs, which have the shape that was wired."""
    wired = _foreseen(runs)
    for node in group.nodes:
        place = node.get(_RUN)
        if place is not None:
            for socket, value in zip(node.inputs[1:3], _middle_and_reach(wired[place]), strict=True):
                if socket.default_value != value:
                    socket.default_value = value


def _foreseen(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    return runs + (NEVER,) * (RUNS_FORESEEN - len(runs))


def _one(wiring: Wiring, now: NodeSocket, place: int, run: Run) -> NodeSocket:
    hit = wiring.math("COMPARE", now, *_middle_and_reach(run))
    hit.node[_RUN] = place
    if run.step == 1:
        return hit
    after = wiring.math("MODULO", wiring.math("SUBTRACT", now, float(run.first)), float(run.step))
    return wiring.product(hit, wiring.math("COMPARE", after, 0.0, SLACK))


def _middle_and_reach(run: Run) -> tuple[float, float]:
    return (run.first + run.last) / 2, (run.last - run.first) / 2 + SLACK
