"""From nothing to a running parity environment by the example playbook, and the work that it is for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from namespace import namespace
from openbao import free_port
from playing import ANSIBLE, MINIO, PROGRAM, Host, canary, sha256
from service_manager import ServiceManager
from test_sources import encrypt_with_sops

PLAYBOOK = ANSIBLE / "parity.yml"
UNIT = "/etc/systemd/system/rawsink-minio.service"
PARTITION = "ads/customer_id=1/query_name=campaign/logical_date=2024-06-01"
RUN = "2024-06-02T00:00:00.000Z"


@pytest.fixture
def parity(temporary_root: Path) -> Iterator[tuple[Host, ServiceManager]]:
    """A system of its own with the role's own paths and users, and secrets in a SOPS file."""
    scratch = temporary_root / "layers"
    scratch.mkdir()
    with namespace(scratch) as prefix:
        host = Host(
            temporary_root,
            {
                "rawsink_binary_src": PROGRAM,
                "rawsink_binary_sha256": sha256(PROGRAM),
                "rawsink_bin": "/usr/local/bin/rawsink",
                "rawsink_user": "rawsink",
                "rawsink_environment_file": "/etc/rawsink/rawsink.env",
                "rawsink_minio_binary_src": MINIO,
                "rawsink_minio_binary_sha256": sha256(MINIO),
                "rawsink_minio_address": f"127.0.0.1:{free_port()}",
            },
            prefix=prefix,
        )
        keep_new_secrets(host)
        with ServiceManager(temporary_root, UNIT, prefix).listening() as manager:
            yield host, manager


def keep_new_secrets(host: Host) -> None:
    document = {"access_key_id": canary("Id"), "secret_access_key": canary("Key")}
    host.secrets += document.values()
    (host.root / "home/age.key").unlink(missing_ok=True)
    encrypt_with_sops(host, dict(document))


def inside(host: Host, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*host.prefix, *command], capture_output=True, text=True, check=False)


def write(host: Host, run: str, row: str) -> subprocess.CompletedProcess[str]:
    return host.rawsink("write", PARTITION, "--run-id", run, "--then-validate", input=row)


def test_a_host_goes_from_nothing_to_a_running_parity_environment(parity: tuple[Host, ServiceManager]) -> None:
    host, manager = parity
    a_dry_run_changes_nothing(host, manager)
    the_first_application_leaves_a_store_that_keeps_its_word(host, manager)
    host.variables["rawsink_run_doctor"] = False
    a_job_works_and_its_repetition_is_refused(host)

    requests = len(manager.requests)
    assert host.play(playbook=PLAYBOOK).succeeds().changed == 0
    assert manager.requests[requests:] == ["daemon-reload"]

    new_secrets_reach_both_sides(host, manager)
    a_new_unit_and_a_new_program_restart_the_service(host, manager)

    requests = len(manager.requests)
    assert host.play(playbook=PLAYBOOK, rawsink_minio_manage_service=False).succeeds().changed == 0
    assert manager.requests[requests:] == [], "systemctl was called"

    the_unit_is_one_that_systemd_understands(host)


MADE = ["/etc/rawsink", "/var/lib/rawsink", "/var/lib/rawsink-minio", "/usr/local/bin/rawsink", UNIT]


def a_dry_run_changes_nothing(host: Host, manager: ServiceManager) -> None:
    assert host.play("--check", playbook=PLAYBOOK).succeeds().changed > 0
    looked = inside(host, "stat", *MADE)
    assert not looked.stdout and looked.stderr.count("No such file") == len(MADE)
    assert manager.requests == []


def the_first_application_leaves_a_store_that_keeps_its_word(host: Host, manager: ServiceManager) -> None:
    applied = host.play(playbook=PLAYBOOK).succeeds()
    assert applied.changed > 0
    assert f"sound    http://{host.variables['rawsink_minio_address']}/landing/raw" in applied.output
    assert manager.requests == ["daemon-reload", "start", "daemon-reload", "enable"]
    files = ["/etc/rawsink/rawsink.env", "/etc/rawsink/minio.env", *MADE]
    assert inside(host, "stat", "--format=%A %U:%G %n", *files).stdout == (
        "-rw-r----- root:rawsink /etc/rawsink/rawsink.env\n"
        "-rw------- root:root /etc/rawsink/minio.env\n"
        "drwxr-xr-x root:root /etc/rawsink\n"
        "drwxr-x--- rawsink:rawsink /var/lib/rawsink\n"
        "drwxr-x--- rawsink-minio:rawsink-minio /var/lib/rawsink-minio\n"
        "-rwxr-xr-x root:root /usr/local/bin/rawsink\n"
        f"-rw-r--r-- root:root {UNIT}\n"
    )


def a_job_works_and_its_repetition_is_refused(host: Host) -> None:
    assert write(host, RUN, '{"a":1}\n').returncode == 0
    assert host.rawsink("read", PARTITION, "--current").stdout == '{"a":1}\n'
    refused = write(host, RUN, '{"a":2}\n')
    assert refused.returncode == 3 and "AlreadySealed" in refused.stderr
    assert host.rawsink("read", PARTITION, "--current").stdout == '{"a":1}\n'


def new_secrets_reach_both_sides(host: Host, manager: ServiceManager) -> None:
    keep_new_secrets(host)
    played = host.play(playbook=PLAYBOOK).succeeds()
    assert played.changed == 3, f"not both files and the restart: {played.output}"
    assert manager.requests[-2:] == ["restart", "daemon-reload"]
    assert write(host, "2024-06-03T00:00:00.000Z", '{"a":3}\n').returncode == 0
    assert host.rawsink("read", PARTITION, "--latest").stdout == '{"a":3}\n'


def a_new_unit_and_a_new_program_restart_the_service(host: Host, manager: ServiceManager) -> None:
    program = host.root / "home/minio"
    # The same program for the kernel, and another one for the role.
    program.write_bytes(Path(MINIO).read_bytes() + b"\0")
    another = {"rawsink_minio_binary_src": str(program), "rawsink_minio_binary_sha256": sha256(str(program))}
    for variables in ({"rawsink_minio_wait_s": 61}, another):
        host.variables |= variables
        assert host.play(playbook=PLAYBOOK).succeeds().changed == 2, "what is new, and the restart"
        assert manager.requests[-2:] == ["restart", "daemon-reload"]


def the_unit_is_one_that_systemd_understands(host: Host) -> None:
    """systemd-analyze only warns of what it does not know, so that its exit code says too little."""
    verified = inside(host, "systemd-analyze", "verify", UNIT)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = inside(host, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", UNIT)
    assert rated.returncode == 0, rated.stdout

    inside(host, "sed", "--in-place", "s/^ProtectHome=/ProtectHoem=/", UNIT)
    assert "ProtectHoem" in inside(host, "systemd-analyze", "verify", UNIT).stderr


def test_the_example_for_production_is_one_that_ansible_understands() -> None:
    command = ["ansible-playbook", "--syntax-check", "--inventory", str(ANSIBLE / "inventory.ini")]
    done = subprocess.run(
        [*command, str(ANSIBLE / "production.yml")],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
