"""Keeps networks where the ladder says (ladder.py), and steps down when a device runs out of memory.

On a CPU the ladder is walked as elsewhere and moves nothing. Streaming and 8-bit storage are diffusers' hooks, which
work on any torch module; `release` takes the streaming off again.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from diffusers.hooks import HookRegistry, apply_group_offloading, apply_layerwise_casting
from torch import nn

from platelight.errors import ResourceError

from .ladder import FP8, LADDER, Kind, Network, Rung, is_streamed, rung, together

__all__ = ["Residency", "free_device_bytes", "network_of", "retrying"]

Result = TypeVar("Result")
STORED = torch.float8_e4m3fn
_HOST = torch.device("cpu")
_HOOKS = ("group_offloading", "layer_execution_tracker", "lazy_prefetch_group_offloading")


class Residency:
    """The networks of a run, by name, on the host until they are used.

    `use` brings those named to the device and takes away what the rung does not let stay beside them. It can be nested:
    what an outer `use` holds stays.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        kinds: Mapping[str, Kind],
        device: torch.device | str,
        start: Rung | str = "resident",
    ) -> None:
        self._networks, self.device = dict(networks), torch.device(device)
        self._kinds: dict[str, Kind] = {name: kinds.get(name, "other") for name in self._networks}
        self._rung = rung(start) if isinstance(start, str) else start
        self._there: set[str] = set()  # moved to the device, whole
        self._streamed: set[str] = set()
        self._stored: set[str] = set()  # in 8 bits
        self._held: Counter[str] = Counter()

    @property
    def rung(self) -> Rung:
        """The rung the run is on."""
        return self._rung

    @property
    def on_device(self) -> frozenset[str]:
        """The networks that are on the device whole, or streamed through it when they are called."""
        return frozenset(self._there | self._streamed)

    @contextmanager
    def use(self, *names: str) -> Iterator[None]:
        """While this lasts the networks called `names` can be called with tensors on the device. Raises ValueError."""
        unknown = sorted(set(names) - set(self._networks))
        if unknown:
            raise ValueError(f"expected one of {', '.join(self._networks) or 'no network'}, got {', '.join(unknown)}")
        self._held.update(names)
        try:
            self._arrange(frozenset(self._held))
            yield
        finally:
            self._held -= Counter(names)

    def free(self, name: str) -> None:
        """Lets go of a network: it is off the device, and the caller's own reference is the last one."""
        module = self._networks.pop(name)
        self._kinds.pop(name)
        self._take_away(name, module)
        self._stored.discard(name)
        _collect()

    def step_down(self) -> Rung:
        """Goes one rung down, with everything off the device. Raises `ResourceError` on the last that keeps pixels.

        A run on 8 bits was started there; no run slides into it.
        """
        following = LADDER[LADDER.index(self._rung) + 1 :]
        if not following or following[0].changes_pixels:
            hint = "" if self._rung is FP8 else "; start with 8-bit storage (it changes pixels a little),"
            raise ResourceError(
                f"{self.device}: out of memory although {self._rung.says}{hint or ';'} use a smaller size, or a device "
                "with more memory"
            )
        self._all_away()
        _collect()
        self._rung = following[0]
        return self._rung

    def release(self) -> None:
        """Takes everything off the device and the streaming off the networks. Those stored in 8 bits stay so: their
        precision is lost, and only loading them anew brings it back."""
        self._all_away()

    def _arrange(self, used: frozenset[str]) -> None:
        wanted = together(self._kinds, used & frozenset(self._networks), self._rung)
        for name in sorted(self._there - wanted):  # what is streamed holds nothing on the device between its calls
            self._take_away(name, self._networks[name])
        for name in sorted(wanted - self.on_device):
            self._bring(name)

    def _bring(self, name: str) -> None:
        module, kind = self._networks[name], self._kinds[name]
        if self._rung is FP8 and kind == "denoiser" and name not in self._stored:
            _store_in_8_bits(module)
            self._stored.add(name)
        # Noted before it is done: a move that fails half-way leaves tensors there, which have to be taken away.
        if is_streamed(kind, self._rung):
            self._streamed.add(name)
            _stream(module, self.device)
        else:
            self._there.add(name)
            module.to(self.device)

    def _take_away(self, name: str, module: nn.Module) -> None:
        if name in self._streamed:
            _stop_streaming(module)
            self._streamed.discard(name)
        if name in self._there:
            module.to(_HOST)
            self._there.discard(name)

    def _all_away(self) -> None:
        for name in sorted(self.on_device):
            self._take_away(name, self._networks[name])


def retrying(
    residency: Residency, work: Callable[[], Result], told: Callable[[Rung], None] = lambda rung: None
) -> Result:
    """`work()`, again from its beginning on the next rung whenever the device runs out of memory.

    `work` must start anew each time: nothing that it made before counts. `told` hears of each step down. Raises
    `ResourceError` when there is no further rung.
    """
    while True:
        try:
            return work()
        except torch.OutOfMemoryError:
            pass  # outside the handler, where its traceback no longer holds the tensors that filled the device
        told(residency.step_down())


def network_of(module: nn.Module, kind: Kind) -> Network:
    """What the ladder needs to know of a network; also of one on torch's meta device."""
    own = [_bytes(tensor) for tensor in (*module.parameters(), *module.buffers())]
    layers = [
        sum(_bytes(tensor) for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)))
        for part in module.modules()
    ]
    return Network(sum(own), kind, max(layers, default=0))


def free_device_bytes(device: torch.device | str) -> int | None:
    """What a device has left for a run; None for a CPU, whose memory the system stretches."""
    where = torch.device(device)
    if where.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(where)
    return free + torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _stream(module: nn.Module, device: torch.device) -> None:
    apply_group_offloading(
        module,
        onload_device=device,
        offload_device=_HOST,
        offload_type="leaf_level",
        use_stream=device.type == "cuda",  # the next layer travels while this one computes
    )


def _stop_streaming(module: nn.Module) -> None:
    for hook in _HOOKS:
        HookRegistry.check_if_exists_or_initialize(module).remove_hook(hook, recurse=True)


def _store_in_8_bits(module: nn.Module) -> None:
    # A network of diffusers names the layers that must keep their precision (embeddings, norms); others have defaults.
    enable = getattr(module, "enable_layerwise_casting", None)
    dtype = next(module.parameters()).dtype
    if enable is not None:
        enable(storage_dtype=STORED, compute_dtype=dtype)
    else:
        apply_layerwise_casting(module, storage_dtype=STORED, compute_dtype=dtype)


def _collect() -> None:
    """Gives back what nothing refers to any more; a failed computation leaves cycles that hold tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
