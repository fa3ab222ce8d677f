"""Tiny checkpoints of both networks, made once per run, beside those that they stand on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.expanded import KINDS, widen
from platelight_server.models.video.expanded_files import About, save
from tests.models.conftest import one_thread, own_home

__all__ = ["harmovid_models", "one_thread", "own_home", "trained_folder"]

STRENGTH = 0.2  # of the weights that stand for a training: conditions show in the answer


@pytest.fixture(scope="session")
def trained_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """harmovid-harmonizer and harmovid-deflicker on the tiny cogvideox-2b, and harmovid-untrained; not written to."""
    root = tmp_path_factory.mktemp("harmovid")
    base = tiny_folder / "cogvideox-2b"
    for kind in KINDS:
        transformer = CogVideoX.from_folder(base, torch.float32).transformer
        widen(transformer, kind)
        if kind == "harmonizer":
            save(root / "harmovid-untrained", transformer, About.of(kind, base, 0))
        torch.manual_seed(7)
        with torch.no_grad():
            weight = transformer.patch_embed.proj.weight
            weight.add_(STRENGTH * torch.randn_like(weight))
        save(root / f"harmovid-{kind}", transformer, About.of(kind, base, 1200))
    return root


@pytest.fixture
def harmovid_models(tiny_folder: Path, trained_folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both folders in $PLATELIGHT_MODELS, here and in processes that the test starts."""
    monkeypatch.setenv("PLATELIGHT_MODELS", os.pathsep.join((str(tiny_folder), str(trained_folder))))
    return trained_folder
