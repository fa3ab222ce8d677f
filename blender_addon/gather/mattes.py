"""The matte: files, the plate's alpha or screen, a mask or compositor socket to be drawn, or names in a Cryptomatte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..core import FrameRange, Matte
from . import files
from .findings import Findings
from .keying import keyed
from .mapping import FrameMapping
from .memory import Memory
from .plates import Source, folder_of
from .raster import RasterOrder, content_key

DRAWN_CHANNEL = "R"  # of what the child writes: R, G and B are alike, and every version writes them by these names


@dataclass(frozen=True)
class Asked:
    """What the readers of mattes and backgrounds need to know of the shot."""

    scene: Any
    shot: Any
    plate: Source
    frames: FrameRange
    output: Path
    memory: Memory
    findings: Findings


def matte(asked: Asked) -> tuple[Matte | None, RasterOrder | None]:
    """The recipe's matte, and what has to be drawn before it is there. Raises Stopped."""
    shot = asked.shot
    if shot.matte_kind == "PLATE_ALPHA":
        return Matte(from_plate_alpha=True, invert=shot.matte_invert), None
    if shot.matte_kind == "KEY":
        return keyed(shot, asked.plate, asked.findings), None
    if shot.matte_kind == "FILE":
        return Matte(_files(asked), shot.matte_channel.strip() or "auto", invert=shot.matte_invert), None
    if shot.matte_kind == "CRYPTOMATTE":
        return _cryptomatte(asked), None
    if shot.matte_kind in {"MASK", "SOCKET"}:
        order = _mask(asked) if shot.matte_kind == "MASK" else _socket(asked)
        return Matte(str(order.sequence), DRAWN_CHANNEL, invert=shot.matte_invert), order
    return None, None


def _files(asked: Asked) -> str:
    shot, findings = asked.shot, asked.findings
    path = files.absolute(shot.matte_path, folder_of(shot.id_data), "matte", findings, "matte_path")
    sequence = files.pattern_or_still(path, "matte", findings, "matte_path")
    missing = sequence.missing(asked.frames)
    if missing:
        raise findings.stop(
            f"The matte {Path(str(sequence)).name} has no frames {FrameRange.of(missing)}, which the plate has: number"
            " its files as the plate's, or render the rest.",
            "matte_path",
        )
    return str(sequence)


def _mask(asked: Asked) -> RasterOrder:
    mask, findings = asked.shot.matte_mask, asked.findings
    if mask is None:
        raise findings.stop("The shot's matte is a mask, and none is chosen: choose one, or draw it.", "matte_mask")
    layers = [layer for layer in mask.layers if not layer.hide_render]
    if not any(len(spline.points) > 1 for layer in layers for spline in layer.splines):
        raise findings.stop(
            f"The mask {mask.name} has no splines that render: draw one around the foreground.", "matte_mask"
        )
    return _order(asked, "mask", mask, mask.name)


def _socket(asked: Asked) -> RasterOrder:
    shot, findings, scene = asked.shot, asked.findings, asked.scene
    tree = compat.compositor_tree(scene)
    node = tree.nodes.get(shot.matte_node) if tree else None
    if node is None:
        raise findings.stop(
            f"There is no node {shot.matte_node!r} in the compositor of {scene.name}: choose the one with the matte.",
            "matte_node",
        )
    outputs = [one for one in node.outputs if one.enabled and shot.matte_socket in {"", one.name, one.identifier}]
    if not outputs:
        raise findings.stop(f"The node {node.name} has no output {shot.matte_socket!r}: choose one.", "matte_socket")
    block = tree if compat.trees_are_datablocks() else scene
    return _order(asked, "socket", block, block.name, node.name, outputs[0].identifier)


def _order(asked: Asked, kind: Any, block: Any, name: str, node: str = "", socket: str = "") -> RasterOrder:
    width, height = asked.plate.size_px
    key = asked.memory.recall(("matte", kind, name, width, height), lambda: content_key(block, asked.plate.size_px))
    if node:
        key = hashlib.sha256(f"{key} {node} {socket}".encode()).hexdigest()[: len(key)]
    render = asked.scene.render
    # A mask's drawing must not depend on where the plate starts in the scene, but on what is shown with it.
    offset = asked.plate.mapping.file_minus_scene
    return RasterOrder(
        kind, name, asked.frames, FrameMapping(offset), width, height, (render.pixel_aspect_x, render.pixel_aspect_y),
        asked.output / "mattes" / f"{key}{offset:+d}", asked.scene.name, node, socket,
    )  # fmt: skip


def _cryptomatte(asked: Asked) -> Matte:
    """Path, layer and names, from a Cryptomatte node where one is named, else from the settings."""
    shot, findings = asked.shot, asked.findings
    tree = compat.compositor_tree(asked.scene)
    node = tree.nodes.get(shot.matte_node) if tree and shot.matte_node else None
    layer, listed, path = shot.matte_crypto_layer, shot.matte_crypto_names, shot.matte_path
    if node is not None and node.bl_idname == "CompositorNodeCryptomatteV2":
        if node.source != "IMAGE" or node.image is None:
            raise findings.stop(
                f"The Cryptomatte node {node.name} reads this file's render: render it to EXRs and open these in it.",
                "matte_node",
            )
        layer, listed = layer or node.layer_name, listed or node.matte_id
        path = path or bpy.path.abspath(node.image.filepath, library=node.image.library)
    names = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    if not names:
        raise findings.stop("The Cryptomatte names nothing: write the names of its objects.", "matte_crypto_names")
    where = files.absolute(path, folder_of(shot.id_data), "Cryptomatte", findings, "matte_path")
    sequence = files.pattern_or_still(where, "Cryptomatte", findings, "matte_path")
    return Matte(str(sequence), invert=shot.matte_invert, cryptomatte=names, cryptomatte_layer=layer.strip() or None)
