"""Windows paths that mean something else than they say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from platelight.errors import ForbiddenPathError
from platelight_server.plates import fence
from platelight_server.plates.fence import Root
from platelight_server.plates.windows_paths import windows_problem


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (r"\\?\C:\shows\a.exr", "a device path"),
        (r"\\.\PhysicalDrive0", "a device path"),
        ("//?/C:/shows/a.exr", "a device path"),
        (r"\??\C:\shows\a.exr", "a device path"),
        (r"C:a.exr", "a path relative to a drive's current folder"),
        (r"C:..\a.exr", "a path relative to a drive's current folder"),
        (r"C:\shows\a.exr:hidden", "a ':' behind the drive, which names a stream"),
        (r"\\server\shows\a.exr::$DATA", "a ':' behind the drive, which names a stream"),
        (r"C:\shows\NUL", "the name of a device (NUL)"),
        (r"C:\shows\aux.exr", "the name of a device (aux.exr)"),
        (r"C:\com1.1001.exr\a.exr", "the name of a device (com1.1001.exr)"),
        ("C:/shows/LPT\u00b2", "the name of a device (LPT\u00b2)"),
        ("C:/shows/CON .exr", "the name of a device (CON .exr)"),
        ("conin$", "the name of a device (conin$)"),
        (r"C:\shows\secret.\a.exr", "a name that ends in a dot or a blank ('secret.')"),
        ("C:/shows/a.exr ", "a name that ends in a dot or a blank ('a.exr ')"),
        ("C:/shows/.../a.exr", "a name that ends in a dot or a blank ('...')"),
    ],
)
def test_path_with_a_second_meaning_is_refused(path: str, why: str) -> None:
    assert windows_problem(path) == why


@pytest.mark.parametrize(
    "path",
    [
        r"C:\shows\sh010\plate.1001.exr", r"\\nas\shows\sh010\a b.exr", "D:/shows/../x/./a.exr", "sh010/a.exr",
        "C:/shows/console.exr", "C:/shows/com.exr", "C:/shows/com10.exr", "C:/shows/nul_0001.exr", "C:\\", "",
    ],
)  # fmt: skip
def test_plain_path_is_taken(path: str) -> None:
    assert windows_problem(path) is None


def test_fence_asks_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fence.enclosed([Root("show", tmp_path)]):
        assert not fence.is_file(tmp_path / "aux.exr")
        monkeypatch.setattr(fence, "os", SimpleNamespace(name="nt"))
        with pytest.raises(ForbiddenPathError, match=r"got the name of a device \(aux\.exr\)"):
            fence.is_file(tmp_path / "aux.exr")
