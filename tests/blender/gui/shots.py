"""What the steps are done with: the demo's shot, the same at 4K with grain, and a thousand frames of that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import OpenEXR

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "server" / "platelight_server" / "demo_shot"
FIRST, SIZE_4K = 1001, (3840, 2160)
COLOR = {"chromaticities", "colorInteropID"}  # what of a header goes along
GRAIN = 0.01  # of it an EXR gets as large as those of a camera: 4K of smooth colour would load in no time


def demo(folder: Path) -> Path:
    """A copy of the demo's shot, in a folder without any machine's name in it."""
    for part in ("plate", "matte", "background"):
        shutil.copytree(DEMO / part, folder / part, dirs_exist_ok=True)
    shutil.copy2(DEMO / "camera.json", folder)
    return folder


def large(folder: Path, count: int) -> Path:
    """The demo's shot at 3840x2160 with grain, half float, ZIP: plate, matte and background of `count` frames."""
    drawn = np.random.default_rng(4)
    grain = drawn.normal(0, GRAIN, (SIZE_4K[1], SIZE_4K[0], 3)).astype(np.float32)
    for part in ("plate", "matte", "background"):
        for i, source in enumerate(sorted((DEMO / part).iterdir())[:count]):
            channels, kept = {}, {}
            with OpenEXR.File(str(source), separate_channels=True) as file:
                kept = {key: value for key, value in file.header().items() if key in COLOR}
                for number, (name, channel) in enumerate(sorted(file.channels().items())):
                    pixels = cv2.resize(channel.pixels.astype(np.float32), SIZE_4K, interpolation=cv2.INTER_LINEAR)
                    grained = pixels if part == "matte" else pixels + np.roll(grain[..., number % 3], i * 37, 1)
                    channels[name] = np.ascontiguousarray(grained, np.float16)
            _write(folder / part / f"{part}.{FIRST + i}.exr", channels, kept)
    return folder


def long(folder: Path, source: Path, count: int) -> Path:
    """`count` frames that are hard links to the few of `source`: as many files as a long shot has, at no cost."""
    for part in ("plate", "matte", "background"):
        files = sorted((source / part).iterdir())
        (folder / part).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            target = folder / part / f"{part}.{FIRST + i}.exr"
            if not target.exists():
                os.link(files[i % len(files)], target)
    return folder


def _write(path: Path, channels: dict[str, np.ndarray], kept: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **kept}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))
