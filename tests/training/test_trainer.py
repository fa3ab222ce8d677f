"""Training learns, can be killed, goes on as if it had not been, and delivers what the engine loads."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from platelight.errors import InputError, ModelError, OutputError, RecipeError, ResourceError
from platelight_server.models.loading import load_file_checked
from platelight_server.models.video.expanded_files import load_expanded, read_about
from platelight_server.training import checkpoints
from platelight_server.training.config import TrainConfig
from platelight_server.training.network import TARGETS
from platelight_server.training.result import merge
from platelight_server.training.trainer import Trainer
from tests.job.test_faults import mounted
from tests.models import tiny
from tests.training.small import config

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
DROPOUT = {"dropout": 0.2}  # draws from torch's own generator: what a resumed run must restore


def train(settings: TrainConfig) -> tuple[Path, list[dict[str, Any]]]:
    """The result's folder, and what was told."""
    said: list[dict[str, Any]] = []
    return Trainer(settings, lambda one: said.append(dict(one))).run(), said


def losses(said: list[dict[str, Any]]) -> list[float]:
    return [one["loss"] for one in said if one["event"] == "step"]


def kept_weights(run: Path) -> dict[str, torch.Tensor]:
    newest = checkpoints.latest(run / "checkpoints")
    assert newest is not None
    return dict(checkpoints.read(newest).weights)


class OneBatch(Trainer):
    """Trains on the same levels and noise again and again."""

    def _drawn(self, number: int, shape: tuple[int, ...]) -> tuple[int, torch.Tensor]:
        return super()._drawn(number % 2, shape)


@pytest.mark.parametrize("generation", ["1.0", "1.5"])
def test_the_loss_falls_on_a_fixed_batch(
    base: Path, later_base: Path, dataset: Path, longer_dataset: Path, tmp_path: Path, generation: str
) -> None:
    later = generation == "1.5"
    given = (later_base, longer_dataset) if later else (base, dataset)
    settings = config(
        *given, tmp_path / "run", "deflicker", steps=30, batch=2, ema=0.0, data={"frames": 17 if later else 9},
        model={"method": "full"}, optimiser={"rate": 3e-3, "schedule": "constant"}, loss={"min_snr": 0.0},
    )  # fmt: skip
    said: list[dict[str, Any]] = []
    OneBatch(settings, lambda one: said.append(dict(one))).run()
    found = losses(said)
    assert sum(found[-3:]) < 0.6 * sum(found[:3])


def test_a_run_on_the_later_generation_goes_on_as_if_it_had_not_been_stopped(
    later_base: Path, longer_dataset: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"steps": 4, "checkpoint_every": 2, "model": DROPOUT, "data": {"frames": 17}}
    whole, said = train(config(later_base, longer_dataset, tmp_path / "whole", **settings))

    class Stopped(Exception):
        pass

    def stops(said: Mapping[str, Any]) -> None:
        if said["event"] == "step" and said["step"] == 3:
            raise Stopped

    stopped = config(later_base, longer_dataset, tmp_path / "stopped", **settings)
    with pytest.raises(Stopped):
        Trainer(stopped, stops).run()
    torch.randn(3)
    resumed, more = train(stopped)
    assert [one["step"] for one in more if one["event"] == "resumed"] == [2]
    assert losses(more) == losses(said)[2:]
    assert (resumed / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    # What is delivered is a network of 1.5 that its base's engine loads.
    assert load_expanded(resumed, later_base, torch.float32).transformer.config.patch_size_t == 2


@pytest.mark.parametrize("kind", ["deflicker", "harmonizer"])
def test_adapters_train_themselves_and_the_patch_embedding(
    base: Path, dataset: Path, tmp_path: Path, kind: str
) -> None:
    trainer = Trainer(config(base, dataset, tmp_path / "run", kind, steps=1, optimiser={"weight_decay": 0.0}))
    before = {name: weight.detach().clone() for name, weight in trainer._network.transformer.named_parameters()}
    trainer.run()
    changed = {name for name, weight in kept_weights(tmp_path / "run").items() if not torch.equal(weight, before[name])}
    trained = {name for name in before if name.startswith("patch_embed.proj.") or "lora_" in name}
    assert set(kept_weights(tmp_path / "run")) == trained
    # An adapter's second factor begins at zero, so the first has no gradient in the first step.
    assert changed == {name for name in trained if "lora_A" not in name}
    assert len([name for name in trained if "lora_A" in name]) == 2 * len(TARGETS)


def test_all_weights_train_where_asked_for(base: Path, dataset: Path, tmp_path: Path) -> None:
    folder, _ = train(config(base, dataset, tmp_path / "run", steps=1, model={"method": "full"}))
    result, published = load_file_checked(folder / WEIGHTS), {}
    for path in (base / "transformer").glob("*.safetensors"):
        published |= load_file_checked(path)
    assert set(result) == set(published)
    same = [
        name
        for name in result
        if name != "patch_embed.proj.weight" and torch.equal(result[name], published[name].float())
    ]
    assert [name for name in same if "text_proj" not in name and "norm" not in name] == []


def test_checkpointing_and_accumulation_change_no_bit_of_a_step(base: Path, dataset: Path, tmp_path: Path) -> None:
    plain, _ = train(config(base, dataset, tmp_path / "a", steps=2, accumulation=2))
    again, _ = train(config(base, dataset, tmp_path / "b", steps=2, accumulation=2, gradient_checkpointing=True))
    assert (plain / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()


@pytest.mark.slow  # another process loads the libraries
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(base: Path, dataset: Path, tmp_path: Path) -> None:
    settings = {
        "steps": 5,
        "checkpoint_every": 1,
        "accumulation": 2,
        "model": DROPOUT,
        "validation": {"every": 2, "clips": 1},
    }
    whole, _ = train(config(base, dataset, tmp_path / "whole", **settings))

    killed = config(base, dataset, tmp_path / "killed", **settings)
    document = tmp_path / "killed.toml"
    document.write_text(killed.to_toml(), "utf-8")
    command = [sys.executable, "-c", "import sys; from platelight_server.cli import main; sys.exit(main(sys.argv[1:]))"]
    process = subprocess.Popen(
        [*command, "train", "harmonizer", str(document)], stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    heard = []
    for line in process.stderr:
        heard.append(line)
        if line.startswith("step step=1"):
            _refused_meanwhile(process, killed)
        if line.startswith("step step=3"):  # before its checkpoint is written
            process.send_signal(signal.SIGKILL)
            break
    process.stderr.close()
    assert process.wait(30) == -signal.SIGKILL, "".join(heard)
    newest = checkpoints.latest(tmp_path / "killed" / "checkpoints")
    assert newest is not None
    reached = int(newest.name.removeprefix("step-"))
    assert 2 <= reached < 5

    torch.randn(3)  # another process has other generators
    resumed, said = train(killed)
    assert [one["step"] for one in said if one["event"] == "resumed"] == [reached]
    assert [one["step"] for one in said if one["event"] == "step"] == list(range(reached + 1, 6))
    assert (resumed / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    for name, weight in kept_weights(tmp_path / "whole").items():
        assert torch.equal(weight, kept_weights(tmp_path / "killed")[name]), name


def _refused_meanwhile(process: subprocess.Popen[str], settings: TrainConfig) -> None:
    """A second training in the folder of one that is alive: it stands still, so that it does not end meanwhile."""
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(ResourceError) as refused:
        train(settings)
    process.send_signal(signal.SIGCONT)
    assert str(refused.value) == (
        f"{settings.run}: expected a run that nobody else trains, it is being trained by process {process.pid} on "
        f"{socket.gethostname()}; wait for its end, or name another run"
    )


def test_a_full_disk_keeps_the_last_checkpoint_and_goes_on_when_there_is_room(
    base: Path, dataset: Path, tmp_path: Path
) -> None:
    settings = config(base, dataset, tmp_path / "whole", steps=6, checkpoint_every=2, keep=1)
    whole, _ = train(settings)
    size = sum(path.stat().st_size for path in (tmp_path / "whole" / "checkpoints").rglob("*") if path.is_file())
    with mounted(tmp_path / "disk", f"size={2 * size + 3_000_000}") as disk:
        here = replace(settings, run=str(disk / "run"))

        def fills(said: Any) -> None:
            if said["event"] == "checkpoint":
                (disk / "ballast").write_bytes(b"\0" * max(0, shutil.disk_usage(disk).free - size // 2))

        with pytest.raises(OutputError, match="no space left on the disk") as raised:
            Trainer(here, fills).run()
        assert "step-00000002, is whole" in str(raised.value)
        newest = checkpoints.latest(disk / "run" / "checkpoints")
        assert newest is not None
        assert checkpoints.read(newest).facts["step"] == 2
        (disk / "ballast").unlink()
        resumed, said = train(here)
        assert [one["step"] for one in said if one["event"] == "resumed"] == [2]
        assert (resumed / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_the_result_is_what_the_engine_loads_with_its_data_and_licences(
    base: Path, dataset: Path, tmp_path: Path
) -> None:
    folder, _ = train(config(base, dataset, tmp_path / "run", steps=2))
    about = read_about(folder)
    assert (about.kind, about.steps, about.base) == ("harmonizer", 2, "tiny-5b")
    assert [(one.licence, one.commercial) for one in about.data] == [("CC0", True)]
    assert "rank 4" in about.note
    assert "made by a test" in (folder / "README.md").read_text("utf-8")
    backbone = load_expanded(folder, base, torch.float32)
    assert backbone.transformer.config.in_channels == 64
    first = load_file_checked(folder / WEIGHTS)["patch_embed.proj.weight"]
    assert bool((first[:, 16:] != 0).any())


def test_the_running_mean_is_delivered(base: Path, dataset: Path, tmp_path: Path) -> None:
    folder, _ = train(config(base, dataset, tmp_path / "run", steps=3))
    newest = checkpoints.latest(tmp_path / "run" / "checkpoints")
    assert newest is not None
    kept, name = checkpoints.read(newest), "patch_embed.proj.weight"
    assert torch.equal(load_file_checked(folder / WEIGHTS)[name], kept.ema[name])
    assert not torch.equal(kept.ema[name], kept.weights[name])


def test_adapters_merge_to_the_merged_result(base: Path, dataset: Path, tmp_path: Path) -> None:
    merged, _ = train(config(base, dataset, tmp_path / "a", steps=2, precision="bfloat16"))
    adapter, _ = train(config(base, dataset, tmp_path / "b", steps=2, precision="bfloat16", export="lora"))
    assert adapter.name == "adapter"
    folder = merge(adapter, base, tmp_path / "merged")
    assert (folder / WEIGHTS).read_bytes() == (merged / WEIGHTS).read_bytes()
    other = tiny.cogvideox(tmp_path / "other", "2b", layers=2, text_tokens=16)
    with pytest.raises(ModelError, match="expected the base that it was trained on, tiny-5b"):
        merge(adapter, other, tmp_path / "wrong")


def test_validation_leaves_pictures_numbers_and_logs(base: Path, dataset: Path, tmp_path: Path) -> None:
    _, said = train(config(base, dataset, tmp_path / "run", steps=2, validation={"every": 1, "clips": 1}))
    found = [one for one in said if one["event"] == "validation"]
    assert [one["step"] for one in found] == [1, 1, 2, 2]
    assert all(one["psnr_disp_fg"] > 0 and one["shown_psnr_disp_fg"] > 20 for one in found)
    assert all(one["flicker_mEV"] >= 0 for one in found)
    pictures = sorted(path.name for path in (tmp_path / "run" / "validation" / "step-00000002").iterdir())
    assert pictures == ["clip1-real-to-synthetic.png", "clip1-synthetic-to-real.png"]
    assert list((tmp_path / "run" / "logs").glob("events.out.tfevents.*"))


def test_a_run_goes_on_from_a_checkpoint_of_ours_alone(base: Path, dataset: Path, tmp_path: Path) -> None:
    first, _ = train(config(base, dataset, tmp_path / "a", "deflicker", steps=1))
    started = config(base, dataset, tmp_path / "b", "deflicker", steps=1, model={"start": str(first)})
    train(started)
    with pytest.raises(ModelError, match="expected a harmonizer, got a deflicker"):
        train(config(base, dataset, tmp_path / "c", steps=1, model={"start": str(first)}))
    other = tiny.cogvideox(tmp_path / "other", "2b", layers=2, text_tokens=16)
    with pytest.raises(ModelError, match="it was trained on tiny-5b"):
        train(config(other, dataset, tmp_path / "d", "deflicker", steps=1, model={"start": str(first)}))
    with pytest.raises(ModelError, match="expected platelight.json"):
        train(config(base, dataset, tmp_path / "e", "deflicker", steps=1, model={"start": str(base)}))


def test_a_run_of_another_configuration_or_data_is_not_gone_on_with(base: Path, dataset: Path, tmp_path: Path) -> None:
    train(config(base, dataset, tmp_path / "run", steps=1))
    with pytest.raises(RecipeError, match="optimiser.rate: expected 0.001, as the run in .* began"):
        train(config(base, dataset, tmp_path / "run", steps=2, optimiser={"rate": 0.5}))
    more = shutil.copytree(dataset, tmp_path / "more")
    text = (more / "manifest.json").read_text("utf-8")
    (more / "manifest.json").write_text(text.replace('"clip1"', '"clip9"', 1), "utf-8")
    with pytest.raises(InputError, match="its data have changed"):
        train(config(base, more, tmp_path / "run", steps=2, data={"folders": [str(more)]}))
    _, said = train(config(base, dataset, tmp_path / "run", steps=3))
    assert [one["step"] for one in said if one["event"] == "step"] == [2, 3]


def test_a_base_that_is_none_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a folder in diffusers' layout, found none"):
        train(config(tmp_path / "nothing", dataset, tmp_path / "run"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"height": 40}, "data.height: expected a multiple of 16 for tiny-5b, got 40"),
        ({"frames": 8}, r"data.frames: expected 8n \+ 1 frames, at most 49, for tiny-5b, got 8"),
        ({"frames": 57, "short": "hold"}, r"data.frames: expected 8n \+ 1 frames, at most 49"),
    ],
)
def test_a_size_that_the_base_does_not_take_is_refused(
    base: Path, dataset: Path, tmp_path: Path, data: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        train(config(base, dataset, tmp_path / "run", data=data))


def test_the_other_generation_trains_as_well(dataset: Path, tmp_path: Path) -> None:
    old = tiny.cogvideox(tmp_path / "tiny-2b", "2b", layers=1, text_tokens=16)
    _, said = train(config(old, dataset, tmp_path / "run", steps=1, precision="bfloat16"))
    assert losses(said)[0] > 0


def test_eight_bits_say_what_they_need(base: Path, dataset: Path, tmp_path: Path) -> None:
    from platelight.errors import PlatelightError

    with pytest.raises(PlatelightError, match="bitsandbytes|on a GPU"):
        train(config(base, dataset, tmp_path / "run", optimiser={"name": "adamw8bit"}))
