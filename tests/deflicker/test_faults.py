"""Faults of `platelight deflicker`: killed, a full disk, files that break under it. What is finished stays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from platelight.errors import PartialError
from platelight_server.deflicker import job
from platelight_server.deflicker.check import check
from platelight_server.deflicker.sequence import Asked
from tests.cli.running import here
from tests.deflicker import torture
from tests.deflicker.torture import FIRST, FRAMES, leftovers
from tests.job.rendering import frames_in
from tests.job.test_faults import mounted

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and mounts of Unix")


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return torture.make(tmp_path_factory.mktemp("clip"))


@pytest.mark.slow  # three processes load the libraries
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(command: list[str], tmp_path: Path) -> None:
    counts = torture.kill_again_and_again(command, tmp_path / "out", rounds=2, seed=3)
    assert min(counts) < FRAMES


def test_a_full_disk_is_named_with_the_file_and_keeps_what_is_finished(command: list[str], tmp_path: Path) -> None:
    here(*command, "--out", str(tmp_path / "whole"))
    expected = frames_in(tmp_path / "whole")
    half = sum(map(len, expected.values())) // 2
    with mounted(tmp_path / "disk", f"size={half + 1_000_000}") as disk:
        (disk / "ballast").write_bytes(b"\0" * 1_000_000)
        full = here(*command, "--out", str(disk / "out"))
        kept = frames_in(disk / "out")
        assert 0 < len(kept) < FRAMES
        assert {name: content == expected[name] for name, content in kept.items()} == dict.fromkeys(kept, True)
        lost = disk / "out" / f"relit.{FIRST + len(kept)}.exr"
        assert f"{lost}: cannot be written: no space left on the disk" in full.stderr
        assert "the result needs about" in full.stderr  # said before work
        assert (full.returncode, leftovers(disk / "out")) == (74, [])
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", f"remount,size={3 * half + 4_000_000}", str(disk)], check=True)
        assert here(*command, "--out", str(disk / "out")).returncode == 0
        assert frames_in(disk / "out") == expected


def test_a_frame_that_breaks_after_the_check_fails_with_those_around_it(command: list[str], tmp_path: Path) -> None:
    clip = Path(torture.make(tmp_path / "clip")[-1]).parents[1]
    given = [str(clip / role / f"{role}.####.exr") for role in ("source", "relit")]
    opened = check(Asked(*given, str(tmp_path / "out"), radius=2)).raise_first()
    broken = clip / "source" / "source.1010.exr"
    broken.write_bytes(broken.read_bytes()[:999])
    outcome = job.run(opened)
    assert list(outcome.failed) == [1008, 1009, 1010, 1011, 1012]
    assert outcome.rendered == [f for f in range(FIRST, FIRST + FRAMES) if f not in outcome.failed]
    with pytest.raises(PartialError, match=r"5 of 16 frames failed, the first is 1008: .*source\.1010\.exr"):
        outcome.raise_failed()


def test_a_folder_that_cannot_be_written_is_refused_with_all_other_problems(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = here(*command, "--out", str(tmp_path / "file" / "out"), "--frames", "1010-1020")
    assert done.returncode == 65
    assert "frame 1017: expected one of the relit sequence" in done.stderr
    assert f"{tmp_path / 'file'} is not a folder" in done.stderr
