"""A troublesome network between a store and its bucket: what goes wrong with each request is drawn from a seed."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

FAULTS = (
    "500",
    "500 though done",
    "503 slow down",
    "hang",
    "hang though done",
    "reset",
    "reset though done",
    "slow read",
    "torn answer",
    "broken-off put",
    "half put kept",
    "stale list",
)
"""``half put kept`` is what S3 doesn't do: half of a body is kept, and the answer is 200."""

Answer = tuple[int, list[tuple[str, str]], bytes]


class Passed(NamedTuple):
    """A request that reached the server."""

    method: str
    path: str
    status: int


@dataclass
class Trouble:
    """How often something goes wrong, and what went wrong and got through so far."""

    seed: int
    share: float = 0.0
    hang_seconds: float = 1.0
    injected: Counter[str] = field(default_factory=Counter)
    passed: list[Passed] = field(default_factory=list)
    lists: dict[str, Answer] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def draw(self, method: str, path: str, n_bytes: int) -> str | None:
        """What is to go wrong with a request, None for nothing."""
        with self.lock:
            if self.random.random() >= self.share:
                return None
            fault = self.random.choice(FAULTS)
            if path in self.lists and self.random.random() < 0.5:
                fault = "stale list"
            if "put" in fault and (method != "PUT" or n_bytes < 2):
                fault = "500"
            if fault == "stale list" and path not in self.lists:
                fault = "500"
            if fault in ("slow read", "torn answer") and method != "GET":
                fault = "reset though done"
            self.injected[fault] += 1
            return fault

    def saw(self, passed: Passed) -> None:
        """Keep what got through."""
        with self.lock:
            self.passed.append(passed)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    trouble: Trouble
    target: tuple[str, int]

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # a client that has given up


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        return

    def _go(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        trouble = self.server.trouble
        fault = trouble.draw(self.command, self.path, len(body))
        self.close_connection = fault is not None
        if fault is not None and fault[:3].isdecimal() and not fault.endswith("done"):
            self._answer(_refusal(int(fault[:3])))
        elif fault == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "hang":
            time.sleep(trouble.hang_seconds)
        elif fault == "stale list":
            self._answer(trouble.lists[self.path])
        elif fault == "broken-off put":
            self._forward(body[: len(body) // 2], len(body))
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            kept = body[: len(body) // 2] if fault == "half put kept" else body
            self._pass_on(self._forward(kept, len(kept)), fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _go

    def _pass_on(self, answer: Answer, fault: str | None) -> None:
        if fault == "500 though done":
            self._answer(_refusal(500))
        elif fault == "hang though done":
            time.sleep(self.server.trouble.hang_seconds)
        elif fault == "reset though done":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._answer(answer, fault)

    def _forward(self, body: bytes, said: int) -> Answer:
        connection = HTTPConnection(*self.server.target, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("content-length", "connection", "expect"):
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(said))
            connection.endheaders(body)
            if len(body) < said:
                return _refusal(400)
            response = connection.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() != "connection"]
            answer = response.status, headers, response.read()
        except (OSError, HTTPException):
            return _refusal(502)
        finally:
            connection.close()
        self.server.trouble.saw(Passed(self.command, self.path, answer[0]))
        if "list-type" in self.path:
            self.server.trouble.lists.setdefault(self.path, answer)
        return answer

    def _answer(self, answer: Answer, fault: str | None = None) -> None:
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), str(len(body)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "torn answer":
            body = body[: len(body) // 2]
        if fault == "slow read":
            for number in range(0, len(body), max(1, len(body) // 4)):
                self.wfile.write(body[number : number + max(1, len(body) // 4)])
                time.sleep(self.server.trouble.hang_seconds / 6)
        else:
            self.wfile.write(body)


def _refusal(status: int) -> Answer:
    code = {500: "InternalError", 502: "BadGateway", 503: "SlowDown", 403: "AccessDenied"}.get(status, "Refused")
    body = f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIATESTTESTTESTTEST</AWSAccessKeyId></Error>".encode()
    return status, [("Content-Type", "application/xml")], body


@contextmanager
def troubling(target: str, trouble: Trouble) -> Iterator[str]:
    """A proxy in front of a server's URL: its own URL."""
    host, _, port = target.removeprefix("http://").partition(":")
    server = _Server(("127.0.0.1", 0), _Handler)
    server.trouble, server.target = trouble, (host, int(port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
