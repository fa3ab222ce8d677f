"""Keys: who is let in, which servers are known, and a server on a network address that lets in those alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from platelight.keys import new_pair
from tests.cli.running import here
from tests.client.serving import Server, running


def said(*arguments: str) -> dict[str, object]:
    done = here("keys", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_own_key_is_made_once_and_private(own_home: Path) -> None:
    made, shown = said("new"), said("show")
    again = here("keys", "new")
    path = own_home / "keys" / "client.key"
    assert (made == shown, len(str(shown["key"])), again.returncode, oct(path.stat().st_mode & 0o777)) == (
        True, 40, 65, "0o600",
    )  # fmt: skip
    assert here("keys", "show").stdout.strip() == shown["key"]


def test_clients_are_allowed_listed_and_revoked(own_home: Path) -> None:
    key = new_pair().public
    said("allow", "anna@ws12", key)
    assert said("list")["clients"] == [{"name": "anna@ws12", "key": key}]
    assert f"client  anna@ws12  {key}" in here("keys", "list").stdout
    said("revoke", "anna@ws12")
    assert said("list") == {"clients": [], "servers": []}
    assert here("keys", "revoke", "anna@ws12").returncode == 65


@pytest.mark.parametrize("arguments", ["allow anna short", "allow a/b KEY", "trust http://x KEY", "trust host KEY"])
def test_what_is_no_name_key_or_address_is_refused(arguments: str, own_home: Path) -> None:
    key = new_pair().public
    done = here("keys", *(key if word == "KEY" else word for word in arguments.split()))
    assert (done.returncode, "Traceback" in done.stderr, own_home.exists()) == (65, False, False), done.stderr


def test_key_that_others_can_read_is_not_used(own_home: Path) -> None:
    said("new")
    (own_home / "keys" / "client.key").chmod(0o644)
    done = here("keys", "show")
    assert (done.returncode, "expected a key that its user alone can read, got mode 0644" in done.stderr) == (77, True)


def test_client_elsewhere_is_let_in_by_its_key(tmp_path: Path, own_home: Path) -> None:
    """With the addresses and keys that two people would tell each other; the client has no connection file."""
    server = Server(tmp_path)
    key = str(said("show")["key"])
    assert here("keys", "allow", "anna", key, "--home", str(server.home)).returncode == 0
    server_key = here("keys", "show", "--server-key", "--home", str(server.home)).stdout.strip()
    with running(tmp_path) as server:
        assert here("keys", "trust", server.address, server_key).returncode == 0
        assert here("jobs", "--server", server.address, "--json").stdout == "[]\n"
        assert here("keys", "revoke", "anna", "--home", str(server.home)).returncode == 0
        time.sleep(1)  # the list is read twice a second
        done = here("doctor", "--server", server.address, "--json")
        assert "is not on the server's list" in json.loads(done.stdout)["server"]
