"""A project that is listened to, and servers on loopback that listen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.engine.events import Event, Warned
from headrace.testing.listeners import FLOW

sys.path.insert(0, str(Path(__file__).resolve().parent))

from loopback import HttpServer, http_server

OUTSIDE = ("OTEL_", "OPENLINEAGE", "TRACEPARENT", "TRACESTATE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Listened:
    """A project folder with a pipeline that can succeed, fail and be rejected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.write("pyproject.toml", '[project]\nname = "listened"\n')
        self.write("listened.py", FLOW)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def run(self, pipeline: str = "listened.py:listened", **parameters: Any) -> headrace.RunResult:
        self.events.clear()
        options = headrace.RunOptions(display=self.events.append)
        return headrace.run(pipeline, parameters, store=self.folder / ".headrace", folder=self.folder, options=options)

    @property
    def warnings(self) -> list[str]:
        warned = [event for event in self.events if isinstance(event, Warned)]
        return [f"{event.source}: {event.message}".removesuffix(".") for event in warned]


@pytest.fixture
def listened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listened:
    """The project; nothing of this machine's environment switches a listener on."""
    for name in list(os.environ):
        if name.upper().startswith(OUTSIDE):
            monkeypatch.delenv(name)
    folder = tmp_path / "listened"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_LISTENER_SECONDS", "100")
    return Listened(folder)


@pytest.fixture
def receiver() -> Iterator[HttpServer]:
    """A server of HTTP on loopback."""
    with http_server() as server:
        yield server
