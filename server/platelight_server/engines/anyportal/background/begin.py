"""How the painting of a shot's background begins: its first frame, and the tracks it is led along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from platelight.camera import CameraFrame
from platelight.errors import CameraError
from platelight_server.engines.anyportal.background.flow_tracks import LucasKanade
from platelight_server.engines.anyportal.background.painter import Painter
from platelight_server.engines.anyportal.background.tracks import CameraTracks, Tracks, TrackSource
from platelight_server.engines.canvas import Canvas, Colors
from platelight_server.engines.interface import FrameInputs, Shot
from platelight_server.engines.light.frames import LightFrame

if TYPE_CHECKING:
    from platelight_server.engines.anyportal.studio import Studio

__all__ = ["begin", "tracks_of"]


def begin(
    studio: Studio,
    shot: Shot,
    first: FrameInputs,
    follow: torch.Tensor | None,
    colors: Colors,
    canvas: Canvas,
    held: Mapping[int, FrameInputs],
) -> Painter:
    """The painter of a shot.

    `first` is its first frame; `follow` (3, h, w) scene-linear, working primaries, is a picture that the scene is to
    follow, None for the prompt alone. `held` are the first window's frames, which a tracker follows where there is no
    camera. The whole canvas is painted, beyond the plate too, so nothing is squeezed.
    """
    plate, matte = colors.encode(first.plate), first.matte
    beyond = (0, canvas.canvas_width - canvas.width, 0, canvas.canvas_height - canvas.height)
    frame = LightFrame(
        first.frame, canvas.lay(plate[None])[0], F.pad(matte, beyond), torch.zeros_like(canvas.lay(plate[None])[0])
    )
    scene = None if follow is None else canvas.lay(colors.encode(follow)[None])[0]
    picture = studio.empty_scene(frame, scene)
    return studio.painted(picture, tracks_of(shot, canvas, colors, held), len(shot.frames))


def tracks_of(
    shot: Shot, canvas: Canvas, colors: Colors, held: Mapping[int, FrameInputs]
) -> Callable[[Sequence[int]], Tracks]:
    """Exact tracks from the solved camera; without one those that a tracker finds in the frames held.

    Raises `CameraError` naming the frames that the camera lacks.
    """
    cameras = [shot.camera(frame) for frame in shot.frames]
    if all(camera is None for camera in cameras):
        return _followed(shot, canvas, colors, held)
    missing = [frame for frame, camera in zip(shot.frames, cameras, strict=True) if camera is None]
    if missing:
        raise CameraError(
            f"camera: expected all {len(shot.frames)} frames of the shot, for a painted background, it lacks"
            f" {len(missing)}, the first is {missing[0]}"
        )
    wide = [_over_canvas(camera, canvas) for camera in cameras if camera is not None]
    return CameraTracks(wide, [point.position for point in shot.points], shot.ground)


def _over_canvas(camera: CameraFrame, canvas: Canvas) -> CameraFrame:
    """The same view, going on to the right and below the picture."""
    return replace(camera, width_px=canvas.canvas_width, height_px=canvas.canvas_height)


def _followed(shot: Shot, canvas: Canvas, colors: Colors, held: Mapping[int, FrameInputs]) -> TrackSource:
    def followed(positions: Sequence[int]) -> Tracks:
        frames = [held[shot.frames[place]] for place in positions]
        video = canvas.lay(torch.stack([colors.encode(one.plate) for one in frames]))
        matte = canvas.lay(torch.stack([one.matte for one in frames]))
        return LucasKanade(frames[0].frame).track(video.cpu().numpy(), matte.cpu().numpy())

    return followed
