"""Messages between the engine, its fork servers and their workers: JSON, with its length before it."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

from headrace.core.values import Json

HEAD_BYTES = 8


def pack(message: Json) -> bytes:
    """A message's bytes."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def send(fd: int, message: Json) -> None:
    """Write a message whole. Raises ``BrokenPipeError`` when nobody reads any more."""
    data = memoryview(pack(message))
    while data:
        data = data[os.write(fd, data) :]


def take(buffer: bytearray) -> Any:
    """Take the first message out of what has come so far; None when it is not whole yet."""
    if len(buffer) < HEAD_BYTES:
        return None
    end = HEAD_BYTES + int.from_bytes(buffer[:HEAD_BYTES], "big")
    if len(buffer) < end:
        return None
    body = bytes(buffer[HEAD_BYTES:end])
    del buffer[:end]
    return json.loads(body)


class Reader:
    """Reads messages from a pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = bytearray()

    def next(self, deadline: float | None = None) -> Any:
        """The next message; None at the end of the pipe.

        Raises ``TimeoutError`` when none has come whole by ``deadline`` (on ``time.monotonic``'s clock).
        """
        while True:
            message = take(self._buffer)
            if message is not None:
                return message
            if deadline is not None:
                left = deadline - time.monotonic()
                poll = select.poll()
                poll.register(self._fd, select.POLLIN)
                if left <= 0 or not poll.poll(left * 1000):
                    raise TimeoutError
            data = os.read(self._fd, 1 << 16)
            if not data:
                return None
            self._buffer += data
