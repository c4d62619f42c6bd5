"""An S3 API on loopback, in a process of its own: moto's server, made to keep its promise of conditional puts.

``python server.py`` prints its port and serves until its standard input is closed.

moto looks whether the condition of a put holds and puts then, with nothing in between to keep another thread out. What
changes the store is therefore let in one at a time, as S3 itself promises for each key. It also would keep a put whose
body broke off half-way, which S3 refuses: such a one is refused here too.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

BUCKET = "team-bucket"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "secret-that-must-stay-unseen",
    "AWS_REGION": "us-east-1",
}
NEEDS = ("obstore", "moto", "flask", "werkzeug")


def environment(endpoint: str) -> dict[str, str]:
    """What a store needs to know beside its URL."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}


@contextmanager
def surroundings(endpoint: str) -> Iterator[None]:
    """This process's environment with `environment` in it."""
    before = dict(os.environ)
    os.environ.update(environment(endpoint))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def missing() -> str | None:
    """Why there can be no server here, None if there can."""
    from importlib.util import find_spec

    absent = [name for name in NEEDS if find_spec(name) is None]
    return f"not installed here: {', '.join(absent)}" if absent else None


@contextmanager
def serving() -> Iterator[str]:
    """A server with an empty bucket: its URL."""
    pipe = subprocess.PIPE
    command = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={**os.environ, **CREDENTIALS}) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            port = int(process.stdout.readline())
            make_bucket(port, BUCKET)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.stdout.close()
            process.kill()


def make_bucket(port: int, name: str) -> None:
    """Make a bucket. moto takes requests that aren't signed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("PUT", f"/{name}", headers={"Host": "s3.amazonaws.com"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()


def make_old(endpoint: str, key: str, changed: float) -> None:
    """Have the server say that an entry was last changed then, in seconds since 1970."""
    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=20)
    connection.request("POST", f"/{_AGING}", body=json.dumps([BUCKET, key, changed]))
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()


_AGING = "make-an-entry-old"


def _make_old(bucket: str, key: str, changed: float) -> None:
    """In the server's process: moto keeps its keys in memory."""
    from moto.s3.models import s3_backends

    backends = [backend for by_region in s3_backends.values() for backend in by_region.values()]
    (found,) = {id(b.buckets[bucket]): b.buckets[bucket].keys[key] for b in backends if bucket in b.buckets}.values()
    found.last_modified = datetime.fromtimestamp(changed, UTC).replace(tzinfo=None)


def main() -> None:
    """Serve until the standard input is closed."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: Any) -> None:
            return

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


def one_at_a_time(app: Application) -> Application:
    """Let in what changes the store one at a time, once it is there as a whole."""
    lock = threading.Lock()

    def wrapped(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        import io

        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start)
        expected = int(environ.get("CONTENT_LENGTH") or 0)
        body = b""
        while len(body) < expected and (more := environ["wsgi.input"].read(expected - len(body))):
            body += more
        if len(body) < expected:
            start("400 Bad Request", [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        if environ["PATH_INFO"] == f"/{_AGING}":
            _make_old(*json.loads(body))
            start("200 OK", [("Content-Length", "0")])
            return [b""]
        environ["wsgi.input"] = io.BytesIO(body)
        with lock:
            return list(app(environ, start))

    return wrapped


if __name__ == "__main__":
    main()
