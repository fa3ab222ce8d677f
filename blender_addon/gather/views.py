"""A view of the scene through the shot's camera as its background: what a child Blender is to render, and where.

It is the scene as its own render shows it (engine, samples, what is hidden), at the plate's size times the scene's
resolution percentage, with an opaque film and without compositor and sequencer. The child renders again what has
changed, see `render_worker`; what lies in files outside of the .blend is known by their size and time.
"""

from __future__ import annotations

from .. import compat
from ..core import Background, CameraSource
from .mattes import Asked
from .raster import RasterOrder


def camera_view(asked: Asked, camera: CameraSource | None) -> tuple[Background, RasterOrder]:
    """The background that will be there once the order is done. `camera` is the recipe's. Raises Stopped."""
    shot, findings, render = asked.shot, asked.findings, asked.scene.render
    if shot.camera_kind not in {"SOLVE", "OBJECT"}:
        raise findings.stop(
            "The background is a view of the scene, and the shot has no camera that Blender can see through: choose a"
            " solve or a camera object.",
            "camera_kind",
        )
    if camera is None:
        raise findings.stop("The background is a view of the scene, which waits for the shot's camera.", "camera_kind")
    aspect, solved = (render.pixel_aspect_x, render.pixel_aspect_y), ()
    if shot.camera_kind == "SOLVE":
        dense = camera.frames[0].focal_px_y / camera.frames[0].focal_px_x
        aspect, solved = (max(dense, 1.0), max(1 / dense, 1.0)), camera.frames
        if camera.lens is not None:
            findings.note(
                "The view of the scene has no lens distortion, and the plate has: they part towards the edges. Give the"
                " undistorted plate, or distort the view.",
                "camera_kind",
            )
    width, height = asked.plate.size_px
    order = RasterOrder(
        "view", asked.scene.name, asked.frames, asked.plate.mapping, width, height, aspect, asked.output / "views",
        asked.scene.name, percentage=render.resolution_percentage, judged_by_child=True, solved=solved,
        camera="" if solved else shot.camera_object.name,
    )  # fmt: skip
    # It has the camera's own frame: stretched, it fits whatever the percentage rounds to.
    background = Background(
        sequence=str(order.sequence), colorspace=compat.working_primaries(), exposure_stops=shot.background_exposure,
        fit="stretch",
    )  # fmt: skip
    return background, order
