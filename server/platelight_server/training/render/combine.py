"""Pairs: a basis under two lightings, as a shot in the layout of the ground-truth sets (evaluation_set/README.md).

Light is linear, so a combination is as true as the basis; nothing is rendered here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from platelight.document import encode
from platelight.errors import RecipeError

from ...plates.frames_out import prepare_folder, write_bytes, write_frame
from . import probe
from .basis import Array, BasisFolder, BasisFrame
from .lighting import Lighting, weights_at
from .spec import CENTER

RGB = "RGB"
LICENCE = "CC0-1.0"
DWA_LEVEL = 150.0  # as the development set's plates; 45 is OpenEXR's own
AOV_STEP = 1 / 256  # normals, albedo and motion are rounded to it: the bits below are noise that does not pack


@dataclass(frozen=True)
class Lit:
    """A frame under one lighting; scene-linear Rec.709, (3, H, W).

    `fg` premultiplied; `background` the empty set; `picture` the foreground in the set, with its shadow.
    """

    fg: Array
    background: Array
    picture: Array


def lit(frame: BasisFrame, weights: Array) -> Lit:
    """A frame of a basis under the lamps' weights (L, 3)."""
    fg = _sum(frame.fg, weights)
    if frame.set_ is None or frame.clean is None:
        return Lit(fg, np.zeros_like(fg), fg)
    return Lit(fg, _sum(frame.clean, weights), fg + (1 - frame.alpha) * _sum(frame.set_, weights))


def write_shot(
    folder: BasisFolder, a: Lighting, b: Lighting, out: Path, compression: str = "dwaa",
    told: Callable[[int], None] = lambda _: None,
) -> None:  # fmt: skip
    """Writes the pair of lightings as the shot `out`; `told` hears of each frame. Raises OutputError.

    Files that are there are written anew. Equal bases and lightings write equal bytes.
    """
    spec = folder.basis.spec
    weights = {frame: _weights(folder, (a, b), frame) for frame in folder.frames}
    prepare_folder(out)
    for frame in folder.frames:
        held = folder.frame(frame)
        lit_a, lit_b = (lit(held, one) for one in weights[frame])
        pictures = {"plate_a": lit_a.picture, "fg_a": lit_a.fg, "fg_b": lit_b.fg, "bg_b": lit_b.background}
        for name, pixels in {**pictures, "comp_b": lit_b.picture}.items():
            alpha = {"A": held.alpha} if name.startswith("fg_") else {}
            _write(out, name, frame, {**dict(zip(RGB, pixels, strict=True)), **alpha}, compression)
        _write(out, "matte", frame, {"A": held.alpha}, "zip")
        _write(out, "depth", frame, {"Z": held.depth}, "zip")
        _write(out, "aov", frame, _geometry(folder, held, frame), "zip")
        told(frame)
    for which, name, lighting in ((0, "env_a", a), (1, "env_b", b)):
        _write_probes(folder, out, name, {frame: pair[which] for frame, pair in weights.items()}, lighting.moves)
    prepare_folder(out / "camera")
    write_bytes(out / "camera" / "camera_yup.json", _json(camera_document(folder)))
    write_bytes(out / "tracks.npz", _tracks(folder))
    write_bytes(out / "shot.json", _json(_shot(out.name, folder, a, b, spec.frames)))


def camera_document(folder: BasisFolder) -> dict[str, Any]:
    """The camera as the development set's JSON has it: camera to world, Y-up, pixels."""
    spec = folder.basis.spec
    up = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
    frames = [
        {
            "frame": one["frame"], "camera_to_world": (up @ np.asarray(one["matrix"])).tolist(), "fx": one["focal_px"],
            "fy": one["focal_px"], "cx": spec.width / 2, "cy": spec.height / 2,
        }
        for one in folder.cameras
    ]  # fmt: skip
    convention = (
        "camera_to_world, Y-up right-handed, camera looks down -Z, +Y up; pixel origin top-left, x right, y down"
    )
    return {"width": spec.width, "height": spec.height, "convention": convention, "frames": frames}


def _sum(basis: Array, weights: Array) -> Array:
    """(L, 3, H, W) times (L, 3) -> (3, H, W)."""
    return np.asarray(np.einsum("lchw,lc->chw", basis, weights), np.float32)


def _weights(folder: BasisFolder, lightings: tuple[Lighting, Lighting], frame: int) -> tuple[Array, Array]:
    share = (frame - folder.frames[0]) / max(len(folder.frames) - 1, 1)
    first, second = (weights_at(lighting, folder.basis, share) for lighting in lightings)
    return first, second


def _geometry(folder: BasisFolder, held: BasisFrame, frame: int) -> dict[str, Array]:
    matrix = np.asarray(folder.cameras[frame - folder.frames[0]]["matrix"], np.float32)[:3, :3]
    normal = np.einsum("ij,ihw->jhw", matrix, held.normal)  # world to camera: the transpose
    named = {f"N.{axis}": plane for axis, plane in zip("XYZ", normal, strict=True)}
    named |= {f"albedo.{channel}": plane for channel, plane in zip(RGB, held.albedo, strict=True)}
    named |= {f"mv_prev.{axis}": plane for axis, plane in zip("xy", held.motion, strict=True)}
    return {name: np.round(plane / AOV_STEP) * AOV_STEP for name, plane in named.items()}


def _write_probes(folder: BasisFolder, out: Path, name: str, weights: dict[int, Array], moves: bool) -> None:
    for frame, one in weights.items() if moves else list(weights.items())[:1]:
        drawn = probe.draw(folder, one).transpose(2, 0, 1)
        channels = dict(zip(RGB, drawn, strict=True))
        if moves:
            _write(out, name, frame, channels, "zip")
        else:
            write_frame(out / f"{name}.exr", _half(channels), _header(channels, {}), "zip")


def _write(out: Path, name: str, frame: int, channels: dict[str, Array], compression: str) -> None:
    prepare_folder(out / name)
    level = {"dwaCompressionLevel": DWA_LEVEL} if compression == "dwaa" else {}
    header = _header(channels, {"framesPerSecond": 24.0, **level})
    write_frame(out / name / f"{name}.{frame:04d}.exr", _half(channels), header, compression)


def _half(channels: dict[str, Array]) -> dict[str, np.ndarray]:
    return {name: np.clip(plane, -65504, 65504).astype(np.float16) for name, plane in channels.items()}


def _header(channels: dict[str, Array], more: dict[str, Any]) -> dict[str, Any]:
    height, width = next(iter(channels.values())).shape
    window = (np.array([0, 0], np.int32), np.array([width - 1, height - 1], np.int32))
    said = {"colorInteropID": "lin_rec709_scene", "comments": f"Platelight light basis; CG render, {LICENCE}"}
    return {"dataWindow": window, "displayWindow": window, **said, **more}


def _tracks(folder: BasisFolder) -> bytes:
    held = BytesIO()
    tracks: dict[str, Any] = folder.tracks
    np.savez_compressed(held, **tracks)
    return held.getvalue()


def _shot(name: str, folder: BasisFolder, a: Lighting, b: Lighting, frames: int) -> dict[str, Any]:
    spec = folder.basis.spec
    if not name:
        raise RecipeError("out", "a folder for the shot", "none")
    return {
        "name": name.removeprefix("gt_"), "frames": frames, "first": spec.first, "width": spec.width,
        "height": spec.height, "fps": 24, "motion_blur": False, "center_zup": [CENTER[0], -CENTER[2], CENTER[1]],
        "licence": LICENCE, "basis": encode(folder.basis.spec), "blender": folder.basis.blender,
        "lighting_a": encode(a), "lighting_b": encode(b),
        "notes": "comp_b = fg_b + (1-A)*set_b with shadow; bg_b is the empty set. N camera space (x right, y up, z to"
        " camera). p_prev = p + mv_prev (pixels, y down). env_*: lat-long, centre = world -Z, right = +X, Y up: what"
        " lights the foreground, without the backdrop. depth Z along the camera's axis, metres, 0 = none.",
    }  # fmt: skip


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode()
