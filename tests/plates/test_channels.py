"""Names decide which channels are the picture and which one is the matte."""

from __future__ import annotations

from pathlib import Path

import pytest

from platelight.errors import FrameError
from platelight_server.plates.channels import matte_channels, picture_channels
from platelight_server.plates.picture import Box, PictureInfo

BOX = Box(0, 0, 9, 9)


def info(*channels: str) -> PictureInfo:
    return PictureInfo(Path("x.exr"), channels, BOX, BOX, {})


@pytest.mark.parametrize(
    ("channels", "layer", "expected"),
    [
        (("R", "G", "B", "A", "left.R", "left.G", "left.B"), "auto", ""),
        (("R", "G", "B", "left.R", "left.G", "left.B"), "left", "left."),
        (("v.Combined.R", "v.Combined.G", "v.Combined.B", "v.Diff.R", "v.Diff.G", "v.Diff.B"), "auto", "v.Combined."),
        (("beauty.R", "beauty.G", "beauty.B", "depth.Z"), "auto", "beauty."),
        (("R", "G", "B"), "rgba", ""),
    ],
)  # fmt: skip
def test_picture_layer_is_found(channels: tuple[str, ...], layer: str, expected: str) -> None:
    assert picture_channels(info(*channels), layer) == (f"{expected}R", f"{expected}G", f"{expected}B")


def test_layer_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(FrameError, match=r"x\.exr: expected R,G,B in layer 'lft', it has R, G, B"):
        picture_channels(info("R", "G", "B"), "lft")


def test_two_layers_are_a_doubt_that_names_both() -> None:
    with pytest.raises(FrameError, match=r"it has a, b; name one \(plate\.channels\)"):
        picture_channels(info("a.R", "a.G", "a.B", "b.R", "b.G", "b.B"))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (("R", "G", "B", "A"), ("A",)),
        (("anything",), ("anything",)),
        (("R", "G", "B", "matte.V"), ("matte.V",)),
        (("Mask", "Z"), ("Mask",)),
        (("Y", "Z"), ("Y",)),
        (("R", "G", "B"), ("R", "G", "B")),
    ],
)
def test_matte_channel_is_told_by_names(channels: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert matte_channels(info(*channels)) == expected


@pytest.mark.parametrize("channels", [("R", "G", "B", "Z"), ("matte.A", "mask.A"), ("u", "v")])
def test_doubtful_matte_is_refused_with_what_is_there(channels: tuple[str, ...]) -> None:
    with pytest.raises(FrameError, match=f"it has {', '.join(channels)}; name one"):
        matte_channels(info(*channels))


def test_named_matte_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(FrameError, match=r"expected matte channel 'a', it has A"):
        matte_channels(info("A"), "a")
