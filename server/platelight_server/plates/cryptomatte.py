"""Mattes out of a Cryptomatte: the coverage of objects named in the recipe, summed over all ranks.

Follows the Cryptomatte specification 1.2 (Friedman and Jones, Psyop 2015): metadata `cryptomatte/<id>/...` in any
part's header names a layer; its channels LAYER00.r,g,b,a, LAYER01... hold pairs of id and coverage, the ids as the
bits of float32. The names ride through the program as one pseudo channel of the file (`channel_for`), which
`picture_io.read` decodes. Refused by name: ids that a compression or half floats have cut, and names that no file's
manifest has.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from platelight.errors import ForbiddenPathError, FrameError

from . import exr, fence
from .picture import Picture, PictureInfo

PREFIX = "cryptomatte:"
HASH, CONVERSION = "MurmurHash3_32", "uint32_to_float32"
ATTRIBUTE = re.compile(r"cryptomatte/([^/]+)/(name|hash|conversion|manifest|manif_file)")
LETTERS = {"r": "r", "g": "g", "b": "b", "a": "a", "red": "r", "green": "g", "blue": "b", "alpha": "a"}
# Measured: PXR24 cuts float32 to 24 bits; DWA passes R, G and B through half floats, lower-case letters it leaves.
CUTS_FLOATS = (OpenEXR.PXR24_COMPRESSION,)
CUTS_COLOURS = (OpenEXR.DWAA_COMPRESSION, OpenEXR.DWAB_COMPRESSION)
# From this many ids on, a table of their upper halves is faster than one comparison for each.
TABLE_FROM = 8
NEAREST_MOST, LISTED_MOST = 3, 8


@dataclass(frozen=True)
class Asked:
    """What a recipe wants of a file: a layer of it, and names in that layer's manifest."""

    layer: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One Cryptomatte as a file's headers describe it; `None` where they say nothing."""

    name: str
    hash: str | None = None
    conversion: str | None = None
    manifest: str | None = None
    manif_file: str | None = None


def channel_for(info: PictureInfo, names: Sequence[str], layer: str | None, others: Iterable[Path] = ()) -> str:
    """The pseudo channel of these names, their layer resolved. Raises `FrameError`, `ForbiddenPathError`.

    A name that the first file's manifest lacks may come into the shot later: then the manifests of `others` are asked.
    """
    if not info.is_exr:
        raise FrameError(f"{info.path}: expected an EXR with a Cryptomatte, {_channels(info)}")
    headers = exr.read_headers(info.path)
    chosen = _chosen(info, headers, layer)
    _ranks(info, headers, chosen.name)
    _require_names(info.path, chosen, names, others)
    return PREFIX + json.dumps({"layer": chosen.name, "names": list(names)}, ensure_ascii=False)


def asked_for(channels: Sequence[str]) -> Asked | None:
    """What a pseudo channel asks for; `None` for channels that a file has."""
    if len(channels) != 1 or not channels[0].startswith(PREFIX):
        return None
    said = json.loads(channels[0].removeprefix(PREFIX))
    return Asked(said["layer"], tuple(said["names"]))


def read(path: Path, asked: Asked) -> Picture:
    """The summed coverage of the names. A name that is not in this file covers nothing. Raises `FrameError`.

    -> (1, H, W) float32, coverage, 0..1 (NaN and Inf stay as stored)
    """
    info, headers = exr.read_info(path), exr.read_headers(path)
    layer = _chosen(info, headers, asked.layer)
    ids = ids_of(path, layer, asked.names)
    ranks = _ranks(info, headers, layer.name)
    planes = iter(exr.read_planes(path, [address for rank in ranks for address in rank]))
    pairs = [(_id_bits(path, rank[0][1], next(planes)), _shares(path, rank[1][1], next(planes))) for rank in ranks]
    return Picture(info, coverage(pairs, ids)[None])


def coverage(pairs: Sequence[tuple[np.ndarray, np.ndarray]], ids: Sequence[int]) -> np.ndarray:
    """The coverage of these ids: the sum over all ranks, clipped; values that are not finite stay.

    pairs  (H, W) uint32 ids and (H, W) float coverage of each rank -> (H, W) float32, 0..1
    """
    total = np.zeros(pairs[0][0].shape, np.float32)
    for bits, share in pairs:
        if share.any():  # the last ranks are mostly empty
            np.add(total, share, out=total, where=_among(bits, ids))
    return np.clip(total, 0, 1, out=total, where=np.isfinite(total))


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_32 (Appleby, public domain)."""
    whole = len(data) // 4 * 4
    state = seed
    for at in range(0, whole, 4):
        state ^= _scrambled(int.from_bytes(data[at : at + 4], "little"))
        state = (_turned(state, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    state ^= _scrambled(int.from_bytes(data[whole:], "little")) ^ len(data)
    state = ((state ^ state >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    state = ((state ^ state >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return state ^ state >> 16


def name_id(name: str) -> int:
    """The id of a name: its hash, with a bit of the exponent flipped where the float would be zero, denormal, Inf or
    NaN (specification 1.2, "uint32_to_float32").
    """
    found = murmur3_32(name.encode("utf-8", "surrogatepass"))
    return found ^ 1 << 23 if found >> 23 & 0xFF in (0, 0xFF) else found


def ids_of(path: Path, layer: Layer, names: Sequence[str]) -> tuple[int, ...]:
    """The ids of names, each once: as the file's manifest says, else by their hash. Raises `FrameError`."""
    manifest = {} if layer.manifest is None else _parsed(path, layer.manifest)
    hashes = layer.hash in (None, HASH)
    if layer.manifest is None and not hashes:
        raise FrameError(
            f"{path}: Cryptomatte {layer.name}: expected a manifest in the header or hash {HASH}, got {layer.hash}"
        )
    found = [manifest[name] if name in manifest else name_id(name) for name in names if name in manifest or hashes]
    return tuple(dict.fromkeys(found))


def _layers(headers: Sequence[Mapping[str, Any]]) -> list[Layer]:
    by_id: dict[str, dict[str, str]] = {}
    for header in headers:
        for key, value in header.items():
            if (found := ATTRIBUTE.fullmatch(key)) is not None:
                by_id.setdefault(found[1], {}).setdefault(found[2], str(value))
    return [Layer(**said) for said in by_id.values() if "name" in said]


def _chosen(info: PictureInfo, headers: Sequence[Mapping[str, Any]], asked: str | None) -> Layer:
    """The layer of that name, or whose name ends in it (`CryptoObject` for Blender's `ViewLayer.CryptoObject`)."""
    layers = _layers(headers)
    if not layers:
        raise FrameError(
            f"{info.path}: expected a Cryptomatte (cryptomatte/... in the header), it has none; {_channels(info)}"
        )
    exact = [layer for layer in layers if layer.name == asked]
    fitting = exact or [layer for layer in layers if asked in (None, layer.name.rpartition(".")[2])]
    if len(fitting) != 1:
        wanted = "one Cryptomatte" if asked is None else f"one Cryptomatte {asked!r}"
        names = ", ".join(layer.name for layer in layers)
        raise FrameError(f"{info.path}: expected {wanted}, it has {names}; name one (matte.cryptomatte_layer)")
    (layer,) = fitting
    if layer.conversion not in (None, CONVERSION):
        raise FrameError(
            f"{info.path}: Cryptomatte {layer.name}: expected conversion {CONVERSION}, got {layer.conversion}"
        )
    return layer


Address = tuple[int, str]


def _ranks(info: PictureInfo, headers: Sequence[Mapping[str, Any]], layer: str) -> list[tuple[Address, Address]]:
    """Where id and coverage of each rank lie: r,g then b,a of each level. Raises `FrameError`."""
    pattern = re.compile(re.escape(layer) + r"(\d\d)\.(\w+)")
    found: dict[tuple[int, str], Address] = {}
    for part, header in enumerate(headers):
        for name in (channel.name for channel in header["channels"]):
            match = pattern.fullmatch(name) or pattern.fullmatch(f"{header.get('name', '')}.{name}")
            letter = LETTERS.get(match[2].lower()) if match else None
            if match and letter:
                found.setdefault((int(match[1]), letter), (part, name))
    count = 1 + max((level for level, _ in found), default=0)
    wanted = [(level, letter) for level in range(count) for letter in "rgba"]
    if lacking := [key for key in wanted if key not in found]:
        level, letter = lacking[0]
        raise FrameError(
            f"{info.path}: expected channel {layer}{level:02}.{letter} of the Cryptomatte, {_channels(info)}"
        )
    for level, letter in wanted:
        _require_kept(info.path, headers, found[level, letter])
    return [(found[level, a], found[level, b]) for level in range(count) for a, b in ("rg", "ba")]


def _require_kept(path: Path, headers: Sequence[Mapping[str, Any]], address: Address) -> None:
    part, name = address
    compression = headers[part]["compression"]
    colour = name.rpartition(".")[2] in ("R", "G", "B")
    if compression in CUTS_FLOATS or (compression in CUTS_COLOURS and colour):
        said = str(compression).rpartition(".")[2].removesuffix("_COMPRESSION")
        raise FrameError(f"{path}: expected lossless ids in {name}, {said} has cut their bits; write it as ZIP")


def _require_names(path: Path, layer: Layer, names: Sequence[str], others: Iterable[Path]) -> None:
    """Every name stands in the manifest of some file; without any manifest all do."""
    known = _manifest(path, layer, names)
    if known is None:
        ids_of(path, layer, names)
        return
    unknown, seen = [name for name in names if name not in known], dict.fromkeys(known)
    for other in others if unknown else ():
        try:
            there = next((found for found in _layers(exr.read_headers(other)) if found.name == layer.name), None)
            listed = None if there is None else _manifest(other, there, unknown)
        except (FrameError, ForbiddenPathError):
            continue  # reported where pixels are looked at
        seen.update(dict.fromkeys(listed or ()))
        if not (unknown := [name for name in unknown if name not in seen]):
            return
    if unknown:
        raise FrameError(
            f"{path}: expected names of Cryptomatte {layer.name}, got {_quoted(unknown)}; {_near(unknown, list(seen))}"
        )


def _manifest(path: Path, layer: Layer, names: Sequence[str]) -> dict[str, int] | None:
    """The manifest in the header or in the file that it names; `None` where there is neither.

    Facts and digests are about the EXR alone, so a manifest file only tells which names there are: it may not give
    `names` other ids than their hashes.
    """
    if layer.manifest is not None or layer.manif_file is None:
        return None if layer.manifest is None else _parsed(path, layer.manifest)
    beside = path.parent / layer.manif_file
    if Path(layer.manif_file).is_absolute() or ".." in Path(layer.manif_file).parts:
        raise FrameError(f"{path}: expected the Cryptomatte's manifest file beside it, got {layer.manif_file}")
    try:
        with fence.readable(beside) as name:
            text = name.read_text("utf-8")
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise FrameError(f"{path}: expected the Cryptomatte's manifest in {beside}: {said}; bring it") from None
    known = _parsed(beside, text)
    if other := [name for name in names if name in known and known[name] != name_id(name)]:
        raise FrameError(
            f"{beside}: expected ids that are {HASH} of their names, {_quoted(other[:1])} has {known[other[0]]:08x};"
            " write the manifest into the header"
        )
    return known


def _parsed(path: Path, text: str) -> dict[str, int]:
    try:
        said = json.loads(text)
        return {name: _number(value) for name, value in said.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise FrameError(
            f"{path}: expected a Cryptomatte manifest of names and 8 hex digits, got {text[:40]!r}"
        ) from None


def _number(text: str) -> int:
    number = int(text, 16)
    if not 0 <= number < 1 << 32:
        raise ValueError(text)
    return number


def _near(unknown: Sequence[str], names: Sequence[str]) -> str:
    lower = {name.lower(): name for name in names}
    near = [
        lower[match]
        for name in unknown
        for match in difflib.get_close_matches(name.lower(), list(lower), NEAREST_MOST, 0.5)
    ]
    if near:
        return f"the nearest are {_quoted(dict.fromkeys(near))}"
    more = f" and {len(names) - LISTED_MOST} more" if len(names) > LISTED_MOST else ""
    return f"it has {_quoted(sorted(names)[:LISTED_MOST]) or 'none'}{more}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _channels(info: PictureInfo) -> str:
    return f"its channels are {', '.join(info.channels)}"


def _id_bits(path: Path, name: str, plane: np.ndarray) -> np.ndarray:
    if plane.dtype != np.float32:
        raise FrameError(f"{path}: expected ids as float32 in {name}, got {plane.dtype}; render it in full float")
    return plane.view(np.uint32)


def _shares(path: Path, name: str, plane: np.ndarray) -> np.ndarray:
    if plane.dtype.kind != "f":
        raise FrameError(f"{path}: expected coverage as floats in {name}, got {plane.dtype}")
    return plane


def _among(bits: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Which of these numbers (..., W) uint32 are ids."""
    wanted = np.array(sorted(ids), np.uint32)
    if len(ids) < TABLE_FROM:
        found = np.zeros(bits.shape, bool)
        for one in wanted:
            found |= bits == one
        return found
    upper = np.zeros(1 << 16, bool)
    upper[wanted >> 16] = True
    found = np.asarray(upper[bits >> 16])
    candidates = bits[found]
    found[found] = wanted[np.searchsorted(wanted[:-1], candidates)] == candidates
    return found


def _scrambled(block: int) -> int:
    return _turned(block * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF


def _turned(bits: int, by: int) -> int:
    return (bits << by | bits >> 32 - by) & 0xFFFFFFFF
