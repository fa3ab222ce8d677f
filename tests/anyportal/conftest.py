"""Tiny models of every kind the engine knows, in published layouts, and one thread for torch, as in a job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def all_models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the tiny checkpoints and those of the branches, each recorded as it is."""
    from platelight_server.models.catalogue import card
    from platelight_server.models.record import trust
    from tests.anyportal.background.tiny_das import diffusion_as_shader
    from tests.anyportal.tiny_edges import edge_controlnet, hed

    root = tmp_path_factory.mktemp("models")
    for folder in tiny_folder.iterdir():
        shutil.copytree(folder, root / folder.name)
    diffusion_as_shader(root / "diffusion-as-shader")
    edge_controlnet(root / "cogvideox-2b-controlnet-hed")
    edge_controlnet(root / "cogvideox-2b-controlnet-canny")
    hed(root / "hed-annotator")
    for folder in root.iterdir():
        trust(card(folder.name), folder)
    return root


@pytest.fixture
def models(all_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder above as the only one that is looked through, and a home that is not the user's own."""
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLATELIGHT_MODELS", str(all_models))
    return all_models
