"""The extension's zip: the same bytes twice, the wheels that Blender lets in, the shared package inside."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import os
import sys
import tomllib
import zipfile
from pathlib import Path

import build_addon
import pytest
from build_addon import BuildError, Wheel

from tests.blender.tree import HAS_BPY, ROOT

ALL_WHEELS = all((build_addon.CACHE / wheel.name).is_file() for wheel in build_addon.lock())


@pytest.fixture
def no_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels that hold their own name, so that nothing is fetched."""

    def fetched(wheel: Wheel) -> Path:
        path = tmp_path / wheel.name
        path.write_text(wheel.name, encoding="utf-8")
        return path

    monkeypatch.setattr(build_addon, "fetched", fetched)


def test_two_builds_are_byte_equal(no_wheels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_addon.build()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for name in ("blender_manifest.toml", "__init__.py"):
        path = build_addon.ADDON / name
        times = path.stat()
        os.utime(path, (times.st_atime, times.st_mtime))
    assert first == build_addon.build()
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        entries = archive.infolist()
    assert [e.filename for e in entries] == sorted(e.filename for e in entries)
    assert {(e.date_time, e.external_attr, e.compress_type) for e in entries} == {
        (build_addon.DATE, build_addon.MODE, zipfile.ZIP_STORED)
    }


def test_zip_holds_the_extension_the_shared_package_and_both_licences(no_wheels: None) -> None:
    with zipfile.ZipFile(io.BytesIO(build_addon.build())) as archive:
        names = set(archive.namelist())
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        vendored = archive.read("platelight/client.py")
    assert {"__init__.py", "LICENSE", "results/group.py", "platelight/__init__.py", "platelight/LICENSE"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".md", "wheels.toml", ".pyc"))]
    assert vendored == (build_addon.SHARED / "client.py").read_bytes()
    assert manifest["id"] == "platelight"
    assert manifest["version"] == build_addon.version()
    assert {f"wheels/{wheel.name}" for wheel in build_addon.lock()} == {name[2:] for name in manifest["wheels"]}


def test_other_version_in_the_manifest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_addon, "version", lambda: "9.9.9")
    with pytest.raises(BuildError, match=r"version 9\.9\.9, got 1 and "):
        build_addon.manifest(())


def test_wheel_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_addon, "CACHE", tmp_path)
    wheel = Wheel("a-1-cp311-cp311-win_amd64.whl", hashlib.sha256(b"right").hexdigest())
    (tmp_path / wheel.name).write_bytes(b"wrong")
    with pytest.raises(BuildError, match=f"expected sha256 {wheel.sha256}, got {hashlib.sha256(b'wrong').hexdigest()}"):
        build_addon.fetched(wheel)
    (tmp_path / wheel.name).write_bytes(b"right")
    assert build_addon.fetched(wheel) == tmp_path / wheel.name


def test_locked_wheels_serve_every_platform_and_python(no_wheels: None, tmp_path: Path) -> None:
    path = tmp_path / "built.zip"
    path.write_bytes(build_addon.build())
    assert build_addon._wheel_problems(path) == []


def test_wheel_that_is_absent_is_found(no_wheels: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = build_addon.lock()
    monkeypatch.setattr(build_addon, "lock", lambda: tuple(w for w in locked if "cp313-cp313-win_arm64" not in w.name))
    path = tmp_path / "built.zip"
    path.write_bytes(build_addon.build())
    assert build_addon._wheel_problems(path) == ["msgpack on windows-arm64, Python 313: expected 1 wheel, got 0"]


@pytest.mark.parametrize(
    ("name", "platform", "python", "serves"),
    [
        ("pyzmq-27.3.0-cp312-abi3-win_amd64.whl", "windows-x64", 313, True),
        ("pyzmq-27.3.0-cp312-abi3-win_amd64.whl", "windows-x64", 311, False),
        ("pyzmq-27.3.0-cp311-cp311-win_amd64.whl", "windows-x64", 313, False),
        ("pyzmq-27.3.0-cp311-cp311-win_amd64.whl", "windows-arm64", 311, False),
        ("pyzmq-27.3.0-cp311-cp311-macosx_10_15_universal2.whl", "macos-x64", 311, True),
        ("pyzmq-27.3.0-cp311-cp311-macosx_10_15_universal2.whl", "macos-arm64", 311, True),
        ("pyzmq-27.3.0-cp311-cp311-macosx_10_15_universal2.whl", "linux-x64", 311, False),
    ],
)
def test_wheel_serves(name: str, platform: str, python: int, serves: bool) -> None:
    assert Wheel(name, "").serves("pyzmq", platform, python) is serves


def test_vendored_package_imports_nothing_of_its_own_name() -> None:
    """An absolute import would find another installation of Platelight, or none."""
    for path in sorted(build_addon.SHARED.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module or "")
            assert not [name for name in names if name.split(".")[0] == "platelight"], path


@pytest.mark.skipif(not HAS_BPY, reason="needs bpy")
def test_blender_lets_the_wheels_in_on_every_python() -> None:
    import bpy

    program = Path(bpy.utils.resource_path("LOCAL")) / "scripts" / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    spec = importlib.util.spec_from_file_location("blender_ext_tested", program)
    assert spec is not None and spec.loader is not None
    blender_ext = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = blender_ext
    spec.loader.exec_module(blender_ext)
    names = [wheel.name for wheel in build_addon.lock()]
    assert blender_ext.python_versions_from_wheels(names) == {(3, 11), (3, 12), (3, 13), (3, 14)}
    # The trap, as long as it is there: with pyzmq alone the zip would be refused from Blender 5.1 on.
    zmq_alone = [name for name in names if name.startswith("pyzmq")]
    assert blender_ext.python_versions_from_wheels(zmq_alone) == {(3, 11)}


@pytest.mark.skipif(not HAS_BPY or not ALL_WHEELS, reason="needs bpy, and the wheels: run build_addon.py once")
def test_zip_installs_into_this_blender(tmp_path: Path) -> None:
    said = build_addon._asked(Path(sys.executable), build_addon.write(tmp_path))
    said.pop("blender", None)
    assert {name: [] for name in said} == said
    assert len(said) == 2


def test_blenders_own_folder_of_venvs_is_not_tracked() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {".venv*/", "build/", "dist/"} <= set(ignored)
