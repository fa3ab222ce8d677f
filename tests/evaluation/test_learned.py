"""Metrics that need networks, on tiny random ones in the published layout: their values, and how they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel

from platelight.errors import ModelError
from platelight_server.evaluation.metrics.clip import Clip
from platelight_server.evaluation.metrics.faces import DETECTOR, RECOGNIZER, Faces
from platelight_server.evaluation.metrics.lpips import FEATURES, LINEAR, LPIPS
from platelight_server.models.catalogue import card
from platelight_server.models.convert import convert
from platelight_server.models.record import trust
from tests.evaluation.clips import HEIGHT, WIDTH, frames, measured, texture, value
from tests.models import tiny_onnx
from tests.models.tiny_tokenizers import clip_tokenizer

SHAPES = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
PLACES = (0, 3, 6, 8, 10)
NEEDED = {
    "lpips_full": "lpips-alex",
    "clip_consistency": "clip-vit-large-patch14",
    "identity_distance": "opencv-faces",
}


def lpips_folder(folder: Path) -> Path:
    """Pickles with the names and shapes of the published ones, random, converted as the catalogue says."""
    torch.manual_seed(7)
    features = {"classifier.1.weight": torch.randn(4, 4)}  # torchvision's has it, LPIPS does not use it
    linear = {}
    for number, ((made, channels, kernel), place) in enumerate(zip(SHAPES, PLACES, strict=True)):
        features[f"features.{place}.weight"] = torch.randn(made, channels, kernel, kernel) / kernel / channels**0.5
        features[f"features.{place}.bias"] = torch.randn(made) / 10
        linear[f"lin{number}.model.1.weight"] = torch.rand(1, made, 1, 1)
    folder.mkdir(parents=True)
    save_file(linear, folder / LINEAR)
    torch.save(features, folder / FEATURES.replace(".safetensors", ".pth"))
    convert(folder / FEATURES.replace(".safetensors", ".pth"))
    return folder


def clip_folder(folder: Path) -> Path:
    vocabulary = clip_tokenizer(folder)
    torch.manual_seed(8)
    narrow = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**narrow, "vocab_size": vocabulary, "eos_token_id": 2, "bos_token_id": vocabulary - 2, "pad_token_id": 1}
    vision = {**narrow, "image_size": 28, "patch_size": 14}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    return folder


def faces_folder(folder: Path) -> Path:
    tiny_onnx.detector(folder / DETECTOR, WIDTH, HEIGHT)
    tiny_onnx.recognizer(folder / RECOGNIZER)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with all of them."""
    root = tmp_path_factory.mktemp("measures")
    trust(card("lpips-alex"), lpips_folder(root / "lpips-alex"))
    trust(card("clip-vit-large-patch14"), clip_folder(root / "clip-vit-large-patch14"))
    trust(card("opencv-faces"), faces_folder(root / "opencv-faces"))
    return root


def codes(seed: int) -> torch.Tensor:
    return torch.from_numpy(texture(seed=seed)).permute(2, 0, 1)[None] * 2 - 1


def test_lpips_is_the_published_formula(models: Path) -> None:
    """Written out layer by layer from the tensors of the files, as in Zhang et al. 2018, equation 1."""
    folder = models / "lpips-alex"
    features, linear = load_file(folder / FEATURES), load_file(folder / LINEAR)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    pictures = [(codes(seed) - shift) / torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1) for seed in (1, 2)]
    expected = 0.0
    for number, place in enumerate(PLACES):
        stride, padding = (4, 2) if number == 0 else (1, 2) if number == 1 else (1, 1)
        if number in (1, 2):
            pictures = [functional.max_pool2d(one, 3, 2) for one in pictures]
        pictures = [
            functional.conv2d(
                one, features[f"features.{place}.weight"], features[f"features.{place}.bias"], stride, padding
            ).clamp_min(0)
            for one in pictures
        ]
        first, second = (one / (one.norm(dim=1, keepdim=True) + 1e-10) for one in pictures)
        expected += float(((first - second) ** 2 * linear[f"lin{number}.model.1.weight"]).sum(1).mean())
    assert float(LPIPS.from_folder(folder)(codes(1), codes(2))) == pytest.approx(expected, rel=1e-5)


def test_lpips_grows_with_the_error(models: Path) -> None:
    near = value(frames(lambda _, truth: truth + 0.01), "lpips_full", roots=(models,))
    far = value(frames(lambda at, _: texture(seed=50 + at)), "lpips_full", roots=(models,))
    assert value(frames(lambda _, truth: truth), "lpips_full", roots=(models,)) == 0 < near < far


@pytest.mark.parametrize("file", [LINEAR, FEATURES])
def test_foreign_lpips_weights_are_refused(file: str, tmp_path: Path) -> None:
    folder = lpips_folder(tmp_path / "lpips-alex")
    tensors = load_file(folder / file)
    name = next(key for key in tensors if key.endswith("weight") and "classifier" not in key)
    save_file({**tensors, name: torch.zeros(3, 3)}, folder / file)
    with pytest.raises(ModelError, match=rf"{file}: expected the \d+ tensors of ModuleList, but .* is \(3, 3\)"):
        LPIPS.from_folder(folder)


def test_clip_embeds_as_transformers_does(models: Path) -> None:
    """On a square picture of the network's size nothing is resized or cropped, so that only the network counts."""
    folder = models / "clip-vit-large-patch14"
    ours, theirs = Clip(folder), CLIPModel.from_pretrained(folder).eval()
    frame = frames(lambda at, _: np.ascontiguousarray(texture()[:28, :28]), truth=None, matte=None)[0]
    mean, deviation = (torch.tensor(x).view(1, 3, 1, 1) for x in (Clip.MEAN, Clip.DEVIATION))
    pixels = (torch.from_numpy(frame.result_display).permute(2, 0, 1)[None] - mean) / deviation
    tokens = ours._tokenizer(["a street at night"], return_tensors="pt")
    with torch.no_grad():
        said = theirs(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels)
    torch.testing.assert_close(ours.frame(frame), said.image_embeds[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.text("a street at night"), said.text_embeds[0], rtol=1e-4, atol=1e-5)


def test_clip_metrics_are_taken_from_the_folder(models: Path) -> None:
    still = frames(lambda at, _: texture())
    changing = frames(lambda at, _: texture(seed=60 + at) ** (1 + at % 3))
    prompts = {"prompt": "a street at night", "source_prompt": "a forest in the morning"}
    kept, lost = (measured(made, roots=(models,), **prompts).rows["result"] for made in (still, changing))
    assert kept["clip_consistency"] == pytest.approx(1, abs=1e-5) and lost["clip_consistency"] < 0.9999
    assert kept["frame_accuracy"] in (0.0, 1.0)
    turned = measured(
        still, "frame_accuracy", roots=(models,), prompt=prompts["source_prompt"], source_prompt=prompts["prompt"]
    )
    assert turned.rows["result"]["frame_accuracy"] == 1 - kept["frame_accuracy"]


def test_absent_models_are_skipped_by_name(tmp_path: Path) -> None:
    report = measured(frames(lambda _, truth: truth, plate=texture()), roots=(tmp_path,))
    assert report.skipped["frame_accuracy"] == "needs --prompt and --source-prompt"
    for metric, model in NEEDED.items():
        assert f"model {model}: expected a folder {model} in {tmp_path}" in report.skipped[metric]
        assert f"`platelight models where {model}` says how to get it" in report.skipped[metric]


def test_begun_download_says_what_is_missing(tmp_path: Path) -> None:
    (lpips_folder(tmp_path / "lpips-alex") / LINEAR).unlink()
    report = measured(frames(lambda _, truth: truth), "lpips_full", roots=(tmp_path,))
    assert "expected alex.safetensors, found" in report.skipped["lpips_full"]


def face() -> np.ndarray:
    """A bright disc on a dark ground, which the detector takes for a face."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.where(np.hypot(x - 70, y - 50) < 22, 0.6, 0.03)[..., None].repeat(3, -1).astype(np.float32)


def test_identity_is_that_of_the_plate_s_face(models: Path) -> None:
    kept, dark, other = (
        value(frames(lambda _, truth, light=light: light, plate=face()), "identity_distance", roots=(models,))
        for light in (face(), face() * 0.5, texture())
    )
    assert kept < 1e-6 < dark < other  # found on the plate, so also where the result is too dark to find it


def test_clip_without_a_face_has_no_identity(models: Path) -> None:
    report = measured(frames(lambda _, truth: truth, plate=face() * 0.1), "identity_distance", roots=(models,))
    assert report.rows["result"] == {"identity_distance": None}


def test_largest_face_is_found_where_it_is(models: Path) -> None:
    found = Faces(models / "opencv-faces").largest(face() ** 0.45)
    assert found is not None and found[0] < 70 < found[0] + found[2] and found[1] < 50 < found[1] + found[3]


@pytest.mark.parametrize("file", [DETECTOR, RECOGNIZER])
def test_file_that_is_no_network_is_refused(file: str, tmp_path: Path) -> None:
    folder = faces_folder(tmp_path / "opencv-faces")
    (folder / file).write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match=f"{file}: expected an ONNX network that OpenCV reads"):
        Faces(folder)
