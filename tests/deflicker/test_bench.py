"""The issue's figures, on a synthetic clip and on a part of the development clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platelight_server.evaluation.bench_deflicker import KINDS, LEAST_REMOVED, Clip, clips, measure_clip
from tests.deflicker.scenes import clip


def hold(made: Clip, kind: str) -> None:
    match, ours = (_row(measure_clip(made, kind, radius=4), way) for way in ("exposure match", "deflicker"))
    assert ours["removed"] >= LEAST_REMOVED
    assert ours["worst_gain_db"] >= 0
    assert ours["removed"] > match["removed"]


def _row(rows: list[dict[str, Any]], way: str) -> dict[str, Any]:
    return next(row for row in rows if row["way"] == way)


@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_flicker_goes_and_no_frame_is_worse(kind: str) -> None:
    hold(clip(14), kind)


@pytest.mark.dev_data
@pytest.mark.parametrize("kind", KINDS)
def test_flicker_of_a_real_clip_goes_and_no_frame_is_worse(dev_data: Path, kind: str) -> None:
    made = next(one for one in clips(dev_data) if one.name == "real_mdn_chroma")
    part = slice(9), slice(None), slice(16, 176), slice(70, 250)  # a half of the picture: both kinds in a few seconds
    hold(replace(made, source=made.source[part], clean=made.clean[part], matte=made.matte[part]), kind)
