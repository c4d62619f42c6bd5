"""A process that makes a forked process's requests to its bucket."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import threading
import weakref
from typing import IO, Any

from headrace.core.errors import StoreError
from headrace.stores.bucket_client import BucketClient, BucketSettings
from headrace.stores.bucket_fault import BucketFault
from headrace.stores.bucket_place import BucketPlace

_START = "from headrace.stores.bucket_agent import main; main()"
_LENGTH = struct.Struct("!Q")


class Agent:
    """One agent, for one process. Makes one request after the other. Ends with its process."""

    def __init__(self, place: BucketPlace, settings: BucketSettings) -> None:
        pipe = subprocess.PIPE
        # Isolated from the folder it starts in, but with the paths of this process.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen([sys.executable, "-c", _START], stdin=pipe, stdout=pipe, env=environment)
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._process)
        _send(self._stdin, (place, settings))

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def request(self, method: str, args: tuple[object, ...]) -> Any:
        """Have a method of `BucketClient` called there."""
        assert self._process.stdout is not None
        try:
            with self._lock:
                _send(self._stdin, (method, args))
                answer, error = _receive(self._process.stdout)
        except (OSError, EOFError) as broken:
            raise BucketFault("network", "the process that talks to the bucket has ended") from broken
        if error is not None:
            raise error
        return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait()


def main() -> None:
    """Answer requests until there are no more."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    client = BucketClient(*_receive(stdin))
    while True:
        try:
            method, args = _receive(stdin)
        except EOFError:
            return
        try:
            answer, error = getattr(client, method)(*args), None
        except (BucketFault, StoreError, OSError) as raised:
            answer, error = None, raised
        _send(stdout, (answer, error))


def _send(file: IO[bytes], message: object) -> None:
    data = pickle.dumps(message)
    file.write(_LENGTH.pack(len(data)) + data)
    file.flush()


def _receive(file: IO[bytes]) -> Any:
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    return pickle.loads(file.read(length))
