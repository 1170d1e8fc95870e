"""The two tables of the state, read without the library."""

import csv
import io
import os
import secrets
import sqlite3
import subprocess

KEY = ["source", "customer_id", "query_name", "logical_date"]
RECORD = KEY + ["status", "current_run_id", "schema_version", "record_count", "error_message", "attempt_count"]
ENTRY = KEY + ["run_id", "verdict", "record_count", "schema_version", "reason", "attempt", "status", "seal_sha256", "payload_sha256"]
NULL = "\\N"


class Tables:
    def __init__(self, database, work):
        if database == "sqlite":
            self.file = os.path.join(work, "state.db")
            self.url = f"sqlite:{self.file}"
        else:
            self.file = None
            server, _, _ = os.environ["RAWSINK_TEST_POSTGRES_URL"].rpartition("/")
            self.server, self.name = server, f"torture_{secrets.token_hex(4)}"
            self.url = f"{server}/{self.name}"

    def __enter__(self):
        if not self.file:
            self.psql(f"{self.server}/postgres", f"CREATE DATABASE {self.name}")
        return self

    def __exit__(self, *_):
        if not self.file:
            self.psql(f"{self.server}/postgres", f"DROP DATABASE {self.name} WITH (FORCE)")

    def records(self):
        """Returns the record of each partition."""
        return {self.path(row): row for row in self.rows("partition_state", RECORD, "1")}

    def log(self):
        """Returns the entries of the log with their partitions, in their order."""
        return [(self.path(row), row) for row in self.rows("run_verdict", ENTRY, "seq")]

    def evidence(self, path, run):
        """Returns the SHA-256 of metadata.json and payload that the newest success of a run has read."""
        key = dict(part.split("=") for part in path.split("/")[1:])
        match = {"source": path.split("/")[0], **key, "run_id": run, "verdict": "passed"}
        where = " AND ".join(f"{name} = '{value}'" for name, value in match.items())
        rows = self.rows(f"run_verdict WHERE {where}", ["seal_sha256", "payload_sha256"], "seq DESC LIMIT 1")
        return tuple(rows[0].values()) if rows else None

    @staticmethod
    def path(row):
        return "{source}/customer_id={customer_id}/query_name={query_name}/logical_date={logical_date}".format(**row)

    def rows(self, table, columns, order):
        sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"
        if self.file:
            with sqlite3.connect(self.file) as connection:
                rows = connection.execute(sql).fetchall()
        else:
            out = self.psql(self.url, sql)
            rows = [[None if field == NULL else field for field in row] for row in csv.reader(io.StringIO(out))]
        text = [[None if field is None else str(field) for field in row] for row in rows]
        return [dict(zip(columns, row)) for row in text]

    @staticmethod
    def psql(url, sql):
        command = ["psql", "--no-psqlrc", "--quiet", "--csv", "--tuples-only", "--set=ON_ERROR_STOP=1", f"--pset=null={NULL}", url, "--command", sql]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
