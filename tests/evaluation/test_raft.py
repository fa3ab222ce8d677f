"""RAFT on random weights in the published layout, against flow that its authors' own code made of the same weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from platelight.errors import ModelError
from platelight_server.evaluation.metrics.frame import Frame
from platelight_server.evaluation.metrics.raft import WEIGHTS, Raft
from platelight_server.models.catalogue import card
from platelight_server.models.record import trust
from tests.evaluation.clips import frames, measured, texture, value

PARAMETERS = 5_257_536  # of the larger network, as Teed and Deng state it: 5.3 M
ROUNDING_PX = 2e-3  # what 20 steps make of rounding: the order of sums differs with torch's build and threads
# Of the authors' code (core/raft.py, 20 iterations, on `weights` and `pair`): x, y at every 40th pixel.
AUTHORS = [
    [(4.1447, -3.7223), (1.2934, -4.0061), (0.2104, -5.0788), (-1.3244, -3.4184)],
    [(4.8714, -9.8605), (2.7058, -17.7373), (0.2665, -18.774), (-3.8642, -3.1806)],
    [(5.4429, -7.4541), (2.2145, -16.816), (-2.6487, -19.937), (-2.3984, -6.7876)],
    [(1.2727, -4.4084), (-4.7964, -8.1249), (-4.4163, -3.6687), (-3.5198, 0.5374)],
]


def published() -> Iterator[str]:
    """The names in `raft-things.pth`: every norm of a strided block has two."""
    for network, norms in (("fnet", False), ("cnet", True)):
        layers = ["conv1", *(["norm1"] if norms else []), "conv2"]
        for layer, block in ((layer, block) for layer in (1, 2, 3) for block in (0, 1)):
            strided = layer > 1 and block == 0
            inside = ["conv1", "conv2", *(["downsample.0"] if strided else [])]
            if norms:
                inside += ["norm1", "norm2", *(["norm3", "downsample.1"] if strided else [])]
            layers += [f"layer{layer}.{block}.{name}" for name in inside]
        for name in layers:
            yield from (f"{network}.{name}.{kind}" for kind in ("weight", "bias"))
            if re.search(r"norm|downsample\.1", name):
                yield from (
                    f"{network}.{name}.{kind}" for kind in ("running_mean", "running_var", "num_batches_tracked")
                )
    parts = [f"encoder.{name}" for name in ("convc1", "convc2", "convf1", "convf2", "conv")]
    parts += [f"gru.conv{gate}{way}" for gate in "zrq" for way in "12"]
    parts += ["flow_head.conv1", "flow_head.conv2", "mask.0", "mask.2"]
    for name in parts:
        yield from (f"update_block.{name}.{kind}" for kind in ("weight", "bias"))


def weights() -> dict[str, torch.Tensor]:
    """Random tensors under the published names, the same on every machine."""
    rng = np.random.default_rng(11)
    shapes = {name: tuple(tensor.shape) for name, tensor in Raft().state_dict().items()}
    made: dict[str, torch.Tensor] = {}
    for name in sorted(set(published())):
        twin = re.sub(r"norm3", "downsample.1", name)
        shape = shapes[twin]
        if twin in made:
            made[name] = made[twin].clone()
        elif name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(7)
        elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            made[name] = torch.from_numpy(rng.uniform(0.5, 1.5, shape).astype(np.float32))
        else:
            fan = int(np.prod(shape[1:])) if len(shape) > 1 else 100
            small = 0.04 if "flow_head.conv2" in name else 1.0  # so that steps stay within the picture
            made[name] = torch.from_numpy((rng.standard_normal(shape) * small * (2 / fan) ** 0.5).astype(np.float32))
    return made


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two pictures (136, 128, 3), sRGB, the second moved and changed."""
    first, second = texture(0.0), texture(2.5, seed=3)
    return (np.concatenate([first, first[:40]]), np.concatenate([second, second[40:80]]) ** 1.3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the file."""
    folder = tmp_path_factory.mktemp("raft") / "raft-things"
    folder.mkdir()
    save_file({f"module.{name}": tensor for name, tensor in weights().items()}, folder / WEIGHTS)
    trust(card("raft-things"), folder)
    return folder.parent


@pytest.fixture(scope="module")
def network(root: Path) -> Raft:
    return Raft.from_folder(root / "raft-things")


def test_names_are_those_of_the_published_file(network: Raft) -> None:
    names = list(published())
    assert (len(names), len(set(names))) == (179, 179)
    assert {name for name in names if "norm3" not in name} == set(network.state_dict())
    assert sum(tensor.numel() for tensor in network.parameters()) == PARAMETERS


def test_flow_is_what_the_authors_code_says(network: Raft) -> None:
    flow = network.flow(*pair())
    assert flow.shape == (136, 128, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[::40, ::40], AUTHORS, rtol=0, atol=ROUNDING_PX)


def test_flow_is_the_same_every_time(network: Raft) -> None:
    first, second = (picture[:64, :72] for picture in pair())
    assert network.flow(first, second).tobytes() == network.flow(first, second).tobytes()


def test_borders_are_continued_to_multiples_of_eight(network: Raft) -> None:
    first, second = (np.ascontiguousarray(picture[:93, :75]) for picture in pair())
    wide = [np.pad(picture, ((1, 2), (2, 3), (0, 0)), mode="edge") for picture in (first, second)]
    np.testing.assert_array_equal(network.flow(first, second), network.flow(*wide)[1:94, 2:77])


def test_large_pictures_are_seen_smaller_and_answered_in_their_pixels(network: Raft, root: Path) -> None:
    class Small(Raft):
        most_px = 96

    first, second = (picture[:64, :96] for picture in pair())
    large = Small.from_folder(root / "raft-things").flow(*(one.repeat(2, 0).repeat(2, 1) for one in (first, second)))
    wanted = cv2.resize(2 * network.flow(first, second), (192, 128), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(large, wanted, atol=ROUNDING_PX)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: state.pop("module.fnet.conv1.bias"), "fnet.conv1.bias is missing"),
        (lambda state: state.update({"module.extra": torch.zeros(1)}), "extra is not known"),
        (
            lambda state: state.update({"module.fnet.conv1.bias": torch.zeros(3)}),
            r"fnet.conv1.bias is \(3,\), expected \(64,\)",
        ),
    ],
)
def test_foreign_weights_are_refused(
    spoil: Callable[[dict[str, torch.Tensor]], object], said: str, root: Path, tmp_path: Path
) -> None:
    state = load_file(root / "raft-things" / WEIGHTS)
    spoil(state)
    save_file(state, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match=rf"{WEIGHTS}: expected the \d+ tensors of Raft, but {said}"):
        Raft.from_folder(tmp_path)


def test_a_result_that_moves_as_its_reference_has_no_error(root: Path) -> None:
    def asked(result: Callable[[int, np.ndarray], np.ndarray], **more: np.ndarray | None) -> float:
        made = [cropped(frame) for frame in frames(result, step=1.5, **more)[:2]]
        return value(made, "motion_epe_raft_fg", roots=(root,))

    assert asked(lambda _, truth: truth) == 0
    assert asked(lambda at, _: texture(seed=30 + at)) > 0.1
    assert asked(lambda at, _: texture(at * 1.5), truth=None, plate=texture()) > 0.1  # the plate stands still


def cropped(frame: Frame) -> Frame:
    """The middle 64 pixels: a flow of it takes a quarter of a second."""
    parts = {name: getattr(frame, name) for name in ("result", "truth", "plate", "matte")}
    return replace(frame, **{name: x[16:80, 32:96] for name, x in parts.items() if x is not None})


def test_absent_weights_are_skipped_by_name(tmp_path: Path) -> None:
    report = measured(frames(lambda _, truth: truth), "motion_epe_raft_fg", roots=(tmp_path,))
    assert f"model raft-things: expected a folder raft-things in {tmp_path}" in report.skipped["motion_epe_raft_fg"]
