"""Recipes for the tests: the smallest one, a full one, and a hypothesis strategy over the rest."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from platelight.camera import CameraFrame, LensModel
from platelight.frames import FrameRange
from platelight.lights import Light, Probe
from platelight.matrices import IDENTITY
from platelight.recipe import (
    LAYERS,
    Background,
    CameraSource,
    EngineChoice,
    Ground,
    Look,
    Matte,
    NormalSource,
    Output,
    Plate,
    Recipe,
    Reference,
    RelitSource,
    TrackedPoint,
)
from platelight.recipe_parts import Keying

SMALLEST: dict[str, Any] = {
    "platelight": 1,
    "name": "sh010",
    "frames": "1001-1003",
    "plate": {"path": "plates/sh010.####.exr"},
}


def smallest(**changed: Any) -> Recipe:
    return Recipe.from_dict({**SMALLEST, **changed})


FULL = Recipe(
    name="sh010_v2",
    frames=FrameRange.parse("1001-1002,1005"),
    plate=Plate('plates/grün "sh"\\010.####.exr', "ACEScg", "left", "hold", "repair"),
    rate=Fraction(24000, 1001),
    matte=Matte("mattes", "R", invert=True),
    background=Background(sequence="bg/%04d.exr", exposure_stops=0.1, fit="exact", frame_offset=-1000, missing="loop"),
    probe_background=Probe("env.exr", rotation_deg=30.0, rotations_deg={1001: 0.5, 1005: -7.25}),
    probe_plate=Probe("/abs/env_plate.exr", "ACEScg", -1.5),
    normal=NormalSource("n.####.exr", "N"),
    relit=RelitSource("relit/r.####.exr", "ACEScg"),
    lights=(
        Light("sun", 3.0, name="key", color=(1.0, 0.9, 0.8), transform=IDENTITY),
        Light("area", 100.0, transforms={1001: IDENTITY, 1002: IDENTITY, 1005: IDENTITY}),
        Light("spot", 9.0, transform=IDENTITY, powers={1001: 1.5}, colors={1002: (0.5, 1.0, 0.1)}, cone_deg=30.0),
    ),
    camera=CameraSource(
        frames=tuple(CameraFrame(n, IDENTITY, 1e3 / 3, 1e3 / 3, 240.0, 135.0, 480, 270) for n in (1001, 1002, 1005)),
        sensor_mm=(36.0, 20.25),
        lens=LensModel("brown", (0.1, -1e-7)),
        points=(TrackedPoint((1.0, 0.1, -3.0), "Tür", 0.25, {1001: (10.5, 20.25), 1005: (11.0, 20.0)}),),
        error_px=0.42,
    ),
    ground=Ground((0.0, -1.0, 0.0), (0.0, 1.0, 0.1)),
    look=Look(0.5, 1.0, edge="keep", spill="green", seed=2**32 - 1),
    engine=EngineChoice("classic", {"detail": 0.5, "mode": "über", "order": 2, "on": True, "weights": (1.0, 2, "x")}),
    output=Output("out", "result", ("composite", "gain"), "dwaa", "float", "ACEScg"),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
numbers = st.floats(-1e6, 1e6, allow_nan=False)
free = st.recursive(
    st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
backgrounds = st.one_of(
    st.just(Background()),
    st.builds(Background, still=texts, fit=st.sampled_from(["exact", "fit", "fill", "stretch"])),
    st.builds(
        Background,
        still=texts,
        move=st.just("camera"),
        depth=st.sampled_from(["infinity", "ground", "points"]),
        reference_frame=st.sampled_from([None, 1001, 1005]),
    ),
    st.builds(
        Background, still=texts, move=st.just("camera"), depth=st.just("distance"), distance_m=st.floats(0.01, 1e6)
    ),
    st.builds(Background, sequence=texts, frame_offset=st.integers(-5000, 5000)),
    st.builds(Background, prompt=texts.filter(str.strip), exposure_stops=st.floats(-20, 20)),
    st.just(Background(references=(Reference(1001, "a.png"), Reference(1005, "b.png")))),
)
recipes = st.builds(
    Recipe,
    name=st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True),
    frames=st.sets(st.integers(1002, 1004)).map(lambda inner: FrameRange.of({1001, 1005} | inner)),
    plate=st.builds(Plate, path=texts, colorspace=texts, missing=st.sampled_from(["refuse", "hold", "black", "skip"])),
    rate=st.none() | st.fractions(min_value=Fraction(1, 1001), max_value=1000, max_denominator=1001),
    matte=st.none()
    | st.builds(Matte, path=texts, channel=texts)
    | st.just(Matte(from_plate_alpha=True))
    | st.builds(
        Matte,
        key=st.sampled_from(["auto", "green", "blue"]),
        keying=st.none()
        | st.builds(
            Keying,
            color=st.none() | st.just((0.5, 0.4, 0.1)),
            white=st.floats(0.5, 1),
            garbage=st.lists(st.just((0.0, 0.5, 10.0, 20.0)), max_size=2).map(tuple),
        ),
    )
    | st.builds(
        Matte,
        path=texts,
        cryptomatte=st.lists(texts, min_size=1, max_size=3, unique=True).map(tuple),
        cryptomatte_layer=st.none() | texts,
    ),
    background=backgrounds,
    probe_background=st.none()
    | st.builds(
        Probe,
        color=st.tuples(*[st.floats(0, 1e4)] * 3),
        colors=st.none() | st.dictionaries(st.integers(0, 9999), st.tuples(*[st.floats(0, 1e4)] * 3), max_size=3),
    ),
    probe_plate=st.none()
    | st.builds(
        Probe,
        path=texts,
        rotation_deg=numbers,
        exposures_stops=st.none() | st.dictionaries(st.integers(0, 9999), st.floats(-20, 20), min_size=1, max_size=3),
    ),
    lights=st.lists(
        st.builds(
            Light,
            kind=st.sampled_from(["sun", "point", "area"]),
            power=st.floats(0, 1e9),
            name=texts,
            transform=st.just(IDENTITY),
        ),
        max_size=2,
    ).map(tuple),
    camera=st.none() | st.builds(CameraSource, path=texts, focal_mm=st.none() | st.floats(1, 500)),
    ground=st.none() | st.just(Ground()),
    look=st.builds(Look, strength=st.floats(0, 2), exposure_stops=st.floats(-10, 10), seed=st.integers(0, 2**32 - 1)),
    engine=st.builds(EngineChoice, options=st.dictionaries(texts, free, max_size=3)),
    output=st.builds(
        Output, directory=texts, layers=st.lists(st.sampled_from(LAYERS), min_size=1, unique=True).map(tuple)
    ),
)
