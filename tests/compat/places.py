"""Where partitions are stored, seen without either program: a directory, or a bucket through curl."""

import contextlib
import hashlib
import os
import pathlib
import re
import subprocess
import urllib.parse
import uuid

from aging import aged

PAYLOAD, SEAL = "payload.jsonl", "metadata.json"


class Directory:
    """The root of a filesystem sink."""

    kind = "directory"
    # Enough rows for a staging file to appear.
    large_bytes = 1 << 20

    def __init__(self, work):
        self.work, self.root = work, work / "root"
        self.variables = {"RAW_SINK": "filesystem", "RAW_SINK_ROOT": str(self.root)}

    def put(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def delete(self, path):
        (self.root / path).unlink()

    def tree(self):
        """Returns the bytes of every file by its path."""
        files = (file for file in self.root.rglob("*") if file.is_file())
        return {str(file.relative_to(self.root)): file.read_bytes() for file in files}

    def has_begun(self, run):
        """Tells whether a writer of this run has stored something."""
        return any(file.stat().st_size for file in (self.root / run).glob(f".{PAYLOAD}.*"))

    def leftovers(self, run):
        return [str(file) for file in (self.root / run).glob("*")]

    @contextlib.contextmanager
    def cleanable(self):
        """Yields the variables and options with which `clean` takes what has just been left."""
        yield {}, ["--older-than", "0s"]


class Bucket:
    """A prefix in the bucket that RAW_SINK_* names."""

    kind = "bucket"
    # More than a part, so that an upload is open.
    large_bytes = 6 << 20

    def __init__(self, work):
        self.work = work
        self.prefix = f"compat/{uuid.uuid4().hex}"
        given = {name: value for name, value in os.environ.items() if name.startswith("RAW_SINK")}
        self.endpoint, self.bucket = given["RAW_SINK_ENDPOINT_URL"], given["RAW_SINK_BUCKET"]
        self.region = given.get("RAW_SINK_REGION", "us-east-1")
        # The key must not be in a command line.
        self.key = work / "curl.conf"
        self.key.touch(mode=0o600)
        self.key.write_text(f'user = "{given["RAW_SINK_ACCESS_KEY_ID"]}:{given["RAW_SINK_SECRET_ACCESS_KEY"]}"\n')
        self.variables = {
            **{name: value for name, value in given.items() if name != "RAW_SINK_STATE_URL"},
            "RAW_SINK": "object",
            "RAW_SINK_PREFIX": self.prefix,
            "RAW_SINK_PART_BYTES": "5MiB",
            # A restart waits for the grace.
            "RAW_SINK_LEFTOVER_GRACE_S": "4",
            "RAW_SINK_SEAL_DEADLINE_S": "2",
            "RAW_SINK_SEAL_TIMEOUT_S": "1",
        }

    def put(self, path, content):
        self.curl("PUT", path, body=content)

    def delete(self, path):
        self.curl("DELETE", path)

    def tree(self):
        keys, after = [], ""
        while True:
            query = {"list-type": "2", "prefix": f"{self.prefix}/", "encoding-type": "url", "start-after": after}
            page = self.curl("GET", query=query).decode()
            found = [urllib.parse.unquote_plus(key) for key in re.findall("<Key>(.*?)</Key>", page)]
            keys += found
            if "<IsTruncated>true" not in page:
                break
            after = found[-1]
        paths = [key.removeprefix(f"{self.prefix}/") for key in keys]
        return {path: self.curl("GET", path) for path in paths}

    def uploads(self, run):
        query = {"prefix": f"{self.prefix}/{run}/{PAYLOAD}", "uploads": ""}
        return re.findall("<UploadId>(.*?)</UploadId>", self.curl("GET", query=query).decode())

    def has_begun(self, run):
        return bool(self.uploads(run))

    def leftovers(self, run):
        return self.uploads(run) + [path for path in self.tree() if path.startswith(f"{run}/")]

    @contextlib.contextmanager
    def cleanable(self):
        """As of a directory: by a proxy that makes everything look two days older."""
        with aged(self.endpoint) as endpoint:
            yield {"RAW_SINK_ENDPOINT_URL": endpoint}, ["--older-than", "24h", "--payloads-too"]

    def curl(self, method, path=None, query=None, body=b""):
        quoted = lambda text: urllib.parse.quote(text, safe="-._~")
        url = f"{self.endpoint}/{self.bucket}"
        if path is not None:
            url += "/" + "/".join(map(quoted, f"{self.prefix}/{path}".split("/")))
        if query is not None:
            url += "?" + "&".join(f"{name}={quoted(query[name])}" for name in sorted(query))
        command = ["curl", "--silent", "--show-error", "--fail", "--request", method, "--data-binary", "@-", url]
        command += ["--aws-sigv4", f"aws:amz:{self.region}:s3", "--config", str(self.key)]
        # Older versions of curl leave the hash of the body out.
        command += ["--header", f"x-amz-content-sha256: {hashlib.sha256(body).hexdigest()}"]
        return subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True).stdout


class Sqlite:
    """A state in a file."""

    kind = "SQLite"

    def __init__(self, work):
        self.variables = {"RAW_SINK_STATE_URL": f"sqlite:{work / 'state.db'}"}

    def close(self):
        """Deletes nothing: the folder is temporary."""


class Postgres:
    """A database of its own on the server that RAWSINK_TEST_POSTGRES_URL names."""

    kind = "PostgreSQL"

    def __init__(self, _work):
        self.server = os.environ["RAWSINK_TEST_POSTGRES_URL"]
        self.name = f"rawsink_compat_{uuid.uuid4().hex}"
        self.psql(f"CREATE DATABASE {self.name}")
        self.variables = {"RAW_SINK_STATE_URL": f"{self.server.rpartition('/')[0]}/{self.name}"}

    def close(self):
        self.psql(f"DROP DATABASE {self.name} WITH (FORCE)")

    def psql(self, sql):
        subprocess.run(["psql", self.server, "--quiet", "--command", sql], check=True, stdout=subprocess.DEVNULL)


def env_file(landing, path):
    """Writes the settings of a landing as a file that `copy --to-env` reads."""
    quoted = {name: value.replace("'", "'\\''") for name, value in landing.variables.items()}
    pathlib.Path(path).write_text("".join(f"{name}='{value}'\n" for name, value in quoted.items()))
    return str(path)
