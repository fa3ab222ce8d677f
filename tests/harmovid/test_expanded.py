"""Expanded networks are their base until they are trained, and their checkpoints say what they are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import load_file

from platelight.errors import ModelError, OutputError
from platelight_server.models.video import expanded_files as files
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.expanded import CONDITIONS, KINDS, Kind, condition, matte_video, widen
from platelight_server.models.video.interface import NoiseLevel
from tests.models import video_nets

LEVEL = NoiseLevel(500.0, 0.6, 0.8)


def base(kind: str, dtype: torch.dtype) -> CogVideoX:
    made = video_nets.cogvideox15(dtype=dtype) if kind == "1.5" else video_nets.backbone(kind, dtype)
    assert isinstance(made, CogVideoX)
    return made


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("network", KINDS)
@pytest.mark.parametrize("kind", ("2b", "5b", "1.5"))
def test_an_untrained_network_is_its_base_bit_for_bit(kind: str, network: Kind, dtype: torch.dtype) -> None:
    backbone = base(kind, dtype)
    draw = torch.Generator().manual_seed(3)
    latent = torch.randn(4 if kind == "1.5" else 3, 16, 4, 6, generator=draw)
    beside = 5 * torch.randn(len(latent), 16 * len(CONDITIONS[network]), 4, 6, generator=draw)
    prompt = backbone.embed("", "")
    plain = backbone.predict(latent, LEVEL, prompt, 1.0)
    widen(backbone.transformer, network)
    wide = backbone.predict(latent, LEVEL, prompt, 1.0, condition=beside)
    assert torch.equal(wide.clean, plain.clean) and torch.equal(wide.noise, plain.noise)


@pytest.mark.parametrize("kind", ("2b", "1.5"))
def test_added_weights_belong_to_the_conditions_in_their_order(kind: str) -> None:
    """A weight for the first added channel answers to the composite alone: the channel is the slowest of the axes."""
    backbone = base(kind, torch.float32)
    widen(backbone.transformer, "harmonizer")
    weight = backbone.transformer.patch_embed.proj.weight
    per_channel = weight[0].numel() // 64
    with torch.no_grad():
        weight.flatten(1)[:, 16 * per_channel : 17 * per_channel] = 1.0
    latent = torch.zeros(4 if kind == "1.5" else 3, 16, 4, 6)
    told = {name: torch.zeros_like(latent) for name in CONDITIONS["harmonizer"]}
    prompt = backbone.embed("", "")
    answers = {"none": backbone.predict(latent, LEVEL, prompt, 1.0, condition("harmonizer", told)).clean}
    for name in told:
        shown = torch.zeros_like(latent)
        shown[:, 0] = 1.0
        answers[name] = backbone.predict(
            latent, LEVEL, prompt, 1.0, condition("harmonizer", {**told, name: shown})
        ).clean
    assert not torch.equal(answers["composite"], answers["none"])
    assert torch.equal(answers["background"], answers["none"]) and torch.equal(answers["matte"], answers["none"])


def test_a_network_with_conditions_is_no_base() -> None:
    with pytest.raises(ModelError, match="expected a text-to-video transformer of 16 channels, got one that reads 32"):
        widen(base("i2v", torch.float32).transformer, "deflicker")


def test_a_missing_condition_is_named() -> None:
    with pytest.raises(ValueError, match="expected the latents composite, background, matte, background is missing"):
        condition("harmonizer", {"composite": torch.zeros(1, 16, 4, 6)})


def test_a_matte_is_a_grey_video() -> None:
    shown = matte_video(torch.tensor([0.0, 0.25, 1.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2))
    assert shown.shape == (3, 3, 2, 2)
    assert shown[:, 1, 0, 0].tolist() == [-1.0, -0.5, 1.0]


def checkpoint(folder: Path, kind: Kind = "harmonizer", **said: object) -> Path:
    backbone = base("2b", torch.float32)
    torch.manual_seed(2)
    widen(backbone.transformer, kind)
    with torch.no_grad():
        proj = backbone.transformer.patch_embed.proj.weight
        proj.add_(0.1 * torch.randn_like(proj))
    about = files.About.of(kind, video_nets.folder("2b"), 1200, **said)  # type: ignore[arg-type]
    return files.save(folder, backbone.transformer, about, shard="40KB")


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "night-v1", data=[files.Data("our stage", "CC0-1.0")], note="LoRA, rank 64")
    config = json.loads((folder / "transformer" / "config.json").read_text())
    assert (config["in_channels"], config["out_channels"]) == (64, 16)
    loaded = files.load_expanded(folder, video_nets.folder("2b"), torch.float32)
    again = CogVideoXTransformer3DModel.from_pretrained(folder / "transformer")  # as anybody else would load it
    stored: dict[str, torch.Tensor] = {}
    for path in (folder / "transformer").glob("*.safetensors"):
        stored |= load_file(path)
    for network in (loaded.transformer, again):
        assert all(torch.equal(tensor, stored[name]) for name, tensor in network.state_dict().items())
    about = files.read_about(folder)
    assert (about.kind, about.base, about.steps, about.data[0].name) == (
        "harmonizer",
        "cogvideox-2b",
        1200,
        "our stage",
    )
    assert (about.licence, about.terms) == ("Apache-2.0", "free")
    card = (folder / "README.md").read_text()
    assert "license: apache-2.0" in card and "our stage (CC0-1.0)" in card and "1200 steps" in card


def test_data_that_forbids_commercial_use_narrows_the_licence(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "study", data=[files.Data("a benchmark", "CC-BY-NC-4.0", commercial=False)])
    assert files.card_of(folder).terms == "noncommercial"
    assert "license: other" in (folder / "README.md").read_text()


def _another_base(folder: Path, kept: Path) -> Path:
    shutil.copytree(video_nets.folder("2b"), kept)
    config = json.loads((kept / "vae" / "config.json").read_text())
    (kept / "vae" / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.7}))
    return kept


def _set(file: str, **changed: object) -> Callable[[Path, Path], Path]:
    def damage(folder: Path, _: Path) -> Path:
        held = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**held, **changed}))
        return video_nets.folder("2b")

    return damage


def _drop(pattern: str) -> Callable[[Path, Path], Path]:
    def damage(folder: Path, _: Path) -> Path:
        next(iter(sorted(folder.glob(pattern)))).unlink()
        return video_nets.folder("2b")

    return damage


def _cut_short(folder: Path, _: Path) -> Path:
    part = sorted((folder / "transformer").glob("*.safetensors"))[-1]
    part.write_bytes(part.read_bytes()[:-100])
    return video_nets.folder("2b")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_another_base, "expected the base that it was trained on, cogvideox-2b"),
        (_drop(files.ABOUT), "expected platelight.json, as platelight train writes it, found none"),
        (_set(files.ABOUT, kindd="x"), "kindd: expected one of"),
        (_set(files.ABOUT, kind="deflicker"), "expected the conditions composite, matte of a deflicker"),
        (_set("transformer/config.json", in_channels=48), "expected 64 channels in for a harmonizer, got 48"),
        (_drop("transformer/*.safetensors"), "transformer"),
        (_cut_short, "transformer"),
    ],
    ids=("other base", "no json", "typo", "other kind", "other channels", "part gone", "part cut"),
)
def test_what_is_foreign_or_damaged_is_refused_in_a_sentence(
    tmp_path: Path, damage: Callable[[Path, Path], Path], said: str
) -> None:
    folder = checkpoint(tmp_path / "night")
    other = damage(folder, tmp_path / "other")
    with pytest.raises(ModelError, match=re.escape(said)) as caught:
        files.load_expanded(folder, other, torch.float32)
    assert "\n" not in str(caught.value)


def test_a_plain_base_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no checkpoint of HarmoVid"):
        files.read_about(video_nets.folder("2b"))


def test_a_checkpoint_replaces_its_name_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    checkpoint(tmp_path / "night", "harmonizer")
    checkpoint(tmp_path / "night", "deflicker")
    assert files.read_about(tmp_path / "night").kind == "deflicker"
    assert [path.name for path in tmp_path.iterdir()] == ["night"]


def test_what_cannot_be_written_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    before = checkpoint(tmp_path / "kept" / "night")
    held = {path.name: path.read_bytes() for path in before.rglob("*") if path.is_file()}
    backbone = base("2b", torch.float32)
    widen(backbone.transformer, "deflicker")
    about = files.read_about(before)

    class Full(CogVideoXTransformer3DModel):
        """Its disk fills up while the second file is written."""

        def save_pretrained(self, folder: Path, **_: object) -> None:  # type: ignore[override]
            Path(folder).mkdir()
            (Path(folder) / "half").write_bytes(b"x")
            raise OSError(28, "No space left on device")

    backbone.transformer.__class__ = Full
    with pytest.raises(OutputError, match="night: cannot be written: .*No space left"):
        files.save(before, backbone.transformer, files.About.of("deflicker", video_nets.folder("2b"), 1))
    assert about.kind == "harmonizer"
    assert {path.name: path.read_bytes() for path in before.rglob("*") if path.is_file()} == held
    assert [path.name for path in before.parent.iterdir()] == ["night"]
