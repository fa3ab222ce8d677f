"""The loop: latents to noisy latents to velocities to changed weights, with everything that lets it be killed.

Nothing that is learnt depends on when a process began: samples, timesteps and noise are functions of the seed and the
sample's number, the rate is one of the step's; the optimiser, the running mean and the libraries' generators are kept
in checkpoints. So a run that goes on equals one that was never stopped, bit for bit on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from diffusers.training_utils import EMAModel
from torch import nn

from platelight.document import encode
from platelight.errors import InputError
from platelight_server.models.video.expanded import Kind
from platelight_server.models.video.expanded_files import foundation
from platelight_server.training import checkpoints
from platelight_server.training.claim import claimed
from platelight_server.training.config import TrainConfig, same_run
from platelight_server.training.latents import LatentCache, Latents
from platelight_server.training.logs import Logs
from platelight_server.training.manifest import hash_text
from platelight_server.training.network import Network, answer, open_network
from platelight_server.training.objective import Objective
from platelight_server.training.rates import optimiser_of, rate_at
from platelight_server.training.result import deliver
from platelight_server.training.samples import Item, Sampler, items_of
from platelight_server.training.validation import validate
from platelight_server.training.weights import Weights

__all__ = ["Told", "Trainer"]

Told = Callable[[Mapping[str, Any]], None]


class Trainer:
    """One run. `told` hears of steps, checkpoints, validations, and of what is prepared, as plain tables."""

    def __init__(self, config: TrainConfig, told: Told = lambda said: None) -> None:
        self.config = config
        self.kind = cast(Kind, config.kind)
        self.run_folder = Path(config.run)
        self._train_items, self._held_items = items_of(config)
        self._accelerator = Accelerator(cpu=config.device == "cpu", gradient_accumulation_steps=config.accumulation)
        self.leads = self._accelerator.is_main_process  # of several processes the one that tells and writes
        self.told: Told = told if self.leads else lambda said: None
        self._sampler = Sampler(self._train_items, config.kind, config.seed)
        self._step = 0

    @cached_property
    def _network(self) -> Network:
        """Opened when it is first asked for, which takes minutes and memory: by then the run's folder is ours."""
        torch.manual_seed(self.config.seed)  # adapters are drawn from it
        return open_network(self.config, self.kind, self._accelerator.device)

    @cached_property
    def _objective(self) -> Objective:
        return Objective(self._network.scheduler, self.config.loss.min_snr)

    @cached_property
    def _cache(self) -> LatentCache:
        config = self.config
        precision = f"{config.precision}{'/tiles' if config.data.tiles else ''}"
        return LatentCache(
            Path(str(config.data.latents)),
            f"{foundation(self._network.base)}/{precision}",
            self.kind,
            config.data,
            config.masks,
            config.seed,
        )

    def run(self) -> Path:
        """Trains to the last step, from the newest checkpoint where there is one; returns the result's folder.

        Raises RecipeError where the run was begun otherwise, ModelError for a damaged checkpoint, OutputError where the
        disk is full, ResourceError where another process trains in this folder, and what reading clips raises.
        """
        with claimed(self.run_folder) if self.leads else nullcontext():
            return self._run()

    def _run(self) -> Path:
        before = checkpoints.latest(self.run_folder / "checkpoints")
        kept = checkpoints.read(before, self._accelerator.process_index) if before else None
        if before and kept:
            self._require_same(before, kept.facts)
        self._prepare_latents()
        transformer, weights = self._begin()
        if before and kept:
            self._go_on(before, kept, weights)
        with Logs(self.run_folder / "logs", self._step, self.leads) as logs:
            while self._step < self.config.steps:
                self._one_step(transformer, weights, logs)
            self._validate(weights, logs, last=True)
        self._accelerator.wait_for_everyone()
        with weights.averaged():
            return deliver(self._network, self.config, self._step, self._train_items, self.leads)

    def _prepare_latents(self) -> None:
        """Encodes what is not in the cache yet, each process its share."""
        items = [*self._train_items, *self._held_items]
        absent = [item for item in items if not self._cache.holds(item)]
        mine = absent[self._accelerator.process_index :: self._accelerator.num_processes]
        for done, item in enumerate(mine):
            self.told({"event": "latents", "done": done, "of": len(mine), "clip": item.clip.name})
            self._cache.make(item, self._network.backbone)
        self._accelerator.wait_for_everyone()

    def _begin(self) -> tuple[nn.Module, Weights]:
        config, network = self.config, self._network
        network.transformer.to(self._accelerator.device).train()
        if config.gradient_checkpointing:
            network.transformer.enable_gradient_checkpointing()
        named = network.trained()
        if any(weight.dtype != torch.float32 for weight in named.values()):
            raise AssertionError("trained weights are float32")
        optimiser = optimiser_of(config.optimiser, list(named.values()), self._accelerator.device)
        transformer, optimiser = self._accelerator.prepare(network.transformer, optimiser)
        ema = EMAModel(named.values(), decay=config.ema) if config.ema else None
        return transformer, Weights(named, optimiser, ema)

    def _one_step(self, transformer: nn.Module, weights: Weights, logs: Logs) -> None:
        """One change of the weights, from `accumulation` batches."""
        config, began, losses = self.config, time.monotonic(), []
        rate = rate_at(self._step, config.steps, config.optimiser)
        for group in weights.optimiser.param_groups:
            group["lr"] = rate
        norm = torch.zeros(())
        for part in range(config.accumulation):
            with self._accelerator.accumulate(transformer):
                loss = self._loss(transformer, part)
                self._accelerator.backward(loss)
                if self._accelerator.sync_gradients and config.optimiser.clip_norm:
                    norm = self._accelerator.clip_grad_norm_(weights.values, config.optimiser.clip_norm)
                weights.optimiser.step()
                weights.optimiser.zero_grad()
            losses.append(loss.detach())
        if weights.ema is not None:
            weights.ema.step(weights.values)
        self._step += 1
        figures = {
            "loss": float(self._accelerator.gather(torch.stack(losses)).mean()),
            "rate": rate,
            "norm": float(norm),
        }
        if not all(map(_is_finite, figures.values())):
            raise InputError(
                f"step {self._step}: the loss is no longer finite; lower optimiser.rate; "
                "the last checkpoint is as it was"
            )
        if self._step % config.log_every == 0 or self._step == config.steps:
            logs.figures("train", figures, self._step)
            self.told(
                {
                    "event": "step",
                    "step": self._step,
                    "of": config.steps,
                    **figures,
                    "seconds": time.monotonic() - began,
                }
            )
        if self._step % config.checkpoint_every == 0 or self._step == config.steps:
            self._keep(weights)
        self._validate(weights, logs)

    def _loss(self, transformer: nn.Module, part: int) -> torch.Tensor:
        """The loss of one batch; which samples it has is a matter of step, part and process alone."""
        accelerator, config = self._accelerator, self.config
        batch = (self._step * config.accumulation + part) * accelerator.num_processes + accelerator.process_index
        numbers = range(batch * config.batch, (batch + 1) * config.batch)
        latents = [self._latents(self._sampler.item(number)) for number in numbers]
        clean = torch.stack([one.target for one in latents])
        drawn = [self._drawn(number, clean.shape[1:]) for number in numbers]
        timesteps = torch.tensor([timestep for timestep, _ in drawn])
        noise = torch.stack([one for _, one in drawn])
        device = accelerator.device
        noisy = self._objective.noisy(clean, noise, timesteps).to(device)
        wanted = self._objective.velocity(clean, noise, timesteps).to(device)
        shown = torch.stack([one.condition for one in latents]).to(device)
        with self._arithmetic():
            said = answer(
                transformer,
                self._network.transformer.config,
                noisy,
                shown,
                timesteps.to(device),
                self._network.text.to(device),
            )
        return self._objective.loss(said, wanted, timesteps)

    def _latents(self, item: Item) -> Latents:
        return self._cache.read(item) or self._cache.make(item, self._network.backbone)

    def _drawn(self, number: int, shape: tuple[int, ...]) -> tuple[int, torch.Tensor]:
        key = int(hash_text(["noise", self.config.seed, number])[:15], 16)
        return self._objective.draw(torch.Generator().manual_seed(key), tuple(shape))

    def _arithmetic(self) -> AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self._accelerator.device.type, torch.bfloat16)

    def _keep(self, weights: Weights) -> None:
        """A checkpoint; written by the first process, with the random states of all."""
        states = gather_object([checkpoints.random_state()])
        if self.leads:
            self._write(weights, states)
        self._accelerator.wait_for_everyone()

    def _write(self, weights: Weights, states: list[Any]) -> None:
        facts = {
            "step": self._step,
            "processes": self._accelerator.num_processes,
            "data": self._data_key(),
            "config": encode(self.config),
        }
        kept = weights.kept(facts, states[0])
        others = dict(enumerate(states[1:], 1))
        path = checkpoints.write(self.run_folder / "checkpoints", kept, self.config.keep, others)
        self.told({"event": "checkpoint", "step": self._step, "path": str(path)})

    def _go_on(self, path: Path, kept: checkpoints.Checkpoint, weights: Weights) -> None:
        weights.restore(kept, path)
        self._step = int(kept.facts["step"])
        self.told({"event": "resumed", "step": self._step, "path": str(path)})

    def _require_same(self, path: Path, facts: Mapping[str, Any]) -> None:
        same_run(facts["config"], self.config, self.run_folder)
        if facts["data"] != self._data_key():
            raise InputError(
                f"{path}: expected the clips that the run began with; its data have changed: name another run"
            )
        if facts["processes"] != self._accelerator.num_processes:
            raise InputError(
                f"{path}: expected {facts['processes']} processes, as the run began, "
                f"got {self._accelerator.num_processes}"
            )

    def _data_key(self) -> str:
        return hash_text([self._cache.key(item) for item in self._train_items])

    def _validate(self, weights: Weights, logs: Logs, last: bool = False) -> None:
        every = self.config.validation.every
        due = last or (every and self._step % every == 0 and self._step < self.config.steps)
        if not due or not self._held_items or not self.leads:
            return
        folder = self.run_folder / "validation" / f"step-{self._step:08d}"
        items = [(item, self._latents(item)) for item in self._held_items]
        self._network.transformer.eval()
        with weights.averaged(), self._arithmetic():
            found = validate(self._network.backbone, self._network.text, items, self.config, folder)
        self._network.transformer.train()
        for one in found:
            logs.figures(f"validation/{one.name}", one.figures, self._step)
            logs.picture(f"validation/{one.name}", folder / f"{one.name}.png", self._step)
            self.told({"event": "validation", "step": self._step, "clip": one.name, **one.figures, "path": str(folder)})


def _is_finite(value: float) -> bool:
    return value - value == 0
