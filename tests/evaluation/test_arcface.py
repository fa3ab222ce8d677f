"""ArcFace on a small network in the published file's layout: what it is given, what it is compared by, whose leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from platelight.errors import ModelError
from platelight_server.evaluation.metrics.arcface import RECOGNIZER, ArcFace
from platelight_server.evaluation.metrics.faces import DETECTOR, Faces
from platelight_server.evaluation.metrics.faces import RECOGNIZER as SFACE
from platelight_server.models.catalogue import card
from platelight_server.models.consent import accept
from platelight_server.models.record import trust
from tests.evaluation.clips import HEIGHT, WIDTH, frames, measured, texture, value
from tests.models import tiny_onnx

METRIC = "identity_arcface"
# The template of the recogniser (InsightFace's arcface_src): eyes, nose, corners of the mouth, in its 112 pixels.
TEMPLATE = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with the finder and the recogniser, and a home in which nobody agreed to anything."""
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    tiny_onnx.detector(tmp_path / "opencv-faces" / DETECTOR, WIDTH, HEIGHT)
    tiny_onnx.recognizer(tmp_path / "opencv-faces" / SFACE)
    tiny_onnx.arcface(tmp_path / "arcface-w600k-r50" / RECOGNIZER)
    for name in ("opencv-faces", "arcface-w600k-r50"):
        trust(card(name), tmp_path / name)
    return tmp_path


def face() -> np.ndarray:
    """A bright disc on a dark ground, which the small detector takes for a face."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.where(np.hypot(x - 70, y - 50) < 22, 0.6, 0.03)[..., None].repeat(3, -1).astype(np.float32)


def test_description_is_of_rgb_around_nought(tmp_path: Path) -> None:
    mix = tiny_onnx.arcface(tmp_path / RECOGNIZER)
    crop = np.random.default_rng(2).integers(0, 256, (112, 112, 3), np.uint8)
    rgb = (crop[..., ::-1].astype(np.float32) - 127.5) / 127.5
    expected = rgb.reshape(4, 28, 4, 28, 3).mean((1, 3)).transpose(2, 0, 1).reshape(-1) @ mix
    found = ArcFace(tmp_path).description(crop)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_face_is_brought_to_the_template(root: Path) -> None:
    """A picture that is the template's own, turned upside down: the landmarks say so, and it is turned back."""
    upright = (texture()[:, :112] * 255).astype(np.uint8)
    upright = np.concatenate([upright, upright[:16]])
    landmarks = (111 - np.array(TEMPLATE)).ravel()
    box = np.array([0, 0, 112, 112, *landmarks, 0.9], np.float32)
    found = Faces(root / "opencv-faces").aligned(upright[::-1, ::-1].astype(np.float32) / 255, box)
    assert np.abs(found.astype(int) - upright[..., ::-1]).max() <= 1


def test_identity_is_that_of_the_plate_s_face(root: Path) -> None:
    accept(card("arcface-w600k-r50"))
    kept, tinted, other = (
        value(frames(lambda _, truth, light=light: light, plate=face()), METRIC, roots=(root,))
        for light in (face(), face() * np.float32([1, 0.7, 0.5]), texture())
    )
    assert kept < 1e-6 < tinted < other


def test_clip_without_a_face_has_no_identity(root: Path) -> None:
    accept(card("arcface-w600k-r50"))
    report = measured(frames(lambda _, truth: truth, plate=face() * 0.1), METRIC, roots=(root,))
    assert report.rows["result"] == {METRIC: None}


def test_licence_has_to_be_agreed_to(root: Path) -> None:
    skipped = measured(frames(lambda _, truth: truth, plate=face()), METRIC, roots=(root,)).skipped[METRIC]
    assert "does not allow commercial use" in skipped and "platelight models accept arcface-w600k-r50" in skipped


def test_both_absent_models_are_named(tmp_path: Path) -> None:
    skipped = measured(frames(lambda _, truth: truth, plate=face()), METRIC, roots=(tmp_path,)).skipped[METRIC]
    for name in ("opencv-faces", "arcface-w600k-r50"):
        assert f"model {name}: expected a folder {name} in {tmp_path}" in skipped


@pytest.mark.parametrize("contents", ["page", "detector"])
def test_file_that_is_another_is_refused(contents: str, tmp_path: Path) -> None:
    file = tmp_path / RECOGNIZER
    tiny_onnx.detector(file, 96, 96)
    if contents == "page":
        file.write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match=f"{RECOGNIZER}: expected"):
        ArcFace(tmp_path)
