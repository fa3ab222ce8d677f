from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from platelight.errors import ModelError
from platelight_server.models.image.iclight import CARDS, CHANNELS, IcLight, merged_unet
from platelight_server.models.image.stable_diffusion import ChunkedText, PictureCodec

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tiny_folder: Path) -> Path:
    return tiny_folder / "realistic-vision-v51"


@pytest.fixture(scope="module")
def text(base: Path) -> ChunkedText:
    return ChunkedText.from_folder(base, CPU)


@pytest.fixture(scope="module")
def codec(base: Path) -> PictureCodec:
    return PictureCodec.from_folder(base, CPU)


def offsets(tiny_folder: Path, kind: str) -> Path:
    return tiny_folder / f"iclight-{kind}" / f"iclight_sd15_{kind}.safetensors"


def weights(base: Path) -> Path:
    return base / "unet" / "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize("kind", ["fc", "fbc"])
def test_weights_are_base_plus_offset(tiny_folder: Path, base: Path, kind: str) -> None:
    merged = merged_unet(base, offsets(tiny_folder, kind), CHANNELS[kind], torch.float32)
    plain, change = load_file(weights(base)), load_file(offsets(tiny_folder, kind))
    for key, found in merged.state_dict().items():
        expected = change[key].float()
        if key == "conv_in.weight":
            expected[:, :4] += plain[key].float()  # the channels the base lacks are the offset alone
        else:
            expected += plain[key].float()
        assert torch.equal(found, expected), key
    assert merged.config.in_channels == CHANNELS[kind]
    assert not merged.training


def test_sums_are_rounded_once(tiny_folder: Path, base: Path) -> None:
    exact = merged_unet(base, offsets(tiny_folder, "fc"), 8, torch.float32).state_dict()
    half = merged_unet(base, offsets(tiny_folder, "fc"), 8, torch.float16).state_dict()
    assert all(torch.equal(half[key], exact[key].half()) for key in exact)


def test_a_merged_unet_is_saved_and_read_like_any_other(tiny_folder: Path, base: Path, tmp_path: Path) -> None:
    merged = merged_unet(base, offsets(tiny_folder, "fc"), 8, torch.float32)
    merged.save_pretrained(tmp_path)
    again = UNet2DConditionModel.from_pretrained(tmp_path, local_files_only=True).eval()
    given = (torch.randn(1, 8, 5, 7), torch.tensor(500), torch.randn(1, 77, 32))
    with torch.no_grad():
        assert torch.equal(merged(*given).sample, again(*given).sample)


def test_the_fp16_variant_of_a_base_is_read(tiny_folder: Path, base: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(base, tmp_path / "base"))
    for name in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        (copied / f"{name}.safetensors").rename(copied / f"{name}.fp16.safetensors")
    found = IcLight.from_folders(copied, *(tiny_folder / card for card in CARDS[1:]), dtype=torch.bfloat16)
    assert {name: module.dtype for name, module in found.modules().items()} == {
        "text_encoder": torch.float32,
        "vae": torch.float32,
        "fc": torch.bfloat16,
        "fbc": torch.bfloat16,
    }


def test_offsets_for_the_other_network_are_refused(tiny_folder: Path, base: Path) -> None:
    with pytest.raises(
        ModelError, match=r"iclight_sd15_fc.safetensors: .* conv_in.weight is \(8, 8, 3, 3\), expected \(8, 12, 3, 3\)"
    ):
        merged_unet(base, offsets(tiny_folder, "fc"), CHANNELS["fbc"], torch.float32)


def test_missing_and_foreign_tensors_are_named(tiny_folder: Path, base: Path, tmp_path: Path) -> None:
    changed = load_file(offsets(tiny_folder, "fc"))
    changed["lora.up"] = changed.pop("conv_out.bias")
    save_file(changed, tmp_path / "iclight_sd15_fc.safetensors")
    with pytest.raises(ModelError, match="but conv_out.bias is missing, lora.up is not known"):
        merged_unet(base, tmp_path / "iclight_sd15_fc.safetensors", 8, torch.float32)


def test_a_base_that_takes_more_channels_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="expected an SD 1.5 UNet with 4 channels in, got 9"):
        merged_unet(tiny_folder / "sd15-inpainting", offsets(tiny_folder, "fc"), 8, torch.float32)


def test_a_folder_without_the_offsets_says_what_was_expected(tiny_folder: Path, base: Path) -> None:
    with pytest.raises(ModelError, match="expected a folder with iclight_sd15_fbc.safetensors"):
        IcLight.from_folders(base, tiny_folder / "iclight-fc", tiny_folder / "iclight-fc", torch.float32)


def test_a_short_text_is_what_clip_makes_of_it(text: ChunkedText) -> None:
    words = text.tokenizer("a man on a beach", padding="max_length", max_length=77, return_tensors="pt")
    assert text.model is not None
    with torch.no_grad():
        expected = text.model(words.input_ids).last_hidden_state
    found = text.embed("a man on a beach", "")
    assert torch.equal(found.positive, expected)
    assert found.negative.shape == (1, 77, 32)


def test_no_word_of_a_long_text_is_cut(text: ChunkedText) -> None:
    words = ["light"] * 200
    count = len(text.tokenizer(" ".join(words), add_special_tokens=False, verbose=False)["input_ids"])
    assert count >= 200
    found = text.embed(" ".join(words), "lowres")
    assert found.positive.shape == found.negative.shape == (1, 77 * -(-count // 75), 32)
    other = text.embed(" ".join([*words[:-1], "night"]), "lowres")
    assert torch.equal(found.positive[:, :77], other.positive[:, :77])
    assert not torch.equal(found.positive[:, -77:], other.positive[:, -77:])


def test_the_shorter_text_is_repeated(text: ChunkedText) -> None:
    found = text.embed("light " * 80, "lowres")
    assert torch.equal(found.negative[:, :77], found.negative[:, 77:154])


def test_the_codec_takes_the_mode_of_each_picture_by_itself(codec: PictureCodec) -> None:
    video = torch.rand(3, 3, 24, 32) * 2 - 1
    latents = codec.encode(video)
    with torch.no_grad():
        expected = codec.vae.encode(video[1:2]).latent_dist.mode() * 0.18215
    assert latents.shape == (3, 4, 3, 4)
    assert torch.equal(latents[1:2], expected)
    decoded = codec.decode(latents, (24, 32))
    with torch.no_grad():
        assert torch.equal(decoded[2:], codec.vae.decode(latents[2:] / 0.18215).sample)


def test_odd_sizes_are_extended_by_their_edge(codec: PictureCodec) -> None:
    video = torch.rand(1, 3, 13, 21) * 2 - 1
    extended = torch.cat([video, video[:, :, :, -1:].expand(-1, -1, -1, 3)], dim=3)
    extended = torch.cat([extended, extended[:, :, -1:].expand(-1, -1, 3, -1)], dim=2)
    assert torch.equal(codec.encode(video), codec.encode(extended))
    assert codec.decode(codec.encode(video), (13, 21)).shape == video.shape


def test_a_half_precision_codec_is_refused(base: Path) -> None:
    with pytest.raises(ValueError, match="overflows in float16"):
        PictureCodec.from_folder(base, CPU, torch.float16)
