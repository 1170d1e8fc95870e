"""Secrets from each source: what a dry run, the first, and the second application do, and that nothing shows them."""

from __future__ import annotations

import grp
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from openbao import OpenBao
from playing import Host, Secrets, canary

Options = list[str]


def plain_variables(host: Host, secrets: Secrets, _: OpenBao) -> Options:
    host.variables |= secrets.as_variables()
    return []


def ansible_vault(host: Host, secrets: Secrets, _: OpenBao) -> Options:
    password = host.root / "home/password"
    password.write_text(canary("Password"))
    encrypted = host.root / "home/secrets.yml"
    encrypted.write_text(json.dumps(secrets.as_variables()))
    command = ["ansible-vault", "encrypt", "--vault-password-file", str(password), str(encrypted)]
    subprocess.run(command, env=host.controller(), check=True, capture_output=True)
    return ["--vault-password-file", str(password), "--extra-vars", f"@{encrypted}"]


def vault_token(host: Host, secrets: Secrets, openbao: OpenBao) -> Options:
    path = openbao.keep("token", secrets.values)
    host.variables |= {"rawsink_secrets_source": "vault", "rawsink_vault_path": path}
    host.environment |= {"VAULT_ADDR": openbao.address, "VAULT_TOKEN": openbao.token()}
    host.secrets.append(host.environment["VAULT_TOKEN"])
    return []


def vault_approle(host: Host, secrets: Secrets, openbao: OpenBao) -> Options:
    path = openbao.keep("approle", secrets.values)
    role, secret = openbao.approle()
    host.variables |= {
        "rawsink_secrets_source": "vault",
        "rawsink_vault_path": path,
        "rawsink_vault_auth": "approle",
    }
    host.environment |= {
        "VAULT_ADDR": openbao.address,
        "ANSIBLE_HASHI_VAULT_ROLE_ID": role,
        "ANSIBLE_HASHI_VAULT_SECRET_ID": secret,
    }
    host.secrets.append(secret)
    return []


def encrypt_with_sops(host: Host, document: dict[str, object]) -> Path:
    key = host.root / "home/age.key"
    subprocess.run(["age-keygen", "-o", str(key)], check=True, capture_output=True)
    recipient = subprocess.run(
        ["age-keygen", "-y", str(key)], check=True, capture_output=True, text=True
    ).stdout.strip()
    encrypted = host.root / "home/secrets.sops.yaml"
    command = [
        "sops",
        "encrypt",
        "--age",
        recipient,
        "--input-type",
        "json",
        "--output-type",
        "yaml",
        "/dev/stdin",
    ]
    done = subprocess.run(command, input=json.dumps(document), check=True, capture_output=True, text=True)
    encrypted.write_text(done.stdout)
    host.variables |= {"rawsink_secrets_source": "sops", "rawsink_sops_file": str(encrypted)}
    host.environment["SOPS_AGE_KEY_FILE"] = str(key)
    return encrypted


def sops_with_age(host: Host, secrets: Secrets, _: OpenBao) -> Options:
    encrypted = encrypt_with_sops(host, dict(secrets.values)).read_text()
    assert not [value for value in secrets.values.values() if value in encrypted]
    return []


SOURCES = [plain_variables, ansible_vault, vault_token, vault_approle, sops_with_age]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_a_host_gets_its_secrets_from(
    source: Callable[[Host, Secrets, OpenBao], Options], host: Host, secrets: Secrets, openbao: OpenBao
) -> None:
    options = source(host, secrets, openbao)

    before = host.files()
    assert host.play(*options, "--check").succeeds().changed > 0
    assert host.files() == before | {"execve": host.files()["execve"]}, "a dry run changed something"

    assert host.play(*options).succeeds().changed > 0
    written = os.stat(host.environment_file)
    assert stat.S_IMODE(written.st_mode) == 0o640
    assert written.st_uid == os.geteuid(), "the service could change its settings"
    assert grp.getgrgid(written.st_gid).gr_name == host.variables["rawsink_group"]
    assert host.files_with_secrets() == ["etc/rawsink.env"]

    settings = host.settings()
    assert settings["RAW_SINK_BUCKET"] == {
        "name": "RAW_SINK_BUCKET",
        "value": "landing",
        "origin": "environment",
    }
    for name in secrets.values:
        variable = f"RAW_SINK_{name.upper()}"
        assert settings[variable] == {"name": variable, "value": "(hidden)", "origin": "environment"}
        assert f"\n{variable}='{secrets.values[name]}'\n" in host.environment_file.read_text()

    assert host.play(*options).succeeds().changed == 0


def test_vault_s_refusal_is_shown_and_its_token_is_not(host: Host, secrets: Secrets, openbao: OpenBao) -> None:
    vault_token(host, secrets, openbao)
    before = host.files()
    host.environment["VAULT_TOKEN"] = canary("Token")
    host.secrets.append(host.environment["VAULT_TOKEN"])
    host.play().is_refused("secret/rawsink/token cannot be read: the plugin", "permission denied, on get")
    assert host.files().keys() - {"execve"} == before.keys()


def test_a_secret_from_two_sources_is_refused(host: Host, secrets: Secrets) -> None:
    encrypt_with_sops(host, dict(secrets.values))
    host.play(rawsink_session_token=secrets.values["session_token"]).is_refused(
        "set, though secrets come from sops: rawsink_session_token"
    )


def test_a_host_whose_jobs_bring_their_secrets_gets_none(host: Host) -> None:
    host.variables |= {"rawsink_secrets_source": "none", "rawsink_run_doctor": True}
    host.play().succeeds()
    assert host.play().succeeds().changed == 0
    assert not re.search("ACCESS_KEY|PASSWORD|placeholder", host.environment_file.read_text())
    assert host.rawsink("config").returncode == 2, "there are no keys"

    # As LoadCredential has it: files that a unit names, beside the rendered file.
    keys = {name: host.root / name for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    for file in keys.values():
        file.write_text(canary("Credential"))
        file.chmod(0o644)
        host.secrets.append(file.read_text())
    host.job_environment = {f"RAW_SINK_{name}_FILE": str(file) for name, file in keys.items()}
    assert host.settings()["RAW_SINK_ACCESS_KEY_ID"]["value"] == f"(file {keys['ACCESS_KEY_ID']})"

    host.play(rawsink_access_key_id=host.secrets[0]).is_refused(
        "set, though secrets come from none: rawsink_access_key_id"
    )
