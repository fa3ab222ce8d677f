"""Pairs are made as the paper's stages say, with their licences, and are not made twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from platelight.errors import FrameError, InputError, ModelError, OutputError, RecipeError
from platelight_server.cli import main
from platelight_server.models.catalogue import card
from platelight_server.models.record import trust
from platelight_server.plates import exr
from platelight_server.training.clips import read_role
from platelight_server.training.manifest import Clip, check_content, read_manifest
from platelight_server.training.network import open_network
from platelight_server.training.pairs.jitter import Strength, jittered
from platelight_server.training.pairs.makers import Backgrounds, Jitter, Made
from platelight_server.training.pairs.making import make_pairs
from platelight_server.training.pairs.relighting import decode_clip, encode_clip
from platelight_server.training.pairs.sources import Note, Source, sources_in
from platelight_server.training.trainer import Trainer
from tests.models import tiny
from tests.training.small import FRAMES, HEIGHT, REC709, WIDTH, config, pictures, write_clips

SIZE = f"{WIDTH}x{HEIGHT}"


def quiet(said: Mapping[str, Any]) -> None:
    """Nobody listens."""


def pixels(folder: Path, clip: Clip, role: str) -> torch.Tensor:
    return read_role(folder, clip, role, clip.frames.frames, HEIGHT, WIDTH)


def pairs(stage: str, clips: Path, out: Path, *more: str) -> int:
    return main(["data", "pairs", stage, "--clips", str(clips), "--out", str(out), "--size", SIZE, *more])


def test_jitter_changes_the_foreground_alone_and_every_frame_anew(tmp_path: Path) -> None:
    assert pairs("jitter", write_clips(tmp_path / "clips", 1), tmp_path / "pairs") == 0
    (clip,) = read_manifest(tmp_path / "pairs").clips
    plate, matte, flicker = (pixels(tmp_path / "pairs", clip, role) for role in ("plate", "matte", "flicker"))
    outside = (matte == 0).expand(-1, 3, -1, -1)
    assert torch.equal(flicker[outside], plate[outside])
    core = (matte.min(0).values == 1).expand(3, -1, -1)
    stops = torch.stack([torch.log2(f[core] / p[core]).mean() for f, p in zip(flicker, plate, strict=True)])
    assert float(stops.std()) > 0.05
    assert (clip.stage, clip.licence, clip.source, clip.commercial) == ("jitter", "CC0", "made by a test", True)
    check_content(tmp_path / "pairs", clip)


def test_jitter_keeps_light_over_one_and_is_keyed_by_the_frame() -> None:
    plate, matte = pictures(1, 0)["plate"] * 20, pictures(1, 0)["matte"]
    one = jittered(plate, matte, 1001, "clip", 0)
    assert one.max() > 5
    assert np.array_equal(one, jittered(plate, matte, 1001, "clip", 0))
    assert not np.array_equal(one, jittered(plate, matte, 1002, "clip", 0))
    assert np.array_equal(jittered(plate, matte, 1001, "clip", 0, Strength(0, 0, 0, 0)), plate)


def test_a_second_command_makes_nothing_anew_unless_something_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = write_clips(tmp_path / "clips", 2)

    def made(*more: str) -> list[bool]:
        assert pairs("jitter", clips, tmp_path / "pairs", "--json", *more) == 0
        lines = map(json.loads, capsys.readouterr().out.splitlines())
        return [line["kept"] for line in lines if line["event"] == "clip"]

    assert made() == [False, False]
    text = (tmp_path / "pairs" / "manifest.json").read_bytes()
    assert made() == [True, True]
    shutil.copy(clips / "clip0" / "plate" / "plate.1001.exr", clips / "clip0" / "plate" / "plate.1002.exr")
    assert made() == [False, True]
    (tmp_path / "pairs" / "clip1" / "flicker" / "flicker.1003.exr").unlink()
    assert made() == [True, False]
    assert made("--seed", "5") == [False, False]
    assert (tmp_path / "pairs" / "manifest.json").read_bytes() != text


def test_what_fails_half_way_leaves_finished_clips_and_no_half_one(tmp_path: Path) -> None:
    class Breaks(Jitter):
        def pictures(self, source: Source, height: int, width: int) -> Made:
            for number, one in enumerate(super().pictures(source, height, width)):
                if source.name == "clip1" and number == 4:
                    raise FrameError("clip1 breaks")
                yield one

    sources = sources_in(write_clips(tmp_path / "clips", 2))
    with pytest.raises(FrameError, match="clip1 breaks"):
        make_pairs(sources, Breaks(), tmp_path / "pairs", HEIGHT, WIDTH, quiet)
    assert [clip.name for clip in read_manifest(tmp_path / "pairs").clips] == ["clip0"]
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == ["clip0", "manifest.json"]
    whole = make_pairs(sources, Jitter(), tmp_path / "pairs", HEIGHT, WIDTH, quiet)
    assert [clip.name for clip in whole.manifest.clips] == ["clip0", "clip1"]


def test_clips_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 1)
    (clips / "clip.toml").unlink()
    with pytest.raises(InputError, match="clip0: expected a licence"):
        sources_in(clips)
    assert sources_in(clips, "CC-BY-4.0")[0].note.licence == "CC-BY-4.0"
    (clips / "clip.toml").write_text('licence = "CC0"\nlizenz = 1\n', "utf-8")
    with pytest.raises(RecipeError, match="clip.toml: lizenz: expected one of licence, source"):
        sources_in(clips)
    (clips / "clip.toml").write_text('licence = "CC0"\n', "utf-8")
    (clips / "clip0" / "matte" / "matte.1004.exr").unlink()
    with pytest.raises(FrameError, match="matte: expected all frames of the plate, 1004 are missing"):
        sources_in(clips)
    with pytest.raises(InputError, match="expected folders of clips"):
        sources_in(tmp_path)


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("CC0", True),
        ("CC-BY-4.0", True),
        ("CC BY-NC 4.0", False),
        ("S-Lab 1.0 (non-commercial)", False),
        ("mine", False),
    ],
)
def test_a_licence_allows_commercial_use_only_where_it_says_so(licence: str, allowed: bool) -> None:
    assert Note(licence).allows == allowed
    assert Note(licence, commercial=True).allows


def test_a_matte_outside_its_range_and_a_changed_file_are_refused(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 1)
    bad = np.full((HEIGHT, WIDTH), 1.5, np.float16)
    exr.write(clips / "clip0" / "matte" / "matte.1003.exr", {"A": bad}, REC709, "zip")
    with pytest.raises(FrameError, match="matte.1003.exr: expected a matte of 0 to 1, got 1.5"):
        make_pairs(sources_in(clips), Jitter(), tmp_path / "pairs", HEIGHT, WIDTH, quiet)
    write_clips(clips, 1)
    pairs("jitter", clips, tmp_path / "pairs")
    assert main(["data", "check", str(tmp_path / "pairs")]) == 0
    shutil.copy(tmp_path / "pairs/clip0/plate/plate.1001.exr", tmp_path / "pairs/clip0/plate/plate.1002.exr")
    assert main(["data", "check", str(tmp_path / "pairs")]) == FrameError.exit_code


def test_another_size_is_another_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = write_clips(tmp_path / "clips", 1)
    assert pairs("jitter", clips, tmp_path / "pairs") == 0
    assert pairs("jitter", clips, tmp_path / "pairs", "--size", "96x64") == InputError.exit_code
    assert f"expected a dataset of 96x64, it has {SIZE}" in capsys.readouterr().err


def test_backgrounds_run_back_and_forth_and_bring_their_licence(tmp_path: Path) -> None:
    source = sources_in(write_clips(tmp_path / "clips", 1))[0]
    folder = tmp_path / "backgrounds"
    for number in range(3):
        (folder / "pan").mkdir(parents=True, exist_ok=True)
        planes = dict(zip("RGB", np.full((3, HEIGHT, WIDTH), number + 1, np.float16), strict=True))
        exr.write(folder / "pan" / f"pan.{number}.exr", planes, REC709, "zip")
    with pytest.raises(InputError, match="expected clip.toml with the licence of these backgrounds"):
        Backgrounds(folder, 0)
    (folder / "clip.toml").write_text('licence = "CC-BY-NC"\ncommercial = false\n', "utf-8")
    given = Backgrounds(folder, 0)
    levels = [float(given.read(source, frame, HEIGHT, WIDTH).mean()) for frame in source.frames]
    assert levels == [1, 2, 3, 2, 1, 2, 3, 2, 1]
    assert [note.licence for note in given.note(source)] == ["CC-BY-NC"]
    with pytest.raises(FrameError, match="expected a background"):
        Backgrounds(None, 0).read(source, 1001, HEIGHT, WIDTH)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """IC-Light, tiny, as the only models there are."""
    root = tmp_path / "models"
    tiny.sd15(root / "realistic-vision-v51")
    tiny.iclight(root / "iclight-fc", "fc")
    tiny.iclight(root / "iclight-fbc", "fbc")
    monkeypatch.setenv("PLATELIGHT_MODELS", str(root))
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    for folder in root.iterdir():
        trust(card(folder.name), folder)
    return root


def test_the_papers_stages_follow_each_other(models: Path, base: Path, tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 1, ("plate", "matte", "background"))
    assert pairs("relit", clips, tmp_path / "relit", "--steps", "1") == 0
    (first,) = read_manifest(tmp_path / "relit").clips
    assert sorted(first.roles) == ["background", "flicker", "matte", "plate"]
    assert [name.split()[0] for name in first.models] == ["realistic-vision-v51", "iclight-fc", "iclight-fbc"]
    mask = pixels(tmp_path / "relit", first, "matte") > 0.5
    flicker, background = (pixels(tmp_path / "relit", first, role) for role in ("flicker", "background"))
    outside = (~mask).expand(-1, 3, -1, -1)
    assert torch.equal(flicker[outside], background[outside])
    assert not torch.equal(flicker[~outside], pixels(tmp_path / "relit", first, "plate")[~outside])

    trained = config(base, tmp_path / "relit", tmp_path / "run", "deflicker", steps=1)
    checkpoint = Trainer(trained).run()
    asked = ("--checkpoint", str(checkpoint), "--base", str(base), "--steps", "1")
    assert pairs("deflickered", tmp_path / "relit", tmp_path / "steady", *asked) == 0
    (second,) = read_manifest(tmp_path / "steady").clips
    assert sorted(second.roles) == ["background", "flicker", "matte", "plate", "relit"]
    relit = pixels(tmp_path / "steady", second, "relit")
    assert torch.equal(relit[outside], background[outside])
    assert not torch.equal(relit[~outside], flicker[~outside])
    assert "relit by realistic-vision-v51" in second.source
    assert second.models[0].startswith("result (unknown)")
    Trainer(config(base, tmp_path / "steady", tmp_path / "run2", "harmonizer", steps=1)).run()


def test_missing_models_and_networks_say_what_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: Path
) -> None:
    monkeypatch.setenv("PLATELIGHT_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    clips = write_clips(tmp_path / "clips", 1)
    said = ["data", "pairs", "relit", "--clips", str(clips), "--out", str(tmp_path / "out"), "--size", SIZE]
    assert main(said) == ModelError.exit_code
    assert main([*said[:2], "deflickered", *said[3:]]) == InputError.exit_code
    pairs("jitter", clips, tmp_path / "jitter")
    given = ["--checkpoint", str(base), "--base", str(base)]
    assert pairs("deflickered", tmp_path / "jitter", tmp_path / "out", *given) == ModelError.exit_code


def test_a_still_background_serves_every_frame(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 1, ("plate", "matte", "background"))
    for number in range(1, FRAMES):
        (clips / "clip0" / "background" / f"background.{1001 + number}.exr").unlink()
    (source,) = sources_in(clips)
    assert {path.name for path in source.roles["background"].values()} == {"background.1001.exr"}
    assert list(source.roles["background"]) == list(source.frames)


def test_pairs_that_are_given_are_taken_over(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 1, ("plate", "matte", "background", "relit"))
    for old, new in (("plate", "plate_a"), ("background", "bg_b"), ("relit", "comp_b")):
        (clips / "clip0" / old).rename(clips / "clip0" / new)
    (clips / "clip.toml").unlink()
    (clips / "clip0" / "shot.json").write_text('{"licence": "CC0 (own render)"}', "utf-8")
    assert pairs("given", clips, tmp_path / "pairs") == 0
    (clip,) = read_manifest(tmp_path / "pairs").clips
    assert (sorted(clip.roles), clip.licence) == (["background", "matte", "plate", "relit"], "CC0 (own render)")


def test_clips_of_any_length_are_encoded_like_short_ones(base: Path) -> None:
    settings = config(base, base, base, model={"method": "full"})
    backbone = open_network(settings, "deflicker", torch.device("cpu")).backbone
    torch.manual_seed(0)
    video = torch.rand(60, 3, 16, 16) * 2 - 1
    latent = encode_clip(backbone, video)
    assert len(latent) == 1 + 64 // 4
    torch.testing.assert_close(latent[:13], backbone.encode(video[:49]).mean)
    decoded = decode_clip(backbone, latent)
    assert len(decoded) == 65
    torch.testing.assert_close(decoded[:49], backbone.decode(latent[:13]))
    assert torch.equal(encode_clip(backbone, video[:FRAMES]), backbone.encode(video[:FRAMES]).mean)


def test_a_disk_that_fills_leaves_whole_clips(tmp_path: Path) -> None:
    from tests.job.test_faults import mounted

    sources = sources_in(write_clips(tmp_path / "clips", 3))
    whole = make_pairs(sources[:1], Jitter(), tmp_path / "one", HEIGHT, WIDTH, quiet)
    size = sum(path.stat().st_size for path in whole.folder.rglob("*") if path.is_file())
    with mounted(tmp_path / "disk", f"size={3 * size}") as disk:
        with pytest.raises(OutputError, match="no space left on the disk"):
            make_pairs(sources, Jitter(), disk / "pairs", HEIGHT, WIDTH, quiet)
        for clip in read_manifest(disk / "pairs").clips:
            check_content(disk / "pairs", clip)
        assert not [path for path in (disk / "pairs").iterdir() if path.name.startswith(".clip")]
