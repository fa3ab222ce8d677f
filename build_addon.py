"""Builds the Blender extension: `python build_addon.py` makes dist/platelight-VERSION.zip; `--check` tries it too.

One zip serves Blender 4.2 to 5.2 on all platforms. Blender refuses an extension whose wheels do not name its Python,
and takes abi3 wheels for none as soon as another wheel names a version; msgpack's wheels name 3.11 to 3.14 one by one,
so the zip is let in everywhere, and then each wheel is chosen by itself, abi3 wheels too. (pyzmq alone, which has cp311
and cp312-abi3, is refused from 5.1 on.) Two builds are byte-equal on any machine: sorted entries, one date, one set of
permissions, and stored, because zlib's output differs between its versions.

The shared package goes in as the subpackage `platelight`, so that no global module of that name is there or needed.
Wheels are fetched with pip into build/wheels, by name, and each is checked against its hash in wheels.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ADDON, SHARED = ROOT / "blender_addon", ROOT / "shared" / "platelight"
CACHE = ROOT / "build" / "wheels"
INSTALLED = ROOT / "tests" / "blender" / "installed.py"

WHEELS_LINE = re.compile(r"^# wheels:.*$", re.MULTILINE)
CODE = {".py", ".json", ".typed"}
DATE = (2020, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16
# Blender's names; its validator takes any. A platform's wheels end in one of these.
PLATFORM_TAGS = {
    "windows-x64": ("win_amd64",),
    "windows-arm64": ("win_arm64",),
    "macos-x64": ("x86_64", "universal2"),
    "macos-arm64": ("arm64", "universal2"),
    "linux-x64": ("x86_64",),
}
PACKAGES = ("msgpack", "pyzmq")
PYTHONS = {311: "4.2 to 5.0", 313: "5.1 and 5.2"}
PYTHONS_OF = {"macos-x64": (311,)}  # Blender 5 does not run on Intel Macs


class BuildError(Exception):
    """The extension cannot be built, or does not hold what it must; the message says which file."""


@dataclass(frozen=True)
class Wheel:
    """One line of the lock."""

    name: str
    sha256: str

    @property
    def tags(self) -> tuple[str, str, str, str, str]:
        """Package, version, Python tag, ABI tag, platform tags."""
        package, version, python, abi, platform = self.name.removesuffix(".whl").split("-")
        return package, version, python, abi, platform

    def serves(self, package: str, platform: str, python: int) -> bool:
        """Whether Blender takes this wheel for `package` there. python: 311, 313"""
        name, _, tag, abi, on = self.tags
        system = {"windows": "win", "macos": "macosx", "linux": "manylinux"}[platform.split("-")[0]]
        number = int(tag.removeprefix("cp"))
        right_python = number == python or (abi == "abi3" and number <= python)
        return name == package and right_python and on.startswith(system) and on.endswith(PLATFORM_TAGS[platform])


def main() -> int:
    options = _arguments()
    try:
        path = write(options.out)
        print(f"built {path} ({path.stat().st_size / 1e6:.1f} MB)")
        if options.check:
            return check(path, options.bpy_python)
    except BuildError as error:
        print(f"build_addon: {error}", file=sys.stderr)
        return 1
    return 0


def write(folder: Path) -> Path:
    """Builds the zip into a folder. Raises BuildError."""
    data = build()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"platelight-{version()}.zip"
    path.write_bytes(data)
    return path


def build() -> bytes:
    """The zip's bytes."""
    wheels = lock()
    held = dict(_sources()) | {f"wheels/{wheel.name}": fetched(wheel).read_bytes() for wheel in wheels}
    held["blender_manifest.toml"] = manifest(wheels).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(held):
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr, entry.create_system = MODE, 3
            archive.writestr(entry, held[name])
    return buffer.getvalue()


def version() -> str:
    """The shared package's version, which is the extension's."""
    found = re.search(r'"([^"]+)"', (SHARED / "_version.py").read_text(encoding="utf-8"))
    if found is None:
        raise BuildError(f"{SHARED / '_version.py'}: expected one quoted version")
    return found[1]


def lock() -> tuple[Wheel, ...]:
    """The wheels of wheels.toml, sorted by name."""
    held = tomllib.loads((ADDON / "wheels.toml").read_text(encoding="utf-8"))["wheel"]
    return tuple(sorted((Wheel(**entry) for entry in held), key=lambda wheel: wheel.name))


def manifest(wheels: tuple[Wheel, ...]) -> str:
    """The manifest with the list of wheels, and checked against the version."""
    text = (ADDON / "blender_manifest.toml").read_text(encoding="utf-8")
    listed = "wheels = [\n" + "".join(f'  "./wheels/{wheel.name}",\n' for wheel in wheels) + "]"
    text, places = WHEELS_LINE.subn(lambda _: listed, text)
    found = tomllib.loads(text)
    if places != 1 or found["version"] != version():
        raise BuildError(f"blender_manifest.toml: expected one '# wheels:' line and version {version()}, got "
                         f"{places} and {found['version']}")  # fmt: skip
    return text


def fetched(wheel: Wheel) -> Path:
    """The wheel in the cache, fetched where it is not there. Raises BuildError where its hash is another."""
    path = CACHE / wheel.name
    if not path.is_file():
        _download(wheel)
    if not path.is_file():
        raise BuildError(f"{wheel.name}: pip fetched no file of this name; was it taken back from the registry?")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise BuildError(f"{path}: expected sha256 {wheel.sha256}, got {found}. Remove the file and build again.")
    return path


def _download(wheel: Wheel) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    package, number, python, abi, platform = wheel.tags
    digits = python.removeprefix("cp")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", f"{digits[0]}.{digits[1:]}"]
    command += ["--abi", abi, "--platform", platform.split(".")[-1], "--dest", str(CACHE), f"{package}=={number}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{wheel.name}: pip download failed: {done.stderr.strip().splitlines()[-1:]}")


def _sources() -> Iterator[tuple[str, bytes]]:
    """The extension's own files and the shared package's, with one kind of line end. Both licences go along."""
    for folder, inside in ((ADDON, ""), (SHARED, "platelight/")):
        for path in sorted(folder.rglob("*")):
            if path.suffix in CODE and "__pycache__" not in path.parts:
                yield inside + path.relative_to(folder).as_posix(), _text(path)
    yield "LICENSE", _text(ADDON / "LICENSE")
    yield "platelight/LICENSE", _text(ROOT / "LICENSE")


def _text(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n")


def check(path: Path, bpy_pythons: list[Path]) -> int:
    """Tries the zip; one line per check. Returns the exit code."""
    failed = _report("two builds are byte-equal", [] if build() == path.read_bytes() else ["they differ"])
    failed |= _report("every platform and Python has its wheels", _wheel_problems(path))
    for python in bpy_pythons or _bpy_pythons():
        said = _asked(python, path)
        label = said.pop("blender", [str(python)])[0]
        for name, problems in said.items():
            failed |= _report(f"{label}: {name}", problems)
    return int(failed)


def _wheel_problems(path: Path) -> list[str]:
    """What the validator does not look at: unknown platforms, wheels that are absent, machines without a wheel."""
    with zipfile.ZipFile(path) as archive:
        held = {name for name in archive.namelist() if name.startswith("wheels/")}
        listed = tomllib.loads(archive.read("blender_manifest.toml").decode())
    problems = [f"not both listed and there: {name}" for name in held ^ {w[2:] for w in listed["wheels"]}]
    for platform in listed["platforms"]:
        if platform not in PLATFORM_TAGS:
            problems.append(f"unknown platform {platform}")
            continue
        for python in PYTHONS_OF.get(platform, tuple(PYTHONS)):
            for package in PACKAGES:
                count = sum(Wheel(name.removeprefix("wheels/"), "").serves(package, platform, python) for name in held)
                if count != 1:
                    problems.append(f"{package} on {platform}, Python {python}: expected 1 wheel, got {count}")
    return problems


def _report(what: str, problems: list[str]) -> bool:
    print(f"{'FAIL' if problems else 'ok  '} {what}" + "".join(f"\n       {problem}" for problem in problems))
    return bool(problems)


def _asked(python: Path, path: Path) -> dict[str, list[str]]:
    """What a Python with `bpy` says of the zip: what was tried -> problems. It runs elsewhere, with an empty path."""
    done = subprocess.run(
        [python, "-I", INSTALLED, path.resolve()], capture_output=True, text=True, cwd=Path(python.anchor), timeout=600
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return {"installed": [f"exit {done.returncode}", *(done.stdout + done.stderr).strip().splitlines()[-12:]]}
    said: dict[str, list[str]] = json.loads(lines[-1])
    if done.returncode:
        said["left without a crash"] = [f"exit {done.returncode}"]
    return said


def _bpy_pythons() -> list[Path]:
    """One Python 3.11 and one 3.13 with `bpy`, made on demand under .venv-bpy."""
    sys.path.insert(0, str(ROOT))
    from tests.blender.matrix import IN_CI, VERSIONS, environment

    return [environment(VERSIONS[name]) for name in IN_CI]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the zip (default: dist)")
    parser.add_argument("--check", action="store_true", help="validate it, and install it into real Blenders")
    parser.add_argument("--bpy-python", type=lambda text: Path(text).absolute(), action="append", default=[],
                        help="a Python with bpy to install into; may be repeated")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
