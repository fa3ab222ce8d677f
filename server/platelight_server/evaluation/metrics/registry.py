"""Every metric there is, and what the papers have that is not here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from platelight.errors import RecipeError

from . import edges, kept, learned, motion, picture, relighting, temporal
from .metric import Gauge, Metric, Setting

__all__ = ["GAUGES", "LEFT_OUT", "METRICS", "described", "gauges_of"]


GAUGES: tuple[type[Gauge], ...] = (
    picture.PixelError,
    picture.ScaleInvariantError,
    relighting.LightLevel,
    relighting.RelightCorrelation,
    picture.Structure,
    picture.ColourDifference,
    picture.Flip,
    learned.PerceptualDistance,
    picture.RelitError,
    temporal.Flicker,
    temporal.WarpError,
    temporal.LogRatioError,
    temporal.TemporalSimilarity,
    temporal.Seam,
    temporal.LightStability,
    learned.ClipConsistency,
    learned.FrameAccuracy,
    learned.IdentityDistance,
    motion.FlowError,
    motion.StepDirection,
    motion.ForegroundTracks,
    motion.FrameTracks,
    edges.Sharpness,
    edges.Spill,
    edges.OldBackground,
    kept.BackgroundKept,
    kept.DetailKept,
    kept.PlateSteadiness,
    kept.ColourDistance,
    kept.LayersAgree,
)
METRICS: dict[str, Metric] = {metric.name: metric for gauge in GAUGES for metric in gauge.metrics}

# What the papers report and nothing here takes; each with the reason, and what stands in for it.
LEFT_OUT = {
    "ID-Psrv with ArcFace (AnyPortal)": "its published weights are not for commercial use; identity_distance is its "
    "formula over SFace",
    "Mtn-Psrv with SpatialTracker, motion fidelity with CoTracker3": "no library that is used here has these networks, "
    "and CoTracker3's weights are not for commercial use; motion_cosine_fg and trajectory_error_* are their formulas "
    "over Lucas-Kanade tracks",
    "Motion Preservation with RAFT (HarmoVid)": "motion_epe_fg is its formula over DIS flow",
    "Gemini scores (PAI-Studio)": "need a closed service on a network",
}


def gauges_of(names: Collection[str] | None) -> tuple[type[Gauge], ...]:
    """The gauges that take these metrics; all where None. Raises `RecipeError` naming a metric that there is not."""
    unknown = sorted(set(names or ()) - set(METRICS))
    if unknown:
        raise RecipeError("--only", "a metric of `platelight evaluate --list`", repr(unknown[0]))
    return tuple(g for g in GAUGES if names is None or any(metric.name in names for metric in g.metrics))


def described(setting: Setting) -> list[dict[str, Any]]:
    """Every metric as plain values, with what it needs and whether that is here."""
    return [
        {
            "name": metric.name,
            "formula": metric.formula,
            "region": metric.region,
            "better": metric.better,
            "unit": metric.unit,
            "source": metric.source,
            "needs": list(gauge.needs),
            "model": gauge.model,
            "package": gauge.package,
            "gate": metric.gate,
            "missing": gauge.unavailable(setting),
        }
        for gauge in GAUGES
        for metric in gauge.metrics
    ]
