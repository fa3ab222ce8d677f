"""The engine behind a recipe: EXR to EXR with tiny checkpoints, and what it says when something is lacking."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platelight import messages as m
from platelight.errors import FrameError, RecipeError
from platelight.recipe import Recipe
from platelight_server.engines import registry
from platelight_server.engines.harmovid.extent import Extent
from platelight_server.engines.harmovid.models import Chosen, config_of
from platelight_server.engines.harmovid.options import Settings
from platelight_server.model_view import ModelView
from platelight_server.models.catalogue import card
from platelight_server.models.video.expanded import widen
from platelight_server.models.video.expanded_files import About, save
from platelight_server.plates import header as headers
from tests.harmovid.recipes import engine
from tests.job.rendering import checked, delivered, frames_in, header, into, render, stack
from tests.models import video_nets
from tests.service.running import Peer, files_of, on_wire, serving
from tests.shots import small
from tests.shots.small import Shot

pytestmark = pytest.mark.usefixtures("harmovid_models")


def errors(recipe: Recipe, only: str | None = None) -> list[str]:
    return [str(error) for error in checked(recipe, only).errors]


def test_a_shot_is_harmonized_from_exr_to_exr(shot: Shot) -> None:
    """Four frames, fewer than a window. The composite adds up, and nothing outside the matte is the network's."""
    recipe = shot.recipe(engine=engine(), output={"directory": str(shot.folder / "out")})
    render(recipe)
    frame = shot.frames[1]
    main, aux = delivered(recipe, frame), delivered(recipe, frame, aux=True)
    alpha, relit = main["alpha.A"].astype(np.float32), stack(main, "relit").astype(np.float32)
    behind, shown = stack(main, "background").astype(np.float32), stack(main, "").astype(np.float32)
    assert np.abs(stack(aux, "gain", "XYZ")[:, alpha > 0.5]).mean() > 0.05
    assert np.array_equal(shown[:, alpha == 0], behind[:, alpha == 0])
    assert np.abs(shown - (relit + (1 - alpha) * behind * aux["shadow.V"].astype(np.float32))).max() < 0.02
    said = headers.read_stated(header(recipe, frame))
    named = {one["model"]: one for one in json.loads(said["licences"])}
    assert set(named) == {"harmovid-harmonizer", "cogvideox-2b"}
    assert named["harmovid-harmonizer"]["licence"] == "Apache-2.0"


def test_any_part_of_a_shot_gives_the_pixels_of_the_whole(tmp_path: Path) -> None:
    """Thirty frames are two clips that cross over, the first of two windows: rendered whole, and in parts."""
    shot = small.make_shot(tmp_path / "shot", 30)
    recipe = shot.recipe(engine=engine(clip_frames=25, window_overlap=8))
    extent = Extent.of(Settings.of(engine(clip_frames=25, window_overlap=8)["options"]), None)
    assert extent.cut(30).starts == (0, 8) and len(extent.spans(7)) == 2
    whole, parts = into(recipe, tmp_path / "whole"), into(recipe, tmp_path / "parts")
    render(whole)
    for only in ("1005", "1009-1012"):
        render(parts, only)
    expected, found = frames_in(tmp_path / "whole"), frames_in(tmp_path / "parts")
    assert len(found) == 2 * 5
    assert all(found[name] == expected[name] for name in found)


@pytest.fixture
def relit(shot: Shot) -> Shot:
    """A relit sequence beside the plate, brighter by turns: as flickering as a relight frame by frame."""
    (shot.folder / "relit").mkdir()
    for frame in shot.frames:
        pixels = small.plate_pixels(frame) * np.float16(2 if frame % 2 else 1)
        small.write(shot.folder / "relit" / f"relit.{frame}.exr", pixels, "RGB", small.REC709)
    return shot


def relit_of(shot: Shot) -> dict[str, str]:
    return {"path": str(shot.folder / "relit" / "relit.####.exr")}


@pytest.mark.parametrize("first", ("given", "iclight", "none"))
def test_every_first_pass_is_what_the_deflicker_steadies(relit: Shot, first: str) -> None:
    """IC-Light is the default of this mode; its licence is named where it is used, and only there."""
    tables = {"relit": relit_of(relit)} if first == "given" else {}
    chosen = {} if first == "iclight" else {"first_pass": first}
    recipe = relit.recipe(engine=engine(mode="deflicker", **chosen), **tables)
    render(recipe, "1001")
    said = headers.read_stated(header(recipe, 1001))
    names = {one["model"] for one in json.loads(said["licences"])}
    assert json.loads(said["notes"])["first_pass"] == first
    assert "harmovid-deflicker" in names
    assert ("iclight-fbc" in names) == (first == "iclight")


def test_a_given_relight_reaches_the_network(relit: Shot) -> None:
    asked = engine(mode="deflicker", first_pass="none")
    plain, with_it = (
        relit.recipe(engine=asked),
        relit.recipe(engine=engine(mode="deflicker", first_pass="given"), relit=relit_of(relit)),
    )
    pixels = []
    for number, recipe in enumerate((plain, with_it)):
        target = into(recipe, relit.folder / f"out{number}")
        render(target, "1001")
        pixels.append(stack(delivered(target, 1001, aux=True), "gain", "XYZ"))
    assert not np.array_equal(*pixels)


def test_a_relit_sequence_is_not_left_aside(relit: Shot) -> None:
    (text,) = errors(relit.recipe(engine=engine(), relit=relit_of(relit)))
    assert text == "engine.options.first_pass: expected given, as the recipe has a relit sequence, got auto"


def test_a_server_renders_the_same_bytes_and_refuses_the_same(shot: Shot, tmp_path: Path) -> None:
    recipe, other = shot.recipe(engine=engine()), small.make_shot(tmp_path / "other", 4, 48, 32)
    here, there = into(recipe, tmp_path / "here"), into(recipe, tmp_path / "there")
    wrong = {
        "engine.options.mod: expected an option of harmovid": shot.recipe(engine=engine(mod="deflicker")),
        "model not-there: expected a trained harmonizer": shot.recipe(engine=engine(checkpoint="not-there")),
        f"{other.folder / 'matte' / 'matte.1001.exr'}: expected 96x64 like the plate, got 48x32": shot.recipe(
            engine=engine(), matte={"path": str(other.folder / "matte" / "matte.####.exr")}
        ),
    }
    render(here)
    with serving(tmp_path / "server-home") as server, Peer(server.connection) as peer:
        for number, (text, refused) in enumerate(wrong.items()):
            answer = peer.submit(on_wire(refused), f"wrong-{number}")
            assert isinstance(answer, m.Refused) and text in answer.text, answer
        told = peer.submit(on_wire(there), "harmovid")
        assert isinstance(told, m.Accepted), told
        end = peer.end_of(told.job, 120)
        assert end.status is not None and end.status.state == "done", (end, server.said())
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


def test_without_a_checkpoint_it_says_what_is_missing_and_what_works(shot: Shot) -> None:
    for mode, instead in (("harmonize", "engine.name = 'classic'"), ("deflicker", "platelight deflicker")):
        (text,) = errors(shot.recipe(engine=engine(mode=mode, checkpoint="not-there")))
        assert "expected a trained" in text and "not-there" in text and "platelight train" in text and instead in text


@pytest.mark.parametrize("name", ("../elsewhere", "/etc", "a/../../b"))
def test_a_checkpoint_is_looked_for_in_the_models_folders_alone(shot: Shot, name: str) -> None:
    (text,) = errors(shot.recipe(engine=engine(checkpoint=name)))
    assert "engine.options.checkpoint: expected the name of a folder in a models folder" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"mode": "deflicker", "checkpoint": "harmovid-harmonizer"},
            "expected a deflicker for mode = deflicker, got a",
        ),
        ({"window_frames": 16}, "engine.options.window_frames: expected 1 + a multiple of 4 frames, got 16"),
        ({"window_overlap": 12}, "engine.options.window_overlap: expected a multiple of 4 frames from 8 to 8, half"),
        (
            {"window_frames": 9},
            "engine.options.window_frames: expected 1 + a multiple of 4 frames, at least 13, got 9",
        ),
        ({"clip_frames": 30}, "engine.options.clip_frames: expected 1 + a multiple of 4 frames, got 30"),
        (
            {"clip_frames": 17, "clip_overlap": 12},
            "engine.options.clip_overlap: expected a multiple of 4 frames up to 8,",
        ),
        ({"first_pass": "given"}, "relit.path: expected the relit sequence, for first_pass = given, got none"),
        ({"base": "cogvideox-3b"}, "model cogvideox-3b: expected a folder cogvideox-3b in"),
    ],
    ids=lambda one: "" if isinstance(one, str) else "-".join(one),
)
def test_what_does_not_fit_is_refused_before_work(shot: Shot, options: dict[str, Any], said: str) -> None:
    found = errors(shot.recipe(engine=engine(**options)))
    assert len(found) == 1 and said in found[0], found


@given(
    st.sampled_from((1, 2)), st.integers(1, 90), st.sampled_from((4, 8, 12, 16, 32)), st.integers(1, 30),
    st.sampled_from((4, 8, 12)),
)  # fmt: skip
def test_lengths_that_pass_the_check_fit_every_part_of_a_clip(
    align: int, window: int, overlap: int, groups: int, crossing: int
) -> None:
    extent = Extent(window, overlap, 4 * groups + 1, crossing, 32, 48, align)
    try:
        extent.cut(300)
    except RecipeError:
        return
    for frames in range(1, extent.clip_frames + 1):
        filled = -(-(frames - 1) // (8 * align)) * 8 * align  # as models/video/padding.py does it
        assert extent.spans(filled // 4 + align)[-1].stop == filled // 4 + align


def test_a_foreign_base_and_a_damaged_checkpoint_are_errors(
    shot: Shot, harmovid_models: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "models"
    shutil.copytree(harmovid_models / "harmovid-harmonizer", root / "harmovid-harmonizer")
    shutil.copytree(tiny_folder / "cogvideox-2b", root / "cogvideox-2b")
    monkeypatch.setenv("PLATELIGHT_MODELS", str(root))
    (root / "cogvideox-2b" / "platelight-model.json").unlink()
    vae = root / "cogvideox-2b" / "vae" / "config.json"
    vae.write_text(json.dumps({**json.loads(vae.read_text()), "scaling_factor": 0.7}))
    recipe = shot.recipe(engine=engine())
    (text,) = errors(recipe)
    assert "expected the base that it was trained on, cogvideox-2b" in text
    vae.write_bytes((tiny_folder / "cogvideox-2b" / "vae" / "config.json").read_bytes())
    config = root / "harmovid-harmonizer" / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_layers": 5}))
    (text,) = errors(recipe)
    assert "transformer: expected the tensor transformer_blocks.3." in text and text.endswith("found none")
    weights = root / "harmovid-harmonizer" / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    (text,) = errors(recipe)
    assert "expected a whole safetensors file, got 5000 bytes" in text
    (root / "harmovid-harmonizer" / "platelight.json").write_text("{")
    (text,) = errors(recipe)
    assert re.search(r"platelight\.json: expected JSON, got", text)


def test_an_untrained_network_and_a_kept_background_are_said(shot: Shot) -> None:
    found = checked(shot.recipe(engine=engine(checkpoint="harmovid-untrained"), background=None))
    found.raise_first()
    assert any("was not trained (0 steps)" in text for text in found.warnings)
    assert any("own background is kept" in text for text in found.warnings)


def test_a_conditional_base_has_to_be_agreed_to_once() -> None:
    """The checkpoint's licence is its base's: who accepted that is not asked again."""
    base = card("cogvideox-5b")
    trained = type(base)(**{**vars(base), "name": "ours"})
    chosen = Chosen((trained, base), {}, 1)
    assert [str(one)[:20] for one in chosen.problems(Settings.of({}))] == ["model cogvideox-5b: "]
    assert chosen.problems(Settings.of({"accept_licences": "cogvideox-5b"})) == []


def test_cogvideox_15_takes_two_latents_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base of 1.5 that the catalogue does not know: a clip of 49 frames in two windows, its last frame."""
    base, trained = tmp_path / "models" / "own-1.5", video_nets.cogvideox15()
    shutil.copytree(video_nets.folder("5b"), base)
    shutil.rmtree(base / "transformer")
    trained.transformer.save_pretrained(base / "transformer")
    save(tmp_path / "models" / "night", widen(trained.transformer, "harmonizer"), About.of("harmonizer", base, 10))
    monkeypatch.setenv("PLATELIGHT_MODELS", str(tmp_path / "models"))
    options = engine(checkpoint="night", steps=1, window_frames=33, accept_licences="own-1.5")
    extent = Extent.of(Settings.of(options["options"]), config_of(Settings.of(options["options"])))
    assert (extent.align, extent.window_overlap, len(extent.spans(14))) == (2, 16, 2)
    shot = small.make_shot(tmp_path / "shot", 49)
    recipe = shot.recipe(engine=options)
    render(recipe, "1049")
    assert json.loads(headers.read_stated(header(recipe, 1049))["notes"])["clips"] == 1


def test_a_binary_matte_is_shown_soft_and_a_soft_one_as_it_is(shot: Shot) -> None:
    soft = registry.create("harmovid", engine()["options"])
    hard = registry.create("harmovid", engine()["options"])
    told = [one.prepare(_shot_of(shot, binary)).values for one, binary in ((soft, False), (hard, True))]
    assert [one["matte"] for one in told] == ["given", "ramp"]
    assert [one["matte_half_width_px"] for one in told] == [None, 2.0]


def _shot_of(shot: Shot, binary: bool) -> Any:
    found = checked(shot.recipe(engine={"name": "harmovid", "options": {"lines": 64, "columns": 96}}))
    assert found.inputs is not None and found.capabilities is not None
    seen = ModelView(found.inputs, found.capabilities).shot()
    cut = lambda frame: replace(seen.inputs(frame), matte=(seen.inputs(frame).matte > 0.5).float())  # noqa: E731
    return replace(seen, inputs=cut) if binary else seen


def test_mattes_of_another_size_length_or_range_are_refused(shot: Shot) -> None:
    recipe = shot.recipe(engine=engine())
    folder = shot.folder / "matte"
    kept = (folder / "matte.1002.exr").read_bytes()
    small.write(folder / "matte.1002.exr", small.matte_pixels(1002, 48, 32), "A")
    assert any("matte" in text and "like the plate" in text for text in errors(recipe))
    small.write(folder / "matte.1002.exr", small.matte_pixels(1002) * np.float16(3), "A")
    assert any("expected a matte from 0 to 1 in A, got 0 to 3" in text for text in errors(recipe))
    (folder / "matte.1002.exr").write_bytes(kept)
    (folder / "matte.1004.exr").unlink()
    assert any("matte.path" in text and "missing frames 1004" in text for text in errors(recipe))


@pytest.mark.parametrize(("policy", "expected"), [("hold", [1, 2, 2, 2]), ("loop", [1, 2, 1, 2])])
def test_a_background_shorter_than_the_plate_is_held_or_looped(shot: Shot, policy: str, expected: list[int]) -> None:
    recipe = _short_background(shot, policy)
    found = checked(recipe)
    found.raise_first()
    assert found.inputs is not None and found.inputs.background is not None
    numbers = [int(path.stem.split(".")[1]) for path in map(found.inputs.background.file, shot.frames) if path]
    assert numbers == expected


@pytest.mark.parametrize("policy", ("refuse", None))
def test_a_background_shorter_than_the_plate_is_refused(shot: Shot, policy: str | None) -> None:
    (text,) = errors(_short_background(shot, policy))
    assert "missing frames 3-4 (it has 1-2)" in text and "background.missing = 'hold' or 'loop'" in text


def _short_background(shot: Shot, policy: str | None) -> Recipe:
    (shot.folder / "behind").mkdir()
    for number in (1, 2):
        small.write(shot.folder / "behind" / f"b.{number:04d}.exr", small.plate_pixels(number), "RGB", small.REC709)
    table = {"sequence": str(shot.folder / "behind" / "b.####.exr"), "frame_offset": -1000}
    return shot.recipe(engine=engine(), background={**table, **({"missing": policy} if policy else {})})


def test_a_relit_sequence_of_another_size_or_length_is_refused(relit: Shot) -> None:
    recipe = relit.recipe(engine=engine(mode="deflicker", first_pass="given"), relit=relit_of(relit))
    (relit.folder / "relit" / "relit.1004.exr").unlink()
    with pytest.raises(FrameError, match="relit.path: .*missing frames 1004"):
        checked(recipe).raise_first()
    small.write(relit.folder / "relit" / "relit.1004.exr", small.plate_pixels(4, 48, 32), "RGB", small.REC709)
    with pytest.raises(FrameError, match="relit: .*expected .* like the plate"):
        checked(recipe).raise_first()


def test_an_option_with_a_typo_is_named(shot: Shot) -> None:
    with pytest.raises(RecipeError, match=r"engine.options.mod: .* of harmovid \(mode, .* \(did you mean mode\?\)"):
        checked(shot.recipe(engine={"name": "harmovid", "options": {"mod": "deflicker"}})).raise_first()
