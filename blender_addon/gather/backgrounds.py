"""What stands behind the foreground: the artist's choice as the recipe's background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core import Background, FrameRange, Reference
from . import files
from .findings import Findings
from .mattes import Asked
from .pictures import colorspace, read_header
from .plates import Source, clip_source, folder_of, image_source

FIX_IMAGE = "background_image"


def background(asked: Asked, shared_config: bool) -> Background:
    """The recipe's background; that of an HDRI is kept, it lights only. A camera view is `views`'. Raises Stopped."""
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
        return _still(asked, shared_config)
    if kind == "PROMPT":
        if not shot.background_prompt.strip():
            raise findings.stop("The background is a description, and none is written.", "background_prompt")
        return Background(prompt=shot.background_prompt, **_shown(shot))
    if kind == "REFERENCES":
        return Background(references=_references(asked), **_shown(shot))
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


def _still(asked: Asked, shared_config: bool) -> Background:
    shot, findings = asked.shot, asked.findings
    image = _image(shot, findings)
    if image.packed_file is not None or image.source not in {"FILE", "SEQUENCE"}:
        raise findings.stop(
            f"The background {image.name} lies in the .blend and not on disk: unpack it, or open a file.", FIX_IMAGE
        )
    path = files.absolute(image.filepath, folder_of(image), "background", findings, FIX_IMAGE)
    files.require_file(path, "background", findings, FIX_IMAGE)
    return Background(still=str(path), colorspace=_space(image, path, shared_config, findings), **_shown(shot))


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


def _references(asked: Asked) -> tuple[Reference, ...]:
    shot, findings, plate = asked.shot, asked.findings, asked.plate
    if not shot.references:
        raise findings.stop("The background is told by references, and there are none: add one.", "references")
    found: dict[int, Reference] = {}
    for one in shot.references:
        number = plate.mapping.file(one.frame)
        if not asked.frames.first <= number <= asked.frames.last:
            raise findings.stop(
                f"A reference begins at frame {one.frame}, outside of the shot"
                f" ({plate.mapping.scenes(asked.frames)}): move it into the shot.",
                "references",
            )
        if number in found:
            raise findings.stop(f"Two references begin at frame {one.frame}: move one of them.", "references")
        path = files.absolute(one.path, folder_of(shot.id_data), "reference", findings, "references")
        found[number] = Reference(number, str(files.require_file(path, "reference", findings, "references")))
    return tuple(found[number] for number in sorted(found))


def _space(image: Any, path: Path, shared_config: bool, findings: Findings) -> str:
    name, said = colorspace(image.colorspace_settings.name, read_header(path), shared_config)
    if said:
        findings.note(f"The background {image.name}: {said}.")
    return name


def _shown(shot: Any) -> dict[str, Any]:
    return {"exposure_stops": shot.background_exposure, "fit": shot.background_fit}
