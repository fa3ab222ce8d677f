"""How models are held in memory, from all on the device down to a block at a time: which rung a run needs (pure).

    resident       every network stays on the device
    text-freed     the text encoder is alone on the device while it is used, and off it otherwise
    stagewise      only the networks of the running stage are on the device
    group-offload  the large networks are streamed through it, a layer ahead of the computation
    fp8            the same, and the denoising networks are stored in 8 bits (float8 e4m3), computed as before

The first four give the same pixels. The last rounds weights, so it is part of what a frame's hash knows, and no run
slides into it: it is chosen before work starts, where the user allows it.

Tiling of the codec changes pixels as well. It is decided once, from what the device can hold with every network off it,
and stays when a run steps down; a tiled and a whole answer are never mixed. Slicing is no choice here: it splits a
batch, and a window is a batch of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from platelight.errors import ResourceError

__all__ = [
    "FP8", "LADDER", "SAME_PIXELS", "Kind", "Network", "Plan", "Rung", "Stage", "choose", "is_streamed", "peak_bytes",
    "rung", "together",
]  # fmt: skip

# "text" is used before all else, "denoiser" is the large one of a stage, "codec" is small and has large activations.
Kind = Literal["text", "denoiser", "codec", "other"]


@dataclass(frozen=True)
class Rung:
    """One way to hold the networks. `changes_pixels`: against the rungs without it."""

    name: str
    says: str
    changes_pixels: bool = False


LADDER = (
    Rung("resident", "every model stays in the device's memory"),
    Rung("text-freed", "the text encoder leaves the device's memory after use"),
    Rung("stagewise", "only the models of the running stage are in the device's memory"),
    Rung("group-offload", "large models are streamed through the device's memory"),
    Rung("fp8", "large models are streamed, and the denoising ones stored in 8 bits", changes_pixels=True),
)
FP8 = LADDER[-1]
SAME_PIXELS = LADDER[:-1]
STREAMED: tuple[Kind, ...] = ("text", "denoiser")


@dataclass(frozen=True)
class Network:
    """A network's size in memory. `largest_layer_bytes` is what has to be there at once when it is streamed."""

    bytes: int
    kind: Kind = "other"
    largest_layer_bytes: int = 0


@dataclass(frozen=True)
class Stage:
    """A part of the work: which networks it uses at once, and what it computes with beside them.

    `tiled_bytes` is the same with the codec tiled; None where the stage has no codec.
    """

    name: str
    networks: tuple[str, ...]
    working_bytes: int
    tiled_bytes: int | None = None


@dataclass(frozen=True)
class Plan:
    """The rung a run starts on. `text` is for the estimate."""

    rung: Rung
    tiled: bool
    peak_bytes: int
    text: str


def rung(name: str) -> Rung:
    """The rung called `name`. Raises ValueError."""
    found = {one.name: one for one in LADDER}
    if name not in found:
        raise ValueError(f"expected one of {', '.join(found)}, got {name!r}")
    return found[name]


def choose(
    networks: Mapping[str, Network],
    stages: Sequence[Stage],
    free_bytes: int | None,
    *,
    tiled: bool | None = None,
    allow_fp8: bool = False,
) -> Plan:
    """The first rung whose peak fits into `free_bytes` of the device; None: a CPU, which holds everything.

    `tiled` says whether the codec is tiled; None lets the device decide, whole where that fits. Raises `ResourceError`.
    """
    if free_bytes is None:
        return _plan(LADDER[0], bool(tiled), networks, stages)
    if tiled is None:
        tiled = peak_bytes(networks, stages, SAME_PIXELS[-1], False) > free_bytes and _can_tile(stages)
    for candidate in LADDER if allow_fp8 else SAME_PIXELS:
        if peak_bytes(networks, stages, candidate, tiled) <= free_bytes:
            return _plan(candidate, tiled, networks, stages)
    least = peak_bytes(networks, stages, (LADDER if allow_fp8 else SAME_PIXELS)[-1], tiled)
    raise ResourceError(
        f"device: expected {_gib(least)} of free memory{' (pictures coded in tiles)' if tiled else ''}, got "
        f"{_gib(free_bytes)}; use a larger device or a smaller size"
    )


def peak_bytes(networks: Mapping[str, Network], stages: Sequence[Stage], on: Rung, tiled: bool) -> int:
    """The most that is in the device's memory at once on a rung."""
    return max((_stage_bytes(networks, stage, on, tiled) for stage in stages), default=0)


def together(networks: Mapping[str, Kind], used: frozenset[str], on: Rung) -> frozenset[str]:
    """Which networks are on the device (whole or streamed) while those of `used` are in use."""
    if on.name == "resident":
        return frozenset(networks)
    text = frozenset(name for name, kind in networks.items() if kind == "text")
    if on.name == "text-freed" and not used & text:
        return frozenset(networks) - text
    return used


def is_streamed(kind: Kind, on: Rung) -> bool:
    """Whether networks of a kind are streamed on a rung."""
    return on.name in ("group-offload", "fp8") and kind in STREAMED


def _stage_bytes(networks: Mapping[str, Network], stage: Stage, on: Rung, tiled: bool) -> int:
    kinds = {name: network.kind for name, network in networks.items()}
    there = together(kinds, frozenset(stage.networks), on)
    working = stage.tiled_bytes if tiled and stage.tiled_bytes is not None else stage.working_bytes
    return working + sum(_network_bytes(networks[name], on) for name in there)


def _network_bytes(network: Network, on: Rung) -> int:
    if not is_streamed(network.kind, on):
        return network.bytes
    # Two layers: the one that computes, and the next one on its way. Their 8-bit copies are brought back to 16.
    return 2 * (network.largest_layer_bytes or network.bytes // 8)


def _can_tile(stages: Sequence[Stage]) -> bool:
    return any(stage.tiled_bytes is not None for stage in stages)


def _plan(on: Rung, tiled: bool, networks: Mapping[str, Network], stages: Sequence[Stage]) -> Plan:
    peak = peak_bytes(networks, stages, on, tiled)
    tiles = "; pictures are coded in tiles" if tiled else ""
    changed = "; pixels differ a little from those of a larger device" if on.changes_pixels else ""
    return Plan(on, tiled, peak, f"{on.says}{tiles}{changed}; at most {_gib(peak)}")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
