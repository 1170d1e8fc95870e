"""What each source of secrets can bring that is wrong: it is named, never shown, and nothing is changed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from openbao import OpenBao
from playing import Host, Secrets, canary
from test_sources import ansible_vault, encrypt_with_sops, vault_approle, vault_token

STRANGER = "not a secret of this role, or no text: "


def documents(secrets: Secrets) -> dict[str, tuple[dict[str, Any], str]]:
    """Returns what may stand in Vault or in a SOPS file by mistake, and what is said of it."""
    whole = dict(secrets.values)
    without = {name: value for name, value in whole.items() if name != "secret_access_key"}
    return {
        "missing": (without, "rawsink_secret_access_key (or its _file) is missing"),
        "empty": (whole | {"secret_access_key": ""}, "rawsink_secret_access_key (or its _file) is missing"),
        "misspelt": (whole | {"sesion_token": canary("Misspelt")}, f"{STRANGER}sesion_token"),
        "nested": (whole | {"state_url": {"nested": canary("Nested")}}, f"{STRANGER}state_url"),
        "list": (whole | {"session_token": [canary("List")]}, f"{STRANGER}session_token"),
        "number": (whole | {"state_password": 8_061_744_923_551}, f"{STRANGER}state_password"),
        "null": (whole | {"access_key_id": None}, f"{STRANGER}access_key_id"),
        "line break": (whole | {"state_password": f"{canary('Line')}\n"}, "RAW_SINK_STATE_PASSWORD: has a quote"),
    }


CASES = list(documents(Secrets({})))


def texts(value: object) -> list[str]:
    if isinstance(value, dict | list):
        return [text for part in (value.values() if isinstance(value, dict) else value) for text in texts(part)]
    return [str(value).strip()] if value else []


def is_refused_unchanged(host: Host, message: str) -> None:
    host.play().is_refused(message)
    assert host.files().keys() == {"execve"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("source", ["vault", "sops"])
def test_a_document_is_refused_that_is(
    source: str, case: str, host: Host, secrets: Secrets, openbao: OpenBao
) -> None:
    document, message = documents(secrets)[case]
    host.secrets += texts(document)
    if source == "sops":
        encrypt_with_sops(host, document)
    else:
        vault_token(host, secrets, openbao)
        host.variables["rawsink_vault_path"] = openbao.keep(case.replace(" ", "-"), document)
    is_refused_unchanged(host, message)


def test_vault_s_refusal_of_an_approle_is_shown_and_its_id_is_not(
    host: Host, secrets: Secrets, openbao: OpenBao
) -> None:
    vault_approle(host, secrets, openbao)
    host.environment["ANSIBLE_HASHI_VAULT_SECRET_ID"] = canary("SecretId")
    host.secrets.append(host.environment["ANSIBLE_HASHI_VAULT_SECRET_ID"])
    is_refused_unchanged(host, "secret/rawsink/approle cannot be read:")
    del host.environment["ANSIBLE_HASHI_VAULT_ROLE_ID"]
    is_refused_unchanged(host, "secret/rawsink/approle cannot be read: the plugin")


@pytest.mark.parametrize(
    "variables",
    [
        {"rawsink_vault_path": "rawsink/nothing"},
        {"rawsink_vault_path": "elsewhere/token"},
        {"rawsink_vault_mount": "kv"},
    ],
    ids=str,
)
def test_a_place_that_vault_does_not_give_is_named(
    variables: dict[str, str], host: Host, secrets: Secrets, openbao: OpenBao
) -> None:
    vault_token(host, secrets, openbao)
    host.variables |= variables
    mount, path = host.variables.get("rawsink_vault_mount", "secret"), host.variables["rawsink_vault_path"]
    is_refused_unchanged(host, f"{mount}/{path} cannot be read: the plugin")


def test_a_vault_that_is_not_named_or_not_there_is_said(host: Host, secrets: Secrets, openbao: OpenBao) -> None:
    vault_token(host, secrets, openbao)
    host.environment["VAULT_ADDR"] = "http://127.0.0.1:9"
    is_refused_unchanged(host, "secret/rawsink/token cannot be read: the plugin")
    del host.environment["VAULT_ADDR"]
    is_refused_unchanged(host, "secret/rawsink/token cannot be read: the plugin")


def test_sops_s_refusal_is_shown(host: Host, secrets: Secrets) -> None:
    encrypted = encrypt_with_sops(host, dict(secrets.values))
    other = host.root / "home/other.key"
    subprocess.run(["age-keygen", "-o", str(other)], check=True, capture_output=True)
    host.environment["SOPS_AGE_KEY_FILE"] = str(other)
    is_refused_unchanged(host, "identity did not match any of the recipients")
    host.variables["rawsink_sops_file"] = f"{encrypted}.old"
    is_refused_unchanged(host, "secrets.sops.yaml.old cannot be read: ")


def test_a_sops_file_that_nobody_encrypted_is_refused_and_not_shown(host: Host, secrets: Secrets) -> None:
    encrypt_with_sops(host, dict(secrets.values)).write_text(json.dumps(secrets.values))
    is_refused_unchanged(host, "secrets.sops.yaml cannot be read: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "null, where a text is meant, if only an empty one: rawsink_state_password"),
        (["x"], "RAW_SINK_STATE_PASSWORD: has a quote"),
        ({"key": "x"}, "RAW_SINK_STATE_PASSWORD: has a quote"),
        ("{{ nobody_set_this }}", "nobody_set_this"),
    ],
    ids=["null", "list", "mapping", "undefined"],
)
def test_a_variable_is_refused_that_is(value: object, message: str, host: Host, secrets: Secrets) -> None:
    host.variables |= secrets.as_variables() | {"rawsink_state_password": value}
    is_refused_unchanged(host, message)


def test_a_secret_that_is_no_template_is_not_shown_from_its_encrypted_file(
    host: Host, secrets: Secrets, openbao: OpenBao
) -> None:
    """Ansible shows the lines of a file that it cannot read as a template, whatever no_log says."""
    secrets.values["state_password"] += "{{"
    options = ansible_vault(host, secrets, openbao)
    played = host.play(*options)
    assert (played.exit_code, played.changed) == (2, 0), played.output
    assert "Syntax error in template" in played.output


def test_a_secret_may_have_braces_where_no_template_is_read(host: Host, secrets: Secrets) -> None:
    secrets.values["state_password"] += "{{x}}{%"
    encrypt_with_sops(host, dict(secrets.values))
    host.play().succeeds()
    assert f"RAW_SINK_STATE_PASSWORD='{secrets.values['state_password']}'\n" in host.environment_file.read_text()
