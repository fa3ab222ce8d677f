"""Places and uploads: what a server sees by path, what it is sent, and that the result is the same either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import platelight
import platelight.messages
import platelight.places
from platelight.content import hash_of
from platelight.errors import AccessError, InputError, OutputError
from platelight.jobs import safe_name
from platelight.recipe import Recipe
from platelight.shipping import by_path, by_value
from platelight.targets import seen_roots, target_of
from platelight.uploads import upload_bytes
from tests.client.serving import Server, running
from tests.job.rendering import frames_in
from tests.shots.small import Shot, make_shot


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server sees as `shows`."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[Server]:
    """A server that sees one folder alone."""
    with running(tmp_path_factory.mktemp("server"), "--root", f"shows={media}") as server:
        yield server


def relative(shot: Shot, out: str = "out") -> Recipe:
    """The shot's recipe with paths as a recipe file beside it has them."""
    recipe = shot.recipe().relative_to(shot.folder)
    return replace(recipe, output=replace(recipe.output, directory=out))


def test_path_outside_the_roots_names_the_roots(server: platelight.Client, shot: Shot, media: Path) -> None:
    with pytest.raises(AccessError, match=rf"lies outside the media roots \(shows = {media}\)") as refused:
        server.submit(shot.recipe())
    assert (refused.value.code, refused.value.exit_code) == ("FORBIDDEN_PATH", 77)


def test_link_that_leads_out_of_the_roots_is_refused_by_the_server(
    server: platelight.Client, shot: Shot, media: Path
) -> None:
    link = media / "way_out"
    link.symlink_to(shot.folder)
    with pytest.raises(AccessError):
        server.submit(Shot(link, shot.frames).recipe())


def test_roots_may_lie_elsewhere_on_this_machine(
    serving: Server, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sees the same files below another path, as over a network mount."""
    make_shot(media / "mounted")
    (tmp_path / "mnt").symlink_to(media)
    shot = Shot(tmp_path / "mnt" / "mounted", (1001, 1002, 1003, 1004))
    monkeypatch.setenv("PLATELIGHT_ROOTS", f"shows={tmp_path / 'mnt'}")
    with serving.connect() as server:
        job = server.submit(shot.recipe())
        assert (job.result(60).rendered, job.status().folder) == (4, "shows:mounted/out")
    assert len(frames_in(media / "mounted" / "out")) == 8


def test_upload_gives_the_bytes_of_the_same_recipe_by_path(
    server: platelight.Client, media: Path, tmp_path: Path
) -> None:
    seen, unseen = make_shot(media / "seen"), make_shot(tmp_path / "unseen")
    by_path_job = server.submit(relative(seen), base=seen.folder)
    by_value_job = server.submit(relative(unseen), base=unseen.folder, upload=True)
    assert (by_path_job.result(60).rendered, by_value_job.result(60).rendered) == (4, 4)
    fetched = by_value_job.fetch_all(tmp_path / "fetched")
    assert (len(fetched), frames_in(tmp_path / "fetched")) == (10, frames_in(seen.folder / "out"))


def test_absolute_paths_are_uploaded_too(server: platelight.Client, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "unseen")
    report = server.check(shot.recipe(), upload=True)
    job = server.submit(shot.recipe(), upload=True)
    assert (report.problems, job.result(60).rendered, job.status().folder) == ((), 4, "job:out")


def test_what_the_server_has_is_not_sent_again(server: platelight.Client, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "unseen", 6)
    calls: list[tuple[int, int]] = []
    server.submit(shot.recipe(), upload=True, progress=lambda sent, total: calls.append((sent, total))).result(60)
    total = calls[-1][1]
    assert calls[-1] == (total, total)
    pushed: list[object] = []
    push = server.calls.link._push
    server.calls.link._push = lambda message, payload=None: pushed.append(message) or push(message, payload)  # type: ignore[method-assign,func-returns-value]
    server.check(shot.recipe(), upload=True)
    assert [one for one in pushed if isinstance(one, platelight.messages.Put)] == []


def test_recipe_larger_than_a_message_goes_as_a_blob(server: platelight.Client, media: Path) -> None:
    shot = make_shot(media / "large")
    prompt = "a street at night " * 70_000
    recipe = shot.recipe(engine={"name": "test_backdrop"}, background={"prompt": prompt})
    assert len(recipe.pack()) > 1 << 20
    assert server.submit(recipe, frames="1001").result(60).rendered == 1


def test_empty_file_and_no_file_are_uploaded_and_named(server: platelight.Client, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "unseen")
    (shot.folder / "plate" / "plate.1002.exr").write_bytes(b"")
    (shot.folder / "plate" / "plate.1003.exr").unlink()
    texts = " ".join(problem.text for problem in server.check(shot.recipe(), upload=True).problems)
    assert ("1003" in texts, "plate.1002.exr" in texts or "missing" in texts) == (True, True), texts


def test_both_hashes_are_known(server: platelight.Client) -> None:
    for offered in (("sha256",), ("blake3", "sha256")):
        blob = upload_bytes(server.calls.link, b"content", offered)
        assert blob.name == hash_of(iter([b"con", b"tent"]), offered[0])


# ---- without a server


ROOTS = platelight.places.Roots({"shows": Path("/mnt/shows"), "work": Path("/mnt/shows/work")})


def plain(**tables: object) -> Recipe:
    return Recipe.from_dict({
        "platelight": 1, "name": "n", "frames": "1-2", "plate": {"path": "plates/p.####.exr"},
        "output": {"directory": "out"}, **tables,
    })  # fmt: skip


def test_relative_paths_stay_and_the_base_is_a_place() -> None:
    shipment = by_path(plain(), Path("/mnt/shows/sh010"), ROOTS)
    recipe = Recipe.unpack(shipment.packed)
    assert (shipment.base, recipe.plate.path, recipe.output.directory) == ("shows:sh010", "plates/p.####.exr", "out")


def test_absolute_paths_become_places_of_the_deepest_root() -> None:
    shipment = by_path(plain(plate={"path": "/mnt/shows/work/p.####.exr"}), Path("/mnt/shows"), ROOTS)
    assert Recipe.unpack(shipment.packed).plate.path == "work:p.####.exr"


def test_base_outside_the_roots_is_fine_where_no_path_needs_it() -> None:
    recipe = plain(plate={"path": "/mnt/shows/p.####.exr"}, output={"directory": "/mnt/shows/out"})
    shipment = by_path(recipe, Path("/home/anna"), ROOTS)
    assert (shipment.base, Recipe.unpack(shipment.packed).output.directory) == ("", "shows:out")
    with pytest.raises(AccessError, match="/home/anna/plates/p"):
        by_path(plain(), Path("/home/anna"), ROOTS)


def test_dots_in_a_path_are_those_of_the_disk(tmp_path: Path) -> None:
    roots = platelight.places.Roots({"shows": tmp_path.resolve()})
    recipe = plain(plate={"path": str(tmp_path / "a" / ".." / "p.####.exr")}, output={"directory": str(tmp_path)})
    assert Recipe.unpack(by_path(recipe, tmp_path, roots).packed).plate.path == "shows:p.####.exr"


def test_upload_takes_the_frames_that_are_needed(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", 6)
    document = shot.recipe(frames="1002-1003", background={
        "sequence": str(shot.folder / "matte" / "matte.####.exr"), "frame_offset": 2,
    })  # fmt: skip
    shipment = by_value(document, tmp_path)
    recipe = Recipe.unpack(shipment.packed)
    assert recipe.output.directory == "job:out"
    names = {name.partition("/")[2] for name in shipment.files}
    assert {name for name in names if name.startswith("plate")} == {"plate.1002.exr", "plate.1003.exr"}
    held = {recipe.background.sequence: {"1004", "1005"}, recipe.matte.path if recipe.matte else "": {"1002", "1003"}}
    for path, frames in held.items():
        assert path is not None
        folder = path.partition("/")[0]
        assert {name.split(".")[1] for name in shipment.files if name.startswith(f"{folder}/")} == frames


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "c:\\x", "", "a\0b"])
def test_names_of_a_server_lead_nowhere(name: str) -> None:
    with pytest.raises(OutputError):
        safe_name(name)


def test_servers_are_named_in_four_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.json"
    assert [target_of(given).named for given in ("tcp://gpu01:5577", "gpu01:5577", str(file), file)] == [
        "tcp://gpu01:5577", "tcp://gpu01:5577", str(file), str(file),
    ]  # fmt: skip
    monkeypatch.setenv("PLATELIGHT_SERVER", "tcp://gpu02:1")
    assert (target_of().named, target_of(file).named) == ("tcp://gpu02:1", str(file))
    with pytest.raises(InputError, match="expected an address such as tcp://gpu01:5577"):
        target_of("http://gpu01:80")


def test_roots_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATELIGHT_ROOTS", "shows=/mnt/shows; work=/w")
    assert seen_roots() == {"shows": Path("/mnt/shows"), "work": Path("/w")}
    monkeypatch.setenv("PLATELIGHT_ROOTS", "shows")
    with pytest.raises(InputError, match="expected NAME=DIR"):
        seen_roots()
