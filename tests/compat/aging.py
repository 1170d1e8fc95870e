"""A proxy before an object storage server that makes everything in it look two days older.

In a bucket `clean` takes nothing that is younger than an hour, and a test cannot wait that long.
"""

import contextlib
import datetime
import email.utils
import http.client
import http.server
import re
import threading
import urllib.parse

AGE = datetime.timedelta(days=2)
FORMAT = "%Y-%m-%dT%H:%M:%S"
IN_BODY = re.compile(rb"(<(?:LastModified|Initiated)>)([0-9T:-]{19})")


@contextlib.contextmanager
def aged(endpoint):
    """Yields the URL of a proxy of this endpoint."""
    upstream = urllib.parse.urlsplit(endpoint).netloc
    handler = type("OfUpstream", (Handler,), {"upstream": upstream})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def older_body(body):
    def older(found):
        time = datetime.datetime.strptime(found[2].decode(), FORMAT) - AGE
        return found[1] + time.strftime(FORMAT).encode()

    return IN_BODY.sub(older, body)


def older_header(value):
    return email.utils.format_datetime(email.utils.parsedate_to_datetime(value) - AGE, usegmt=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes a request on as it is: its signature covers the name of the host."""

    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = http.client.HTTPConnection(self.upstream, timeout=60)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)
        server.endheaders(body)
        reply = server.getresponse()
        content = older_body(reply.read())
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() == "last-modified":
                value = older_header(value)
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        length = reply.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(content)
        server.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    def log_message(self, *_):
        """Logs nothing: the programs print what matters."""
