"""The bench of the server at a size that says nothing about speed: it runs, and gives all its figures."""

from __future__ import annotations

import json

import pytest

from platelight_server.evaluation.bench_server import ServerFigure, Size, measure_server, measures
from tests.cli.running import here

SMALL = Size(
    rounds=1, files=2, file_bytes=2 << 20, seconds=0.5, requests=600, jobs=20, events=200, width_px=96, height_px=54,
    starts=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[ServerFigure]:
    """All measures except the render of a large picture, which at this size is over before a ping."""
    only = [name for name in measures() if name != "control"]
    return measure_server(tmp_path_factory.mktemp("bench"), only, SMALL)


def test_every_measure_gives_figures(figures: list[ServerFigure]) -> None:
    assert {one.measure for one in figures} == set(measures()) - {"control"}
    json.dumps([one.as_dict() for one in figures])


def test_rates_are_shares_of_the_plain_rate(figures: list[ServerFigure]) -> None:
    shares = {one.name: one for one in figures if one.measure == "transport"}
    assert {name for name, one in shares.items() if one.limit} == {"upload / plain", "download / plain"}
    assert all(one.value > 0 for one in shares.values())


def test_whole_queue_is_listed(figures: list[ServerFigure]) -> None:
    named = {one.name: one.value for one in figures if one.measure == "listing"}
    assert named["missing"] == 0.0 and f"{SMALL.jobs} queued jobs" in named


def test_front_has_no_torch_and_keeps_its_descriptors(figures: list[ServerFigure]) -> None:
    held = {one.name: one.value for one in figures}
    assert (held["torch in the front"], held["descriptors"]) == (0.0, 0.0)


@pytest.mark.parametrize(("value", "most", "ok"), [(0.7, False, True), (0.69, False, False), (0.7, True, True)])
def test_limits_are_kept_or_not(value: float, most: bool, ok: bool) -> None:
    figure = ServerFigure("transport", "upload", value, "", 0.7, most)
    assert (figure.ok, figure.as_dict()["ok"]) == (ok, ok)


def test_unknown_measure_is_named() -> None:
    done = here("bench", "server", "--only", "speed")
    assert (done.returncode, "--only: expected one of start, requests" in done.stderr) == (65, True)


def test_table_says_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    from platelight_server.commands.bench import _print_limits

    _print_limits([ServerFigure("start", "first answer", 2.0, "s", 1.0).as_dict()])
    assert capsys.readouterr().out.split() == ["start", "first", "answer", "2.000", "s", "<=", "1", "FAILS"]
