"""AnyPortal's stage 2 (Sec. 3.2.2): a foreground gets the light of its background, from IC-Light in two steps.

1. The image model `fbc` paints every frame from noise, told its foreground on grey and its background.
2. The text model `fc` takes that picture, laid over the background, through SDEdit under the prompt.

Both see an anchor frame through cross-frame attention. The result is laid over the background again, so that only the
foreground's light is the model's. Every frame of a window has the same noise, hence equal frames give equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from platelight.errors import FrameError
from platelight_server.engines.light.bank import Alone, Anchored, Attention, Network
from platelight_server.engines.light.frames import (
    LightFrame,
    LightSettings,
    check_frames,
    composite,
    enlarged,
    enlarged_frame,
    has_subject,
    on_grey,
)
from platelight_server.engines.light.relight_models import RelightFacts
from platelight_server.engines.light.sampler import Row, Run, ratios, sample
from platelight_server.models.image.iclight import CARDS, IcLight
from platelight_server.models.video.interface import Placed, Prompt, stays

__all__ = ["ICLIGHT", "Harmonizer"]

Step = Callable[[str, int, int], None]

ICLIGHT = RelightFacts(
    name="iclight",
    summary="IC-Light on Stable Diffusion 1.5: light of a background picture, then of a prompt",
    cards=CARDS,
    canvas=(448, 704),
    size_multiple=8,
    uses_background=True,
    uses_prompt=True,
)


@dataclass(frozen=True)
class _Pass:
    """One run of one network over all rows. `twice` works at twice the size; `laid` starts from the picture laid over
    the background."""

    network: str
    guidance: float
    run: Run
    twice: bool = False
    laid: bool = False


class Harmonizer:
    """Relights windows of frames with IC-Light. A `RelightModel`.

    `placed(name)` is a context in which the network of that name (`IcLight.modules`) is where it is called; one is
    open at a time. Without it all of them are moved to the device and stay.
    """

    facts = ICLIGHT

    def __init__(self, parts: IcLight, placed: Placed | None = None) -> None:
        if placed is None:
            for module in parts.modules().values():
                module.to(parts.device)
        self.parts = parts
        self._placed = placed or stays
        self._prompts: dict[tuple[str, str], Prompt] = {}

    @classmethod
    def load(
        cls, folders: Mapping[str, Path], dtype: torch.dtype, device: str, placed: Placed | None = None
    ) -> Harmonizer:
        """From the folders of the cards that `facts` names. Raises `ModelError`."""
        base, fc, fbc = (folders[card] for card in CARDS)
        return cls(IcLight.from_folders(base, fc, fbc, dtype, device), placed)

    def embed(self, prompt: str, negative: str) -> Prompt:
        """The embedded texts, kept: `parts.text.free()` may follow, as long as no other text is asked for."""
        if (prompt, negative) not in self._prompts:
            with self._placed("text_encoder"):
                self._prompts[prompt, negative] = self.parts.text.embed(prompt, negative)
        return self._prompts[prompt, negative]

    @torch.no_grad()
    def harmonize(
        self,
        window: Sequence[LightFrame],
        anchor: LightFrame | None,
        prompt: str,
        negative: str,
        settings: LightSettings,
        step: Step = lambda stage, done, steps: None,
    ) -> torch.Tensor:
        """The window relit over its backgrounds: (F, 3, h, w) float32, code values, not clamped, on the frames' device.

        Without an anchor every frame attends to itself. A frame whose matte is empty is its background, and costs
        nothing. Raises `FrameError` for shapes that differ and for an anchor with an empty matte.
        """
        check_frames([*window, anchor] if anchor else window)
        video = torch.stack([frame.background for frame in window])
        live = [index for index, frame in enumerate(window) if has_subject(frame.matte)]
        frames = [window[index] for index in live]
        passes = _passes(settings)
        if not live:
            return video
        if not passes:
            video[live] = _composites(frames)
            return video
        if anchor and not has_subject(anchor.matte):
            raise FrameError(
                f"frame {anchor.frame}: expected an anchor whose matte holds the subject, got an empty one"
            )
        pictures = self._relit(frames, anchor, passes, self.embed(prompt, negative), settings, step)
        if not settings.change_background:
            pictures = _over(pictures, frames)
        video[live] = pictures
        return video

    @torch.no_grad()
    def first_frame(
        self,
        foreground: torch.Tensor,
        matte: torch.Tensor,
        prompt: str,
        negative: str,
        settings: LightSettings,
        background: torch.Tensor | None = None,
        step: Step = lambda stage, done, steps: None,
    ) -> torch.Tensor:
        """Stage 1's first frame: subject and scene painted from noise by the text model, or, with a background picture
        (3, h, w), by the image model. foreground (3, h, w), matte (1, h, w) -> (3, h, w) float32, not clamped.

        Takes `steps`, `seed` and the guidance of `settings` (the released scripts: 50 steps, guidance 7).
        """
        frame = LightFrame(0, foreground, matte, torch.zeros_like(foreground) if background is None else background)
        check_frames([frame])
        network = "fc" if background is None else "fbc"
        guidance = settings.guidance_text if background is None else settings.guidance_image
        painting = _Pass(network, guidance, Run(settings.steps, 0.0, settings.seed, "first frame"))
        return self._relit([frame], None, [painting], self.embed(prompt, negative), settings, step)[0]

    @torch.no_grad()
    def roundtrip(self, video: torch.Tensor, highres: bool = False) -> torch.Tensor:
        """(F, 3, h, w) -> what the codec alone makes of it: what a result of `harmonize` is compared with."""
        given = enlarged(video) if highres else video
        with self._placed("vae"):
            codec = self.parts.codec
            frames = [codec.decode(codec.encode(f[None]), _size(given), video.device) for f in given]
        return F.avg_pool2d(torch.cat(frames), 2) if highres else torch.cat(frames)

    def attention(self, anchored: bool, settings: LightSettings) -> Attention:
        """How the frames attend to the anchor, or to themselves where there is none."""
        return Anchored(settings.chunk) if anchored else Alone(settings.chunk)

    def _relit(
        self,
        frames: list[LightFrame],
        anchor: LightFrame | None,
        passes: Sequence[_Pass],
        prompt: Prompt,
        settings: LightSettings,
        step: Step,
    ) -> torch.Tensor:
        """What the passes make of the frames, one after the other; the anchor goes before them as row 0."""
        cast = [anchor, *frames] if anchor else list(frames)
        rows = [Row(f"frame {frame.frame}") for frame in frames]
        if anchor:
            rows.insert(0, Row(f"the anchor (frame {anchor.frame})", "anchor"))
        attention, device, twice = self.attention(anchor is not None, settings), frames[0].foreground.device, False
        pictures = _composites(cast)
        for one in passes:
            if one.twice and not twice:
                cast, pictures, twice = [enlarged_frame(frame) for frame in cast], enlarged(pictures), True
            pictures = _over(pictures, cast) if one.laid else pictures
            network, start = self._told(one, cast, pictures, prompt, step)
            tick = _ticks(step, one.run.purpose, one.run.count * attention.calls(len(rows)))
            with self._placed(one.network), attention.predictor(network, tick) as predict:
                latents = sample(predict, start, rows, one.run)
            with self._placed("vae"):
                tick = _ticks(step, f"{one.run.purpose}, decode", len(cast))
                pictures = self.parts.codec.decode(latents, _size(pictures), device, tick)
        pictures = pictures[1:] if anchor else pictures
        return F.avg_pool2d(pictures, 2) if twice else pictures

    def _told(
        self, one: _Pass, cast: Sequence[LightFrame], pictures: torch.Tensor, prompt: Prompt, step: Step
    ) -> tuple[Network, torch.Tensor]:
        """The network of a pass with its conditions, and the latents of the pictures that it starts from."""
        given = [on_grey(frame.foreground, frame.matte) for frame in cast]
        scenes = [frame.background for frame in cast] if one.network == "fbc" else []
        starts = list(pictures) if one.run.ratio > 0 else []
        tick = _ticks(step, f"{one.run.purpose}, encode", len(given) + len(scenes) + len(starts))
        with self._placed("vae"):
            encoded = [
                self.parts.codec.encode(torch.stack(list(video)), tick) for video in (given, scenes, starts) if video
            ]
        start = encoded.pop() if starts else torch.zeros_like(encoded[0])
        text = torch.cat([prompt.negative, prompt.positive]).to(self.parts.device)
        unet = self.parts.unet(one.network)
        return Network(unet, self.parts.dtype, torch.cat(encoded, dim=1), text, one.guidance), start


def _passes(settings: LightSettings) -> list[_Pass]:
    """What `settings` ask for, in order. Nothing is left of a text step that makes no step."""
    seed, steps = settings.seed, settings.steps
    image = _Pass("fbc", settings.guidance_image, Run(steps, 0.0, seed, "light image"))
    text = _Pass("fc", settings.guidance_text, Run(steps, settings.ratio, seed, "light text"))
    if settings.stage == "none":
        return []
    if settings.stage == "text":
        return _with_highres(text, settings) if text.run.count else []
    passes = _with_highres(image, settings)
    if settings.stage == "two-step" and text.run.count:
        passes.append(replace(text, twice=settings.highres, laid=True))
    return passes


def _with_highres(one: _Pass, settings: LightSettings) -> list[_Pass]:
    """A pass, and where it is asked for the second at twice the size: a schedule twice as fine, from its half."""
    if not settings.highres:
        return [one]
    steps = 2 * settings.steps
    run = Run(steps, ratios(steps)[settings.steps], settings.seed, f"{one.run.purpose} x2")
    return [one, replace(one, run=run, twice=True)]


def _composites(frames: Sequence[LightFrame]) -> torch.Tensor:
    return _over(torch.stack([frame.foreground for frame in frames]), frames)


def _over(pictures: torch.Tensor, frames: Sequence[LightFrame]) -> torch.Tensor:
    return torch.stack([composite(p, f.matte, f.background) for p, f in zip(pictures, frames, strict=True)])


def _size(video: torch.Tensor) -> tuple[int, int]:
    return video.shape[-2], video.shape[-1]


def _ticks(step: Step, stage: str, steps: int) -> Callable[[], None]:
    """A function that tells the next step of `steps` each time it is called."""
    done = iter(range(1, steps + 1))
    return lambda: step(stage, next(done), steps)
