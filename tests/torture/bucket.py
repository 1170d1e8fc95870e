"""The bucket as other software sees it, by boto3, without any rawsink code."""

import os

import boto3
import botocore.config

TOKEN = "rawsink-writer"


class Bucket:
    """Objects below a prefix; keys are relative to it."""

    def __init__(self, prefix):
        self.prefix, self.name = f"{prefix}/", os.environ["RAW_SINK_BUCKET"]
        self.client = boto3.client(
            "s3",
            endpoint_url=os.environ["RAW_SINK_ENDPOINT_URL"],
            aws_access_key_id=os.environ["RAW_SINK_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
            region_name=os.environ.get("RAW_SINK_REGION", "us-east-1"),
            config=botocore.config.Config(
                s3={"addressing_style": "path"},
                max_pool_connections=64,
                retries={"max_attempts": 10, "mode": "standard"},
                read_timeout=120,
            ),
        )

    def list(self, below=""):
        """Returns tag (s3proxy: `None` during a write), time to the millisecond and size of each object, without reading it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self.prefix + below, PaginationConfig={"PageSize": 1000}
        )
        return {
            found["Key"].removeprefix(self.prefix): [found.get("ETag"), found["LastModified"].isoformat(), found["Size"]]
            for page in pages
            for found in page.get("Contents", [])
        }

    def look(self, run):
        """Returns the same for the objects of one run, by name."""
        return {key.removeprefix(f"{run}/"): seen for key, seen in self.list(f"{run}/").items()}

    def get(self, key):
        """Returns an object's bytes and the token in its user metadata."""
        answer = self.client.get_object(Bucket=self.name, Key=self.prefix + key)
        return answer["Body"].read(), answer["Metadata"].get(TOKEN)

    def put(self, key, body, token):
        self.client.put_object(Bucket=self.name, Key=self.prefix + key, Body=body, Metadata={TOKEN: token or ""})

    def copy(self, run, other):
        """Copies the objects of a run to another bucket, under the same keys."""
        for name in self.look(run):
            other.put(f"{run}/{name}", *self.get(f"{run}/{name}"))

    def delete(self, key):
        self.client.delete_object(Bucket=self.name, Key=self.prefix + key)
