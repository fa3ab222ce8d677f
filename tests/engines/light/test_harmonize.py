from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from platelight.errors import FrameError, RecipeError
from platelight_server.engines.light.frames import LightSettings, on_grey
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.engines.light.relight_models import relight_model, relight_models
from platelight_server.engines.presets import PRESETS
from platelight_server.models.image.iclight import IcLight
from tests.engines.light.conftest import tiny_parts
from tests.engines.light.scenes import light_frame, window

TEXTS = ("a man on a beach", "lowres")
QUICK = LightSettings(steps=2)
ANCHOR = light_frame(90)
NEVER = float("inf")


@pytest.fixture(scope="module")
def harmonizer(parts: IcLight) -> Harmonizer:
    return Harmonizer(parts)


def no_step(stage: str, step: int, steps: int) -> None:
    raise AssertionError(f"a model was called: {stage}")


def test_grey_is_exactly_zero() -> None:
    foreground = torch.tensor([0.3, float("nan"), -2.0]).view(3, 1, 1).expand(3, 1, 2)
    matte = torch.tensor([0.0, 0.5]).view(1, 1, 2)
    assert on_grey(foreground, matte)[:, 0, 0].tolist() == [0, 0, 0]
    assert on_grey(foreground, matte)[0, 0, 1] == pytest.approx(0.15)


@pytest.mark.parametrize("settings", [replace(QUICK, stage="none"), replace(QUICK, stage="text", ratio=NEVER)])
def test_without_any_step_it_is_foreground_over_background(harmonizer: Harmonizer, settings: LightSettings) -> None:
    frames = window(2)
    found = harmonizer.harmonize(frames, None, *TEXTS, settings, no_step)
    expected = [f.foreground * f.matte + f.background * (1 - f.matte) for f in frames]
    assert torch.equal(found, torch.stack(expected))


def test_without_text_steps_the_image_step_is_the_answer(harmonizer: Harmonizer) -> None:
    image, none, both = (
        harmonizer.harmonize(window(1), ANCHOR, *TEXTS, settings)
        for settings in (replace(QUICK, stage="image"), replace(QUICK, ratio=NEVER), QUICK)
    )
    assert torch.equal(image, none)
    assert not torch.equal(image, both)


def test_outside_the_matte_is_the_background(harmonizer: Harmonizer) -> None:
    frame = light_frame(3)
    found = harmonizer.harmonize([frame], ANCHOR, *TEXTS, QUICK)[0]
    outside = (frame.matte == 0).expand(3, -1, -1)
    assert torch.equal(found[outside], frame.background[outside])
    assert not torch.equal(found[~outside], frame.foreground[~outside])
    free = harmonizer.harmonize([frame], ANCHOR, *TEXTS, replace(QUICK, change_background=True))[0]
    assert not torch.equal(free[outside], frame.background[outside])


def test_frames_without_a_subject_are_their_background_and_free(harmonizer: Harmonizer) -> None:
    empty, full = light_frame(5, empty=True), light_frame(6)
    assert torch.equal(harmonizer.harmonize([empty], empty, *TEXTS, QUICK, no_step)[0], empty.background)
    mixed = harmonizer.harmonize([empty, full, empty], ANCHOR, *TEXTS, QUICK)
    assert torch.equal(mixed[0], empty.background)
    assert torch.equal(mixed[2], empty.background)
    assert torch.equal(mixed[1], harmonizer.harmonize([full], ANCHOR, *TEXTS, QUICK)[0])


def test_an_anchor_without_a_subject_is_refused(harmonizer: Harmonizer) -> None:
    with pytest.raises(FrameError, match="frame 5: expected an anchor whose matte holds the subject"):
        harmonizer.harmonize(window(1), light_frame(5, empty=True), *TEXTS, QUICK)


def test_sizes_that_differ_are_named(harmonizer: Harmonizer) -> None:
    with pytest.raises(FrameError, match=r"frame 7: expected a foreground of \(3, 32, 48\), got \(3, 32, 40\)"):
        harmonizer.harmonize([light_frame(6), light_frame(7, width=40)], None, *TEXTS, QUICK)


def test_seed_and_words_decide_and_nothing_else(parts: IcLight, harmonizer: Harmonizer) -> None:
    first = harmonizer.harmonize(window(1), ANCHOR, *TEXTS, QUICK)
    assert torch.equal(first, Harmonizer(parts).harmonize(window(1), ANCHOR, *TEXTS, QUICK))
    assert not torch.equal(first, harmonizer.harmonize(window(1), ANCHOR, *TEXTS, replace(QUICK, seed=1)))
    assert not torch.equal(first, harmonizer.harmonize(window(1), ANCHOR, "a man at night", TEXTS[1], QUICK))


@pytest.mark.parametrize("size", [(30, 45), (40, 56)])
def test_any_size_is_kept(harmonizer: Harmonizer, size: tuple[int, int]) -> None:
    frame, anchor = light_frame(1, *size), light_frame(2, *size)
    found = harmonizer.harmonize([frame], anchor, *TEXTS, QUICK)
    assert found.shape == (1, 3, *size)
    assert harmonizer.roundtrip(found).shape == found.shape
    assert harmonizer.roundtrip(found, highres=True).shape == found.shape


def test_highres_works_at_twice_the_size_from_half_of_the_schedule(harmonizer: Harmonizer) -> None:
    told: list[tuple[str, int, int]] = []
    settings = replace(QUICK, highres=True, ratio=PRESETS["weak"].light)
    found = harmonizer.harmonize(window(1), ANCHOR, *TEXTS, settings, lambda *step: told.append(step))
    last = {stage: (step, steps) for stage, step, steps in told}
    assert last["light image"] == (4, 4)  # two steps, anchor and frame
    assert last["light image x2"] == (4, 4)
    assert last["light text"] == (2, 2)  # the level nearest to 0.4 of two steps is the last
    assert found.shape == (1, 3, 32, 48)
    assert not torch.equal(found, harmonizer.harmonize(window(1), ANCHOR, *TEXTS, QUICK))


def test_every_step_is_told_once(harmonizer: Harmonizer) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    harmonizer.harmonize(
        window(3), ANCHOR, *TEXTS, replace(QUICK, chunk=2), lambda stage, *step: told.setdefault(stage, []).append(step)
    )
    stages = ("light image", "light text")
    assert list(told) == [f"{stage}{part}" for stage in stages for part in (", encode", "", ", decode")]
    for steps in told.values():
        assert [step for step, _ in steps] == list(range(1, steps[0][1] + 1))


def test_one_network_is_in_its_place_at_a_time(parts: IcLight) -> None:
    places: list[str] = []

    @contextmanager
    def placed(name: str) -> Iterator[None]:
        assert name in parts.modules()
        assert not places or places[-1].startswith("-")
        places.append(name)
        yield
        places.append(f"-{name}")

    Harmonizer(parts, placed).harmonize(window(1), ANCHOR, *TEXTS, QUICK)
    used = [name for name in places if not name.startswith("-")]
    assert used == ["text_encoder", "vae", "fbc", "vae", "vae", "fc", "vae"]


def test_the_text_encoder_can_be_freed(tiny_folder: Path) -> None:
    own = tiny_parts(tiny_folder)
    harmonizer = Harmonizer(own)
    harmonizer.embed(*TEXTS)
    own.text.free()
    assert "text_encoder" not in own.modules()
    harmonizer.harmonize(window(1), None, *TEXTS, QUICK)
    with pytest.raises(RecipeError, match="before the text encoder was freed"):
        harmonizer.harmonize(window(1), None, "other words", TEXTS[1], QUICK)


def test_half_precision_stays_close_and_answers_in_float32(parts: IcLight, tiny_folder: Path) -> None:
    half = Harmonizer(tiny_parts(tiny_folder, torch.bfloat16, torch.bfloat16))
    found = half.harmonize(window(1), ANCHOR, *TEXTS, QUICK)
    assert found.dtype == torch.float32
    full = Harmonizer(parts).harmonize(window(1), ANCHOR, *TEXTS, QUICK)
    assert (found - full).abs().max() < 0.2  # eight bits of mantissa through two networks and four codec calls


def test_the_first_frame_follows_text_or_background(harmonizer: Harmonizer) -> None:
    frame = light_frame(1)
    given = (frame.foreground, frame.matte, *TEXTS, QUICK)
    text, image, other = (
        harmonizer.first_frame(*given, background=scene) for scene in (None, frame.background, -frame.background)
    )
    assert text.shape == frame.foreground.shape
    assert not torch.equal(text, image)
    assert not torch.equal(image, other)


def test_iclight_is_a_registered_model(tiny_folder: Path) -> None:
    assert relight_models() == ("iclight",)
    kind = relight_model("iclight")
    folders = {card: tiny_folder / card for card in kind.facts.cards}
    model = kind.load(folders, torch.float32, "cpu")
    assert model.harmonize(window(1), None, *TEXTS, QUICK, lambda *step: None).shape == (1, 3, 32, 48)
    with pytest.raises(RecipeError, match="expected one of iclight, got 'sun'"):
        relight_model("sun")


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"chunk": 0}, {"ratio": -1.0}, {"ratio": float("nan")}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected steps and chunk"):
        LightSettings(**wrong)
