"""IC-Light (Zhang et al., ICLR 2025): Stable Diffusion 1.5 that relights a foreground.

The published files hold offsets for every weight of a UNet whose first layer takes more channels than the base's four:
8 for `fc` (noise, foreground), 12 for `fbc` (noise, foreground, background). Base and offset are added in float32,
tensor by tensor from the open files, into a UNet of diffusers' own class: memory holds one UNet and one tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from diffusers import UNet2DConditionModel
from safetensors import safe_open

from platelight.errors import ModelError
from platelight_server.models.image.stable_diffusion import ChunkedText, PictureCodec
from platelight_server.models.structure import read_header, weight_sets

__all__ = ["CARDS", "IcLight", "merged_unet"]

CARDS = ("realistic-vision-v51", "iclight-fc", "iclight-fbc")  # base, offsets: their names in the catalogue
CHANNELS = {"fc": 8, "fbc": 12}
_FIRST = "conv_in.weight"


@dataclass
class IcLight:
    """The four networks, on the CPU until something moves them. `device` and `dtype` are where and how they are called.

    `text` and `codec` are those of the base; the codec has a dtype of its own (float32 or bfloat16).
    """

    text: ChunkedText
    codec: PictureCodec
    fc: UNet2DConditionModel
    fbc: UNet2DConditionModel
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def from_folders(
        cls,
        base: Path,
        fc: Path,
        fbc: Path,
        dtype: torch.dtype = torch.float16,
        device: str | torch.device = "cpu",
        codec_dtype: torch.dtype = torch.float32,
    ) -> IcLight:
        """Loads a diffusers folder of SD 1.5, and the two offset files (or the folders that hold them).

        Raises `ModelError` naming the file, and what it has instead of what was expected.
        """
        where = torch.device(device)
        return cls(
            text=ChunkedText.from_folder(base, where),
            codec=PictureCodec.from_folder(base, where, codec_dtype),
            fc=merged_unet(base, offsets_file(fc, "fc"), CHANNELS["fc"], dtype),
            fbc=merged_unet(base, offsets_file(fbc, "fbc"), CHANNELS["fbc"], dtype),
            device=where,
            dtype=dtype,
        )

    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks by name: text_encoder (until it is freed), vae, fc, fbc."""
        named = {"text_encoder": self.text.model, "vae": self.codec.vae, "fc": self.fc, "fbc": self.fbc}
        return {name: module for name, module in named.items() if module is not None}

    def unet(self, name: str) -> UNet2DConditionModel:
        """The UNet called "fc" or "fbc"."""
        return {"fc": self.fc, "fbc": self.fbc}[name]


def offsets_file(path: Path, kind: str) -> Path:
    """`path` itself where it is a file, else the published file in it. Raises `ModelError`."""
    file = path if path.is_file() else path / f"iclight_sd15_{kind}.safetensors"
    if not file.is_file():
        raise ModelError(f"{path}: expected a folder with iclight_sd15_{kind}.safetensors, or that file; found neither")
    return file


def merged_unet(base: Path, offsets: Path, channels: int, dtype: torch.dtype) -> UNet2DConditionModel:
    """The base's UNet with `channels` channels in and the offsets added (float32 sums, then `dtype`), on the CPU.

    The base's first layer is widened with zeros. Raises `ModelError` for keys or shapes that do not fit.
    """
    config = dict(UNet2DConditionModel.load_config(base / "unet", local_files_only=True))
    if config["in_channels"] != 4:
        raise ModelError(f"{base / 'unet'}: expected an SD 1.5 UNet with 4 channels in, got {config['in_channels']}")
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config({**config, "in_channels": channels})
    shapes = {key: tensor.shape for key, tensor in unet.state_dict().items()}
    base_file = _base_file(base / "unet")
    _check(base_file, {**shapes, _FIRST: (shapes[_FIRST][0], 4, *shapes[_FIRST][2:])})
    _check(offsets, shapes)
    with safe_open(base_file, framework="pt") as plain, safe_open(offsets, framework="pt") as change:
        state = {key: _sum(plain.get_tensor(key), change.get_tensor(key)).to(dtype) for key in shapes}
    unet.load_state_dict(state, strict=True, assign=True)
    return cast(UNet2DConditionModel, unet.eval().requires_grad_(False))


def _sum(plain: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """base + offset in float32; channels in that the base lacks are zero in it."""
    total = change.to(torch.float32, copy=True)
    (total if plain.shape == change.shape else total[:, : plain.shape[1]]).add_(plain.float())
    return total


def _base_file(folder: Path) -> Path:
    """The base's weights, in full precision where they are there. Raises `ModelError`."""
    names = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
    sets = weight_sets(folder)
    for name in names:
        if len(sets.get(name, ())) == 1:
            return sets[name][0]
    raise ModelError(f"{folder}: expected {' or '.join(names)}, found {', '.join(sorted(sets)) or 'no safetensors'}")


def _check(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """That a file has exactly these tensors, from its header. Raises `ModelError`."""
    found = {name: shape for name, (_, shape) in read_header(file).items()}
    wrong = [f"{name} is missing" for name in sorted(shapes.keys() - found.keys())]
    wrong += [f"{name} is not known" for name in sorted(found.keys() - shapes.keys())]
    wrong += [
        f"{name} is {found[name]}, expected {tuple(shape)}"
        for name, shape in shapes.items()
        if name in found and found[name] != tuple(shape)
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelError(
            f"{file}: expected the {len(shapes)} tensors of an SD 1.5 UNet, but {', '.join(wrong[:3])}{more}"
        )
