"""Motions of a rig: a turn, a walk on the spot, a wave. Angles per bone about world axes, keyed on every frame.

Motions are periodic functions of the time in seconds, so a clip of any length is a part of the same motion.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mathutils import Quaternion, Vector

X, Y, Z = Vector((1, 0, 0)), Vector((0, 1, 0)), Vector((0, 0, 1))
FPS = 24.0
Turns = dict[str, list[tuple[Vector, float]]]  # bone -> axes and angles (degrees), the first turned first


def _turn(t: float) -> Turns:
    return {
        "root": [(Z, 40 * math.sin(1.6 * t - 0.7))],
        "head": [(Z, 22 * math.sin(1.6 * t - 0.2)), (X, 8 * math.sin(2.3 * t))],
        "arm.L": [(Y, 55)],
        "arm.R": [(Y, -55)],
    }


def _walk(t: float) -> Turns:
    swing = math.sin(5.5 * t)
    bend = [18 + 28 * max(0.0, math.sin(5.5 * t + phase)) for phase in (1.2, 1.2 + math.pi)]
    return {
        "root": [(Z, 25 + 6 * swing)],
        "spine": [(Z, -8 * swing), (X, 4)],
        "head": [(Z, 5 * swing), (X, 3 * math.sin(11 * t))],
        "arm.L": [(Y, 68), (X, 30 * swing)],
        "arm.R": [(Y, -68), (X, -30 * swing)],
        "forearm.L": [(X, -20 + 14 * swing)],
        "forearm.R": [(X, -20 - 14 * swing)],
        "thigh.L": [(X, 6 - 28 * swing)],
        "thigh.R": [(X, 6 + 28 * swing)],
        "shin.L": [(X, -bend[0])],
        "shin.R": [(X, -bend[1])],
    }


def _wave(t: float) -> Turns:
    return {
        "root": [(Z, 14 * math.sin(1.3 * t))],
        "spine": [(Y, 7 * math.sin(2.6 * t))],
        "head": [(Y, -9 * math.sin(2.6 * t)), (Z, 14 * math.sin(1.9 * t))],
        "arm.L": [(Y, -30 + 16 * math.sin(5.2 * t))],
        "forearm.L": [(Y, -48 + 30 * math.sin(7.8 * t))],
        "arm.R": [(Y, -62 + 8 * math.sin(2.6 * t))],
        "forearm.R": [(X, -30)],
        "thigh.L": [(Y, 4 * math.sin(2.6 * t))],
        "thigh.R": [(Y, 4 * math.sin(2.6 * t))],
    }


MOTIONS: dict[str, Callable[[float], Turns]] = {"turn": _turn, "walk": _walk, "wave": _wave}


def animate(rig: Any, motion: str, first: int, frames: int) -> None:
    """Keys the rig's bones, and the cloth's shape keys, on all frames and one on either side (for the vectors)."""
    for frame in range(first - 1, first + frames + 1):
        t = (frame - first) / FPS
        for name, turns in MOTIONS[motion](t).items():
            if name in rig.pose.bones:
                _key(rig.pose.bones[name], turns, frame)
        for cloth in (child for child in rig.children if child.type == "MESH" and child.data.shape_keys):
            _wave_cloth(cloth.data.shape_keys.key_blocks, t, frame)


def _key(bone: Any, turns: list[tuple[Vector, float]], frame: int) -> None:
    world = Quaternion()
    for axis, degrees in turns:
        world = Quaternion(axis, math.radians(degrees)) @ world
    rest = bone.bone.matrix_local.to_quaternion()
    bone.rotation_mode = "QUATERNION"
    bone.rotation_quaternion = rest.inverted() @ world @ rest
    bone.keyframe_insert("rotation_quaternion", frame=frame)


def _wave_cloth(keys: Any, t: float, frame: int) -> None:
    """A travelling wave, sin(kx - wt), is the sum of two standing ones, which are shape keys."""
    for name, value in (("sine", math.cos(6 * t)), ("cosine", -math.sin(6 * t))):
        keys[name].value = value
        keys[name].keyframe_insert("value", frame=frame)
