"""kill -9 of `platelight deflicker` at random moments, again and again.

    python -m tests.deflicker.torture --rounds 20

After each kill no frame is half there and none is another than an undisturbed run writes; what goes on does the rest
alone. `test_faults.py` does a few rounds.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

from platelight_server.evaluation.bench_deflicker import flicker
from platelight_server.plates.frames_out import TEMPORARY
from tests.cli import running
from tests.deflicker.scenes import clip, write_clip
from tests.job.rendering import frames_in

FRAMES, FIRST = 16, 1001


def make(folder: Path) -> list[str]:
    """A clip that flickers, and the command for it, without `--out`."""
    one = clip(FRAMES)
    write_clip(folder, one, flicker(one.clean, one.matte, "lut", 0), FIRST)
    roles = ("source", "relit", "matte")
    return ["deflicker", "--radius", "2", *(w for r in roles for w in (f"--{r}", str(folder / r / f"{r}.####.exr")))]


def leftovers(out: Path) -> list[str]:
    """Temporary files."""
    return [path.name for path in out.glob(f".*{TEMPORARY}")]


def kill_again_and_again(command: list[str], out: Path, rounds: int, seed: int) -> list[int]:
    """Kills a run `rounds` times and lets the last one end; how many frames there were after each.

    A round begins anew, with an empty folder, when the one before had all frames.
    """
    draw, counts = random.Random(seed), []
    whole = out.with_name("undisturbed")
    assert running.here(*command, "--out", str(whole)).returncode == 0
    expected = frames_in(whole)
    for _ in range(rounds):
        done = frames_in(out)
        if len(done) == FRAMES:
            shutil.rmtree(out)
            done = {}
        _kill(command, out, len(done) + draw.randrange(4), draw.uniform(0, 0.2))
        for name, content in frames_in(out).items():
            assert content == expected[name], f"{name} is another after a kill"
        counts.append(len(frames_in(out)))
    lacking = [FIRST + i for i, name in enumerate(expected) if name not in frames_in(out)]
    last = running.run(*command, "--out", str(out), "--json")
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout.splitlines()[-1])["rendered"] == lacking
    assert (frames_in(out), leftovers(out)) == (expected, [])
    return counts


def _kill(command: list[str], out: Path, files: int, seconds: float) -> None:
    """Starts the command; when `files` are there, some time later kills it."""
    process = running.start(*command, "--out", str(out))
    limit = time.monotonic() + 60
    while not out.is_dir() or len(list(out.glob("*.exr"))) < files:
        assert process.poll() is None and time.monotonic() < limit, process.kill() or process.communicate()
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.communicate()


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_again_and_again(make(Path(folder, "clip")), Path(folder, "out"), args.rounds, args.seed)
    print(f"seed {args.seed}: frames after each of {args.rounds} kills: {counts}")


if __name__ == "__main__":
    main()
