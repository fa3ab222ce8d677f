"""The proof of a job: what was measured about all its frames, as `NAME.proof.json` and a one-page `NAME.proof.png`.

Frames state their own measures in their headers, so the proof of a resumed or chunked job covers every frame on disk.
Flicker is the standard deviation of the frame-to-frame change of log2 of the foreground's mean colour, in thousandths
of a stop, before and after. A seam is judged where windows join: the step of that curve's change there, against the
other steps.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from platelight import __version__
from platelight.errors import FrameError

from ..check import Checked
from ..engines.registry import windows_of
from ..job import Outcome
from ..plates import delivery, exr, fence, frames_out, header
from ..stages import peak_memory_bytes
from .metrics.curves import FLOOR, flicker, seam_steps
from .proof_sheet import sheet_png


def write_proof(checked: Checked, outcome: Outcome) -> dict[str, Any]:
    """Gathers, writes both files into the output folder, and returns the JSON document. Raises `OutputError`."""
    recipe = checked.recipe
    folder = Path(recipe.output.directory)
    frames = _stated(checked)
    proof = _summary(checked, outcome, frames)
    path = folder / f"{recipe.output_name}.proof.json"
    if not outcome.rendered and _holds(path, proof) and fence.is_file(path.with_suffix(".png")):
        # Nothing was rendered: the proof on disk, with its timings, is the true one.
        return {**proof, "said": [f"proof: {path}"], "advice": []}
    frames_out.write_bytes(path, (json.dumps(proof, indent=1, ensure_ascii=False) + "\n").encode())
    frames_out.write_bytes(path.with_suffix(".png"), sheet_png(checked, proof, frames))
    return {**proof, "said": _sentences(proof, path), "advice": _advice(checked, proof["notes"])}


def _holds(path: Path, proof: Mapping[str, Any]) -> bool:
    """Whether the proof on disk is of these very frames; it is not where a job was killed before it wrote its own."""
    try:
        with fence.readable(path) as name:
            there = json.loads(name.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    measured = set(proof) - {"rendered", "cpuSeconds", "wallSeconds", "peakMemoryBytes", "machine", "notes"}
    return isinstance(there, dict) and all(there.get(key) == proof[key] for key in measured)


def _stated(checked: Checked) -> dict[int, dict[str, Any]]:
    """What the headers of the frames on disk say, for the frames of this recipe."""
    found: dict[int, dict[str, Any]] = {}
    wanted = checked.recipe.content_hash()
    for frame in checked.recipe.frames:
        for path in delivery.files_of(checked.recipe, frame).all()[:1]:
            if not fence.is_file(path):  # OpenEXR would say so on stderr, in words of its own
                continue
            try:
                said = header.read_stated(exr.read_info(path).header)
            except FrameError:
                continue
            if said.get("recipeHash") == wanted and "proof" in said:
                found[frame] = json.loads(said["proof"])
    return found


def _summary(checked: Checked, outcome: Outcome, frames: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    assert checked.capabilities is not None and checked.inputs is not None
    capabilities = checked.capabilities
    windows = windows_of(capabilities.name, checked.recipe.engine.options, tuple(checked.recipe.frames))
    outside = [said["outside"] for said in frames.values() if said["outside"] is not None]
    seams = _seams(frames, [window.answered[0] for window in windows[1:]])
    before, after = _curve(frames, "before"), _curve(frames, "after")
    return {
        "name": checked.recipe.output_name,
        "version": __version__,
        "recipeHash": checked.recipe.content_hash(),
        "frames": len(checked.recipe.frames),
        "framesOnDisk": len(frames),
        "framesFailed": {str(frame): text for frame, text in outcome.failed.items()},
        "engine": capabilities.name,
        "engineVersion": capabilities.version,
        "models": [{"model": m.model, "licence": m.licence, "commercial": m.commercial} for m in capabilities.licences],
        "notes": _notes(checked, outcome, frames),
        "colorspace": checked.inputs.space.name,
        "background": "kept" if checked.recipe.background.kind == "keep" else "new",
        "outsideDifference": max(outside) if outside else None,
        "flickerBeforeMilliStops": _flicker(before),
        "flickerAfterMilliStops": _flicker(after),
        "seamStepMilliStops": max(seams.values(), default=None),
        "seamStepsMilliStops": {str(frame): step for frame, step in seams.items()},
        "largestGainStops": max((said["largestGainStops"] for said in frames.values()), default=0.0),
        "largestFill": max((said["largestFill"] for said in frames.values()), default=0.0),
        "clippedValues": sum(said["clipped"] for said in frames.values()),
        "nonfiniteValues": sum(said["nonfinite"] for said in frames.values()),
        "repairedPlateValues": sum(said["repaired"] for said in frames.values()),
        "exposureChangeStops": _exposure(frames),
        "rendered": len(outcome.rendered),
        "cpuSeconds": {stage: round(seconds, 3) for stage, seconds in outcome.stages.cpu_seconds.items()},
        "wallSeconds": round(outcome.stages.wall_seconds, 3),
        "peakMemoryBytes": peak_memory_bytes(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _notes(checked: Checked, outcome: Outcome, frames: Mapping[int, Any]) -> dict[str, Any]:
    """What the engine decided: said by this run, or, where it had nothing to render, by the frames on disk."""
    if outcome.notes.values or not frames:
        return dict(outcome.notes.values)
    path = delivery.files_of(checked.recipe, max(frames)).all()[0]
    return dict(json.loads(header.read_stated(exr.read_info(path).header).get("notes", "{}")))


def _curve(frames: Mapping[int, Mapping[str, Any]], which: str) -> np.ndarray:
    """(n, 3) log2 of the foreground's mean colour, frame by frame; frames without a foreground are left out."""
    means = [said[which] for _, said in sorted(frames.items()) if said["before"] and said["after"]]
    return np.log2(np.maximum(np.array(means, dtype=np.float64).reshape(-1, 3), 0) + FLOOR)


def _flicker(curve: np.ndarray) -> float | None:
    found = flicker(curve)
    return None if found is None else round(found, 2)


def _seams(frames: Mapping[int, Mapping[str, Any]], joins: Sequence[int]) -> dict[int, float]:
    """At each join, the step of the change of light over the step elsewhere, in thousandths of a stop."""
    numbers = [frame for frame, said in sorted(frames.items()) if said["before"] and said["after"]]
    steps = seam_steps(numbers, _curve(frames, "after") - _curve(frames, "before"), set(joins))
    return {frame: round(step, 2) for frame, step in steps.items()}


def _exposure(frames: Mapping[int, Mapping[str, Any]]) -> float | None:
    """Mean change of the foreground's light over all frames and channels, in stops."""
    change = _curve(frames, "after") - _curve(frames, "before")
    return round(float(change.mean()), 3) if len(change) else None


def _sentences(proof: Mapping[str, Any], path: Path) -> list[str]:
    difference = proof["outsideDifference"]
    exact = "bit-exact" if difference == 0 else "not measured" if difference is None else f"differs by {difference:g}"
    flicker = ""
    if proof["flickerAfterMilliStops"] is not None:
        flicker = f"; flicker {proof['flickerBeforeMilliStops']} -> {proof['flickerAfterMilliStops']} mEV"
    stops = proof["exposureChangeStops"]
    level = "" if stops is None else f"; foreground {stops:+.2f} stops"
    return [f"outside the matte: {exact}{level}{flicker}", f"proof: {path.with_suffix('.png')}"]


def _advice(checked: Checked, notes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the artist can correct, each as the fields of `platelight.messages.Advice`."""
    guess, source = notes.get("exposure_guess_stops"), str(notes.get("exposure_from", "the plates"))
    if not guess or checked.capabilities is None:
        return []
    card = ["engine.grey_card"] if any(one.name == "grey_card" for one in checked.capabilities.options) else []
    probe = ["probe_plate.path"] if checked.capabilities.uses_probes else []
    text = f"the level of the light is a guess ({guess:+.2f} stops, from {source.removeprefix('guess from ')})"
    return [{"text": text, "settings": ["look.exposure_stops", *card, *probe]}]
