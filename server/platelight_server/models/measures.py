"""The models that only measure: cards of the catalogue that `platelight evaluate` uses."""

from __future__ import annotations

from .card import ModelCard

__all__ = ["MEASURES"]

MEASURES: tuple[ModelCard, ...] = (
    ModelCard(
        name="clip-vit-large-patch14",
        purpose="measures likeness of frames to each other and to a text",
        stage="measure",
        source="openai/clip-vit-large-patch14",
        revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        files=("*.json", "merges.txt", "model.safetensors"),
        size_bytes=1_710_000_000,
        licence="MIT",
        licence_url="https://github.com/openai/CLIP/blob/main/LICENSE",
        terms="free",
        conditions="Its model card calls uses in products out of scope; measuring is research.",
        used_by=("evaluate",),
        unverified="licence (that of its code) and size, from general knowledge",
    ),
    ModelCard(
        name="lpips-alex",
        purpose="measures the perceptual distance LPIPS 0.1: AlexNet, and the authors' linear layers",
        stage="measure",
        source="richzhang/PerceptualSimilarity",
        files=("alex.safetensors", "alexnet-owt-7be5be79.safetensors"),
        downloads=("alex.pth", "alexnet-owt-7be5be79.pth"),
        urls=(
            "https://github.com/richzhang/PerceptualSimilarity/raw/082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/alex.pth",
            "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        ),
        size_bytes=244_415_000,
        sha256={"alex.pth": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"},
        licence="BSD-2-Clause and BSD-3-Clause",
        licence_url="https://github.com/richzhang/PerceptualSimilarity/blob/master/LICENSE",
        terms="free",
        used_by=("evaluate",),
        unverified="the hash of torchvision's AlexNet, of which its name has the first eight digits; size of the same",
    ),
    ModelCard(
        name="opencv-faces",
        purpose="measures whether a face is the same person's: YuNet finds it, SFace describes it",
        stage="measure",
        source="opencv/opencv_zoo",
        files=(
            "models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
            "models/face_recognition_sface/face_recognition_sface_2021dec.onnx",
        ),
        size_bytes=38_900_000,
        sha256={
            "models/face_detection_yunet/face_detection_yunet_2023mar.onnx": (
                "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
            ),
            "models/face_recognition_sface/face_recognition_sface_2021dec.onnx": (
                "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
            ),
        },
        licence="MIT and Apache-2.0",
        licence_url="https://github.com/opencv/opencv_zoo#license",
        terms="free",
        used_by=("evaluate",),
        unverified="what the pictures of faces that it was trained on allow",
    ),
    ModelCard(
        name="arcface-w600k-r50",
        purpose="measures whether a face is the same person's, as AnyPortal's paper does: ArcFace, ResNet-50 of "
        "WebFace600K; needs opencv-faces too, which finds the face",
        stage="measure",
        source="public-data/insightface",
        revision="33c1063c49c785b7652d3fd529f86fa4f149392b",
        files=("models/buffalo_l/w600k_r50.onnx",),
        size_bytes=174_383_860,
        sha256={
            "models/buffalo_l/w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        },
        licence="InsightFace, non-commercial research",
        licence_url="https://github.com/deepinsight/insightface#license",
        terms="noncommercial",
        conditions="The code is MIT; its authors allow the models for non-commercial research only. The repository is "
        "a mirror of their buffalo_l.",
        used_by=("evaluate",),
        unverified="the mirror's revision and the hash, read in several public projects that agree",
    ),
    ModelCard(
        name="raft-things",
        purpose="measures motion by optical flow, as HarmoVid's paper does: RAFT, trained on FlyingThings",
        stage="measure",
        source="princeton-vl/RAFT",
        files=("raft-things.safetensors",),
        downloads=("raft-things.pth",),
        urls=("https://github.com/sczhou/ProPainter/releases/download/v0.1.0/raft-things.pth",),
        size_bytes=21_108_000,
        sha256={"raft-things.pth": "fcfa4125d6418f4de95d84aec20a3c5f4e205101715a79f193243c186ac9a7e1"},
        licence="BSD-3-Clause",
        licence_url="https://github.com/princeton-vl/RAFT/blob/master/LICENSE",
        terms="free",
        used_by=("evaluate",),
        unverified="the licence is that of its code; size and hash, read in several public projects that agree (it is "
        "a file of the authors' models.zip, which ProPainter's release has by itself)",
    ),
    ModelCard(
        name="cotracker3-offline",
        purpose="measures motion by tracks of points, as PAI-Studio's paper does: CoTracker3; needs its authors' "
        "package, pip install git+https://github.com/facebookresearch/co-tracker",
        stage="measure",
        source="facebook/cotracker3",
        revision="b748ec5e5cd4b9f525a94cc544f0be34bbcc22e2",
        files=("scaled_offline.safetensors",),
        downloads=("scaled_offline.pth",),
        size_bytes=101_890_938,
        sha256={"scaled_offline.pth": "2670d4562ed69326dda775a26e54883925cd11b6fc9b24cb7aa9f8078bce7834"},
        licence="CC-BY-NC-4.0",
        licence_url="https://github.com/facebookresearch/co-tracker/blob/main/LICENSE.md",
        terms="noncommercial",
        conditions="Its package has the same licence.",
        used_by=("evaluate",),
    ),
)
