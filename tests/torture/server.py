"""Tests of the server without the program: conditions on Complete; an abort during a Complete."""

import concurrent.futures
import time

import botocore.exceptions
from check import PAYLOAD, check_run
from tamper import copy_of

# Uploads that are completed and aborted at the same moment.
RACES = 20


class Upload:
    """A multipart upload of one part."""

    def __init__(self, bucket, key, body, token):
        self.client = bucket.client
        self.name = {"Bucket": bucket.name, "Key": bucket.prefix + key}
        created = self.client.create_multipart_upload(**self.name, Metadata={"rawsink-writer": token})
        self.name["UploadId"] = created["UploadId"]
        tag = self.client.upload_part(**self.name, PartNumber=1, Body=body)["ETag"]
        self.parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}

    def complete(self, **conditions):
        """Returns whether the server reports success."""
        return said_yes(self.client.complete_multipart_upload, **self.name, MultipartUpload=self.parts, **conditions)

    def abort(self):
        return said_yes(self.client.abort_multipart_upload, **self.name)


def said_yes(request, **arguments):
    try:
        request(**arguments)
    except botocore.exceptions.ClientError:
        return False
    return True


def honours_conditions_on_complete(bucket):
    """Returns whether a create-only Complete is refused if an object exists."""
    key = "conditions"
    bucket.put(key, b"here", "first")
    refused = not Upload(bucket, key, b"second", "second").complete(IfNoneMatch="*")
    bucket.delete(key)
    return refused


def abort_beside_complete(bucket, copies, runs, collect_garbage):
    """Rewrites payloads of copies of sealed runs, by uploads that are aborted during their Complete.

    Returns how many got two 2xx replies, how many of these the check found intact at once, and how many
    after the garbage collection.
    """
    both = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, run in enumerate([run for run in runs if run["seen"] and not run["large"]][:RACES]):
            copied = copy_of(run, bucket, copies) | {"seen": []}
            key = f"{run['path']}/{PAYLOAD}"
            upload = Upload(copies, key, *copies.get(key))
            completed = pool.submit(upload.complete)
            time.sleep(number % 5 / 1000)
            aborted = pool.submit(upload.abort)
            if completed.result() and aborted.result():
                both.append(copied)

    def whole():
        return sum(not check_run(copies, run, copies.look(run["path"])) for run in both)

    at_once = whole()
    collect_garbage()
    return len(both), at_once, whole()
