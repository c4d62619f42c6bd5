"""The process in which a contract's examples are saved elsewhere: another hash seed, time zone, number of threads, day.

Run as ``python -m headrace.testing.elsewhere REQUEST`` by `headrace.testing.formats`.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import importlib
import importlib.util
import json
import sys
import time
from types import ModuleType
from typing import Any


def move_clock(seconds: int) -> None:
    """Have this process live on another day: for `time`, `datetime` and all that asks them."""
    if not seconds:
        return
    real_time, real_time_ns = time.time, time.time_ns
    real_localtime, real_gmtime, real_strftime = time.localtime, time.gmtime, time.strftime
    moved: dict[str, Any] = {
        "time": lambda: real_time() + seconds,
        "time_ns": lambda: real_time_ns() + seconds * 10**9,
        "localtime": lambda at=None: real_localtime(real_time() + seconds if at is None else at),
        "gmtime": lambda at=None: real_gmtime(real_time() + seconds if at is None else at),
        "strftime": lambda form, at=None: real_strftime(
            form, real_localtime(real_time() + seconds) if at is None else at
        ),
    }
    for name, function in moved.items():
        setattr(time, name, function)
    _move_datetime(seconds)


def _move_datetime(seconds: int) -> None:
    """Replace the class methods that ask for the time: of C types, whose dictionaries the collector gives."""
    by = datetime.timedelta(seconds=seconds)
    real_now = datetime.datetime.now
    before = real_now()
    changes: dict[type, dict[str, Any]] = {
        datetime.datetime: {
            "now": classmethod(lambda cls, tz=None: real_now(tz) + by),
            "utcnow": classmethod(lambda cls: real_now(datetime.UTC).replace(tzinfo=None) + by),
            "today": classmethod(lambda cls: real_now() + by),
        },
        datetime.date: {"today": classmethod(lambda cls: (real_now() + by).date())},
    }
    for kind, methods in changes.items():
        (members,) = gc.get_referents(kind.__dict__)
        members.update(methods)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
    if abs(datetime.datetime.now() - before - by) > datetime.timedelta(hours=1):
        raise RuntimeError("the clock didn't move")


def import_module_of(request: dict[str, Any]) -> ModuleType:
    """Import the module that holds the contract, by name or else from its file, under the name that it has there."""
    try:
        return importlib.import_module(request["module"])
    except ImportError:
        spec = importlib.util.spec_from_file_location(request["module"], request["file"])
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        sys.modules[request["module"]] = module
        spec.loader.exec_module(module)
        return module


def main() -> None:
    """Save every example and print the digests of their files."""
    request = json.loads(sys.argv[1])
    sys.path[:] = request["path"]
    move_clock(request["clock"])
    from headrace.testing.formats import digests_of

    found: Any = import_module_of(request)
    for name in request["class"].split("."):
        found = getattr(found, name)
    result = [digests_of(found.format, value, declared) for value, declared in found.examples()]
    sys.stdout.write("\n---\n" + json.dumps(result))


if __name__ == "__main__":
    main()
