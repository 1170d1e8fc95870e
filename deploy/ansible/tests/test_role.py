"""What the role refuses, what it renders, and that the search for leaks finds one."""

from __future__ import annotations

import json
import re
import shutil
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest
import yaml
from playing import ANSIBLE, PROGRAM, ROLE, Host, Secrets, canary, leaks

# Every setting with a value that is not its default.
SETTINGS = {
    "RAW_SINK": "object",
    "RAW_SINK_LEFTOVER": "refuse",
    "RAW_SINK_MAX_ROW_BYTES": "1MiB",
    "RAW_SINK_MAX_RUN_AHEAD_S": 7200,
    "RAW_SINK_LOG": "debug",
    "RAW_SINK_STATE_URL": "postgres://landing@db.example.org:5432/pipeline?sslmode=require",
    "RAW_SINK_ENDPOINT_URL": "http://storage.example.org",
    "RAW_SINK_REGION": "eu-test-1",
    "RAW_SINK_BUCKET": "landing",
    "RAW_SINK_PREFIX": "a/b",
    "RAW_SINK_ADDRESSING": "path",
    "RAW_SINK_CA_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "RAW_SINK_ALLOW_HTTP": 1,
    "RAW_SINK_PART_BYTES": "16MiB",
    "RAW_SINK_UPLOADS_IN_FLIGHT": 3,
    "RAW_SINK_COMPLETE_CONDITIONS": "enforced",
    "RAW_SINK_LEFTOVER_GRACE_S": 70,
    "RAW_SINK_SEAL_DEADLINE_S": 30,
    "RAW_SINK_SEAL_TIMEOUT_S": 10,
    "RAW_SINK_COMPLETE_DEADLINE_S": 300,
    "RAW_SINK_RETRY_DEADLINE_S": 200,
    "RAW_SINK_STALL_TIMEOUT_S": 40,
}
# What `rawsink config` shows for a value that it does not show as given.
SHOWN = {"RAW_SINK_MAX_ROW_BYTES": "1 MiB", "RAW_SINK_PART_BYTES": "16 MiB"}
SECRETS = ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "STATE_PASSWORD"]
ONLY_ON_A_FILESYSTEM = {"RAW_SINK_ROOT", "RAW_SINK_ROOT_MOUNTED", "RAW_SINK_FOLLOW_LINKS"}


def role_variable(setting: str) -> str:
    return "rawsink_sink" if setting == "RAW_SINK" else setting.replace("RAW_SINK_", "rawsink_").lower()


def options() -> dict[str, dict[str, object]]:
    return yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


def test_every_setting_of_the_program_is_tried_here() -> None:
    page = (ANSIBLE.parents[1] / "docs/configuration.md").read_text()
    documented = set(re.findall(r"^\| `(RAW_SINK\w*)`", page, re.MULTILINE))
    tried = SETTINGS.keys() | {f"RAW_SINK_{name}" for name in SECRETS} | ONLY_ON_A_FILESYSTEM
    assert documented == tried


def test_every_variable_has_a_default_and_a_specification_and_secrets_are_marked() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert defaults.keys() == options().keys()
    names = [f"rawsink_{name.lower()}" for name in SECRETS]
    names += [
        "rawsink_state_url",
        "rawsink_minio_root_user",
        "rawsink_minio_root_password",
        "rawsink_extra_environment",
    ]
    marked = {name for name, option in options().items() if option.get("no_log")}
    assert marked == set(names)
    assert not [name for name in marked if "choices" in options()[name]]


def test_files_with_secrets_are_neither_logged_nor_compared() -> None:
    """Either of the two would be enough for a play that works, so that no play shows where one is missing."""
    tasks = [task for file in (ROLE / "tasks").glob("*.yml") for task in yaml.safe_load(file.read_text())]
    tasks += [inner for task in tasks for inner in task.get("block", [])]
    rendering = [task for task in tasks if task.get("ansible.builtin.template", {}).get("src") == "environment.j2"]
    modes = {"Write the environment file": "0640", "Write MinIO's environment file": "0600"}
    assert {task["name"]: task["ansible.builtin.template"]["mode"] for task in rendering} == modes
    for task in rendering:
        assert (task.get("no_log"), task.get("diff")) == (True, False), task["name"]


def test_no_unit_writes_cores() -> None:
    unit = (ROLE / "templates/minio.service.j2").read_text()
    documented = [ANSIBLE / "README.md", ANSIBLE.parents[1] / "docs/guides/production.md"]
    for text in [unit, *(page.read_text() for page in documented)]:
        jobs = re.findall(r"^ *EnvironmentFile=", text, re.MULTILINE)
        assert text.count("LimitCORE=0") >= len(jobs) > 0


def test_the_role_itself_waits_for_a_healthy_minio() -> None:
    """The stand-in for systemd waits until MinIO says that it is ready, so that no play needs the role to wait."""
    tasks = yaml.safe_load((ROLE / "tasks/minio.yml").read_text())
    waiting = [task for task in tasks if "/minio/health/cluster" in str(task.get("ansible.builtin.uri"))]
    assert [(task["until"], task["retries"]) for task in waiting] == [
        ("__rawsink_health.status == 200", "{{ rawsink_minio_wait_s }}")
    ]


def test_every_setting_reaches_the_program(host: Host) -> None:
    secrets = [host.root / f"home/{name}" for name in SECRETS]
    host.root.joinpath("home").chmod(0o711)
    for file in secrets:
        file.write_text(canary("File"))
        file.chmod(0o644)
        host.secrets.append(file.read_text())
    files = {f"rawsink_{file.name.lower()}_file": str(file) for file in secrets}
    host.variables |= {role_variable(name): value for name, value in SETTINGS.items()} | files
    proxy = f"http://user:{canary('Proxy')}@proxy.example.org:3128"
    host.secrets.append(proxy)
    host.play(rawsink_extra_environment={"HTTPS_PROXY": proxy, "PORT": 8080, "NO_PROXY": None}).succeeds()

    settings = host.settings()
    for name, value in SETTINGS.items():
        assert settings[name] == {"name": name, "value": SHOWN.get(name, str(value)), "origin": "environment"}
    for file in secrets:
        assert settings[f"RAW_SINK_{file.name}"]["value"] == f"(file {file})"
    assert f"HTTPS_PROXY='{proxy}'\nPORT='8080'\n" in host.environment_file.read_text()
    assert "NO_PROXY" not in host.environment_file.read_text()


def test_a_host_with_a_filesystem_needs_the_program_alone(host: Host) -> None:
    keep = ["rawsink_binary_src", "rawsink_binary_sha256", "rawsink_bin", "rawsink_user", "rawsink_group"]
    keep += ["rawsink_manage_user", "rawsink_data_dir", "rawsink_environment_file"]
    host.variables = {name: host.variables[name] for name in keep}
    host.environment_file.parent.mkdir(mode=0o711)
    host.play().succeeds()
    assert host.environment_file.parent.stat().st_mode & 0o777 == 0o711, "a directory that was there was changed"
    data = host.variables["rawsink_data_dir"]
    assert host.settings()["RAW_SINK_ROOT"]["value"] == f"{data}/raw"
    assert host.settings()["RAW_SINK_STATE_URL"]["value"] == f"sqlite:{data}/state.db"
    partition = "ads/customer_id=1/query_name=q/logical_date=2024-06-01"
    assert host.rawsink("write", partition, "--then-validate", input='{"a":1}\n').returncode == 0
    assert host.rawsink("read", partition, "--current").stdout == '{"a":1}\n'


def test_the_program_is_downloaded_once_and_only_with_its_sum(host: Host, secrets: Secrets) -> None:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(Path(PROGRAM).parent))

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    host.variables |= secrets.as_variables()
    host.variables |= {
        "rawsink_binary_src": "",
        "rawsink_binary_url": f"http://127.0.0.1:{server.server_port}/{Path(PROGRAM).name}",
    }
    try:
        host.play(rawsink_binary_sha256="0" * 64).is_refused("The checksum for")
        assert not Path(str(host.variables["rawsink_bin"])).exists()
        host.play().succeeds()
        assert host.play().succeeds().changed == 0
    finally:
        server.shutdown()
        server.server_close()


def test_all_that_is_wrong_is_named_at_once_before_anything_is_changed(host: Host, secrets: Secrets) -> None:
    host.play(
        rawsink_endpoint_url="",
        rawsink_bucket="",
        rawsink_prefix="",
        rawsink_binary_src="",
        rawsink_binary_sha256="abc",
        rawsink_bukcet="landing",
        rawsink_secrets_source="vault",
        rawsink_minio_enabled=True,
        rawsink_minio_data_dir="/home/minio",
        rawsink_minio_address="a b:9000",
        rawsink_minio_binary_src="minio",
        rawsink_minio_unit_file="minio.service",
        rawsink_minio_user="mi nio",
        rawsink_minio_group="minio",
    ).is_refused(
        "rawsink_bukcet: no variable of this role",
        "rawsink_bucket is missing",
        "rawsink_prefix is missing",
        "rawsink_binary_src or rawsink_binary_url has to be set, one of them",
        "rawsink_binary_sha256 is not a SHA-256",
        "rawsink_vault_path is missing",
        "rawsink_minio_binary_sha256 is not a SHA-256",
        "rawsink_minio_address is not an address and a port",
        "rawsink_minio_binary_src, rawsink_minio_unit_file: not an absolute path",
        "rawsink_minio_user: has what a unit reads otherwise",
        "rawsink_minio_data_dir lies where the unit cannot see it",
    )
    assert host.files().keys() == {"execve"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"rawsink_bucket": ""}, "rawsink_bucket is missing"),
        (
            {"rawsink_secrets_source": "keepass"},
            "value of rawsink_secrets_source must be one of: vars, vault, sops, none",
        ),
        ({"rawsink_sink": "s3"}, "value of rawsink_sink must be one of: filesystem, object"),
        ({"rawsink_secrets_source": "sops"}, "rawsink_sops_file is missing"),
        ({"rawsink_binary_sha256": "0" * 64}, "or not the file with SHA-256 000000"),
        ({"rawsink_binary_src": "target/release/rawsink"}, "rawsink_binary_src: not an absolute path"),
        ({"rawsink_ca_file": "ca.pem"}, "rawsink_ca_file: not an absolute path"),
        ({"rawsink_extra_environment": "HTTPS_PROXY=x"}, "rawsink_extra_environment is no mapping"),
        ({"rawsink_bin": "/nowhere/rawsink"}, "no directory on the host: /nowhere"),
        ({"rawsink_user": "nobody-at-all"}, "(item=nobody-at-all)"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_one_fault_ends_the_play(variables: dict[str, str], message: str, host: Host, secrets: Secrets) -> None:
    host.variables |= secrets.as_variables()
    host.play(**variables).is_refused(message)
    assert host.files().keys() == {"execve"}


def test_values_that_sh_and_systemd_read_differently_are_refused_and_not_shown(host: Host) -> None:
    unfit = {
        "rawsink_access_key_id": f"{canary('Quote')}'",
        "rawsink_secret_access_key": f"{canary('End')}\n",
        "rawsink_session_token": f"{canary('Space')} x",
        "rawsink_state_password": f"{canary('Back')}\\",
        "rawsink_region": 'eu"1',
        "rawsink_prefix": "a\tb",
        "rawsink_bucket": "`id`",
    }
    host.secrets += [value.strip("'\n\\").split()[0] for value in unfit.values() if "Canary" in value]
    assert len(host.secrets) == 4
    played = host.play(**unfit, rawsink_extra_environment={"RAW_SINK_ROOT": "/srv", "A-B": "1"})
    names = "BUCKET PREFIX REGION ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN STATE_PASSWORD"
    refused = re.search(r'"(RAW_SINK_.*): has a quote, a backslash, a space or a line break"', played.output)
    assert refused, played.output
    assert {name for name in refused[1].split(", ") if "MINIO" not in name} == {
        f"RAW_SINK_{name}" for name in names.split()
    }
    played.is_refused("A-B, RAW_SINK_ROOT: not for rawsink_extra_environment")
    assert host.files().keys() == {"execve"}


def test_keys_that_are_missing_or_given_twice_are_named(host: Host, secrets: Secrets) -> None:
    host.play(
        rawsink_secret_access_key=secrets.values["secret_access_key"],
        rawsink_secret_access_key_file="/run/key",
        rawsink_state_url="sqlite:state.db",
    ).is_refused(
        "rawsink_access_key_id (or its _file) is missing",
        "secret_access_key and its _file are both set",
        "rawsink_state_url: a relative SQLite path",
    )


def test_a_setting_that_the_program_refuses_leaves_the_old_file(host: Host, secrets: Secrets) -> None:
    host.variables |= secrets.as_variables()
    host.play().succeeds()
    before = host.environment_file.read_text()
    password = canary("Url")
    host.secrets.append(password)
    played = host.play(rawsink_part_bytes="3", rawsink_state_url=f"postgres://u:{password}@h/d")
    assert played.exit_code == 2
    for said in [
        "RAW_SINK_PART_BYTES is",
        "RAW_SINK_STATE_URL contains a password, and RAW_SINK_STATE_PASSWORD is also set",
    ]:
        assert said in played.output
    assert host.environment_file.read_text() == before


def test_without_no_log_the_search_for_leaks_finds_the_secrets(host: Host, secrets: Secrets) -> None:
    careless = host.root / "home/roles"
    shutil.copytree(ROLE, careless / "rawsink")
    for file in careless.rglob("*.yml"):
        file.write_text(re.sub(r"no_log: true", "no_log: false", file.read_text()))
    host.roles = careless
    host.variables |= secrets.as_variables()
    found = leaks(host.play_unchecked().succeeds(), list(secrets.values.values()))
    assert {place for place in found if place.endswith("in output")} == {
        f"{value} in output" for value in secrets.values.values()
    }


def test_a_secret_on_a_command_line_is_found(host: Host, secrets: Secrets) -> None:
    value = secrets.values["access_key_id"]
    playbook = host.root / "home/careless.yml"
    task = {"command": {"argv": ["true", "{{ rawsink_access_key_id }}"]}, "no_log": True}
    playbook.write_text(json.dumps([{"hosts": "landing", "gather_facts": False, "tasks": [task]}]))
    played = host.play_unchecked(playbook=playbook, rawsink_access_key_id=value).succeeds()
    assert leaks(played, [value]) == [f"{value} in command line"]
