"""Which colour space a file is in: the order of trust, and no silent guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from platelight.errors import ColorError
from platelight_server.color.identify import identify

PLATE = Path("/shots/sh010/plate.1001.exr")
AP1 = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
REC2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)
STUDIO = "ocio://studio-config-v2.2.0_aces-v1.3_ocio-v2.4"


@pytest.mark.parametrize(
    ("asked", "header", "expected"),
    [
        ("Linear Rec.2020", {"acesImageContainerFlag": 1, "colorInteropID": "lin_ap1_scene"}, "lin_rec2020_scene"),
        ("auto", {"acesImageContainerFlag": 1, "colorInteropID": "lin_ap1_scene"}, "lin_ap0_scene"),
        ("auto", {"colorInteropID": "lin_ap1_scene", "chromaticities": REC2020}, "lin_ap1_scene"),
        ("auto", {"chromaticities": REC2020}, "lin_rec2020_scene"),
        ("auto", {"colorInteropID": "unknown", "chromaticities": AP1}, "lin_ap1_scene"),
        ("auto", {"acesImageContainerFlag": 0, "chromaticities": AP1}, "lin_ap1_scene"),
    ],
)
def test_more_trusted_word_wins(asked: str, header: dict[str, object], expected: str) -> None:
    assert identify(PLATE, header, asked).interop_id == expected


def test_untagged_file_is_refused_with_the_keys_that_settle_it() -> None:
    with pytest.raises(
        ColorError, match=r"plate\.1001\.exr: no colour space: .*plate\.colorspace, background\.colorspace"
    ):
        identify(PLATE, {})


def test_unknown_interop_id_is_refused_by_name() -> None:
    with pytest.raises(ColorError, match="colorInteropID 'lin_mars_scene' in the header is unknown"):
        identify(PLATE, {"colorInteropID": "lin_mars_scene"})


def test_interop_id_that_only_the_users_config_knows_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", "ocio://studio-config-latest")
    assert identify(PLATE, {"colorInteropID": "ocio:lin_awg4_scene"}).interop_id == "ocio:lin_awg4_scene"


@pytest.mark.parametrize(
    "values", [(0.0,) * 8, (0.3, 0.3) * 4, (float("nan"),) * 8, (0.64, 0.33, 0.3, 0.6, 0.15, 0.0, 0.3, 0.3)]
)
def test_chromaticities_that_span_nothing_are_refused_by_name(values: tuple[float, ...]) -> None:
    with pytest.raises(ColorError, match=r"plate\.1001\.exr: chromaticities in the header: expected four points"):
        identify(PLATE, {"chromaticities": values})


def test_primaries_of_no_known_space_are_kept() -> None:
    values = (0.73, 0.28, 0.14, 0.855, 0.1, -0.05, 0.3127, 0.329)
    assert identify(PLATE, {"chromaticities": values}).chromaticities == values


@pytest.mark.parametrize("config", [STUDIO, "ocio://cg-config-latest", "ocio://default"])
def test_catch_all_rule_of_an_aces_config_does_not_count(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    monkeypatch.setenv("OCIO", config)
    with pytest.raises(ColorError, match="no colour space"):
        identify(PLATE, {})


def user_config(folder: Path, rule: str) -> str:
    """A small config of a user, with one file rule before the default."""
    text = f"""ocio_profile_version: 2
roles: {{scene_linear: lin709, aces_interchange: ap0, default: lin709}}
file_rules:
  - !<Rule> {{name: own, {rule}}}
  - !<Rule> {{name: Default, colorspace: lin709}}
displays: {{d: [!<View> {{name: v, colorspace: lin709}}]}}
colorspaces:
  - !<ColorSpace> {{name: ap0, encoding: scene-linear}}
  - !<ColorSpace> {{name: lin709, encoding: scene-linear}}
  - !<ColorSpace> {{name: cam, encoding: scene-linear}}
"""
    path = folder / "config.ocio"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "rule", ['colorspace: cam, pattern: "*sh010*", extension: exr', "colorspace: cam, regex: '.*/sh\\d+/.*exr'"]
)
def test_rule_that_speaks_of_this_file_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rule: str) -> None:
    monkeypatch.setenv("OCIO", user_config(tmp_path, rule))
    assert identify(PLATE, {}).name == "cam"


def test_header_is_trusted_before_a_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCIO", user_config(tmp_path, 'colorspace: cam, pattern: "*sh010*", extension: exr'))
    assert identify(PLATE, {"colorInteropID": "lin_ap1_scene"}).interop_id == "lin_ap1_scene"


def test_default_rule_of_a_users_config_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCIO", user_config(tmp_path, 'colorspace: cam, pattern: "*other*", extension: exr'))
    with pytest.raises(ColorError, match="no colour space"):
        identify(PLATE, {})
