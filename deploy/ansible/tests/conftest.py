"""The host below a temporary root, and the real tools that keep secrets."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("namespace", "openbao", "playing", "service_manager")

from openbao import OpenBao
from playing import PROGRAM, Host, Secrets, sha256


def service_user() -> pwd.struct_passwd:
    """Returns another user where this one is root, so that ownership and rights are really those of a service."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@pytest.fixture
def temporary_root() -> Iterator[Path]:
    """Makes a directory that other users may enter, unlike pytest's."""
    root = Path(tempfile.mkdtemp(prefix="rawsink-deploy-"))
    root.chmod(0o755)
    (root / "home").mkdir(mode=0o700)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def host(temporary_root: Path) -> Host:
    """A host for a bucket that nobody serves; no secrets yet."""
    (temporary_root / "bin").mkdir()
    user = service_user()
    return Host(
        temporary_root,
        {
            "rawsink_binary_src": PROGRAM,
            "rawsink_binary_sha256": sha256(PROGRAM),
            "rawsink_bin": str(temporary_root / "bin/rawsink"),
            "rawsink_user": user.pw_name,
            "rawsink_group": grp.getgrgid(user.pw_gid).gr_name,
            "rawsink_manage_user": False,
            "rawsink_data_dir": str(temporary_root / "data"),
            "rawsink_environment_file": str(temporary_root / "etc/rawsink.env"),
            "rawsink_run_doctor": False,
            "rawsink_sink": "object",
            "rawsink_endpoint_url": "https://storage.example.org",
            "rawsink_bucket": "landing",
            "rawsink_prefix": "raw",
            "rawsink_state_url": "postgres://landing@db.example.org/pipeline",
        },
    )


@pytest.fixture
def secrets(host: Host) -> Secrets:
    """Secrets that the host's plays must never show."""
    made = Secrets.new()
    host.secrets += made.values.values()
    return made


@pytest.fixture(scope="session")
def openbao() -> Iterator[OpenBao]:
    with tempfile.TemporaryDirectory() as home, OpenBao.started(Path(home)) as server:
        yield server
