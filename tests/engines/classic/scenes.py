"""Small scenes for the classic engine: a ball or a figure under a light, as an engine sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch

from platelight.camera import CameraFrame
from platelight.recipe import Ground
from platelight_server.engines.classic.engine import ClassicEngine
from platelight_server.engines.classic.sphere import Array, latlong_directions
from platelight_server.engines.interface import Answer, FrameInputs, Notes, Shot

LUMINANCE = (0.2126, 0.7152, 0.0722)
HEIGHT, WIDTH = 90, 160


def planar(picture: Array) -> torch.Tensor:
    """(h, w, C) to torch (C, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, -1, 0), np.float32))


def flat_picture(value: float | Sequence[float] = 0.2, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """(3, h, w) of one colour."""
    return planar(np.broadcast_to(np.asarray(value, np.float32), (height, width, 3)))


def ball_matte(radius: float = 30, x: float = 80, y: float = 45) -> Array:
    """(h, w) 0..1, soft over one pixel."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) + 0.5
    return np.clip(radius - np.hypot(xs - x, ys - y) + 0.5, 0, 1).astype(np.float32)


def ball_normals(radius: float = 30, x: float = 80, y: float = 45) -> Array:
    """True camera-space normals (h, w, 3) of that ball; facing the camera outside it."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) + 0.5
    right, up = (xs - x) / radius, (y - ys) / radius
    inside = right**2 + up**2 < 1
    out = np.stack([right, up, np.sqrt(np.clip(1 - right**2 - up**2, 0, 1))], -1)
    return np.where(inside[..., None], out, (0, 0, 1)).astype(np.float32)


def tilted_probe(direction: Sequence[float], contrast: float = 0.8, level: float = 1.0) -> torch.Tensor:
    """(3, 32, 64) radiance level * (1 + contrast * cos of the angle to `direction`)."""
    directions, _ = latlong_directions(32, 64)
    light = level * (1 + contrast * directions @ np.asarray(direction, np.float32))
    return planar(np.repeat(light[..., None], 3, -1))


def camera(frame: int = 1, yaw_deg: float = 0.0, height_m: float = 1.5, distance_m: float = 6.0) -> CameraFrame:
    """A level camera `distance_m` from the world's +Y axis, `yaw_deg` about it, looking at it; focal length 90 px."""
    a = np.deg2rad(yaw_deg)
    c, s = float(np.cos(a)), float(np.sin(a))
    rows = ((c, 0.0, s, distance_m * s), (0.0, 1.0, 0.0, height_m), (-s, 0.0, c, distance_m * c), (0.0, 0.0, 0.0, 1.0))
    return CameraFrame(frame, rows, 90.0, 90.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)


def inputs(frame: int = 1, matte: Array | None = None, **given: Any) -> FrameInputs:
    """One frame: a grey ball on grey, before a grey background."""
    a = ball_matte() if matte is None else matte
    h, w = a.shape
    defaults: dict[str, Any] = {"plate": flat_picture(0.2, h, w), "background": flat_picture(0.2, h, w)}
    return FrameInputs(frame=frame, matte=torch.from_numpy(a)[None], **(defaults | given))


def shot_of(frames: Sequence[FrameInputs], ground: Ground | None = None) -> Shot:
    """A shot that hands out `frames`."""
    held = {one.frame: one for one in frames}
    return Shot(tuple(held), held.__getitem__, LUMINANCE, ground)


def relit(
    frames: Sequence[FrameInputs], options: Mapping[str, Any] | None = None, ground: Ground | None = None
) -> tuple[list[Answer], Notes]:
    """All frames of a shot answered in one window."""
    shot = shot_of(frames, ground)
    engine = ClassicEngine(options or {})
    notes = engine.prepare(shot)
    return list(engine.relight(list(frames), shot.frames)), notes


def gains(answers: Sequence[Answer]) -> list[Array]:
    """The gains as (h, w, 3)."""
    return [np.moveaxis(answer.change.gain.numpy(), 0, -1) for answer in answers]  # type: ignore[union-attr]


def jittered(matte: Array, frame: int, wave_px: float = 3.0) -> Array:
    """The matte with an outline that wanders by `wave_px`, another way on every frame."""
    noise = np.random.default_rng(frame).standard_normal((*matte.shape, 2)).astype(np.float32)
    shift = cv2.GaussianBlur(noise, (0, 0), 5)
    shift *= wave_px / max(float(shift.std()), 1e-6)
    ys, xs = np.mgrid[0 : matte.shape[0], 0 : matte.shape[1]].astype(np.float32)
    return np.asarray(cv2.remap(matte, xs + shift[..., 0], ys + shift[..., 1], cv2.INTER_LINEAR), np.float32)


def with_frame(one: FrameInputs, frame: int, **changed: Any) -> FrameInputs:
    """The same inputs on another frame."""
    return replace(one, frame=frame, **changed)
