"""Every metric there is, and what the papers have that is not here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from platelight.errors import RecipeError

from . import edges, kept, learned, motion, picture, relighting, temporal, tracked
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
    learned.ArcFaceDistance,
    motion.FlowError,
    learned.RaftFlowError,
    motion.StepDirection,
    motion.ForegroundTracks,
    motion.FrameTracks,
    tracked.NetworkTracks,
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
    "Mtn-Psrv with SpatialTracker (AnyPortal)": "its authors' code is no package, runs on CUDA alone and was never run "
    "here; motion_cosine_fg is its formula over Lucas-Kanade tracks, cotracker_cosine_fg over CoTracker3's; "
    "SpatialTracker was made from CoTracker",
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
            "models": list(gauge.models),
            "package": gauge.package,
            "gate": metric.gate,
            "missing": gauge.unavailable(setting),
        }
        for gauge in GAUGES
        for metric in gauge.metrics
    ]
