"""Deflickering as an option of every engine: off it is the engine itself, on it steadies the change of light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from platelight.errors import RecipeError
from platelight.recipe import Recipe
from platelight_server.engines import registry
from platelight_server.engines.classic.engine import ClassicEngine
from platelight_server.engines.interface import Answer, FrameInputs, LightChange, Notes, Pictures, Shot
from platelight_server.fingerprint import frame_hashes
from platelight_server.preview.previewer import Previewer
from tests.job.rendering import checked, delivered, into, render
from tests.shots.engines import StillEngine
from tests.shots.small import Shot as SmallShot
from tests.shots.small import make_shot

ON = {"deflicker": 1.0, "deflicker_radius": 2}


class FlickeringEngine(StillEngine):
    """A gain that jumps from frame to frame, in windows of three, each asked for once in a row."""

    capabilities = StillEngine.capabilities.__class__(
        "test_flickering", "a gain that jumps", ("keep", "still", "sequence"), 64, 3, context_before=1
    )
    asked: list[tuple[int, ...]] = []

    def prepare(self, shot: Shot) -> Notes:
        type(self).asked = []
        return Notes()

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        type(self).asked.append(tuple(answered))
        for seen in window:
            if seen.frame in answered:
                gain = torch.full_like(seen.plate, 0.5 if seen.frame % 2 else -0.5)
                blank = torch.zeros_like(gain)
                yield Answer(seen.frame, LightChange(gain, blank, torch.ones_like(seen.matte)), shadow=gain[:1])


class ShowingEngine(FlickeringEngine):
    """The same light as pictures."""

    capabilities = StillEngine.capabilities.__class__("test_showing", "shows it", ("keep", "still"), 64, 1)

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        for answer in super().relight(window, answered):
            source = next(one.plate.clamp_min(0) for one in window if one.frame == answer.frame)
            assert isinstance(answer.change, LightChange)
            yield Answer(answer.frame, Pictures(source, source, source * answer.change.gain.exp2()))


@pytest.fixture(autouse=True)
def engines() -> Iterator[None]:
    for name in ("Flickering", "Showing"):
        registry.register(f"test_{name.lower()}", __name__, f"{name}Engine")
    yield
    for name in ("test_flickering", "test_showing"):
        registry._WHERE.pop(name)


@pytest.fixture
def long_shot(tmp_path: Path) -> SmallShot:
    return make_shot(tmp_path / "shot", 8)


def with_engine(shot: SmallShot, name: str, **options: object) -> Recipe:
    return shot.recipe(engine={"name": name, "options": options}, output=_output(shot))


def _output(shot: SmallShot) -> dict[str, object]:
    return {"directory": str(shot.folder / "out"), "layers": ["composite", "relit", "alpha", "gain"]}


def gains(recipe: Recipe, frames: Sequence[int]) -> np.ndarray:
    return np.array([delivered(recipe, f, aux=True)["gain.Y"].astype(np.float32)[32, 48] for f in frames])


def test_off_by_default_it_is_the_engine_itself() -> None:
    assert type(registry.create("classic", {})) is ClassicEngine
    assert type(registry.create("classic", {"deflicker": 0.0})) is ClassicEngine
    assert registry.create("classic", {}).options.keys().isdisjoint({"deflicker", "deflicker_radius"})


def test_off_it_keeps_windows_and_hashes(shot: SmallShot) -> None:
    frames = tuple(range(1001, 1009))
    assert registry.windows_of("classic", {}, frames) == ClassicEngine.windows({}, frames)
    with_it, without = (checked(with_engine(shot, "classic", **more)) for more in (ON, {}))
    assert frame_hashes(with_it) != frame_hashes(without)
    assert without.depends_on == ()


@pytest.mark.parametrize("name", registry.engine_names()[:3])
def test_every_engine_offers_it(name: str) -> None:
    assert {"deflicker", "deflicker_radius"} <= {o.name for o in registry.engine_class(name).capabilities.options}


def test_a_value_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="engine.options.deflicker: expected 0.0 to 1.0, got 2"):
        registry.create("classic", {"deflicker": 2})


@pytest.mark.parametrize("name", ["test_flickering", "test_showing"])
def test_a_jumping_light_stands_still(long_shot: SmallShot, name: str) -> None:
    recipe = with_engine(long_shot, name, **ON)
    render(recipe)
    inner = gains(recipe, range(1003, 1007))
    assert (
        np.abs(np.diff(inner)).max() < 0.5
    )  # it jumps by 1 stop, and five frames are three of one kind and two of the other


def test_half_of_it_takes_half_off(long_shot: SmallShot) -> None:
    found = []
    for strength in (0.0, 0.5, 1.0):
        recipe = into(
            with_engine(long_shot, "test_flickering", **{**ON, "deflicker": strength}), long_shot.folder / str(strength)
        )
        render(recipe)
        found.append(gains(recipe, [1004])[0])
    assert found[1] == pytest.approx((found[0] + found[2]) / 2, abs=0.01)


def test_windows_of_the_engine_are_asked_for_once_and_whole(long_shot: SmallShot) -> None:
    render(with_engine(long_shot, "test_flickering", **ON))
    assert FlickeringEngine.asked == [(1001, 1002, 1003), (1004, 1005, 1006), (1007, 1008)]


def test_windows_need_what_the_engine_needs_for_the_frames_around() -> None:
    windows = registry.windows_of("test_flickering", {**ON, "deflicker_radius": 1}, tuple(range(1, 13)))
    assert [window.answered for window in windows] == [(1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12)]
    assert windows[1].needed == tuple(range(1, 10))
    assert windows[2].needed == tuple(range(3, 13))


@pytest.mark.parametrize("name", ["test_flickering", "test_wavy"])
def test_any_chunk_gives_the_same_bytes(long_shot: SmallShot, name: str) -> None:
    whole = with_engine(long_shot, name, **ON)
    parts = into(whole, long_shot.folder / "parts")
    render(whole)
    for part in ("1005-1008", "1002", "1001", "1003-1004"):
        render(parts, part)
    for frame in long_shot.frames:
        one, other = (delivered(recipe, frame, aux=True) for recipe in (whole, parts))
        assert all(np.array_equal(one[channel], other[channel]) for channel in one)


def test_an_engine_that_changes_nothing_still_changes_nothing(long_shot: SmallShot) -> None:
    recipe = with_engine(long_shot, "test_still", **ON)
    render(recipe, "1004")
    assert not gains(recipe, [1004]).any()


def test_a_skipped_frame_is_steadied_around(long_shot: SmallShot) -> None:
    (long_shot.folder / "plate" / "plate.1004.exr").unlink()
    recipe = long_shot.recipe(
        engine={"name": "test_flickering", "options": ON}, output=_output(long_shot),
        plate={"path": str(long_shot.folder / "plate" / "plate.####.exr"), "missing": "skip"},
    )  # fmt: skip
    assert render(recipe).rendered == [1001, 1002, 1003, 1005, 1006, 1007, 1008]


def test_a_preview_shows_it_without_and_says_so(shot: SmallShot) -> None:
    plain, steadied = (
        Previewer().preview(with_engine(shot, "classic", **options), Path("/"), 1002, 64) for options in ({}, ON)
    )
    assert steadied.warnings == ("engine.deflicker: previews show the change of light before it is steadied",)
    assert all(np.array_equal(plain.channels[name], steadied.channels[name]) for name in plain.channels)
