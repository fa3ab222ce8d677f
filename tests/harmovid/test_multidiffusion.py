"""A clip of several windows is denoised as one; one window is denoised as ever."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from platelight.errors import ModelError
from platelight_server.engines.harmovid.multidiffusion import clip_noise, denoise, fused, seam, weights, windows
from platelight_server.engines.interface import Cancelled
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.expanded import widen
from platelight_server.models.video.interface import CLEAN, NoiseLevel, Prediction, Prompt
from tests.models import video_nets

SUM_TOLERANCE = 1e-6  # float32, weights that add up to one


def network(kind: str = "2b") -> CogVideoX:
    """A deflicker whose conditions count."""
    made = video_nets.cogvideox15() if kind == "1.5" else video_nets.backbone(kind)
    assert isinstance(made, CogVideoX)
    widen(made.transformer, "deflicker")
    torch.manual_seed(4)
    with torch.no_grad():
        made.transformer.patch_embed.proj.weight.add_(0.05 * torch.randn_like(made.transformer.patch_embed.proj.weight))
    return made


def conditions(count: int) -> torch.Tensor:
    """A still: what moves in a result is the model's noise."""
    return torch.randn(1, 32, 4, 6, generator=torch.Generator().manual_seed(8)).expand(count, 32, 4, 6).contiguous()


@pytest.mark.parametrize(
    ("count", "length", "overlap", "align"), [(13, 13, 4, 1), (14, 13, 4, 1), (61, 22, 6, 2 - 1), (62, 22, 6, 2)]
)
def test_windows_cover_the_clip_and_overlap_enough(count: int, length: int, overlap: int, align: int) -> None:
    spans = windows(count, length, overlap, align)
    assert spans[0].start == 0 and spans[-1].stop == count
    assert all(len(span) == length and span.start % align == 0 for span in spans)
    assert all(before.stop - after.start >= overlap for before, after in pairwise(spans))


def test_the_papers_lengths_take_as_many_windows_as_they_must() -> None:
    """85 frames are 22 latents with their lead, 240 are 61 and padded to 62."""
    assert [len(windows(count, 22, 6, 2)) for count in (22, 34, 62, 122)] == [1, 2, 4, 8]


def test_a_clip_shorter_than_a_window_is_one() -> None:
    """Whatever its overlap would be."""
    assert windows(3, 13, 4) == windows(3, 13, 8) == (range(3),)


@pytest.mark.parametrize("bad", [(14, 13, 7, 1), (14, 13, 1, 1), (13, 12, 4, 2), (12, 13, 4, 2)])
def test_windows_that_cannot_be_are_refused(bad: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="windows: expected multiples of"):
        windows(*bad)


@pytest.mark.parametrize(("count", "length", "overlap", "align"), [(40, 22, 6, 2), (30, 13, 4, 1), (14, 13, 6, 1)])
def test_weights_add_up_to_one_and_begin_with_zero(count: int, length: int, overlap: int, align: int) -> None:
    spans = windows(count, length, overlap, align)
    ramps = weights(spans, align)
    total = torch.zeros(count)
    for span, ramp in zip(spans, ramps, strict=True):
        total[span.start : span.stop] += ramp
    assert torch.allclose(total, torch.ones(count), atol=SUM_TOLERANCE)
    assert float(ramps[0][0]) == 1.0 == float(ramps[-1][-1])
    assert all(bool((ramp[:align] == 0).all()) for ramp in ramps[1:])
    assert all(float((b - a).abs().max()) <= 1 / (overlap - align) for a, b in ((r[:-1], r[1:]) for r in ramps))


def test_a_model_that_does_not_see_windows_gives_the_same_with_them() -> None:
    latent = torch.randn(40, 16, 4, 6, generator=torch.Generator().manual_seed(1))
    spans = windows(40, 22, 6, 2)
    parts = (Prediction(0.3 * latent[s.start : s.stop] + 1, latent[s.start : s.stop]) for s in spans)
    found = fused(parts, spans, 2)
    assert torch.allclose(found.clean, 0.3 * latent + 1, atol=SUM_TOLERANCE, rtol=SUM_TOLERANCE)


@pytest.mark.parametrize("kind", ("2b", "5b", "1.5"))
def test_one_window_is_the_model_alone_bit_for_bit(kind: str) -> None:
    model = network(kind)
    align = model.facts.latent_lead + 1
    prompt, told, noise = model.embed("", ""), conditions(4), clip_noise(3, 0, (4, 16, 4, 6))
    latent = noise
    for level, following in pairwise((*model.levels(3), CLEAN)):
        answer = model.predict(latent, level, prompt, 1.0, told)
        latent = following.signal * answer.clean + following.noise * answer.noise
    found = denoise(model, told, noise, prompt, 3, windows(4, 4, 2 * align, align) if align == 1 else (range(4),))
    assert torch.equal(found, latent)


class Watched(CogVideoX):
    """Notes how many latents it is asked about at once; can be told to fail."""

    def predict(
        self,
        latent: torch.Tensor,
        level: NoiseLevel,
        prompt: Prompt,
        guidance: float,
        condition: torch.Tensor | None = None,
    ) -> Prediction:
        self.seen.append((len(latent), len(condition) if condition is not None else 0))
        answer = super().predict(latent, level, prompt, guidance, condition)
        return replace(answer, clean=answer.clean / 0) if self.broken else answer

    seen: list[tuple[int, int]]
    broken = False


class Told:
    """Keeps the steps that it hears of."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, int]] = []

    def __call__(self, *said: Any) -> None:
        self.said.append(said)  # type: ignore[arg-type]


def watched() -> Any:
    model: Any = network()
    model.__class__, model.seen = Watched, []
    return model


def test_the_model_never_sees_more_than_a_window() -> None:
    for count in (9, 30):
        model, told = watched(), Told()
        denoise(
            model, conditions(count), clip_noise(3, 0, (count, 16, 4, 6)), model.embed("", ""), 2,
            windows(count, 5, 2), step=told,
        )  # fmt: skip
        assert set(model.seen) == {(5, 5)}
        assert told.said == [("denoise", i + 1, len(model.seen)) for i in range(len(model.seen))]


def test_windows_that_disagree_are_led_over_where_cutting_would_jump() -> None:
    """A model that paints every other window brighter, over a slow motion: the step is spread over the overlap."""
    drift = 0.1 * torch.arange(40.0).view(40, 1, 1, 1).expand(40, 16, 4, 6)
    spans = windows(40, 16, 6)
    painted = [drift[span.start : span.stop] + (k % 2) for k, span in enumerate(spans)]
    joined = fused((Prediction(one, one) for one in painted), spans).clean
    cut, borders = painted[0], []
    for one, before, after in zip(painted[1:], spans, spans[1:], strict=False):
        borders.append((before.stop + after.start) // 2)
        cut = torch.cat([cut[: borders[-1]], one[borders[-1] - after.start :]])
    assert seam(cut, borders) == pytest.approx(11.0, rel=1e-3)
    assert seam(joined, borders) < 11.0 / 3


def test_a_network_shows_no_seam_at_its_windows_borders() -> None:
    model, count = network(), 17
    spans = windows(count, 7, 2)
    joined = denoise(model, conditions(count), clip_noise(3, 0, (count, 16, 4, 6)), model.embed("", ""), 4, spans)
    borders = {span.start for span in spans[1:]} | {span.stop for span in spans[:-1]}
    assert seam(joined, sorted(borders)) < 1.25


def test_a_seam_is_measured_against_the_motion_beside_it() -> None:
    video = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 2, 2).clone()
    assert seam(video, [4]) == pytest.approx(1.0) and seam(video, []) == 0.0
    video[4:] += 2
    assert seam(video, [4]) == pytest.approx(3.0)


def test_noise_belongs_to_the_shots_latents() -> None:
    whole = clip_noise(7, 0, (9, 16, 4, 6))
    assert torch.equal(whole[4:], clip_noise(7, 4, (5, 16, 4, 6)))
    assert torch.equal(whole[3:], clip_noise(7, 4, (6, 16, 4, 6), lead=1))
    assert not torch.equal(whole, clip_noise(8, 0, (9, 16, 4, 6)))


def test_a_cancel_passes_and_numbers_that_are_none_are_an_error() -> None:
    model = watched()

    def stop(*_: object) -> None:
        raise Cancelled

    asked = (model, conditions(5), clip_noise(1, 0, (5, 16, 4, 6)), model.embed("", ""), 2, (range(5),))
    with pytest.raises(Cancelled):
        denoise(*asked, step=stop)
    model.broken = True
    with pytest.raises(ModelError, match="step 1 of 2"):
        denoise(*asked)
