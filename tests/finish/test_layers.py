"""The layers of a frame: what stays bit for bit, and what rebuilds from what is delivered."""

from __future__ import annotations

import pytest
import torch

from platelight_server.engines.interface import LightChange
from platelight_server.finish.layers import ALL_LAYERS, LAYERS, EdgeLook, Extras, Layers, finish_frame
from tests.finish.finish_scenes import no_change

# Half of a unit in the last place of half float, relative; and its smallest step in absolute terms.
HALF_ULP, HALF_TINY = 2.0**-11, 2.0**-24
HEIGHT, WIDTH = 150, 210
RGB = ("R", "G", "B")


def _plate(seed: int = 1) -> torch.Tensor:
    """Half values from below 0 to far above 1, with a negative zero, as a float plate holds them."""
    generator = torch.Generator().manual_seed(seed)
    plate = (torch.randn(3, HEIGHT, WIDTH, generator=generator) * 3).exp2() - 0.2
    plate[:, 5, 5] = -0.0
    plate[:, 6, 6] = 30000.0
    return plate.half().float()


def _matte(kind: str = "soft") -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    distance = 50 - ((y - 75.0) ** 2 + (x - 100.0) ** 2).sqrt()
    width = {"soft": 12.0, "binary": 1e-6}[kind]
    return (distance / width + 0.5).clamp(0, 1)[None].half().float()


def _change(seed: int = 2) -> LightChange:
    generator = torch.Generator().manual_seed(seed)
    gain = torch.randn(3, 38, 53, generator=generator).clamp(-5, 5)
    return LightChange(
        gain, torch.rand(3, 38, 53, generator=generator) * 0.2, torch.rand(1, 38, 53, generator=generator)
    )


def _rgb(layers: Layers, name: str) -> torch.Tensor:
    return torch.stack([layers.planes[c] for c in LAYERS[name][:3]])


def _bits(x: torch.Tensor) -> torch.Tensor:
    return x.half().view(torch.int16)


LOOKS = [EdgeLook(), EdgeLook(edge="keep"), EdgeLook(screen="green", light_wrap=0.5)]


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("kind", ["soft", "binary"])
def test_nothing_changed_with_the_background_kept_is_the_plate(look: EdgeLook, kind: str) -> None:
    layers = finish_frame(_plate(), _matte(kind), None, no_change(38, 53), edges=look)
    assert torch.equal(_bits(_plate()), _bits(_rgb(layers, "composite")))


def test_outside_the_matte_the_kept_plate_is_untouched_by_any_change() -> None:
    layers = finish_frame(_plate(), _matte(), None, _change())
    outside = (_matte() == 0).expand(3, -1, -1)
    assert torch.equal(_bits(_plate())[outside], _bits(_rgb(layers, "composite"))[outside])
    assert not torch.equal(_bits(_plate()), _bits(_rgb(layers, "composite")))


def test_outside_the_matte_the_new_background_is_untouched() -> None:
    background = _plate(7)
    shadow = torch.ones(1, 38, 53)
    layers = finish_frame(_plate(), _matte(), background, _change(), shadow)
    outside = (_matte() == 0).expand(3, -1, -1)
    assert torch.equal(background.half()[outside], _rgb(layers, "composite")[outside])


@pytest.mark.parametrize("kind", ["soft", "binary"])
def test_relit_is_the_plate_where_opaque_and_unchanged(kind: str) -> None:
    layers = finish_frame(_plate(), _matte(kind), _plate(7), no_change(38, 53))
    opaque = (_matte(kind) == 1).expand(3, -1, -1)
    assert torch.equal(_plate().half()[opaque], _rgb(layers, "relit")[opaque])
    assert torch.equal(_plate().half()[opaque], _rgb(layers, "composite")[opaque])


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
@pytest.mark.parametrize("shaded", [True, False], ids=["shadow", "no shadow"])
def test_layers_rebuild_relit_and_composite(look: EdgeLook, kept: bool, shaded: bool) -> None:
    shadow = torch.rand(1, 38, 53, generator=torch.Generator().manual_seed(4)) if shaded else None
    layers = finish_frame(_plate(), _matte(), None if kept else _plate(7), _change(), shadow, look)
    foreground, fill, gain = (_rgb(layers, n).float() for n in ("foreground", "fill", "gain"))
    alpha, shade = layers.planes["alpha.A"].float(), layers.planes["shadow.V"].float()
    lit, added = foreground * gain.exp2(), alpha * fill
    # Each delivered layer is rounded once: foreground, fill and relit itself.
    allowed = HALF_ULP * (lit.abs() + added.abs() + (lit + added).abs()) * 1.01 + 4 * HALF_TINY * gain.exp2()
    relit = _rgb(layers, "relit").float()
    assert bool(((lit + added - relit).abs() <= allowed).all())
    behind = (1 - alpha) * _rgb(layers, "background").float() * shade
    composite = _rgb(layers, "composite").float()
    # relit is rounded once, background and shadow once each; with a kept background also foreground, as its
    # composite starts from the plate and not from the split.
    size = relit.abs() + 2 * behind.abs() + composite.abs() + foreground.abs() + allowed / HALF_ULP
    assert bool(((relit + behind - composite).abs() <= HALF_ULP * size * 1.01 + 8 * HALF_TINY).all())


def test_kept_layers_are_the_split_of_the_plate() -> None:
    layers = finish_frame(_plate(), _matte(), None, no_change(38, 53))
    alpha = layers.planes["alpha.A"].float()
    foreground, background = _rgb(layers, "foreground").float(), _rgb(layers, "background").float()
    behind = (1 - alpha) * background
    allowed = HALF_ULP * (foreground.abs() + behind.abs()) * 1.05 + 4 * HALF_TINY
    assert bool(((foreground + behind - _plate()).abs() <= allowed).all())


def test_no_change_has_exact_zero_gain_and_fill() -> None:
    layers = finish_frame(_plate(), _matte(), None, no_change(38, 53))
    assert not _rgb(layers, "gain").any()
    assert not _rgb(layers, "fill").any()
    assert (layers.largest_gain_stops, layers.largest_fill) == (0.0, 0.0)


def test_strips_do_not_show() -> None:
    """The same rows, cut elsewhere into strips, are the same pixels."""
    change = LightChange(torch.full((3, 38, 53), 0.7), torch.zeros(3, 38, 53), torch.ones(1, 38, 53))
    whole = finish_frame(_plate(), _matte(), _plate(7), change, edges=EdgeLook(edge="keep"))
    part = finish_frame(_plate()[:, 30:], _matte()[:, 30:], _plate(7)[:, 30:], change, edges=EdgeLook(edge="keep"))
    assert torch.equal(_rgb(whole, "composite")[:, 30:], _rgb(part, "composite"))


def test_every_layer_has_its_channels_and_types() -> None:
    extras = Extras(torch.rand(3, 20, 30), torch.rand(3, 20, 30), torch.rand(1, 20, 30) * 1e6, torch.rand(3, 20, 30))
    layers = finish_frame(_plate(), _matte(), None, _change(), None, None, extras)
    assert {c for names in LAYERS.values() for c in names} == set(layers.planes)
    for channel, plane in layers.planes.items():
        assert plane.shape == (HEIGHT, WIDTH)
        assert plane.dtype == (torch.float32 if channel == "depth.Z" else torch.float16)
    assert bool((layers.planes["A"] == 1).all())
    length = sum(layers.planes[f"normal.{c}"].float() ** 2 for c in "XYZ")
    assert torch.allclose(torch.ones(HEIGHT, WIDTH), torch.as_tensor(length), atol=4 * HALF_ULP)


def test_only_wanted_and_known_layers_are_made() -> None:
    layers = finish_frame(_plate(), _matte(), None, _change(), wanted=frozenset({"relit", "depth", "gain"}))
    assert set(LAYERS["relit"] + LAYERS["gain"]) == set(layers.planes)


def test_a_composite_does_not_depend_on_what_else_is_wanted() -> None:
    everything = finish_frame(_plate(), _matte(), None, _change(), torch.full((1, 5, 5), 0.5))
    alone = finish_frame(
        _plate(), _matte(), None, _change(), torch.full((1, 5, 5), 0.5), wanted=frozenset({"composite"})
    )
    assert torch.equal(_rgb(everything, "composite"), _rgb(alone, "composite"))


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
def test_values_that_half_cannot_hold_are_repaired_and_counted(kept: bool) -> None:
    plate = _plate()
    plate[0, 75, 100], plate[1, 0, 0], plate[2, 75, 101] = float("nan"), float("inf"), 60000.0
    change = LightChange(torch.full((3, 38, 53), 3.0), torch.zeros(3, 38, 53), torch.ones(1, 38, 53))
    layers = finish_frame(plate, _matte(), None if kept else _plate(7), change)
    for plane in layers.planes.values():
        assert bool(torch.isfinite(plane).all())
    assert layers.nonfinite == 2
    assert layers.clipped >= 1
    assert float(layers.planes["relit.B"][75, 101]) == 65504.0


def test_a_change_of_the_engine_that_is_not_a_number_does_not_get_through() -> None:
    broken = _change()
    broken.gain[:, 10, 10] = float("nan")
    broken.fill[:, 12, 12] = float("inf")
    layers = finish_frame(_plate(), _matte(), _plate(7), broken)
    for plane in layers.planes.values():
        assert bool(torch.isfinite(plane).all())


def test_largest_gain_is_that_inside_the_matte() -> None:
    change = no_change(15, 21)
    change.gain[:, 0, 0] = 5.0
    change.gain[:, 7, 10] = -2.0
    assert finish_frame(_plate(), _matte(), None, change).largest_gain_stops == 2.0


def test_light_wrap_reaches_the_edge_only() -> None:
    bright = torch.full_like(_plate(), 4.0)
    layers = finish_frame(_plate(), _matte(), bright, no_change(38, 53), edges=EdgeLook(light_wrap=1.0))
    assert float(layers.planes["fill.R"][75, 55]) > 0.1
    assert float(layers.planes["fill.R"][75, 100]) == 0.0


def test_shadow_darkens_a_new_background() -> None:
    background = _plate(7)
    layers = finish_frame(_plate(), _matte(), background, no_change(38, 53), torch.full((1, 10, 10), 0.5))
    outside = (_matte() == 0).expand(3, -1, -1)
    assert torch.equal((background * 0.5).half()[outside], _rgb(layers, "composite")[outside])


def test_a_half_plate_gives_the_same_layers() -> None:
    a = finish_frame(_plate(), _matte(), _plate(7), _change())
    b = finish_frame(_plate().half(), _matte().half(), _plate(7).half(), _change())
    for channel in a.planes:
        assert torch.equal(a.planes[channel], b.planes[channel]), channel


def test_sizes_that_disagree_are_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"\(1, 150, 210\).*\(1, 149, 210\)"):
        finish_frame(_plate(), _matte()[:, 1:], None, no_change(38, 53))


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="glow"):
        finish_frame(_plate(), _matte(), None, no_change(38, 53), wanted=ALL_LAYERS | {"glow"})
