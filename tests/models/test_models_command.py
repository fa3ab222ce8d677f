"""`platelight models`, as a process and as written in the README."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from platelight.errors import ModelError
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import CATALOGUE, card
from platelight_server.models.consent import accept, accepted, require_consent
from tests.cli.running import environment, here, run

VAE = Path("vae", "diffusion_pytorch_model.safetensors")


def test_list_says_what_is_here(tiny_models: Path) -> None:
    listed = json.loads(run("models", "--json").stdout)
    found = {one["name"]: one["folder"] for one in listed}
    assert list(found) == [one.name for one in CATALOGUE]
    assert {name for name, folder in found.items() if folder} == {path.name for path in tiny_models.iterdir()}
    assert all(str(tiny_models / one["name"]) in one["download"] for one in listed)


def test_plain_list_has_licence_size_and_what_is_open() -> None:
    done = here("models")
    assert done.returncode == 0
    assert "cogvideox-5b: video diffusion" in done.stdout
    assert "  CogVideoX License: commercial use under conditions; opt-in. Free for research;" in done.stdout
    assert "  consistency, used by anyportal, harmovid; 13.8 GB from zai-org/CogVideoX-2b\n" in done.stdout
    assert done.stdout.count("not here\n") == len(CATALOGUE)
    assert done.stdout.count("not verified at the source") == sum(bool(one.unverified) for one in CATALOGUE)


def test_list_loads_nothing_heavy(own_home: Path) -> None:
    code = (
        "import sys; from platelight_server.cli import main; code = main(['models', '--json'])\n"
        "print([name for name in ('torch', 'diffusers', 'safetensors') if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.stderr == "[] 0\n"


def test_where_prints_the_folder_alone(tiny_models: Path) -> None:
    done = here("models", "where", "wan2.1-t2v-1.3b")
    assert (done.returncode, done.stdout) == (0, f"{tiny_models / 'wan2.1-t2v-1.3b'}\n")


def test_where_says_how_to_get_what_is_missing(own_home: Path) -> None:
    done = here("models", "where", "hed-annotator")
    folder = own_home / "models" / "hed-annotator"
    assert (done.returncode, done.stdout) == (65, "")
    assert f"--include ControlNetHED.pth --local-dir {folder}, then: platelight models convert {folder}" in done.stderr
    as_json = here("models", "where", "hed-annotator", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["folder"]) == (65, None)
    assert here("models", "where", "hed").returncode == 65


def test_verify_checks_what_is_here_and_names_what_is_damaged(copied: Path) -> None:
    whole = here("models", "verify")
    assert (whole.returncode, whole.stdout.startswith("cogvideox-5b: whole, as recorded (")) == (0, True), whole.stderr
    (copied / VAE).write_bytes((copied / VAE).read_bytes()[:-1])
    done = run("models", "verify", "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, [(one["name"], one["ok"]) for one in said]) == (65, [("cogvideox-5b", False)])
    assert f"{copied / VAE}: expected a whole safetensors file" in said[0]["problem"]


def test_verify_of_a_missing_model_fails() -> None:
    done = here("models", "verify", "birefnet")
    assert (done.returncode, "hf download ZhengPeng7/BiRefNet" in done.stdout) == (65, True)


def test_trust_takes_the_files_as_they_are(copied: Path) -> None:
    config = copied / "vae" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert here("models", "verify").returncode == 65
    assert here("models", "verify", "--trust").returncode == 65  # not without a name
    assert here("models", "verify", "--trust", "cogvideox-5b").returncode == 0
    assert here("models", "verify").returncode == 0


def test_convert_prints_the_file_it_wrote(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "a.pth")
    done = here("models", "convert", str(tmp_path / "a.pth"), "-o", str(tmp_path / "new" / "b.safetensors"))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'new' / 'b.safetensors'}\n")
    assert (tmp_path / "new" / "b.safetensors").is_file()


FREE, CONDITIONAL = card("cogvideox-2b"), card("cogvideox-5b")
NONCOMMERCIAL = ModelCard(
    "matte-x", "mattes", "matte", "a/matte-x", ("*.safetensors",), 1, "S-Lab 1.0", "https://example.org",
    "noncommercial", ("anyportal",), "For research only.",
)  # fmt: skip


def test_free_models_need_no_consent() -> None:
    require_consent([FREE], ())


@pytest.mark.parametrize("one", [CONDITIONAL, NONCOMMERCIAL], ids=lambda one: one.name)
def test_other_models_are_refused_with_their_licence_until_agreed_to(one: ModelCard) -> None:
    with pytest.raises(ModelError) as refused:
        require_consent([FREE, one], ())
    for part in (one.name, one.licence, one.licence_url, one.conditions, f"platelight models accept {one.name}"):
        assert part in str(refused.value)
    require_consent([FREE, one], [one.name])
    assert not one.commercial


def test_agreement_is_noted_and_holds_for_that_licence_alone(own_home: Path) -> None:
    assert accepted(CATALOGUE) == frozenset()
    done = run("models", "accept", "cogvideox-5b")
    assert (done.returncode, CONDITIONAL.conditions in done.stdout) == (0, True)
    assert accepted(CATALOGUE) == {"cogvideox-5b"}
    assert "opt-in" not in here("models").stdout.partition("cogvideox-5b: ")[2].partition("cogvideox-5b-i2v: ")[0]
    noted = own_home / "accepted-licences.json"
    noted.write_text(noted.read_text().replace(CONDITIONAL.licence, "an older licence"))
    assert accepted(CATALOGUE) == frozenset()


def test_nothing_is_noted_for_a_free_model(own_home: Path) -> None:
    done = here("models", "accept", "cogvideox-2b")
    assert (done.returncode, "nothing to agree to" in done.stdout) == (0, True)
    assert not (own_home / "accepted-licences.json").exists()


def test_broken_note_is_named(own_home: Path) -> None:
    accept(CONDITIONAL)
    (own_home / "accepted-licences.json").write_text("[")
    with pytest.raises(ModelError, match=r"accepted-licences\.json: expected a list"):
        accepted(CATALOGUE)


def test_missing_extra_is_one_sentence(tiny_models: Path) -> None:
    code = (
        "import sys; sys.modules['safetensors'] = None\n"
        "from platelight_server.cli import main; sys.exit(main(['models', 'verify', 'cogvideox-2b']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    said = "platelight models: safetensors is not installed; run: pip install 'platelight[models]'\n"
    assert (done.returncode, done.stderr) == (1, said)
