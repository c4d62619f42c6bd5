"""What can't be seen: known leaks."""

import ctypes
import os
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent / "data"


def native_read(stem):
    """A native library opens a file itself, by a path that is put together."""
    libc = ctypes.CDLL(None)
    path = os.fsencode(str(FOLDER / stem) + ".raw")
    descriptor = libc.open(path, os.O_RDONLY)
    buffer = ctypes.create_string_buffer(100)
    n_read = libc.read(descriptor, buffer, 100)
    libc.close(descriptor)
    return buffer.raw[: max(n_read, 0)].decode().strip()


def size_of(stem):
    """The size of a file that isn't opened."""
    return os.stat(str(FOLDER / stem) + ".sized").st_size


def is_there(stem):
    """Whether a file exists that isn't opened."""
    return (FOLDER / (stem + ".flag")).exists()


def child(stem):
    """What a child process reads."""
    words = ["sh", "-c", 'cat "$1/$0.child"', stem, str(FOLDER)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def native_variable():
    """An environment variable that native code reads."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    found = libc.getenv(b"SHOP_NATIVE")
    return found.decode() if found else "unset"
