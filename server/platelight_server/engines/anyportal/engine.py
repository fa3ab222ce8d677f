"""The AnyPortal engine: a window of frames through background, light and consistency, and back as a change of light.

Owns the engine's interface: capabilities, what the check is told, the windows, and what is kept between them. The
stages are the folders beside it; models are the studio's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from platelight.errors import ModelError, PlatelightError, RecipeError
from platelight_server.engines.anyportal.clip import Clip
from platelight_server.engines.anyportal.models import (
    EDGE_CONTROLS,
    cards_of,
    digests_of,
    plan_of,
    problems_of,
)
from platelight_server.engines.anyportal.options import OPTIONS, Settings
from platelight_server.engines.canvas import Canvas, Colors
from platelight_server.engines.interface import (
    Answer,
    Asked,
    Capabilities,
    Engine,
    FrameInputs,
    LightChange,
    Notes,
    Pictures,
    Readiness,
    Shot,
)
from platelight_server.engines.light.anchors import choose_anchor, cuts
from platelight_server.engines.light.frames import LightFrame
from platelight_server.engines.placement import licences_of, pixels_of
from platelight_server.engines.windows import Cut, cross_fade, cut
from platelight_server.plan import Window

if TYPE_CHECKING:
    from platelight_server.engines.anyportal.background.painter import Painter
    from platelight_server.engines.anyportal.studio import Studio

# What each backbone sees at once, and the canvas it was trained at (lines, columns), where options do not say.
SEEN = {"cogvideox-2b": (49, 480, 720), "cogvideox-5b": (49, 480, 720), "wan2.1-t2v-1.3b": (81, 480, 832)}
GROUP = 4  # frames of a latent, with all of them


@dataclass(frozen=True)
class _Made:
    """A window that went through the stages: its clip, and the latent (or, without a video model, the video)."""

    clip: Clip
    relit: torch.Tensor
    latent: torch.Tensor | None


class AnyPortalEngine(Engine):
    """See the module. The same inputs give the same bits on one device, whatever part of a shot is rendered."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="anyportal",
        summary="AnyPortal: IC-Light's relight, steadied by a video model with refinement projection; needs weights",
        backgrounds=("keep", "still", "sequence", "prompt"),
        model_height=480,
        model_width=720,
        window_frames=49,
        sampled_frames=12,
        uses_camera=True,
        whole_camera=True,
        options=OPTIONS,
        previews=False,
    )

    def __init__(self, options: Mapping[str, Any], device: str = "cpu") -> None:
        super().__init__(options, device)
        self._settings = settings_of(options)
        self._made: dict[int, _Made] = {}
        self._studio: Studio | None = None
        self._painter: Painter | None = None

    @classmethod
    def capabilities_for(cls, options: Mapping[str, Any], background: str = "keep") -> Capabilities:
        """Windows, canvas and licences follow from the models that are chosen."""
        settings = settings_of(options)
        return replace(
            cls.capabilities,
            model_height=settings.lines,
            model_width=settings.columns,
            window_frames=settings.window_frames,
            licences=licences_of(cards_of(settings, _is_painted(settings, background))),
        )

    @classmethod
    def windows(cls, options: Mapping[str, Any], frames: Sequence[int]) -> tuple[Window, ...]:
        return _cut(settings_of(options), len(frames)).windows(frames)

    @classmethod
    def ready(cls, options: Mapping[str, Any], asked: Asked) -> Readiness:
        settings = settings_of(options)
        if find_spec("diffusers") is None or find_spec("transformers") is None:
            return Readiness((ModelError("engine anyportal: expected its packages; pip install 'platelight[models]'"),))
        errors: list[PlatelightError] = []
        background = asked.recipe.background
        painted = _is_painted(settings, background.kind)
        errors += _window_problems(settings, len(asked.recipe.frames))
        if (painted or settings.light in ("two-step", "text")) and not settings.words(background.prompt).whole:
            errors.append(RecipeError("engine.prompt", "the new scene in words", "none"))
        if painted:
            errors += _painting_problems(settings, asked)
        elif settings.light == "none" and settings.consistency == "none":
            return Readiness(tuple(errors), ("nothing is asked of the engine: the light stays as it is",))
        cards = cards_of(settings, painted)
        errors += problems_of(settings, cards)
        if errors:
            return Readiness(tuple(errors))
        try:
            plan = plan_of(settings, cards, settings.lines, settings.columns, asked.device)
        except PlatelightError as error:
            return Readiness((error,))
        return Readiness(
            warnings=tuple(_warnings(settings)),
            memory_bytes=plan.peak_bytes,
            plan=plan.text,
            depends_on=(*digests_of(cards), *pixels_of(plan)),
        )

    def prepare(self, shot: Shot) -> Notes:
        """Loads the models, reads the texts, and chooses the anchor among the sampled frames: the one with most of the
        subject in it. Raises `ModelError` and `RecipeError`."""
        settings = self._settings
        self._shot, self._cut = shot, _cut(settings, len(shot.frames))
        self._places = {frame: i for i, frame in enumerate(shot.frames)}
        self._colors = Colors(shot.to_rec709)
        self._words = settings.words(shot.prompt)
        self._painted = settings.paint_from_still or shot.prompt is not None
        sampled = list(shot.sampled(self.capabilities.sampled_frames))
        self._first = sampled[0] if sampled else None
        self._anchor = self._chosen(sampled)
        return Notes(
            {
                "backbone": settings.backbone if settings.consistency != "none" else "none",
                "light": settings.light,
                "light_ratio": _rounded(settings.light_ratio),
                "consistency": settings.consistency,
                "consistency_ratio": _rounded(settings.consistency_ratio),
                "prompt": self._words.whole,
                "background": "painted" if self._painted else "given",
                "anchor_frame": None if self._anchor is None else self._anchor.frame,
                "windows": len(self._cut.starts),
            }
        )

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        """Answers `answered`, which lie in one window; see `windows`. What earlier windows made is used again."""
        held = {one.frame: one for one in window}
        if (self._anchor is None or self._is_idle) and not self._painted:
            yield from (Answer(frame, LightChange.none(held[frame])) for frame in answered)
            return
        index = self._cut.index_of(self._places[answered[0]])
        before = self._window(index - 1, held) if index > 0 else None
        made = self._window(index, held)
        self._made = {index: made}  # the next window needs this one alone
        video = self._joined(before, made, index)
        roundtrip = self._taken(self._models().roundtrip(self._laid(made.clip.source)))
        first = self._cut.starts[index]
        for frame in answered:
            place = self._places[frame] - first
            answer = self._answer(held[frame], made.clip.source[place], roundtrip[place], video[place])
            painted = self._colors.decode(made.clip.background[place]) if self._painted else None
            yield replace(answer, background=painted)

    @property
    def _is_idle(self) -> bool:
        return self._settings.light == "none" and self._settings.consistency == "none"

    def _models(self) -> Studio:
        from platelight_server.engines.anyportal.studio import Studio  # loads diffusers and transformers

        if self._studio is None:
            cards = cards_of(self._settings, self._painted)
            plan = plan_of(self._settings, cards, self._settings.lines, self._settings.columns, self.device)
            self._studio = Studio(self._settings, cards, plan, self._words, self.device, self._shot.seed, self.step)
        return self._studio

    def _chosen(self, sampled: Sequence[FrameInputs]) -> LightFrame | None:
        """The anchor. A painted background is there for the first window before all others: it is chosen in that."""
        seen = [one for one in sampled if not self._painted or self._places[one.frame] in self._cut.seen(0)]
        chosen = choose_anchor([one.matte for one in seen])
        if chosen is None:
            return None
        frame = seen[chosen].frame
        return Clip.of((frame,), {frame: seen[chosen]}, self._colors, None).light_frames()[0]

    def _window(self, index: int, held: Mapping[int, FrameInputs]) -> _Made:
        if index not in self._made:
            frames = [self._shot.frames[place] for place in self._cut.seen(index)]
            painted = self._paint(index, held) if self._painted else None
            clip = Clip.of(frames, held, self._colors, painted)
            self._made[index] = self._through(clip, self._cut.first_slot(index))
        return self._made[index]

    def _through(self, clip: Clip, first_slot: int) -> _Made:
        """One window through the stages. A window with a cut in it goes through in parts, each with its own anchor."""
        studio = self._models()
        borders = [0, *cuts((clip.plate + 1) / 2), len(clip.frames)]
        parts = [clip.part(first, last) for first, last in zip(borders, borders[1:], strict=False)]
        relit, latents = [], []
        for part in parts:
            anchor = self._anchor if len(parts) == 1 else self._own_anchor(part)
            relit.append(studio.relit(part, anchor))
            if studio.backbone is not None:
                laid = replace(
                    part,
                    plate=self._laid(part.plate),
                    matte=self._laid(part.matte),
                    background=self._laid(part.background),
                )
                latents.append(studio.steadied(self._laid(relit[-1]), laid, first_slot))
        if len(parts) == 1:
            return _Made(clip, relit[0], latents[0] if latents else None)
        videos = [
            self._taken(studio.decoded(latent))[: len(part.frames)]
            for latent, part in zip(latents, parts, strict=False)
        ]
        return _Made(clip, torch.cat(videos or relit), None)

    def _paint(self, index: int, held: Mapping[int, FrameInputs]) -> torch.Tensor:
        """The painted background (F, 3, h, w) of a window; the anchor gets its part of it."""
        from platelight_server.engines.anyportal.background.begin import begin  # loads what the painting needs

        if self._painter is None:
            assert self._first is not None
            height, width = self._first.plate.shape[-2:]
            size = Canvas.of(height, width, self._models().canvases, 8)
            follow = self._first.background if self._settings.paint_from_still else None
            self._painter = begin(self._models(), self._shot, self._first, follow, self._colors, size, held)
            if self._anchor is not None:
                place = self._places[self._anchor.frame]
                (behind,) = self._painter.frames(range(place, place + 1))
                self._anchor = replace(self._anchor, background=size.take(behind))
        height, width = held[next(iter(held))].plate.shape[-2:]
        return self._painter.frames(self._cut.seen(index))[..., :height, :width]

    def _own_anchor(self, part: Clip) -> LightFrame | None:
        chosen = choose_anchor(list(part.matte))
        return None if chosen is None else part.light_frames()[chosen]

    def _joined(self, before: _Made | None, made: _Made, index: int) -> torch.Tensor:
        """The window's video (F, 3, h, w), led over from the window before."""
        if made.latent is None:
            return made.relit
        latent = made.latent
        if before is not None and before.latent is not None:
            shift = self._cut.first_slot(index) - self._cut.first_slot(index - 1)
            backbone = self._models().backbone
            assert backbone is not None
            latent = cross_fade(before.latent, latent, shift, self._cut.overlap // GROUP, backbone.facts.latent_lead)
        return self._taken(self._models().decoded(latent))[: len(made.clip.frames)]

    def _answer(self, seen: FrameInputs, source: torch.Tensor, roundtrip: torch.Tensor, relit: torch.Tensor) -> Answer:
        if not bool(seen.matte.any()):
            return Answer(seen.frame, LightChange.none(seen))
        decode = self._colors.decode
        return Answer(seen.frame, Pictures(decode(source), decode(roundtrip), decode(relit)))

    def _canvas(self) -> Canvas:
        backbone = self._models().backbone
        height, width = self._anchor.foreground.shape[-2:] if self._anchor is not None else (0, 0)
        if backbone is None:
            return Canvas(height, width, height, width)
        facts = backbone.facts
        try:
            return Canvas.of(height, width, facts.canvases, facts.size_multiple)
        except ValueError:
            raise RecipeError("engine.lines", f"pictures within {facts.canvases}", f"{height} x {width}") from None

    def _laid(self, pictures: torch.Tensor) -> torch.Tensor:
        return self._canvas().lay(pictures)

    def _taken(self, pictures: torch.Tensor) -> torch.Tensor:
        return self._canvas().take(pictures)


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The settings with what a backbone decides filled in."""
    settings = Settings.of(options)
    frames, lines, columns = SEEN[settings.backbone]
    return replace(
        settings,
        window_frames=settings.window_frames or frames,
        lines=settings.lines or lines,
        columns=settings.columns or columns,
        light="none" if settings.light in ("two-step", "text") and math.isinf(settings.light_ratio) else settings.light,
        consistency="none" if math.isinf(settings.consistency_ratio) else settings.consistency,
    )


def _is_painted(settings: Settings, background: str) -> bool:
    return background == "prompt" or (settings.paint_from_still and background == "still")


def _warnings(settings: Settings) -> Iterator[str]:
    yield "the time of the models is not in the estimate: it depends on the device"
    wanted = settings.consistency != "none" and settings.edges != "none"
    if wanted and (settings.backbone, settings.edges) not in EDGE_CONTROLS:
        yield f"engine.edges: nobody publishes {settings.edges} control for {settings.backbone}; it runs without"


def _window_problems(settings: Settings, count: int) -> Iterator[PlatelightError]:
    most = SEEN[settings.backbone][0]
    if settings.window_frames > most:
        yield RecipeError(
            "engine.window_frames", f"at most {most} for {settings.backbone}", f"{settings.window_frames}"
        )
    try:
        _cut(settings, count)
    except RecipeError as error:
        yield error


def _painting_problems(settings: Settings, asked: Asked) -> Iterator[PlatelightError]:
    if not asked.has_camera and len(asked.recipe.frames) > settings.window_frames:
        yield RecipeError(
            "camera", f"a solved camera for a painted background of more than {settings.window_frames} frames",
            f"none for {len(asked.recipe.frames)} frames",
        )  # fmt: skip


def _cut(settings: Settings, count: int) -> Cut:
    """Raises RecipeError for windows that the model cannot see."""
    try:
        return cut(count, settings.window_frames, settings.overlap_frames, GROUP)
    except ValueError as error:
        raise RecipeError("engine.window_frames", "a window that the model can see", str(error)) from None


def _rounded(ratio: float) -> float | None:
    return None if math.isinf(ratio) else round(ratio, 4)
