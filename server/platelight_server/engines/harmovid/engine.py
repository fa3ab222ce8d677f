"""The HarmoVid engine: a shot, clip by clip, through a first pass and the trained network, back as a change of light.

Owns the engine's interface: capabilities, what the check is told, the clips, and what is kept between them. Models are
the studio's. The answer is compared with the unlit composite's round trip through the codec, so that the finish takes
the change of light alone to the plate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from platelight.errors import PlatelightError, RecipeError
from platelight_server.engines.canvas import Colors
from platelight_server.engines.harmovid.alpha import inference_matte, is_binary, width_px
from platelight_server.engines.harmovid.clip import Clip
from platelight_server.engines.harmovid.extent import GROUP, Extent
from platelight_server.engines.harmovid.models import Chosen, choose_models, config_of, plan_of
from platelight_server.engines.harmovid.options import OPTIONS, Settings
from platelight_server.engines.interface import (
    Answer,
    Asked,
    Capabilities,
    Engine,
    FrameInputs,
    LightChange,
    ModelLicence,
    Notes,
    Pictures,
    Readiness,
    Shot,
)
from platelight_server.engines.light.frames import has_subject
from platelight_server.engines.windows import cross_fade
from platelight_server.plan import Window

if TYPE_CHECKING:
    from platelight.recipe import RelitSource
    from platelight_server.engines.harmovid.studio import Studio

_UNTRAINED = "the checkpoint was not trained (0 steps): it does not see the shot, and its answer means nothing"
_KEPT = "the plate's own background is kept: the network sees the subject in it, and finds little to change"
_ABSENT = ModelLicence("a trained checkpoint", "that of the base it is trained from", commercial=False)


@dataclass(frozen=True)
class _Made:
    """A clip that went through the network: what it was shown, and the answer's latent (None without a subject)."""

    clip: Clip
    matte: torch.Tensor
    latent: torch.Tensor | None


class HarmoVidEngine(Engine):
    """See the module. The same inputs give the same bits on one device, whatever part of a shot is rendered."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="harmovid",
        summary="HarmoVid: harmonizes or steadies with a trained video network, of any length; needs a checkpoint",
        backgrounds=("keep", "still", "sequence"),
        model_height=480,
        model_width=720,
        window_frames=145,
        sampled_frames=12,
        licences=(_ABSENT,),
        options=OPTIONS,
        previews=False,
    )

    def __init__(self, options: Mapping[str, Any], device: str = "cpu") -> None:
        super().__init__(options, device)
        self._settings = Settings.of(options)
        self._extent = Extent.of(self._settings, config_of(self._settings))
        self._made: dict[int, _Made] = {}
        self._studio: Studio | None = None

    @classmethod
    def capabilities_for(cls, options: Mapping[str, Any], background: str = "keep") -> Capabilities:
        """Clips, canvas and licences follow from the checkpoint; without one they are those of CogVideoX 1.0."""
        settings = Settings.of(options)
        extent = Extent.of(settings, config_of(settings))
        return replace(
            cls.capabilities,
            model_height=extent.lines,
            model_width=extent.columns,
            window_frames=extent.clip_frames,
            licences=_licences(settings),
        )

    @classmethod
    def windows(cls, options: Mapping[str, Any], frames: Sequence[int]) -> tuple[Window, ...]:
        settings = Settings.of(options)
        return Extent.of(settings, config_of(settings)).cut(len(frames)).windows(frames)

    @classmethod
    def ready(cls, options: Mapping[str, Any], asked: Asked) -> Readiness:
        settings = Settings.of(options)
        first, relit = settings.shown_first, asked.recipe.relit
        if (first == "given") != (relit is not None):
            return Readiness((_relit_problem(relit),))
        try:
            chosen = choose_models(settings, first == "iclight")
            extent = Extent.of(settings, config_of(settings))
            extent.cut(len(asked.recipe.frames))
            errors: list[PlatelightError] = chosen.problems(settings)
            if errors:
                return Readiness(tuple(errors))
            chosen.require_base()
            plan = plan_of(settings, chosen, extent, asked.device)
            digests = chosen.digests()
        except PlatelightError as error:
            return Readiness((error,))
        warnings = [_UNTRAINED] if chosen.steps == 0 else []
        warnings += [_KEPT] if settings.mode == "harmonize" and asked.recipe.background.kind == "keep" else []
        changing = plan.rung.name if plan.rung.changes_pixels else ""
        return Readiness(
            warnings=tuple(warnings),
            memory_bytes=plan.peak_bytes,
            plan=plan.text,
            depends_on=(*digests, f"tiled {plan.tiled}", changing),
        )

    def prepare(self, shot: Shot) -> Notes:
        """Decides from the sampled frames how the matte is shown, for the whole shot. Raises `ModelError`."""
        settings = self._settings
        self._shot, self._cut = shot, self._extent.cut(len(shot.frames))
        self._places = {frame: i for i, frame in enumerate(shot.frames)}
        self._colors = Colors(shot.to_rec709)
        sampled = list(shot.sampled(self.capabilities.sampled_frames))
        mattes = torch.stack([one.matte.cpu() for one in sampled]) if sampled else torch.zeros(1, 1, 1, 1)
        self._width_px = width_px(mattes, settings.matte_width)
        self._made_matte = settings.matte
        if settings.matte == "auto":
            self._made_matte = "ramp" if is_binary(mattes) else "given"
        self._first = settings.shown_first
        self._chosen: Chosen = choose_models(settings, self._first == "iclight")
        return Notes(
            {
                "mode": settings.mode,
                "checkpoint": self._chosen.cards[0].name,
                "base": self._chosen.cards[1].name,
                "training_steps": self._chosen.steps,
                "first_pass": self._first,
                "matte": self._made_matte,
                "matte_half_width_px": None if self._made_matte == "given" else round(self._width_px, 3),
                "clips": len(self._cut.starts),
                "window_frames": self._extent.window_frames,
            }
        )

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        """Answers `answered`, which lie in one clip; see `windows`. What the clip before made is used again."""
        held = {one.frame: one for one in window}
        index = self._cut.index_of(self._places[answered[0]])
        before = self._clip(index - 1, held) if index > 0 else None
        made = self._clip(index, held)
        self._made = {index: made}  # the next clip needs this one alone
        if made.latent is None:
            yield from (_unchanged(held[frame]) for frame in answered)
            return
        source = made.clip.composed(made.clip.plate, made.matte, self._colors)
        roundtrip = self._models().roundtrip(source)
        video = self._models().decoded(self._joined(before, made, index), source)
        for frame in answered:
            seen, place = held[frame], self._places[frame] - self._cut.starts[index]
            if not has_subject(seen.matte):
                yield _unchanged(seen)
                continue
            shown = [self._colors.decode(one[place]).to(seen.plate) for one in (source, roundtrip, video)]
            yield Answer(frame, Pictures(shown[0], shown[1], shown[2]))

    def _models(self) -> Studio:
        from platelight_server.engines.harmovid.studio import Studio  # loads diffusers and transformers

        if self._studio is None:
            extent, settings = self._extent, self._settings
            plan = plan_of(settings, self._chosen, extent, self.device)
            self._studio = Studio(settings, extent, self._chosen, plan, self.device, self._shot.seed, self.step)
        return self._studio

    def _clip(self, index: int, held: Mapping[int, FrameInputs]) -> _Made:
        if index not in self._made:
            frames = [self._shot.frames[place] for place in self._cut.seen(index)]
            self._made[index] = self._through(Clip.of(frames, held), self._cut.first_slot(index))
        return self._made[index]

    def _through(self, clip: Clip, first_slot: int) -> _Made:
        """One clip through first pass and network; one without a subject goes through nothing."""
        picture = self._colors.encode(clip.plate) if self._made_matte == "guided" else None
        matte = inference_matte(clip.matte, self._made_matte, self._width_px, picture)
        if not has_subject(clip.matte):
            return _Made(clip, matte, None)
        subject = clip.plate
        if self._first == "iclight":
            subject = self._models().relit(clip, self._colors)
        elif self._first == "given":
            subject = clip.relit
        composite = clip.composed(subject, matte, self._colors)
        background = self._colors.encode(clip.background)
        return _Made(clip, matte, self._models().harmonized(composite, background, matte, first_slot))

    def _joined(self, before: _Made | None, made: _Made, index: int) -> torch.Tensor:
        """The clip's latent, led over from the clip before."""
        assert made.latent is not None
        if before is None or before.latent is None:
            return made.latent
        shift = self._cut.first_slot(index) - self._cut.first_slot(index - 1)
        fade, lead = self._cut.overlap // GROUP, self._models().backbone.facts.latent_lead
        return cross_fade(before.latent, made.latent, shift, fade, lead)


def _licences(settings: Settings) -> tuple[ModelLicence, ...]:
    """Those of the models where all are there, else that there must be one; the check says what is missing."""
    try:
        return choose_models(settings, settings.shown_first == "iclight").licences
    except PlatelightError:
        return (_ABSENT,)


def _relit_problem(relit: RelitSource | None) -> RecipeError:
    if relit is None:
        return RecipeError("relit.path", "the relit sequence, for first_pass = given", "none")
    return RecipeError("engine.options.first_pass", "given, as the recipe has a relit sequence", "another")


def _unchanged(seen: FrameInputs) -> Answer:
    nothing = torch.zeros_like(seen.plate)
    return Answer(seen.frame, LightChange(nothing, nothing, torch.ones_like(seen.matte)))
