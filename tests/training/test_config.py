"""A configuration that is wrong is refused with its key; one that is printed is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from platelight.errors import InputError, RecipeError
from platelight_server.cli import main
from platelight_server.engines.harmovid import alpha
from platelight_server.training.config import MAKERS, example, read_config

PLAIN = '[model]\nbase = "cogvideox-5b"\n[data]\nfolders = ["pairs"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN + "[optimiser]\nrte = 1e-4\n", "optimiser.rte: expected one of name, rate"),
        (PLAIN + "[optimizer]\nrate = 1e-4\n", "optimizer: expected one of .*did you mean optimiser"),
        (PLAIN.replace("[data]", "method = 'dora'\n[data]"), "model.method: expected .*lora.*full.* got 'dora'"),
        ("steps = 'many'\n" + PLAIN, "steps: expected a whole number, got 'many'"),
        ("batch = 0\n" + PLAIN, "batch: expected at least 1, got 0"),
        ("[model]\nbase = 'x'\n", "data: expected a value"),
        (PLAIN + "[masks]\nwidth_least = 0.1\n", "masks.width_least: expected at most masks.width_most"),
        ("kind = 'deflicker'\n" + PLAIN, "kind: expected harmonizer, as the command says, got 'deflicker'"),
        ("steps = \n" + PLAIN, "configuration: expected TOML"),
    ],
)
def test_a_wrong_key_is_named_with_what_is_known(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as raised:
        read_config(written(tmp_path, text), "harmonizer")
    assert "train.toml" in str(raised.value)


def test_a_typo_ends_the_command_before_anything_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "deflicker", str(written(tmp_path, "stpes = 3\n" + PLAIN))]) == InputError.exit_code
    assert "did you mean steps?" in capsys.readouterr().err


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing.toml: cannot read"):
        read_config(tmp_path / "nothing.toml", "deflicker")


def test_the_printed_configuration_is_read_and_explains_every_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "deflicker", "--print-config"]) == 0
    text = capsys.readouterr().out
    read = read_config(written(tmp_path, text), "deflicker")
    assert (read.steps, read.optimiser, read.masks) == (1200, example().optimiser, example().masks)
    keys = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    above = [line for line in text.splitlines() if line.startswith("#")]
    assert sum("#" in line for line in keys) + len(above) >= len(keys)


def test_paths_are_the_configurations_own(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    config = read_config(written(tmp_path, PLAIN.replace("cogvideox-5b", "base")), "harmonizer")
    assert config.model.base == str(tmp_path / "base")
    assert config.data.folders == (str(tmp_path / "pairs"),)
    assert config.data.latents == str(tmp_path / "run" / "latents")


def test_makers_are_those_of_the_engine() -> None:
    assert set(MAKERS) == set(alpha.MAKERS)
