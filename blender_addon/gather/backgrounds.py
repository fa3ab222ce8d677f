"""What stands behind the foreground: the artist's choice as the recipe's background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core import Background, CameraSource, FrameRange
from . import files
from .findings import Findings
from .mattes import Asked
from .pictures import colorspace, read_header
from .plates import Source, clip_source, folder_of, image_source

FIX_IMAGE = "background_image"


def background(asked: Asked, shared_config: bool, camera: CameraSource | None) -> Background:
    """The recipe's background; that of an HDRI is kept, it lights only. A camera view is `views`'. Raises Stopped.

    `camera` is the recipe's, for a still that moves with it.
    """
    shot, findings = asked.shot, asked.findings
    kind = shot.background_kind
    if kind == "CLIP":
        if shot.background_clip is None:
            raise findings.stop("The background is a clip, and none is chosen: choose one.", "background_clip")
        source = clip_source(shot.background_clip, "background", findings, "background_clip")
        return _sequence(asked, source, shared_config)
    if kind == "SEQUENCE":
        image = _image(shot, findings)
        return _sequence(asked, image_source(image, asked.scene, 0, "background", findings, FIX_IMAGE), shared_config)
    if kind == "STILL":
        return _still(asked, shared_config, camera)
    if kind == "PROMPT":
        if not shot.background_prompt.strip():
            raise findings.stop("The background is a description, and none is written.", "background_prompt")
        return Background(prompt=shot.background_prompt, **_shown(shot))
    if kind == "HDRI":
        findings.note(
            "The HDRI lights the foreground; to see it behind, put it into the world and choose Camera View.",
            "background_kind",
        )
    return Background()


def _image(shot: Any, findings: Findings) -> Any:
    if shot.background_image is None:
        raise findings.stop("The background is an image, and none is chosen: open one.", FIX_IMAGE)
    return shot.background_image


def _still(asked: Asked, shared_config: bool, camera: CameraSource | None) -> Background:
    shot, findings = asked.shot, asked.findings
    image = _image(shot, findings)
    if image.packed_file is not None or image.source not in {"FILE", "SEQUENCE"}:
        raise findings.stop(
            f"The background {image.name} lies in the .blend and not on disk: unpack it, or open a file.", FIX_IMAGE
        )
    path = files.absolute(image.filepath, folder_of(image), "background", findings, FIX_IMAGE)
    files.require_file(path, "background", findings, FIX_IMAGE)
    space = _space(image, path, shared_config, findings)
    return Background(still=str(path), colorspace=space, **_shown(shot), **_moved(asked, camera))


def _sequence(asked: Asked, source: Source, shared_config: bool) -> Background:
    """A background that runs with the plate: what the scene shows at the same time, moved by the artist's offset."""
    shot, findings = asked.shot, asked.findings
    offset = asked.plate.mapping.to(source.mapping) + shot.background_offset
    missing = [number + offset for number in asked.frames if number + offset not in source.numbers]
    if missing:
        raise findings.stop(
            f"The background {Path(str(source.sequence)).name} has no frames {FrameRange.of(missing)}, which stand with"
            " the plate's: move it in the scene, or set its offset.",
            "background_offset",
        )
    name, said = colorspace(source.colorspace, source.header, shared_config)
    if said:
        findings.note(f"The background: {said}.")
    return Background(sequence=str(source.sequence), colorspace=name, frame_offset=offset, **_shown(shot))


def _moved(asked: Asked, camera: CameraSource | None) -> dict[str, Any]:
    """How a still moves with the camera; nothing where it stands. Raises Stopped for what that needs and is not there.

    What the server's check says beyond this, such as frames on which the camera leaves the still, comes with the job.
    """
    shot, findings = asked.shot, asked.findings
    if shot.background_move == "fixed":
        return {}
    if shot.camera_kind == "NONE":
        raise findings.stop(
            "The background moves with the camera, and the shot has none: choose its solve, or let the background"
            " stand fixed.",
            "camera_kind",
        )
    if camera is None:
        raise findings.stop("The background moves with the shot's camera, and waits for it.", "camera_kind")
    if shot.background_depth == "ground" and shot.ground_kind == "NONE":
        raise findings.stop(
            "The background lies on the ground, and the shot has none: choose what the ground is.", "ground_kind"
        )
    if shot.background_depth == "points" and not camera.points:
        raise findings.stop(
            "The background lies at the camera's solved points, and none are sent: choose a solve, with its points.",
            "camera_points",
        )
    distance = shot.background_distance if shot.background_depth == "distance" else None
    frame = None if shot.background_reference_is_first else _reference(asked)
    return {"move": "camera", "reference_frame": frame, "depth": shot.background_depth, "distance_m": distance}


def _reference(asked: Asked) -> int:
    """The file number of the frame whose view a moving still shows. Raises Stopped."""
    number = asked.plate.mapping.file(asked.shot.background_reference)
    if number not in asked.frames:
        raise asked.findings.stop(
            f"The background is shown by frame {asked.shot.background_reference}, outside of the shot"
            f" ({asked.plate.mapping.scenes(asked.frames)}): choose one of its frames.",
            "background_reference",
        )
    return number


def _space(image: Any, path: Path, shared_config: bool, findings: Findings) -> str:
    name, said = colorspace(image.colorspace_settings.name, read_header(path), shared_config)
    if said:
        findings.note(f"The background {image.name}: {said}.")
    return name


def _shown(shot: Any) -> dict[str, Any]:
    return {"exposure_stops": shot.background_exposure, "fit": shot.background_fit}
