"""Which roots a fence is put up around, and for whom it holds."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from platelight.errors import ForbiddenPathError, FrameError, InputError
from platelight_server.plates import fence
from platelight_server.plates.fence import Root

from .fenced import INSIDE, SECRET, fenced, read_exr, write_bytes


def test_root_that_is_a_link_holds_what_it_leads_to(top: Path) -> None:
    (top / "mounted").symlink_to("show")
    with fence.enclosed([Root("show", top / "mounted")]):
        assert read_exr(top / "mounted" / "good.exr") == INSIDE
        assert read_exr(top / "show" / "absolute.exr") == INSIDE  # its links name the real folder
        with pytest.raises(ForbiddenPathError):
            read_exr(top / "mounted" / "outside" / "secret.exr")


def test_root_swapped_for_a_link_is_still_the_old_folder(top: Path) -> None:
    with fenced(top) as show:
        show.rename(top / "moved")
        show.symlink_to(top / "showX")
        with pytest.raises(FrameError, match="no such file"):
            read_exr(show / "secret.exr")


@pytest.mark.parametrize(
    ("roots", "said"),
    [
        ([Root("a", Path("none"))], "a = .*none: No such file or directory; name a folder"),
        ([Root("a", Path("secret.exr"))], "a = .*: Not a directory; name a folder"),
        ([Root("a", Path("show")), Root("a", Path("scratch"))], "a name once each, got a, a"),
        ([Root("a", Path("show"), True), Root("b", Path("show/sh010"))], "b = .* is read-only and lies in a = "),
    ],
)
def test_roots_that_make_no_sense_are_refused(top: Path, roots: list[Root], said: str) -> None:
    placed = [Root(root.name, top / root.path, root.writable) for root in roots]
    with pytest.raises(InputError, match=said), fence.enclosed(placed):
        pass
    assert not fence.stands()


def test_writable_root_within_a_read_only_one_takes_results(top: Path) -> None:
    roots = [Root("show", top / "show"), Root("out", top / "show" / "sh010" / "deep", writable=True)]
    with fence.enclosed(roots):
        write_bytes(top / "show" / "sh010" / "deep" / "a.bin")
        with pytest.raises(ForbiddenPathError, match=r"read-only; write below .* \(out = "):
            write_bytes(top / "show" / "sh010" / "a.bin")


def test_fence_holds_for_all_threads(top: Path) -> None:
    said: list[BaseException] = []

    def look() -> None:
        try:
            read_exr(top / "secret.exr")
        except ForbiddenPathError as error:
            said.append(error)

    with fenced(top):
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(said) == 4
    assert read_exr(top / "secret.exr") == SECRET


def test_fence_that_stands_is_not_put_up_again(top: Path) -> None:
    with fenced(top), pytest.raises(RuntimeError, match="stands already"):
        fence.enclose([Root("all", Path("/"))])


def test_outer_fence_stands_again_after_an_inner_one(top: Path) -> None:
    with fence.enclosed([Root("scratch", top / "scratch")]):
        with fenced(top) as show:
            assert read_exr(show / "sh010" / "a.exr") == INSIDE
        with pytest.raises(ForbiddenPathError, match=r"media roots \(scratch = [^,]*\);"):
            read_exr(top / "show" / "sh010" / "a.exr")
        assert read_exr(top / "scratch" / "b.exr") == INSIDE
