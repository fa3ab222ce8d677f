"""A latent that is read is the one that was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from platelight_server.models.video.expanded import channels_of
from platelight_server.training.latents import LatentCache
from platelight_server.training.network import Network, open_network
from platelight_server.training.samples import items_of
from tests.training.small import FRAMES, HEIGHT, WIDTH, config


@pytest.fixture(scope="module")
def network(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Network:
    torch.set_num_threads(1)
    return open_network(config(base, base, base, model={"rank": 2}), "harmonizer", torch.device("cpu"))


def cache_of(folder: Path, base: Path, dataset: Path, seed: int = 0, **changed: object) -> LatentCache:
    settings = config(base, dataset, dataset / "run", **changed)
    return LatentCache(folder, "codec", "harmonizer", settings.data, settings.masks, seed)


def test_a_hit_has_the_bits_of_the_miss(network: Network, base: Path, dataset: Path, tmp_path: Path) -> None:
    for item in items_of(config(base, dataset, dataset / "run"))[0]:
        cache = cache_of(tmp_path, base, dataset)
        assert cache.read(item) is None
        made = cache.make(item, network.backbone)
        read = cache.read(item)
        assert read is not None
        assert torch.equal(read.target, made.target)
        assert torch.equal(read.condition, made.condition)
        assert made.target.shape == (1 + (FRAMES - 1) // 4, 16, HEIGHT // 8, WIDTH // 8)
        assert made.condition.shape[1] == channels_of("harmonizer", 16) - 16


def test_a_damaged_file_is_made_again(network: Network, base: Path, dataset: Path, tmp_path: Path) -> None:
    item = items_of(config(base, dataset, dataset / "run"))[0][0]
    cache = cache_of(tmp_path, base, dataset)
    made = cache.make(item, network.backbone)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    assert cache.read(item) is None
    assert torch.equal(cache.make(item, network.backbone).target, made.target)


def test_names_depend_on_what_the_numbers_depend_on(base: Path, dataset: Path, tmp_path: Path) -> None:
    hard, soft = items_of(config(base, dataset, dataset / "run"))[0][:2]
    assert (hard.path, soft.path) == ("real-to-synthetic", "synthetic-to-real")
    plain = cache_of(tmp_path, base, dataset)
    changed = hard.clip.roles | {"relit": replace(hard.clip.roles["relit"], sha256="0" * 64)}
    others = [
        plain.key(soft),
        plain.key(replace(hard, clip=replace(hard.clip, roles=changed))),
        cache_of(tmp_path, base, dataset, data={"height": 64}).key(hard),
        cache_of(tmp_path, base, dataset, data={"encoding": "srgb"}).key(hard),
        LatentCache(
            tmp_path,
            "another",
            "harmonizer",
            config(base, dataset, tmp_path).data,
            config(base, dataset, tmp_path).masks,
            0,
        ).key(hard),
    ]
    assert plain.key(hard) not in others
    assert len(set(others)) == len(others)
    assert cache_of(tmp_path, base, dataset, seed=1).key(hard) == plain.key(hard)  # a binary mask is not drawn
    assert cache_of(tmp_path, base, dataset, seed=1).key(soft) != plain.key(soft)
