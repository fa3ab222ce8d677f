"""Loading from folders: what comes back, what is refused, and that no network is touched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXTransformer3DModel,
    UNet2DConditionModel,
    WanTransformer3DModel,
)
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer, UMT5EncoderModel

from platelight.errors import ModelError, OutputError
from platelight_server.models.catalogue import card
from platelight_server.models.convert import convert
from platelight_server.models.loading import load, load_file_checked, load_state, weights_bytes
from tests.cli.running import ROOT, environment

NETWORKS = [
    ("cogvideox-2b", CogVideoXTransformer3DModel, "transformer", torch.float16),
    ("cogvideox-5b", CogVideoXTransformer3DModel, "transformer", torch.bfloat16),
    ("cogvideox-5b", AutoencoderKLCogVideoX, "vae", torch.bfloat16),
    ("cogvideox-5b", T5EncoderModel, "text_encoder", torch.bfloat16),
    ("wan2.1-t2v-1.3b", WanTransformer3DModel, "transformer", torch.float32),
    ("wan2.1-t2v-1.3b", UMT5EncoderModel, "text_encoder", torch.float32),
    ("realistic-vision-v51", UNet2DConditionModel, "unet", torch.float16),
    ("realistic-vision-v51", CLIPTextModel, "text_encoder", torch.float16),
]


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: one for path in folder.glob("*.safetensors") for name, one in load_file(path).items()}


@pytest.mark.parametrize(("name", "kind", "part", "dtype"), NETWORKS)
def test_network_is_what_the_files_hold(
    tiny_models: Path, name: str, kind: type[Any], part: str, dtype: torch.dtype
) -> None:
    network = load(card(name), kind, part)
    files, own = stored(tiny_models / name / part), network.state_dict()
    assert all(torch.equal(own[key], tensor) for key, tensor in files.items())
    assert (network.training, any(one.requires_grad for one in network.parameters())) == (False, False)
    assert next(network.parameters()).dtype == dtype
    assert weights_bytes(tiny_models / name / part) == sum(one.numel() * one.element_size() for one in files.values())


def test_network_is_brought_to_the_asked_precision(tiny_models: Path) -> None:
    folder = tiny_models / "cogvideox-5b"
    network = load(folder, CogVideoXTransformer3DModel, "transformer", torch.float32)
    assert {one.dtype for one in network.parameters()} == {torch.float32}
    held = sum(one.numel() * 4 for one in network.parameters())
    assert weights_bytes(folder / "transformer", torch.float32) == held


def test_tokenizers_and_schedules_are_read(tiny_models: Path) -> None:
    t5 = load(card("cogvideox-5b"), T5Tokenizer, "tokenizer")
    clip = load(card("realistic-vision-v51"), CLIPTokenizer, "tokenizer")
    schedule = load(card("cogvideox-2b"), CogVideoXDDIMScheduler, "scheduler")
    text = "a woman dances on a neon street, 1 xyz!"
    assert t5.decode(t5(text).input_ids, skip_special_tokens=True) == text
    assert clip.decode(clip(text).input_ids, skip_special_tokens=True) == "a woman dances on a neon street , 1 xyz !"
    assert (t5.model_max_length, clip.model_max_length) == (226, 77)
    assert (schedule.config.snr_shift_scale, float(schedule.alphas_cumprod[-1])) == (3.0, 0.0)


def test_half_precision_variant_is_found(tiny_models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_models / "sd15-inpainting", tmp_path / "model"))
    plain = load(folder, UNet2DConditionModel, "unet")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    variant = load(folder, UNet2DConditionModel, "unet")
    assert variant.config.in_channels == 9
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), variant.parameters(), strict=True))


def change(file: Path, **tensors: torch.Tensor | None) -> None:
    changed = {**load_file(file), **tensors}
    save_file({name: one for name, one in changed.items() if one is not None}, file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("conv_in.bias", None, r"unet: .*conv_in\.bias is missing"),
        ("conv_in.bias", torch.zeros(3), r"unet: .*conv_in\.bias"),
        ("conv_new.bias", torch.zeros(3), r"unet: .*conv_new\.bias is not known"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tiny_models: Path, tmp_path: Path, name: str, tensor: torch.Tensor | None, said: str
) -> None:
    folder = Path(shutil.copytree(tiny_models / "realistic-vision-v51", tmp_path / "model"))
    change(folder / "unet" / "diffusion_pytorch_model.safetensors", **{name: tensor})
    with pytest.raises(ModelError, match=said):
        load(folder, UNet2DConditionModel, "unet")
    assert torch.get_default_dtype() == torch.float32


def test_missing_tensor_of_a_text_encoder_is_refused_and_not_drawn_anew(tiny_models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_models / "realistic-vision-v51", tmp_path / "model"))
    file = folder / "text_encoder" / "model.safetensors"
    name = next(key for key in load_file(file) if key.endswith("final_layer_norm.weight"))
    change(file, **{name: None})
    with pytest.raises(ModelError, match=r"text_encoder: .*final_layer_norm\.weight is missing"):
        load(folder, CLIPTextModel, "text_encoder")


def test_known_extra_tensors_may_be_left_out(tiny_models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_models / "realistic-vision-v51", tmp_path / "model"))
    change(folder / "unet" / "diffusion_pytorch_model.safetensors", **{"tracks.weight": torch.zeros(3)})
    load(folder, UNet2DConditionModel, "unet", ignore=r"^tracks\.")


def test_wrong_class_folder_and_pickles_are_named(tiny_models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_models / "realistic-vision-v51", tmp_path / "model"))
    with pytest.raises(ModelError, match=r"unet: .*AutoencoderKL"):
        load(folder / "unet", AutoencoderKL)
    with pytest.raises(ModelError, match=r"transformer: expected a folder for UNet2DConditionModel, found none"):
        load(folder, UNet2DConditionModel, "transformer")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(ModelError, match=r"unet: .*a pickle, which is not loaded; convert it: platelight models conv"):
        load(folder, UNet2DConditionModel, "unet")
    convert(file.with_suffix(".bin"))
    assert load(folder, UNet2DConditionModel, "unet").config.in_channels == 4


def test_text_encoder_that_was_published_as_a_pickle_is_loaded_once_converted(
    tiny_models: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_models / "realistic-vision-v51", tmp_path / "model"))
    file = folder / "text_encoder" / "model.safetensors"
    torch.save(load_file(file), file.with_name("pytorch_model.bin"))
    file.unlink()
    assert convert(file.with_name("pytorch_model.bin")) == file
    load(folder, CLIPTextModel, "text_encoder")


def test_offsets_go_into_a_module_only_as_a_whole(tiny_models: Path) -> None:
    file = tiny_models / "iclight-fc" / "iclight_sd15_fc.safetensors"
    state = load_file_checked(file)
    wide = UNet2DConditionModel.from_config({**_unet_config(tiny_models), "in_channels": 8})
    load_state(wide, state, file)
    assert torch.equal(wide.conv_in.weight, state["conv_in.weight"])
    odd = {**state, "new": torch.zeros(1), "conv_in.bias": torch.zeros(2)}
    odd.pop("conv_out.bias")
    said = r"expected the \d+ tensors of UNet2DConditionModel, but conv_out\.bias is missing, new is not known, conv_in"
    with pytest.raises(ModelError, match=said):
        load_state(wide, odd, file)
    with pytest.raises(ModelError, match="expected a safetensors file, found none"):
        load_file_checked(file.with_name("other.safetensors"))


def _unet_config(models: Path) -> dict[str, Any]:
    return dict(load(models / "realistic-vision-v51", UNet2DConditionModel, "unet").config)


def test_pickle_of_tensors_is_converted(tmp_path: Path) -> None:
    layer = nn.Conv2d(3, 4, 1)
    torch.save({"state_dict": layer.state_dict()}, tmp_path / "layer.pth")
    written = convert(tmp_path / "layer.pth")
    assert written == tmp_path / "layer.safetensors"
    assert all(torch.equal(one, layer.state_dict()[name]) for name, one in load_file(written).items())
    with pytest.raises(OutputError, match="expected a new file, there is one already"):
        convert(tmp_path / "layer.pth")


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "was_run",)

    torch.save({"weight": torch.zeros(1), "trap": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match=r"bad\.pth: expected a checkpoint of plain tensors"):
        convert(tmp_path / "bad.pth")
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("content", "said"), [({"a": 1}, "but a is int"), ([torch.zeros(1)], "got list"), ({}, "got dict")]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match=said):
        convert(tmp_path / "odd.pth")


def test_pickle_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "ControlNetHED.pth")
    with pytest.raises(ModelError, match=r"ControlNetHED\.pth: expected the published SHA-256 5ca93762"):
        convert(tmp_path / "ControlNetHED.pth")


OFFLINE = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(watch)
from platelight_server.models.catalogue import card
from platelight_server.models.loading import load
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel, WanTransformer3DModel
from transformers import AutoTokenizer, T5EncoderModel, T5Tokenizer
for kind, part in ((CogVideoXTransformer3DModel, "transformer"), (T5EncoderModel, "text_encoder"),
                   (T5Tokenizer, "tokenizer"), (CogVideoXDDIMScheduler, "scheduler")):
    load(card("cogvideox-5b"), kind, part)
load(card("wan2.1-t2v-1.3b"), AutoTokenizer, "tokenizer")
import huggingface_hub
print(huggingface_hub.constants.HF_HUB_OFFLINE)
"""


def test_no_network_is_touched_and_nothing_is_printed(tiny_models: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], env=environment(HF_HUB_OFFLINE="0"), cwd=ROOT, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
