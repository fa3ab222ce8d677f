"""What is remembered about input files, and when it is looked at again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from platelight_server.plates import facts
from platelight_server.plates.facts import FactIndex, Facts, count_nonfinite
from tests.plates import files

RGB = ("R", "G", "B")


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as old enough to be remembered."""
    monkeypatch.setattr(facts, "SETTLED_S", -1.0)
    return files.write(tmp_path / "a.exr", files.rgb(files.pixels()))


def looked(file: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the file's pixels are read by a new index over `index`."""
    calls: list[Path] = []
    real = facts._look
    monkeypatch.setattr(facts, "_look", lambda path, channels: (calls.append(path), real(path, channels))[1])
    kept = FactIndex(index)
    kept.look(file, RGB)
    kept.save()
    monkeypatch.setattr(facts, "_look", real)
    return len(calls)


def test_known_file_is_not_read_again(settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(settled, tmp_path / "index", monkeypatch)
    assert looked(settled, tmp_path / "index", monkeypatch) == 0


def test_touched_file_is_read_again(settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(settled, tmp_path / "index", monkeypatch)
    os.utime(settled, (1, 1))
    assert looked(settled, tmp_path / "index", monkeypatch) == 1


def test_file_replaced_under_its_old_date_is_read_again(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(settled, tmp_path / "index", monkeypatch)
    before = settled.stat()
    time.sleep(0.02)
    content = settled.read_bytes()
    settled.write_bytes(content)
    os.utime(settled, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looked(settled, tmp_path / "index", monkeypatch) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2}', '{"version": 2, "files": {"a": 3}}', '{"version": 99}']
)
def test_damaged_index_is_made_again(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "index").write_text(content)
    assert looked(settled, tmp_path / "index", monkeypatch) == 1


def test_index_entry_of_another_shape_is_looked_at_again(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(settled, tmp_path / "index", monkeypatch)
    text = (tmp_path / "index").read_text().replace('"lows"', '"lovs"')
    (tmp_path / "index").write_text(text)
    assert looked(settled, tmp_path / "index", monkeypatch) == 1


def test_fresh_file_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write(tmp_path / "a.exr", files.rgb(files.pixels()))
    looked(path, tmp_path / "index", monkeypatch)
    assert not (tmp_path / "index").exists()


def test_facts_are_kept_per_channel(tmp_path: Path) -> None:
    values = files.pixels(np.float32)
    values[1, 0, 0], values[2] = np.nan, 0.25
    path = files.write(tmp_path / "a.exr", files.rgb(values))
    seen = FactIndex(tmp_path / "index").look(path, RGB).of(1, None)
    assert (seen.nonfinite, seen.lows[1], seen.highs[1]) == ((1, 0), 0.25, 0.25)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_nonfinite_values_are_counted(kind: type) -> None:
    assert count_nonfinite(np.array([np.nan, -np.nan, np.inf, -np.inf, 0, -0.0, 65504, 6e-8], kind)) == 4


def test_stored_facts_come_back() -> None:
    from dataclasses import asdict

    known = Facts("d", (0, 1), (0.0, 1.0), (2.0, 3.0), True)
    assert Facts.stored(asdict(known)) == known
