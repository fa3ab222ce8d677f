"""Nothing outside the media roots is read or written through a fence, whatever a path says."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import OpenImageIO as Oiio
import pytest

from platelight.errors import ForbiddenPathError, FrameError, InputError, OutputError, PlatelightError
from platelight_server.plates import facts, frames_out, listing, picture_io

from . import files
from .fenced import (
    INSIDE,
    READERS,
    SECRET,
    WRITERS,
    fenced,
    picture,
    read_any,
    read_digest,
    read_exr,
    tree,
    write_bytes,
    write_frame,
)  # fmt: skip

# Facts of the server's section on paths; {top} is the folder around the root. The second value is what a naive open
# reads: the secret, the inside, or nothing at all.
ATTACKS = (
    "../secret.exr",
    "sh010/../../secret.exr",
    "../showX/secret.exr",
    "{top}/secret.exr",
    "/etc/hostname",
    "link.exr",
    "outside/secret.exr",
    "up/secret.exr",
    "etc/hostname",
    "sh010/a.exr/../../../secret.exr",
    "/proc/self/root/etc/hostname",
    "proc/self/root/etc/hostname",
    "loop",
    "a\0b.exr",
    "",
)
ALLOWED = (
    "sh010/a.exr",
    "good.exr",
    "absolute.exr",
    "{top}/show/sh010/a.exr",
    "sh010/../sh010/./a.exr",
    "folder/../a.exr",
    "other.exr",
)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_outside_is_read(top: Path, attack: str, reader: Callable[[Path], float]) -> None:
    with fenced(top) as show, pytest.raises(InputError) as refused:
        reader(show / attack.format(top=top))
    assert "/proc/self/fd" not in str(refused.value)


def test_most_attacks_succeed_without_a_fence(top: Path) -> None:
    leaked = set()
    for attack in ATTACKS:
        with contextlib.suppress(FrameError, ValueError):
            if read_exr(top / "show" / attack.format(top=top)) == SECRET:
                leaked.add(attack)
    harmless = {"sh010/a.exr/../../../secret.exr", "loop", "a\0b.exr", ""}
    no_pictures = {attack for attack in ATTACKS if attack.endswith("hostname")}
    assert leaked == set(ATTACKS) - harmless - no_pictures
    assert all((top / "show" / attack).read_bytes() for attack in no_pictures)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", ALLOWED)
def test_everything_inside_is_read(top: Path, path: str, reader: Callable[[Path], float]) -> None:
    with fenced(top) as show:
        assert reader(show / path.format(top=top)) == INSIDE


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack not in ("link.exr", "loop")])
def test_nothing_outside_is_written(top: Path, attack: str, writer: Callable[[Path], None]) -> None:
    before = tree(top)
    with fenced(top) as show, pytest.raises(PlatelightError) as refused:
        writer(show / attack.format(top=top))
    assert isinstance(refused.value, (ForbiddenPathError, OutputError))
    assert "/proc/self/fd" not in str(refused.value)
    assert tree(top) == before


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack not in ("", "loop")])
def test_no_folder_is_made_outside(top: Path, attack: str) -> None:
    before = tree(top)
    with fenced(top) as show, pytest.raises((ForbiddenPathError, OutputError)):
        frames_out.prepare_folder(show / attack.format(top=top) / "new" / "er")
    assert tree(top) == before


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", ["link.exr", "loop", "good.exr"])
def test_written_file_replaces_a_link_and_leaves_its_target(
    top: Path, name: str, writer: Callable[[Path], None]
) -> None:
    outside, target = tree(top, "show"), (top / "show" / "sh010" / "a.exr").read_bytes()
    with fenced(top) as show:
        writer(show / name)
    assert (show / name).is_file() and not (show / name).is_symlink()
    assert (tree(top, "show"), (show / "sh010" / "a.exr").read_bytes()) == (outside, target)


@pytest.mark.parametrize("path", ["out", "sh010/deep/../out", "folder/../out", "{top}/scratch/a/b/c"])
def test_folder_inside_is_made(top: Path, path: str) -> None:
    with fenced(top) as show:
        frames_out.prepare_folder(show / path.format(top=top))
        write_bytes(show / path.format(top=top) / "a.bin")
    assert (show / path.format(top=top) / "a.bin").read_bytes() == b"written"


def test_way_out_of_a_folder_that_is_not_there_makes_nothing(top: Path) -> None:
    before = tree(top)
    with fenced(top) as show, pytest.raises(OutputError, match="No such file"):
        frames_out.prepare_folder(show / "new" / ".." / "newer")
    assert tree(top) == before


def test_links_planted_under_temporary_names_are_not_followed(top: Path) -> None:
    secret = top / "secret.exr"
    before = secret.read_bytes()
    with fenced(top) as show:
        frames_out.temporary_name(show / "a.bin").symlink_to(secret)
        probe = show / f".platelight.{frames_out._host()}.{os.getpid()}{frames_out.TEMPORARY}"
        probe.symlink_to(secret)
        frames_out.prepare_folder(show)
        write_bytes(show / "a.bin")
    assert (secret.read_bytes(), (show / "a.bin").read_bytes()) == (before, b"written")


@pytest.mark.parametrize("writer", WRITERS)
def test_link_planted_at_the_last_moment_is_not_followed(
    top: Path, writer: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tree(top, "show")
    frames_out.temporary_name(top / "show" / "a.exr").symlink_to(top / "secret.exr")
    # As if it were planted between the removal of what stood there and the making of the file.
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
    with fenced(top) as show, pytest.raises(OutputError, match=r"a\.exr: cannot be written: File exists"):
        writer(show / "a.exr")
    assert tree(top, "show") == outside


@pytest.mark.usefixtures("either")
def test_read_only_root_is_read_and_not_written(top: Path) -> None:
    before, path = tree(top), top / "readonly" / "c.exr"
    with fenced(top):
        assert read_exr(path) == INSIDE
        for writing in (write_bytes, write_frame, frames_out.prepare_folder, frames_out.nearest_folder):
            with pytest.raises(ForbiddenPathError, match="root readonly = .*readonly is read-only"):
                writing(path.parent if writing is not write_bytes and writing is not write_frame else path)
        with pytest.raises(ForbiddenPathError, match="read-only"):
            frames_out.prepare_folder(path.parent / "new")
    assert tree(top) == before


def test_abandoned_files_are_removed_through_the_fence(top: Path) -> None:
    left = top / "show" / f".a.exr.{frames_out._host()}.{2**22 + 1}{frames_out.TEMPORARY}"
    left.write_bytes(b"x")
    with fenced(top) as show:
        assert (frames_out.remove_abandoned(show), left.exists()) == (1, False)
        with pytest.raises(ForbiddenPathError):
            frames_out.remove_abandoned(show / "outside")


@pytest.mark.usefixtures("either")
def test_only_folders_inside_are_listed(top: Path) -> None:
    for folder in (top / "showX", top / "show" / "sh010"):
        for frame in (1001, 1002):
            picture(folder / f"s.{frame}.exr", INSIDE)
    with fenced(top) as show:
        sequence = listing.sequence_at(str(show / "folder" / ".."))
        assert listing.scan(sequence) == {f: show / "folder" / ".." / f"s.{f}.exr" for f in (1001, 1002)}
        for path in (top / "showX", show / "outside" / "showX", show / "outside" / "showX" / "s.####.exr"):
            with pytest.raises(ForbiddenPathError):
                listing.scan(listing.sequence_at(str(path)))


def test_messages_name_the_path_and_the_roots(top: Path) -> None:
    with fenced(top) as show:
        roots = f"(show = {show}, scratch = {top}/scratch, readonly = {top}/readonly)"
        with pytest.raises(ForbiddenPathError) as outside:
            read_any(Path("/etc/passwd"))
        with pytest.raises(ForbiddenPathError) as link:
            read_any(show / "outside" / "secret.exr")
    assert str(outside.value) == (
        f"/etc/passwd: outside the server's media roots {roots}; move the file below one of them, or ask for a root"
        " with 'platelight serve --root NAME=DIR'"
    )
    assert str(link.value).startswith(f"{show}/outside/secret.exr: the link 'outside' on the way leads outside")
    assert (outside.value.exit_code, roots in str(link.value)) == (77, True)


@pytest.mark.parametrize("name", ["cut.exr", "cut.tif", "none.exr", "none.tif", "sh010", "text.exr", "text.png"])
def test_messages_about_files_are_those_without_a_fence(top: Path, name: str) -> None:
    path = top / "show" / name
    if name.startswith("cut"):
        Oiio.ImageBuf(Oiio.ImageSpec(64, 64, 3, Oiio.HALF)).write(str(path))
        path.write_bytes(path.read_bytes()[:-200])
    if name.startswith("text"):
        path.write_text("no picture")
    said = []
    for fenced_or_not in (fenced(top), fenced(top)):
        with pytest.raises(FrameError) as error:
            if said:
                with fenced_or_not:
                    picture_io.read(path, "RGB")
            else:
                picture_io.read(path, "RGB")
        said.append(str(error.value))
    assert said[0] == said[1]


def test_message_about_a_folder_of_two_sequences_names_the_folder(top: Path) -> None:
    for name in ("a.1001.exr", "b.1001.exr"):
        picture(top / "show" / "sh010" / name, INSIDE)
    with fenced(top) as show, pytest.raises(FrameError, match="sh010: expected one sequence, found 2: a") as error:
        listing.sequence_at(str(show / "sh010"))
    assert str(error.value).startswith(str(show / "sh010"))


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg", "hdr", "dpx", "bmp", "exr", "TIF"])
def test_every_kind_of_picture_reads_the_same_through_a_fence(top: Path, suffix: str) -> None:
    path = top / "show" / f"p.{suffix}"
    pixels = np.ascontiguousarray(np.clip(files.pixels(np.float32), 0, 1).transpose(1, 2, 0))
    out = Oiio.ImageOutput.create(str(path))
    assert out.open(str(path), Oiio.ImageSpec(files.WIDTH, files.HEIGHT, 3, Oiio.UINT8)) and out.write_image(pixels)
    assert out.close()
    free = picture_io.read(path, "RGB")
    with fenced(top):
        inside = picture_io.read(path, "RGB")
    assert np.array_equal(inside.pixels, free.pixels)
    assert (inside.info.path, inside.info.space_hint) == (path, free.info.space_hint)


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Ends a test that hangs on a pipe."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("alarms reach the main thread alone")

    def hung(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("reader", READERS)
def test_pipe_does_not_hang(top: Path, reader: Callable[[Path], float]) -> None:
    os.mkfifo(top / "show" / "pipe.exr")
    with fenced(top) as show, pytest.raises(FrameError):
        reader(show / "pipe.exr")


@pytest.mark.usefixtures("no_waiting")
def test_index_that_is_a_pipe_does_not_hang(top: Path) -> None:
    os.mkfifo(top / "show" / ".index.json")
    with fenced(top) as show:
        assert facts.FactIndex(show / ".index.json")._known == {}


@pytest.mark.parametrize("reader", [read_exr, read_any, read_digest])
def test_device_is_refused(top: Path, reader: Callable[[Path], float]) -> None:
    try:
        os.mknod(top / "show" / "zero.exr", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device is not allowed here")
    with fenced(top) as show, pytest.raises(FrameError, match=r"zero\.exr: (cannot be read: not a reg|no such file)"):
        reader(show / "zero.exr")


def test_forty_links_are_followed_and_no_more(top: Path) -> None:
    show = top / "show"
    (show / "chain0.exr").symlink_to("sh010/a.exr")
    for number in range(1, 41):
        (show / f"chain{number}.exr").symlink_to(f"chain{number - 1}.exr")
    with fenced(top):
        assert read_exr(show / "chain39.exr") == INSIDE
        with pytest.raises(FrameError, match="Too many levels"):
            read_exr(show / "chain40.exr")
