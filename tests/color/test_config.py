"""The config that Platelight brings, and $OCIO."""

from __future__ import annotations

import tomllib
from pathlib import Path

import PyOpenColorIO as Ocio
import pytest

from platelight.errors import ColorError
from platelight_server.color.config import OLDER_NAMES, active_config, bundled_config, bundled_config_path

ROOT = Path(__file__).resolve().parents[2]
# Names of Blender 5.0's own config that a scene can be in.
BLENDER = (
    "Linear Rec.709",
    "ACEScg",
    "ACES2065-1",
    "Linear Rec.2020",
    "Linear DCI-P3 D65",
    "Non-Color",
    "sRGB",
    "ACEScct",
)


def test_our_config_is_valid() -> None:
    assert Ocio.Config.CreateFromFile(str(bundled_config_path())).validate() is None


@pytest.mark.parametrize("name", BLENDER)
def test_our_config_has_blenders_names(name: str) -> None:
    assert bundled_config().find(name) == name


@pytest.mark.parametrize("name", [*OLDER_NAMES])
def test_our_config_has_every_interop_id(name: str) -> None:
    assert bundled_config().find(name) in bundled_config().names()


@pytest.mark.parametrize("config", ["cg-config-v1.0.0_aces-v1.3_ocio-v2.1", "studio-config-v2.1.0_aces-v1.3_ocio-v2.3"])
@pytest.mark.parametrize("name", ["lin_rec709_scene", "lin_ap1_scene", "lin_ap0_scene", "lin_rec2020_scene", "data"])
def test_older_configs_are_understood(monkeypatch: pytest.MonkeyPatch, config: str, name: str) -> None:
    monkeypatch.setenv("OCIO", f"ocio://{config}")
    assert active_config().find(name) is not None


@pytest.mark.parametrize("source", ["/gone/config.ocio", "ocio://no-such-config"])
def test_ocio_variable_that_cannot_be_read_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setenv("OCIO", source)
    with pytest.raises(ColorError, match=f"{source}: expected an OCIO config"):
        active_config()


def test_empty_ocio_variable_means_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", " ")
    assert active_config() == bundled_config()


def test_wheel_takes_the_config_along() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["force-include"]["ocio"] == "platelight_server/ocio"
