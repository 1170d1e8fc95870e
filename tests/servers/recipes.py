"""Recipes to install and start each server, in a separate directory and on loopback only."""

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

KEY, SECRET = "testkeyid0", "testsecret123"
BUCKET = "landing"


@dataclass
class Recipe:
    """One server."""

    name: str
    version: str
    # Installs it into a directory.
    install: Callable[[Path], None]
    # Returns the command that serves a directory of data on a port.
    command: Callable[[Path, Path, int], list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    key: str = KEY
    secret: str = SECRET
    region: str = "us-east-1"
    # Whether the recipe creates the bucket, by a directory or an option.
    has_bucket: bool = False
    # Whether it listens on all addresses and therefore needs a network namespace.
    listens_everywhere: bool = False
    # Whether data survives the process.
    is_durable: bool = True
    # The script that starts it and runs the examination, with its address and keys in RAW_SINK_* variables.
    script: str = ""
    # Returns the process id of a server that a script started.
    pid: Callable[[], int] | None = None
    # Why it cannot store partitions, if it cannot.
    unfit: str = ""
    # Why parity tests cannot pass, by name or the start of one.
    fails: dict[str, str] = field(default_factory=dict)
    # Whether the checks of the torture fit it.
    can_torture: bool = True
    # Returns the shell command that collects garbage, if lost objects can be read until then.
    collect: Callable[[Path, int], str] | None = None
    # Prepares the data before the first start.
    prepare: Callable[[Path, Path, int], None] = lambda home, data, port: None


def run(*command, **options):
    subprocess.run([str(part) for part in command], check=True, **options)


def go(package: str, version: str):
    """Returns how to install a Go program."""

    def install(home: Path):
        name = package.rsplit("/", 1)[-1]
        if not (home / name).exists():
            run("go", "install", f"{package}@{version}", env=os.environ | {"GOBIN": str(home)})

    return install


def maven(pom: str):
    """Returns how to copy the dependencies of a POM."""

    def install(home: Path):
        if not (home / "lib").exists():
            (home / "pom.xml").write_text(pom)
            run("mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={home}/lib", "-DincludeScope=runtime", cwd=home)

    return install


def artifact(name: str, file: str):
    """Returns how to copy one artifact."""

    def install(home: Path):
        if not (home / file).exists():
            run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={name}", f"-DoutputDirectory={home}", cwd=home)

    return install


def pip(*packages: str, python: str = "python3"):
    """Returns how to install packages for this Python."""

    def install(home: Path):
        if not (home / "venv/installed").exists():
            run(python, "-m", "venv", "--clear", home / "venv")
            run(home / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages)
            (home / "venv/installed").touch()

    return install


def cargo(crate: str, version: str, *options: str):
    """Returns how to install a Rust program."""

    def install(home: Path):
        if not (home / "bin" / crate).exists():
            run("cargo", "install", crate, "--version", version, "--locked", "--root", home, *options)

    return install


def seaweedfs(home: Path):
    """Builds SeaweedFS in a copy of its module: its `replace` directives forbid `go install`."""
    if (home / "weed").exists():
        return
    module = f"github.com/seaweedfs/seaweedfs@{SEAWEEDFS}"
    found = subprocess.run(["go", "mod", "download", "-json", module], check=True, stdout=subprocess.PIPE)
    source = home / "source"
    shutil.copytree(json.loads(found.stdout)["Dir"], source, dirs_exist_ok=True)
    run("chmod", "-R", "u+w", source)
    run("go", "build", "-o", home / "weed", "./weed", cwd=source)
    shutil.rmtree(source)


def minio(home: Path):
    """The MinIO of the parity tests; builds the same one if they did not."""
    found = os.environ.get("RAWSINK_TEST_MINIO") or shutil.which("minio") or os.path.expanduser("~/go/bin/minio")
    if Path(found).exists() and not (home / "minio").exists():
        (home / "minio").symlink_to(found)
    go("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c")(home)


# The version that calls itself 4.53.
SEAWEEDFS = "v0.0.0-20261109003541-7506e5f91cd6"


def seaweedfs_settings(home: Path, data: Path, port: int):
    identity = {
        "name": "landing",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    (home / "s3.json").write_text(json.dumps({"identities": [identity]}))


GARAGE_KEY = "GK31c2f218a2e44f485b94239e"
GARAGE_SECRET = "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835"


def garage_settings(home: Path, data: Path, port: int):
    (home / "garage.toml").write_text(
        textwrap.dedent(f"""\
            metadata_dir = "{data}/meta"
            data_dir = "{data}/data"
            db_engine = "lmdb"
            replication_factor = 1
            rpc_bind_addr = "127.0.0.1:{port + 1}"
            rpc_public_addr = "127.0.0.1:{port + 1}"
            rpc_secret = "{"00" * 32}"
            [s3_api]
            s3_region = "garage"
            api_bind_addr = "127.0.0.1:{port}"
            root_domain = ".s3.garage.localhost"
            """)
    )


def radosgw_pid() -> int:
    """Reads it from the name of the admin socket: in the foreground radosgw writes no file with it."""
    [socket] = (Path(os.environ["CEPH_CONF"]).parent / "run").glob("client.rgw.*.asok")
    return int(socket.name.split(".")[-2])


S3PROXY_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<dependencyManagement><dependencies><dependency><groupId>com.fasterxml.jackson.core</groupId>
<artifactId>jackson-annotations</artifactId><version>2.21</version></dependency></dependencies></dependencyManagement>
<dependencies><dependency><groupId>org.gaul</groupId><artifactId>s3proxy</artifactId><version>4.1.0</version></dependency>
</dependencies></project>"""


def s3proxy_settings(home: Path, data: Path, port: int):
    (data / BUCKET).mkdir(exist_ok=True)
    # The default logs gigabytes.
    (home / "logback.xml").write_text('<configuration><root level="OFF"/></configuration>')
    (home / "s3proxy.conf").write_text(
        textwrap.dedent(f"""\
            s3proxy.endpoint=http://127.0.0.1:{port}
            s3proxy.authorization=aws-v2-or-v4
            s3proxy.identity={KEY}
            s3proxy.credential={SECRET}
            jclouds.provider=filesystem-nio2
            jclouds.identity=x
            jclouds.credential=x
            jclouds.filesystem.basedir={data}
            """)
    )


RECIPES = [
    Recipe(
        "MinIO",
        "2026-02-12",
        minio,
        lambda home, data, port: [f"{home}/minio", "server", str(data), "--address", f"127.0.0.1:{port}", "--quiet"],
        {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET},
    ),
    Recipe(
        "Ceph RGW",
        "16.2 (Debian 12)",
        lambda home: None,
        lambda home, data, port: ["radosgw", "-n", "client.rgw", "--foreground"],
        script="scripts/with-ceph",
        pid=radosgw_pid,
        collect=lambda home, port: "radosgw-admin gc process --include-all",
    ),
    Recipe(
        "versitygw",
        "1.8.0",
        go("github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
        lambda home, data, port: [f"{home}/versitygw", "--port", f"127.0.0.1:{port}", "posix", str(data)],
        {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET},
    ),
    Recipe(
        "SeaweedFS",
        "4.53",
        seaweedfs,
        lambda home, data, port: [
            f"{home}/weed", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", f"-master.port={port + 1}",
            f"-volume.port={port + 2}", "-filer", f"-filer.port={port + 3}", "-s3", f"-s3.port={port}",
            f"-s3.config={home}/s3.json", "-volume.max=50", "-master.volumeSizeLimitMB=256",
        ],
        collect=lambda home, port: (
            "printf 'lock\\nvolume.vacuum -garbageThreshold=0.0001\\nunlock\\n' | "
            f"{home}/weed shell -master=127.0.0.1:{port + 1} -filer=127.0.0.1:{port + 3}"
        ),
        prepare=seaweedfs_settings,
    ),
    Recipe(
        "s3proxy",
        "4.1.0",
        maven(S3PROXY_POM),
        lambda home, data, port: [
            "java", "-Xmx700m", f"-Dlogback.configurationFile={home}/logback.xml", "-cp", f"{home}/lib/*", "org.gaul.s3proxy.Main",
            "--properties", f"{home}/s3proxy.conf",
        ],
        has_bucket=True,
        fails={"store_suite::reading::remote::a_missing_object": "it answers 500 for a key below an object"},
        prepare=s3proxy_settings,
    ),
    Recipe(
        "moto",
        "5.2.5",
        pip("moto[server,s3]==5.2.5"),
        lambda home, data, port: [f"{home}/venv/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)],
        is_durable=False,
        fails={
            "parity::access::a_wrong_key": "it accepts every key",
            "secrets::g17_no_command_shows_a_secret_that_a_server": "it accepts every key",
            "parity::cleaning::g": "its list of parts is not S3's XML",
            "store_suite::leftovers::remote::staged_data": "its list of parts is not S3's XML",
        },
        can_torture=False,
    ),
    Recipe(
        "LocalStack",
        "4.14.0",
        pip("localstack-core[runtime]==4.14.0", "cbor2<5.8", "pyopenssl==24.2.1", "cryptography==43.0.3", "service_identity==24.1.0",
            python=os.environ.get("PYTHON_3_13", "python3.13")),
        lambda home, data, port: [
            "env", "SERVICES=s3", f"FILESYSTEM_ROOT={data}",
            f"GATEWAY_LISTEN=127.0.0.1:{port}", "DNS_ADDRESS=0", "DISABLE_EVENTS=1", "SKIP_SSL_CERT_DOWNLOAD=1",
            f"{home}/venv/bin/python", "-m", "localstack.runtime.main",
        ],
        listens_everywhere=True,
        is_durable=False,
        fails={
            "parity::access::a_wrong_key": "it accepts every key",
            "secrets::g17_no_command_shows_a_secret_that_a_server": "it accepts every key",
        },
    ),
    Recipe(
        "gofakes3",
        "1.2.0",
        go("github.com/johannesboyne/gofakes3/cmd/gofakes3", "v1.2.0"),
        lambda home, data, port: [f"{home}/gofakes3", "-host", f"127.0.0.1:{port}", "-backend", "mem", "-initialbucket", BUCKET],
        has_bucket=True,
        is_durable=False,
        fails={
            "parity::access::a_wrong_key": "it accepts every key",
            "secrets::g17_no_command_shows_a_secret_that_a_server": "it accepts every key",
            "parity::doctor::an_examination": "doctor finds a fault",
            "parity::whole_way::g09_an_empty_payload": "it takes no empty part",
            "sink::writers::remote::g05_an_empty_partition": "it takes no empty part",
            "sink::writers::remote::g06_a_complete_payload": "it takes no empty part",
            "store_suite::restoring::remote::a_restored_payload": "it takes no empty part",
        },
        can_torture=False,
    ),
    Recipe(
        "Garage",
        "2.5.0",
        cargo("garage", "2.5.0", "--no-default-features", "--features", "bundled-libs,lmdb,sqlite"),
        lambda home, data, port: [f"{home}/bin/garage", "-c", f"{home}/garage.toml", "server", "--single-node", "--default-bucket"],
        {"GARAGE_DEFAULT_ACCESS_KEY": GARAGE_KEY, "GARAGE_DEFAULT_SECRET_KEY": GARAGE_SECRET, "GARAGE_DEFAULT_BUCKET": BUCKET},
        key=GARAGE_KEY,
        secret=GARAGE_SECRET,
        region="garage",
        has_bucket=True,
        can_torture=False,
        unfit="it ignores conditions on a write, so two writers can both get the result sealed",
        prepare=garage_settings,
    ),
    Recipe(
        "rclone serve s3",
        "1.76.0",
        go("github.com/rclone/rclone", "v1.76.0"),
        lambda home, data, port: [
            f"{home}/rclone", "serve", "s3", str(data), "--addr", f"127.0.0.1:{port}",
            "--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off", "--config", "/dev/null",
        ],
        has_bucket=True,
        can_torture=False,
        unfit="its replies to multipart uploads are not S3's XML",
        prepare=lambda home, data, port: (data / BUCKET).mkdir(exist_ok=True),
    ),
    Recipe(
        "S3Mock",
        "5.2.0",
        artifact("com.adobe.testing:s3mock:5.2.0:jar:exec", "s3mock-5.2.0-exec.jar"),
        lambda home, data, port: [
            "java", "-Xmx900m", "-jar", f"{home}/s3mock-5.2.0-exec.jar", f"--http.port={port}", f"--server.port={port + 1}",
            f"--com.adobe.testing.s3mock.store.root={data}",
        ],
        listens_everywhere=True,
        can_torture=False,
        unfit="an abort deletes the object of its key",
    ),
]
