"""Every model that an engine of Platelight can use. A new model is a card in this list and nothing else; those that
only measure are in measures.py.

Revisions are commits of the repositories on the Hugging Face hub, as pinned by several public projects; sizes are those
of the files that the download command fetches, counted or computed from the number of parameters. What could not be
seen at the source is said in `unverified`.
"""

from __future__ import annotations

from typing import TypedDict

from platelight.errors import ModelError

from .card import ModelCard, Terms
from .measures import MEASURES

__all__ = ["CATALOGUE", "card"]


class _Licence(TypedDict, total=False):
    licence: str
    licence_url: str
    terms: Terms
    conditions: str


_APACHE: _Licence = {
    "licence": "Apache-2.0",
    "licence_url": "https://www.apache.org/licenses/LICENSE-2.0",
    "terms": "free",
}
_COGVIDEOX: _Licence = {
    "licence": "CogVideoX License",
    "licence_url": "https://huggingface.co/zai-org/CogVideoX-5b/blob/main/LICENSE",
    "terms": "conditional",
    "conditions": "Free for research; commercial use needs a registration at open.bigmodel.cn/mla/form, is limited "
    "to a million visits a month, can be revoked, and excludes military use.",
}
_OPENRAIL: _Licence = {
    "licence": "CreativeML Open RAIL-M",
    "licence_url": "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
    "terms": "free",
    "conditions": "Commercial use is allowed within the use restrictions of its attachment A, which have to be passed "
    "on with the model.",
}
_COGVIDEOX_FILES = (
    "model_index.json",
    "scheduler/*.json",
    "text_encoder/*.json",
    "text_encoder/*.safetensors",
    "tokenizer/*",
    "transformer/*.json",
    "transformer/*.safetensors",
    "vae/*.json",
    "vae/*.safetensors",
)
_SD15_FILES = (
    "model_index.json",
    "scheduler/*.json",
    "text_encoder/*.json",
    "text_encoder/*.safetensors",
    "tokenizer/*",
    "unet/*.json",
    "unet/*.safetensors",
    "vae/*.json",
    "vae/*.safetensors",
)
_BRANCH_FILES = ("config.json", "diffusion_pytorch_model.safetensors")

CATALOGUE: tuple[ModelCard, ...] = (
    ModelCard(
        name="cogvideox-2b",
        purpose="video diffusion, text to video: 49 frames of 480x720",
        stage="consistency",
        source="zai-org/CogVideoX-2b",
        revision="1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01",
        files=_COGVIDEOX_FILES,
        size_bytes=13_775_000_000,
        used_by=("anyportal", "harmovid"),
        **_APACHE,
    ),
    ModelCard(
        name="cogvideox-5b",
        purpose="video diffusion, text to video: 49 frames of 480x720; the paper's",
        stage="consistency",
        source="zai-org/CogVideoX-5b",
        revision="8fc5b281006c82b82d34fd2543d2f0ebb4e7e321",
        files=_COGVIDEOX_FILES,
        size_bytes=21_100_000_000,
        used_by=("anyportal", "harmovid"),
        **_COGVIDEOX,
    ),
    ModelCard(
        name="cogvideox-5b-i2v",
        purpose="video diffusion, image to video: what Diffusion as Shader was made from",
        stage="background",
        source="zai-org/CogVideoX-5b-I2V",
        revision="a6f0f4858a8395e7429d82493864ce92bf73af11",
        files=_COGVIDEOX_FILES,
        size_bytes=21_300_000_000,
        used_by=("anyportal",),
        **_COGVIDEOX,
    ),
    ModelCard(
        name="cogvideox1.5-5b",
        purpose="video diffusion, text to video: 81 frames of 768x1360; what HarmoVid is trained from",
        stage="consistency",
        source="zai-org/CogVideoX1.5-5B",
        files=_COGVIDEOX_FILES,
        size_bytes=21_100_000_000,
        used_by=("harmovid",),
        unverified="revision and size; that the paper used it is inferred from its 85 frames",
        **_COGVIDEOX,
    ),
    ModelCard(
        name="diffusion-as-shader",
        purpose="background that moves with the camera: image to video along 3-D tracks",
        stage="background",
        source="EXCAI/Diffusion-As-Shader",
        files=_COGVIDEOX_FILES,
        size_bytes=26_300_000_000,
        used_by=("anyportal",),
        unverified="the repository names no licence of its own (its code is Apache-2.0); as it was made from "
        "CogVideoX-5b-I2V, that model's licence is taken to apply; size computed for bfloat16",
        **_COGVIDEOX,
    ),
    ModelCard(
        name="cogvideox-2b-controlnet-hed",
        purpose="soft-edge control of cogvideox-2b",
        stage="consistency",
        source="TheDenk/cogvideox-2b-controlnet-hed-v1",
        files=_BRANCH_FILES,
        size_bytes=1_830_000_000,
        used_by=("anyportal",),
        unverified="licence and size as given by its model card, read second-hand",
        **_APACHE,
    ),
    ModelCard(
        name="cogvideox-2b-controlnet-canny",
        purpose="edge control of cogvideox-2b by Canny's lines",
        stage="consistency",
        source="TheDenk/cogvideox-2b-controlnet-canny-v1",
        files=_BRANCH_FILES,
        size_bytes=1_830_000_000,
        used_by=("anyportal",),
        unverified="licence and size as given by its model card, read second-hand",
        **_APACHE,
    ),
    ModelCard(
        name="cogvideox-5b-controlnet-hed",
        purpose="soft-edge control of cogvideox-5b",
        stage="consistency",
        source="TheDenk/cogvideox-5b-controlnet-hed-v1",
        files=_BRANCH_FILES,
        size_bytes=1_510_000_000,
        used_by=("anyportal",),
        unverified="licence and size as given by its model card, read second-hand",
        **_APACHE,
    ),
    ModelCard(
        name="wan2.1-t2v-1.3b",
        purpose="video diffusion by flow matching, text to video: up to 81 frames of 480x832",
        stage="consistency",
        source="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        revision="0fad780a534b6463e45facd96134c9f345acfa5b",
        files=_COGVIDEOX_FILES,
        size_bytes=28_929_000_000,
        used_by=("anyportal",),
        **_APACHE,
    ),
    ModelCard(
        name="realistic-vision-v51",
        purpose="image diffusion (Stable Diffusion 1.5) that IC-Light's offsets are added to",
        stage="light",
        source="stablediffusionapi/realistic-vision-v51",
        revision="19e3643d7d963c156d01537188ec08f0b79a514a",
        files=_SD15_FILES,
        size_bytes=4_270_000_000,
        used_by=("anyportal", "harmovid"),
        unverified="the licence, read second-hand; size computed for float32",
        **_OPENRAIL,
    ),
    ModelCard(
        name="iclight-fc",
        purpose="relights a foreground by a text: offsets to realistic-vision-v51",
        stage="light",
        source="lllyasviel/ic-light",
        revision="9cad1878695f546a7fb9eaca14e2a89131ba5ffe",
        files=("iclight_sd15_fc.safetensors",),
        size_bytes=1_719_148_312,
        sha256={
            "iclight_sd15_fc.safetensors": "a033fbaaa2f3f7859fa6a4477ee63ebbf9c116bf3569d5811856d2807f3468cd",
        },
        used_by=("anyportal", "harmovid"),
        unverified="the hub names no licence; the author's repository is Apache-2.0 and speaks of commercial use",
        **_APACHE,
    ),
    ModelCard(
        name="iclight-fbc",
        purpose="relights a foreground by a background picture: offsets to realistic-vision-v51",
        stage="light",
        source="lllyasviel/ic-light",
        revision="9cad1878695f546a7fb9eaca14e2a89131ba5ffe",
        files=("iclight_sd15_fbc.safetensors",),
        size_bytes=1_719_171_000,
        sha256={
            "iclight_sd15_fbc.safetensors": "bb8ccedaa4944b16cfa8356afcbc2c2174cc4c4af57de19124ae0cddd0d96947",
        },
        used_by=("anyportal", "harmovid"),
        unverified="the hub names no licence; the author's repository is Apache-2.0 and speaks of commercial use",
        **_APACHE,
    ),
    ModelCard(
        name="sd15-inpainting",
        purpose="fills what the subject covered in the first frame",
        stage="background",
        source="stable-diffusion-v1-5/stable-diffusion-inpainting",
        revision="8a4288a76071f7280aedbdb3253bdb9e9d5d84bb",
        files=_SD15_FILES,
        downloads=(*(name for name in _SD15_FILES if "safetensors" not in name), "[tuv]*/*.fp16.safetensors"),
        size_bytes=2_140_000_000,
        used_by=("anyportal",),
        unverified="that the mirror has *.fp16.safetensors for every part; where one is published as .bin only, fetch "
        "that and run platelight models convert on it",
        **_OPENRAIL,
    ),
    ModelCard(
        name="hed-annotator",
        purpose="draws the soft edges that the edge control follows",
        stage="consistency",
        source="lllyasviel/Annotators",
        revision="982e7edaec38759d914a963c48c4726685de7d96",
        files=("ControlNetHED.safetensors",),
        downloads=("ControlNetHED.pth",),
        size_bytes=29_444_406,
        sha256={"ControlNetHED.pth": "5ca93762ffd68a29fee1af9d495bf6aab80ae86f08905fb35472a083a4c7a8fa"},
        used_by=("anyportal",),
        unverified="the licence stands in the code that the weights came with",
        **_APACHE,
    ),
    ModelCard(
        name="sam2.1-hiera-small",
        purpose="mattes by a point or a box, followed through the shot; the quicker one",
        stage="matte",
        source="facebook/sam2.1-hiera-small",
        files=("*.json", "model.safetensors"),
        size_bytes=185_000_000,
        used_by=("matte",),
        unverified="licence and size, from general knowledge",
        **_APACHE,
    ),
    ModelCard(
        name="sam2.1-hiera-large",
        purpose="mattes by a point or a box, followed through the shot; the finer one",
        stage="matte",
        source="facebook/sam2.1-hiera-large",
        revision="665f8e2ad61cf5f53d65644ff27c8ee525124610",
        files=("*.json", "model.safetensors"),
        size_bytes=898_000_000,
        used_by=("matte",),
        unverified="licence and size, from general knowledge",
        **_APACHE,
    ),
    ModelCard(
        name="owlv2-base",
        purpose="finds what a text names, as a box that a matte starts from",
        stage="matte",
        source="google/owlv2-base-patch16-ensemble",
        files=("*.json", "merges.txt", "model.safetensors"),
        size_bytes=620_000_000,
        used_by=("matte",),
        unverified="licence and size, from general knowledge",
        **_APACHE,
    ),
    ModelCard(
        name="birefnet",
        purpose="mattes of whatever stands out, picture by picture; no remote code is run",
        stage="matte",
        source="ZhengPeng7/BiRefNet",
        revision="e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4",
        files=("config.json", "model.safetensors"),
        size_bytes=444_500_000,
        licence="MIT",
        licence_url="https://github.com/ZhengPeng7/BiRefNet/blob/main/LICENSE",
        terms="conditional",
        conditions="Code and weights are MIT, but the pictures that it was trained on (DIS5K and others) restrict "
        "commercial use; whether that reaches the weights is not settled (issues 276, 306 and 316 of its repository).",
        used_by=("matte",),
    ),
    *MEASURES,
)

_NAMED = {one.name: one for one in CATALOGUE}


def card(name: str) -> ModelCard:
    """The card called `name`. Raises `ModelError` naming those there are."""
    if name not in _NAMED:
        raise ModelError(f"models: expected one of {', '.join(_NAMED)}, got {name!r}")
    return _NAMED[name]
