"""Colour spaces as values, and the conversion of pictures between them.

A space is a name in a config, or a set of primaries that no config names (an EXR's own `chromaticities`); both convert
exactly. Plates and backgrounds are scene-referred: display views never come into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import OpenEXR
import PyOpenColorIO as Ocio

from platelight.errors import ColorError

from .config import OCIO_ERRORS, OLDER_NAMES, Config, active_config, bundled_config

Chromaticities = tuple[float, float, float, float, float, float, float, float]
D65 = (0.3127, 0.3290)
SCENE = Ocio.REFERENCE_SPACE_SCENE
XYZ = "lin_ciexyzd65_scene"
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Space:
    """A colour space: `name` to show, `interop_id` where the field has one, `chromaticities` where only they are known.

    `why` says where the knowledge comes from, for the check, the header and `info`.
    """

    name: str
    interop_id: str | None = None
    chromaticities: Chromaticities | None = None
    why: str = ""

    @property
    def is_data(self) -> bool:
        """True for mattes, normals and the like, which are never converted."""
        return self.interop_id == "data"


def named(name: str, why: str = "named by the recipe") -> Space:
    """The space called `name` in the active config or ours. Raises `ColorError` with the nearest names."""
    for config in configs():
        found = config.find(name)
        if found is not None:
            return Space(found, _interop_id(config, found), None, why)
    config = active_config()
    names = config.names()
    near = get_close_matches(name, names, 5, 0.5) or [n for n in names if config.ocio.isColorSpaceLinear(n, SCENE)][:8]
    raise ColorError(
        f"colour space {name!r}: expected one of the {len(names)} names in {config.source}, such as {', '.join(near)}"
    )


def from_chromaticities(values: Chromaticities, why: str = "chromaticities in the header") -> Space:
    """The linear space with these primaries and white: a known one within 0.001, else one of its own."""
    if not _is_gamut(values):
        raise ColorError(f"{why}: expected four points that span a gamut, got {' '.join(f'{v:g}' for v in values)}")
    known = OpenEXR.chromaticitiesToColorInteropID(tuple(float(v) for v in values))
    if known:
        return named(str(known), why)
    text = " ".join(f"{v:.4f}" for v in values)
    return Space(f"linear, primaries {text}", None, values, why)


def is_linear(space: Space) -> bool:
    """True where values are proportional to light."""
    if space.chromaticities is not None:
        return True
    config, name = _locate(space)
    return bool(config.ocio.isColorSpaceLinear(name, SCENE))


def matrix(source: Space, target: Space) -> np.ndarray:
    """(3, 3) float64: target = matrix @ source, for two linear spaces. Raises `ColorError` where one is not linear."""
    for space in (source, target):
        if not is_linear(space):
            raise ColorError(f"{space.name}: expected a scene-linear space, got an encoded one")
    return np.asarray(np.linalg.inv(to_xyz(target)) @ to_xyz(source))


def to_xyz(space: Space) -> np.ndarray:
    """(3, 3) float64: CIE XYZ with a D65 white from a linear space."""
    if space.chromaticities is not None:
        return _primaries_to_xyz(space.chromaticities)
    apply = _processor(space, named(XYZ)).applyRGB
    return np.array([apply([float(v) for v in row]) for row in np.eye(3)], dtype=np.float64).T


def primaries(space: Space) -> Chromaticities:
    """The chromaticities of a linear space. Of a space from a config they are adapted to a D65 white."""
    if space.chromaticities is not None:
        return space.chromaticities
    rgb = to_xyz(space)
    white = rgb.sum(1)
    xy = [float(column[axis] / column.sum()) for column in (*rgb.T, white) for axis in (0, 1)]
    return (xy[0], xy[1], xy[2], xy[3], xy[4], xy[5], xy[6], xy[7])


def _is_gamut(values: Chromaticities) -> bool:
    """Whether primaries and white make an invertible matrix. Primaries may be outside the visible, as AP0's are."""
    xy = np.array(values, dtype=np.float64).reshape(4, 2)
    if not np.isfinite(xy).all() or (xy[:, 1] == 0).any():
        return False
    columns = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    if abs(np.linalg.det(columns[:, :3])) < 1e-6:
        return False
    return bool((np.abs(np.linalg.solve(columns[:, :3], columns[:, 3])) > 1e-9).all())


def luminance_weights(space: Space) -> tuple[float, float, float]:
    """Weights of R, G, B in relative luminance (CIE Y), summing to 1."""
    row = to_xyz(space)[1]
    red, green, blue = (float(v) for v in row / row.sum())
    return red, green, blue


def convert(picture: np.ndarray, source: Space, target: Space) -> np.ndarray:
    """A picture in another space; the same array where nothing needs doing.

    (3, H, W) float32, in `source` -> (3, H, W) float32, in `target`, may be <0 and >1
    """
    if picture.shape[0] != 3:
        raise ColorError(f"expected (3, H, W), got {picture.shape}")
    if source.is_data or target.is_data or _same(source, target):
        return picture
    if is_linear(source) and is_linear(target):
        mixed = matrix(source, target).astype(np.float32) @ picture.reshape(3, -1).astype(np.float32, copy=False)
        return np.asarray(mixed.reshape(picture.shape))
    middle = named(XYZ) if target.chromaticities is not None else target
    packed = np.array(picture.transpose(1, 2, 0), dtype=np.float32, order="C")  # a copy: OCIO works in place
    start = source
    if source.chromaticities is not None:
        packed = np.ascontiguousarray(packed @ to_xyz(source).T.astype(np.float32))
        start = named(XYZ)
    _processor(start, middle).apply(Ocio.PackedImageDesc(packed, packed.shape[1], packed.shape[0], 3))
    if target.chromaticities is not None:
        packed = packed @ np.linalg.inv(to_xyz(target)).T.astype(np.float32)
    return np.ascontiguousarray(packed.transpose(2, 0, 1))


def configs() -> tuple[Config, ...]:
    """The configs that names are looked up in: the user's, then ours."""
    active = active_config()
    return (active, bundled_config()) if active.from_user else (active,)


def _locate(space: Space) -> tuple[Config, str]:
    for config in configs():
        found = config.find(space.name) or (config.find(space.interop_id) if space.interop_id else None)
        if found is not None:
            return config, found
    raise ColorError(f"colour space {space.name!r} is in no config in force; {active_config().source} lacks it")


def _interop_id(config: Config, name: str) -> str | None:
    known = next((interop for interop in OLDER_NAMES if config.find(interop) == name), None)
    stated = getattr(config.ocio.getColorSpace(name), "getInteropID", str)()  # OCIO 2.5 and later
    return known or str(stated) or None


def _same(a: Space, b: Space) -> bool:
    if a.interop_id and b.interop_id:
        return a.interop_id == b.interop_id
    return (a.name, a.chromaticities) == (b.name, b.chromaticities)


def _processor(source: Space, target: Space) -> Any:
    (config_a, a), (config_b, b) = _locate(source), _locate(target)
    return _cached_processor(config_a, a, config_b, b)


@lru_cache(maxsize=64)
def _cached_processor(config_a: Config, a: str, config_b: Config, b: str) -> Any:
    try:
        if config_a is config_b:
            processor = config_a.ocio.getProcessor(a, b)
        else:
            processor = Ocio.Config.GetProcessorFromConfigs(config_a.ocio, a, config_b.ocio, b)
    except OCIO_ERRORS as error:
        raise ColorError(f"{a} to {b}: OCIO has no way: {error}") from None
    # LOSSLESS: 3e-7 relative against 1e-5 with the default optimisation, at 1.8 times the cost.
    return processor.getOptimizedCPUProcessor(Ocio.BIT_DEPTH_F32, Ocio.BIT_DEPTH_F32, Ocio.OPTIMIZATION_LOSSLESS)


def _primaries_to_xyz(values: Chromaticities) -> np.ndarray:
    """RGB to XYZ from primaries and white, Bradford-adapted to D65 (SMPTE RP 177; Lam 1985)."""
    xy = np.array(values, dtype=np.float64).reshape(4, 2)
    columns = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    rgb_to_xyz = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    white = np.array([D65[0] / D65[1], 1.0, (1 - sum(D65)) / D65[1]])
    scale = np.diag((BRADFORD @ white) / (BRADFORD @ columns[:, 3]))
    return np.asarray(np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ rgb_to_xyz)
