"""Results as a job delivers them, written in exactly its layout, and a compositor that is rendered and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

WIDTH, HEIGHT = 24, 16
# A value that is rounded to half once is off by at most this part of itself, or by this much near 0.
HALF, HALF_LEAST = 2.0**-11, 2.0**-25


def layers_of(number: int) -> dict[str, np.ndarray]:
    """Layers of one frame, (H, W) or (H, W, 3), that obey the two equations of DESIGN §5 to half rounding."""
    rng, half, single = np.random.default_rng(number), np.float16, np.float32
    alpha = np.clip(rng.random((HEIGHT, WIDTH)) * 1.6 - 0.3, 0, 1).astype(half)
    foreground = (rng.random((HEIGHT, WIDTH, 3)) * 3 * alpha[..., None]).astype(half)
    foreground[2:4] *= half(8)  # highlights over 1
    gain = rng.normal(0, 1.2, (HEIGHT, WIDTH, 3)).astype(half)
    fill = (rng.random((HEIGHT, WIDTH, 3)) * 0.1).astype(half)
    shadow = rng.random((HEIGHT, WIDTH)).astype(half)
    background = (rng.random((HEIGHT, WIDTH, 3)) * 4 - 0.02).astype(half)
    matte = alpha.astype(single)[..., None]
    relit = foreground.astype(single) * np.exp2(gain.astype(single)) + matte * fill.astype(single)
    composite = relit + (1 - matte) * background.astype(single) * shadow.astype(single)[..., None]
    return {
        "alpha": alpha, "foreground": foreground, "gain": gain, "fill": fill, "shadow": shadow,
        "background": background, "relit": relit.astype(half), "composite": composite.astype(half),
        "confidence": rng.random((HEIGHT, WIDTH)).astype(half),
        "normal": rng.normal(size=(HEIGHT, WIDTH, 3)).astype(half),
        "depth": (rng.random((HEIGHT, WIDTH)) * 90 + 1).astype(single),
    }  # fmt: skip


def deliver(
    folder: Path, number: int, name: str = "sh010", aux: bool = True, without: tuple[str, ...] = (), tag: str = ""
) -> None:
    """Writes `NAME.####.exr`, and `NAME.aux.####.exr` where `aux`; `without` leaves layers out, `tag` names a space."""
    held = layers_of(number)
    alpha = held["alpha"]
    main = {
        **_colour("", held["composite"]), "A": np.ones_like(alpha), **_colour("background.", held["background"]),
        **_colour("relit.", held["relit"]), "relit.A": alpha, "alpha.A": alpha,
    }  # fmt: skip
    _write(folder / f"{name}.{number:04d}.exr", main, without, tag)
    rest = {
        **_colour("foreground.", held["foreground"]), "foreground.A": alpha, **_colour("gain.", held["gain"], "XYZ"),
        **_colour("fill.", held["fill"]), "shadow.V": held["shadow"], "confidence.V": held["confidence"],
        **_colour("normal.", held["normal"], "XYZ"), "depth.Z": held["depth"],
    }  # fmt: skip
    if aux:
        _write(folder / f"{name}.aux.{number:04d}.exr", rest, without, tag)


def read_layers(folder: Path, name: str, number: int) -> dict[str, np.ndarray]:
    """Every channel of a delivered frame as float32, by name."""
    held: dict[str, np.ndarray] = {}
    for infix in ("", ".aux"):
        with OpenEXR.File(str(folder / f"{name}{infix}.{number:04d}.exr"), separate_channels=True) as file:
            held.update({key: channel.pixels.astype(np.float32) for key, channel in file.channels().items()})
    return held


def layer(channels: dict[str, np.ndarray], prefix: str, names: str = "RGB") -> np.ndarray:
    """(H, W, n) of a layer."""
    return np.stack([channels[prefix + name] for name in names], -1)


def set_up(scene: Any, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Nothing of the 3D scene is rendered, and what the compositor gives is written as 32-bit RGBA."""
    from platelight_addon import compat

    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.use_compositing, render.use_sequencer = True, False
    compat.set_exact_compositor(render)
    compat.set_exr(render.image_settings, 32)
    render.image_settings.color_mode = "RGBA"


def rendered(scene: Any, node: Any, output: str, frame: int, folder: Path) -> np.ndarray:
    """What an output of a node is at a frame, (H, W, 4) float32, through a render to disk."""
    from platelight_addon import compat

    tree = compat.compositor_tree(scene)
    for other in [other for other in tree.nodes if other.bl_idname == "CompositorNodeRLayers"]:
        tree.nodes.remove(other)
    tree.links.new(node.outputs[output], compat.compositor_output(tree))
    return render_frame(scene, frame, folder)


def render_frame(scene: Any, frame: int, folder: Path) -> np.ndarray:
    """The scene's frame as it renders now, (H, W, 4) float32."""
    import bpy

    scene.frame_start = scene.frame_end = frame
    folder.mkdir(parents=True, exist_ok=True)
    scene.render.filepath = str(folder / "rendered_")
    bpy.ops.render.render(animation=True, scene=scene.name)
    path = next(folder.glob("rendered_*.exr"))
    pixels = read_exr_rgba(path)
    path.unlink()
    return pixels


def read_exr_rgba(path: Path) -> np.ndarray:
    """(H, W, 4) float32."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return np.stack([file.channels()[name].pixels for name in "RGBA"], -1).astype(np.float32)


def _colour(prefix: str, pixels: np.ndarray, names: str = "RGB") -> dict[str, np.ndarray]:
    return {prefix + name: pixels[..., i] for i, name in enumerate(names)}


def _write(path: Path, channels: dict[str, np.ndarray], without: tuple[str, ...], tag: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "compression": OpenEXR.ZIPS_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        **({"colorInteropID": tag} if tag else {}),
    }
    kept = {k: np.ascontiguousarray(v) for k, v in channels.items() if k.rpartition(".")[0] not in without}
    with OpenEXR.File(header, kept) as file:
        file.write(str(path))
