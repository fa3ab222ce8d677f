"""A real server, the extension registered in a fresh Blender, and the demo's shot in it, as fixtures (see conftest).

The server runs in a Python of its own, named by `PLATELIGHT_PYTHON`; `tests.blender.matrix` sets it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PYTHON = os.environ.get("PLATELIGHT_PYTHON", "")
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "server" / "platelight_server" / "demo_shot"
WAIT_S = 120.0
needs_server = pytest.mark.skipif(not PYTHON, reason="PLATELIGHT_PYTHON names no Python with the server")


def serve(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """A server with a home of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    process = subprocess.Popen(
        [PYTHON, "-m", "platelight_server.cli", "serve", "--home", str(home), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=clean,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline().startswith("serving on ")
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(20)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blender") / "home"


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[None]:
    process = serve(home)
    yield
    stop(process)


@pytest.fixture
def addon(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The extension, registered in a fresh Blender."""
    monkeypatch.setenv("PLATELIGHT_HOME", str(home))
    bpy = pytest.importorskip("bpy")
    import platelight_addon

    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
    platelight_addon.register()
    yield platelight_addon
    platelight_addon.unregister()
    from platelight_addon import pump
    from platelight_addon.desk import desk

    desk.forget_file()
    pump.session.__init__()  # the next test begins without jobs


@pytest.fixture
def demo(addon: object, tmp_path: Path) -> object:
    """The demo's shot in a saved .blend."""
    import bpy

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "Schuß 1.blend"))
    bpy.data.movieclips.load(str(DEMO / "plate" / "plate.1001.exr"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 12
    scene.frame_set(3)
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    made = scene.platelight.shots[0]
    made.matte_kind, made.matte_path = "FILE", str(sorted((DEMO / "matte").iterdir())[0])
    made.background_kind = "SEQUENCE"
    image = bpy.data.images.load(str(sorted((DEMO / "background").iterdir())[0]))
    image.source, made.background_image = "SEQUENCE", image
    made.use_world = False
    return made


def drawn(draw: object) -> list[str]:
    """What a panel's drawing function says, as text, of the shot as it is now."""
    import bpy
    from platelight_addon.desk import desk
    from platelight_addon.settings import active_shot

    from tests.blender.fake_layout import FakeLayout

    scene, layout = bpy.context.scene, FakeLayout()
    if active_shot(scene) is not None:
        desk.read(scene, active_shot(scene))
    draw(layout, bpy.context)  # type: ignore[operator]
    return layout.said
