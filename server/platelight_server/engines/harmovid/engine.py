"""The HarmoVid engine: a shot, clip by clip, through a first pass and the trained network, back as a change of light.

Owns the engine's interface: capabilities, what the check is told, the clips, and what is kept between them. Models are
the studio's. The answer is compared with the unlit composite's round trip through the codec, so that the finish takes
the change of light alone to the plate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from platelight.errors import PlatelightError, RecipeError
from platelight_server.engines.canvas import Colors
from platelight_server.engines.harmovid.alpha import is_binary, width_px
from platelight_server.engines.harmovid.clip import Clip, Showing
from platelight_server.engines.harmovid.extent import Extent
from platelight_server.engines.harmovid.models import Chosen, choose_models, config_of, plan_of
from platelight_server.engines.harmovid.options import OPTIONS, Settings
from platelight_server.engines.harmovid.parts import Part, joined, parts
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
from platelight_server.engines.placement import pixels_of
from platelight_server.plan import Window

if TYPE_CHECKING:
    from platelight.recipe import RelitSource
    from platelight_server.engines.harmovid.studio import Studio

_Held = Mapping[int, FrameInputs]
_UNTRAINED = "the checkpoint was not trained (0 steps): it does not see the shot, and its answer means nothing"
_KEPT = "the plate's own background is kept: the network sees the subject in it, and finds little to change"
_ABSENT = ModelLicence("a trained checkpoint", "that of the base it is trained from", commercial=False)


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
        version=2,  # clips are split at cuts
        previews=False,
    )

    def __init__(self, options: Mapping[str, Any], device: str = "cpu") -> None:
        super().__init__(options, device)
        self._settings = Settings.of(options)
        self._extent = Extent.of(self._settings, config_of(self._settings))
        self._cuts: dict[int, tuple[int, ...]] = {}
        self._made: dict[tuple[int, int], torch.Tensor | None] = {}  # latents, by clip and where their part begins
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
            return Readiness((_relit_problem(settings, relit),))
        try:
            chosen = choose_models(settings, first == "iclight")
            extent = Extent.of(settings, config_of(settings))
            extent.cut(len(asked.recipe.frames))
            errors: list[PlatelightError] = chosen.problems(settings)
            if errors:
                return Readiness(tuple(errors))
            chosen.require_whole()
            plan = plan_of(settings, chosen, extent, asked.device)
            digests = chosen.digests()
        except PlatelightError as error:
            return Readiness((error,))
        warnings = [_UNTRAINED] if chosen.steps == 0 else []
        warnings += [_KEPT] if settings.mode == "harmonize" and asked.recipe.background.kind == "keep" else []
        return Readiness(
            warnings=tuple(warnings),
            memory_bytes=plan.peak_bytes,
            plan=plan.text,
            depends_on=(*digests, *pixels_of(plan)),
        )

    def prepare(self, shot: Shot) -> Notes:
        """Decides from the sampled frames how the matte is shown, for the whole shot. Raises `ModelError`."""
        settings = self._settings
        self._shot, self._cut = shot, self._extent.cut(len(shot.frames))
        self._places = {frame: i for i, frame in enumerate(shot.frames)}
        sampled = list(shot.sampled(self.capabilities.sampled_frames))
        mattes = torch.stack([one.matte.cpu() for one in sampled]) if sampled else torch.zeros(1, 1, 1, 1)
        made = settings.matte
        if made == "auto":
            made = "ramp" if is_binary(mattes) else "given"
        self._showing = Showing(Colors(shot.to_rec709), made, width_px(mattes, settings.matte_width))
        self._first = settings.shown_first
        self._chosen: Chosen = choose_models(settings, self._first == "iclight")
        return Notes(
            {
                "mode": settings.mode,
                "checkpoint": self._chosen.cards[0].name,
                "base": self._chosen.cards[1].name,
                "training_steps": self._chosen.steps,
                "first_pass": self._first,
                "matte": made,
                "matte_half_width_px": None if made == "given" else round(self._showing.width_px, 3),
                "clips": len(self._cut.starts),
                "window_frames": self._extent.window_frames,
            }
        )

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        """Answers `answered`, which lie in one clip; see `windows`. What the clip before made is used again."""
        held = {one.frame: one for one in window}
        index = self._cut.index_of(self._places[answered[0]])
        self._made = {key: latent for key, latent in self._made.items() if key[0] in (index - 1, index)}
        for part in self._parts(index, held):
            wanted = [frame for frame in answered if self._places[frame] in part.places]
            if wanted:
                yield from self._answers(index, part, wanted, held)

    def _answers(self, index: int, part: Part, wanted: Sequence[int], held: _Held) -> Iterator[Answer]:
        """Answers frames of one part of a clip."""
        latent = self._joined(index, part, held)
        if latent is None:
            yield from (Answer(frame, LightChange.none(held[frame])) for frame in wanted)
            return
        source = self._clip(index, part, held).source()
        roundtrip = self._models().roundtrip(source, part)
        video = self._models().decoded(latent, part, (source.shape[-2], source.shape[-1]))
        for frame in wanted:
            seen, place = held[frame], self._places[frame] - part.places.start
            if has_subject(seen.matte):
                shown = [self._showing.colors.decode(one[place]).to(seen.plate) for one in (source, roundtrip, video)]
                yield Answer(frame, Pictures(shown[0], shown[1], shown[2]))
            else:
                yield Answer(frame, LightChange.none(seen))

    def _models(self) -> Studio:
        from platelight_server.engines.harmovid.studio import Studio  # loads diffusers and transformers

        if self._studio is None:
            extent, settings = self._extent, self._settings
            plan = plan_of(settings, self._chosen, extent, self.device)
            self._studio = Studio(settings, extent, self._chosen, plan, self.device, self._shot.seed, self.step)
        return self._studio

    def _parts(self, index: int, held: _Held) -> tuple[Part, ...]:
        """The parts of a clip, found from its own frames alone: whatever else is rendered, they are the same."""
        if index not in self._cuts:
            self._cuts[index] = self._clip(index, Part(self._cut.seen(index)), held).cuts()
        return parts(self._cut.seen(index), self._cuts[index])

    def _clip(self, index: int, part: Part, held: _Held) -> Clip:
        """The frames of a part of a clip."""
        seen = self._cut.seen(index)
        whole = Clip.of([self._shot.frames[place] for place in seen], held, self._showing)
        return whole.part(range(part.places.start - seen.start, part.places.stop - seen.start))

    def _joined(self, index: int, part: Part, held: _Held) -> torch.Tensor | None:
        """A part's latent, led over from the clip before where that holds the same take; None without a subject."""
        own, first = self._latent(index, part, held), self._cut.starts[index]
        if own is None or index == 0 or part.places.start != first:
            return own
        earlier = next(one for one in self._parts(index - 1, held) if first in one.places)
        before = self._latent(index - 1, earlier, held)
        if before is None:
            return own
        return joined(before, earlier, own, part, self._cut.overlap, self._models().backbone.facts.latent_lead)

    def _latent(self, index: int, part: Part, held: _Held) -> torch.Tensor | None:
        """What the network makes of a part, by itself; None for one without a subject, which goes through nothing."""
        key = index, part.places.start
        if key not in self._made:
            clip = self._clip(index, part, held)
            self._made[key] = self._through(clip, part) if clip.has_subject else None
        return self._made[key]

    def _through(self, clip: Clip, part: Part) -> torch.Tensor:
        """A part through first pass and network."""
        composite = clip.given if self._first == "given" else clip.source
        if self._first == "iclight":
            composite = partial(clip.over, self._models().relit(clip))
        return self._models().harmonized(composite, clip, part)


def _licences(settings: Settings) -> tuple[ModelLicence, ...]:
    """Those of the models where all are there, else that there must be one; the check says what is missing."""
    try:
        return choose_models(settings, settings.shown_first == "iclight").licences
    except PlatelightError:
        return (_ABSENT,)


def _relit_problem(settings: Settings, relit: RelitSource | None) -> RecipeError:
    if relit is None:
        return RecipeError("relit.path", "the relit sequence, for first_pass = given", "none")
    return RecipeError("engine.options.first_pass", "given, as the recipe has a relit sequence", settings.first_pass)
