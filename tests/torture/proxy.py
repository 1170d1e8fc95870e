"""A proxy that interrupts, delays, repeats and denies requests, before and after the server acts.

It listens on two ports: requests on the calm one are only measured. Fates are drawn from a seed, in the order in which
requests arrive. It runs as a separate process, so that no other work delays it:

    proxy.py UPSTREAM_PORT SEED SHARE LATEST_REQUEST_S LATEST_REPLY_S

prints its two ports, and a summary when its standard input ends. SHARE is the share of requests with a fate; for
those that decide a run it is doubled. A request is delayed at most by the writers' grace, a reply even longer.
"""

import asyncio
import collections
import contextlib
import json
import random
import re
import sys
import time
from dataclasses import dataclass, field

# Weights of the fates.
FATES = {
    "lost before": 3,  # the request never reaches the server
    "half sent": 2,  # the server sees half of the request
    "late": 6,  # the request reaches the server late
    "lost after": 6,  # the server acts, and its reply never arrives
    "half answered": 2,  # half of the reply arrives
    "reply late": 4,  # so late that others have overtaken its writer
    "sent twice": 2,  # the second reply arrives
    "denied before": 2,  # 503 instead of acting
    "denied after": 3,  # 503 after acting
}
DECIDING = {"payload", "complete", "seal"}
SLOW_DOWN_BODY = b"<Error><Code>SlowDown</Code></Error>"
SLOW_DOWN = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (
    len(SLOW_DOWN_BODY),
    SLOW_DOWN_BODY,
)
HEAD_LIMIT = 1 << 20
CHUNK = 1 << 18


class Cut(Exception):
    """One of the two sides is disconnected, or will be."""


@dataclass
class Request:
    """A request with its body still to be read."""

    head: bytes
    operation: str
    length: int
    since: float


@dataclass
class Tally:
    """Counts of requests and fates, and the slowest request of each operation."""

    requests: collections.Counter = field(default_factory=collections.Counter)
    fates: collections.Counter = field(default_factory=collections.Counter)
    slowest_s: dict = field(default_factory=dict)

    def applied(self, request):
        took = time.monotonic() - request.since
        self.slowest_s[request.operation] = max(took, self.slowest_s.get(request.operation, 0.0))


def operation_of(method, target):
    """Returns the kind of a request in the protocol."""
    path, _, query = target.partition("?")
    names = {part.split("=")[0] for part in query.split("&")}
    if method == "PUT":
        if "uploadId" in names:
            return "part"
        return "seal" if path.endswith("metadata.json") else "payload"
    if method == "POST":
        return "complete" if "uploadId" in names else "create"
    if method == "DELETE":
        return "abort"
    return "look"


async def read_head(reader):
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as cause:
        raise Cut from cause


def header(head, name):
    found = re.search(rb"(?im)^" + name + rb":\s*(.*?)\s*$", head)
    return found.group(1).decode() if found else None


async def pass_on(reader, count, take):
    """Forwards a body in chunks."""
    while count > 0:
        chunk = await reader.read(min(count, CHUNK))
        if not chunk:
            raise Cut
        count -= len(chunk)
        await take(chunk)


async def read_body(reader, count):
    try:
        return await reader.readexactly(count)
    except (asyncio.IncompleteReadError, ConnectionError) as cause:
        raise Cut from cause


async def pass_on_reply(reader, head, method, take):
    """Forwards the rest of a reply after its head."""
    status = int(head.split(b" ", 2)[1])
    if method == "HEAD" or status in (204, 304):
        return
    if (header(head, b"transfer-encoding") or "").lower() == "chunked":
        size = -1
        while size != 0:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            await take(line + await read_body(reader, size + 2))
    else:
        await pass_on(reader, int(header(head, b"content-length") or 0), take)


class Line:
    """A client's connection, and its connection to the server."""

    def __init__(self, proxy, reader, writer, calm):
        self.proxy, self.reader, self.writer, self.calm = proxy, reader, writer, calm
        self.server = None

    async def serve(self):
        with contextlib.suppress(Cut, ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self.one(await self.next_request())
        for writer in (self.writer, self.server and self.server[1]):
            if writer:
                writer.close()

    async def next_request(self):
        head = await read_head(self.reader)
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if header(head, b"expect"):
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(header(head, b"content-length") or 0)
        return Request(head, operation_of(method, target), length, time.monotonic())

    async def one(self, request):
        fate = self.proxy.fate(request, self.calm)
        if fate == "none":
            await self.forward(request, None, self.send)
        elif fate == "lost before":
            raise Cut
        elif fate == "denied before":
            await read_body(self.reader, request.length)
            await self.send(SLOW_DOWN)
        elif fate == "half sent":
            whole = request.head + await read_body(self.reader, request.length)
            await self.to_server(whole[: len(whole) // 2])
            raise Cut
        else:
            await self.apply(request, fate)

    async def apply(self, request, fate):
        """Lets the server act once it has the whole request, even if the sender is gone."""
        body = await read_body(self.reader, request.length)
        if fate == "late":
            await self.proxy.wait(self.proxy.latest_request_s)
        reply = await self.reply_to(request, body)
        if fate == "sent twice":
            reply = await self.reply_to(request, body)
        elif fate == "lost after":
            raise Cut
        elif fate == "denied after":
            reply = SLOW_DOWN
        elif fate == "reply late":
            await self.proxy.wait(self.proxy.latest_reply_s)
        elif fate == "half answered":
            await self.send(reply[: len(reply) // 2])
            raise Cut
        await self.send(reply)

    async def reply_to(self, request, body):
        reply = bytearray()

        async def keep(chunk):
            reply.extend(chunk)

        await self.forward(request, body, keep)
        return bytes(reply)

    async def forward(self, request, body, take):
        """Sends a request to the server, with the client's body unless it is already read, and forwards the reply."""
        reader, writer = await self.to_server(request.head + (body or b""))
        if body is None:
            await pass_on(self.reader, request.length, self.send_on)
        head = await read_head(reader)
        while head.startswith(b"HTTP/1.1 100"):
            head = await read_head(reader)
        self.proxy.tally.applied(request)
        await take(head)
        await pass_on_reply(reader, head, request.head.split(b" ", 1)[0].decode(), take)
        if (header(head, b"connection") or "").lower() == "close":
            writer.close()
            self.server = None

    async def to_server(self, data):
        if self.server is None:
            self.server = await asyncio.open_connection("127.0.0.1", self.proxy.upstream, limit=HEAD_LIMIT)
        await self.send_on(data)
        return self.server

    async def send_on(self, data):
        self.server[1].write(data)
        await self.server[1].drain()

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()


class Proxy:
    def __init__(self, upstream, seed, share, latest_request_s, latest_reply_s):
        self.upstream, self.share = upstream, share
        self.latest_request_s, self.latest_reply_s = latest_request_s, latest_reply_s
        self.random = random.Random(seed)
        self.tally = Tally()
        # asyncio keeps only weak references to tasks.
        self.lines = set()

    def fate(self, request, calm):
        self.tally.requests[request.operation] += 1
        share = 2 * self.share if request.operation in DECIDING else self.share
        if calm or self.random.random() >= share:
            return "none"
        fate = self.random.choices(list(FATES), FATES.values())[0]
        self.tally.fates[fate] += 1
        return fate

    async def wait(self, longest_s):
        await asyncio.sleep(self.random.uniform(0, longest_s))

    async def listen(self, calm):
        def connected(reader, writer):
            line = asyncio.create_task(Line(self, reader, writer, calm).serve())
            self.lines.add(line)
            line.add_done_callback(self.lines.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=HEAD_LIMIT, backlog=512)
        return server.sockets[0].getsockname()[1]


async def main(upstream, seed, *shares_and_delays):
    proxy = Proxy(int(upstream), int(seed), *map(float, shares_and_delays))
    print(await proxy.listen(calm=True), await proxy.listen(calm=False), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    tally = proxy.tally
    print(json.dumps({"requests": tally.requests, "fates": tally.fates, "slowest_s": tally.slowest_s}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
