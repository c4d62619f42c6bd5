"""Applies an edit, finds what the program now gives, and what a run on a store of the time before gives.

The truth comes from calling the steps as plain functions in a process of their own: no store, no engine, no bytecode
of other times. Each run is in a fork of this process, which has imported Headrace and nothing of the project.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.prove.corpus.edits import Edit

HERE = Path(__file__).parent
FLOW: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "load": ((), ("rows",)),
    "clean": (("load",), ()),
    "price": (("clean",), ("factor",)),
    "check": (("clean",), ()),
    "figure": (("clean",), ("depth",)),
    "outside": ((), ("factor",)),
    "leaks": ((), ("stem",)),
    "summarise": (("price", "check", "figure"), ()),
}
"""Step -> (steps whose outputs it takes, parameters it takes), in an order that runs."""

DEFAULTS: dict[str, object] = {"rows": 7, "factor": 1.0, "depth": 9, "stem": "hidden"}
FAILED = "failed"
SECONDS = 60

Values = dict[str, str]
"""Step -> its output as canonical JSON, or ``failed``."""


@dataclass
class Seen:
    """What a run gave: outputs, and which steps were hits."""

    values: Values = field(default_factory=dict)
    cached: set[str] = field(default_factory=set)
    problem: str = ""
    imported: list[str] = field(default_factory=list)


class Workplace:
    """A copy of the project, a site folder, and a store with what the unedited project gave."""

    def __init__(self, folder: Path, *, mode: str) -> None:
        self.root = folder / "project"
        self.site = folder / "site"
        self.store = folder / "store"
        self._base = folder / "base"
        self._mode = mode
        shutil.copytree(HERE / "project", self.root, ignore=shutil.ignore_patterns("site", "__pycache__"))
        shutil.copytree(HERE / "project" / "site", self.site)
        nothing = Edit("neutral", "nothing", "nowhere")
        first = self.run(nothing)
        self.base = self.truth(nothing)
        if first.values != self.base or FAILED in self.base.values():
            raise RuntimeError(f"the unedited project gives {first}, and by plain calls {self.base}")
        shutil.copytree(self.store, self._base)
        for name in first.imported:
            importlib.import_module(name)  # once here, so that each fork has it

    @contextmanager
    def edited(self, edit: Edit) -> Iterator[None]:
        """Apply an edit's files while the block runs."""
        kept = {name: self._path(name) for name in edit.files}
        before = {name: path.read_bytes() if path.exists() else None for name, path in kept.items()}
        try:
            for name, content in edit.files.items():
                _write(kept[name], content)
            yield
        finally:
            for name, content in before.items():
                _write(kept[name], content)

    def _path(self, name: str) -> Path:
        return self.site.parent / name if name.startswith("site/") else self.root / name

    def truth(self, edit: Edit) -> Values | None:
        """Give what the steps give when they are called; None where they don't end."""
        parameters = {**DEFAULTS, **edit.parameters}
        found = self._fork(edit, lambda: _call_steps(parameters), seconds=10)
        return found if isinstance(found, dict) and "problem" not in found else None

    def run(self, edit: Edit) -> Seen:
        """Give what a run gives on a fresh copy of the store."""
        shutil.rmtree(self.store, ignore_errors=True)
        if self._base.exists():
            shutil.copytree(self._base, self.store)
        found = self._fork(edit, lambda: self._run(edit), seconds=SECONDS)
        if not isinstance(found, dict):
            return Seen(problem=f"the run did not end within {SECONDS} s")
        if "problem" in found:
            return Seen(problem=str(found["problem"]))
        return Seen(found["values"], set(found["cached"]), imported=found["imported"])

    def _run(self, edit: Edit) -> object:
        from headrace.engine.run import run

        result = run(
            "shop.pipeline:flow",
            edit.parameters,
            store=self.store,
            folder=self.root,
            workers=2,
            inline=self._mode == "inline",
        )
        values = {}
        for name, node in result.nodes.items():
            values[name] = _canonical(result.load(name)) if node.outputs else FAILED
        cached = [name for name, node in result.nodes.items() if str(node.outcome) == "cached"]
        imported = [name for name in sys.modules if name.startswith("headrace.")]
        return {"values": values, "cached": cached, "imported": imported}

    def _fork(self, edit: Edit, work: Callable[[], object], *, seconds: int) -> object:
        """Do work in a fork: in the project, with the edit's environment, within limits."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._in_child(edit, work, writer, seconds)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        return json.loads(data) if data else None

    def _in_child(self, edit: Edit, work: Callable[[], object], writer: int, seconds: int) -> None:
        code = 1
        try:
            os.setsid()
            signal.alarm(seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            silent = os.open(os.devnull, os.O_WRONLY)
            if not os.environ.get("CORPUS_VERBOSE"):
                os.dup2(silent, 1)
                os.dup2(silent, 2)
            for name in [name for name in os.environ if name.startswith(("SHOP_", "HEADRACE_"))]:
                del os.environ[name]
            os.environ.update(edit.environment)
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH")]))
            os.chdir(self.root)
            sys.path[:] = [str(self.site), *(entry for entry in sys.path if entry not in ("", str(HERE.parents[2])))]
            sys.dont_write_bytecode = True
            try:
                found = work()
            except BaseException:  # noqa: BLE001 - the child's only report
                found = {"problem": traceback.format_exc()}
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(json.dumps(found).encode())
            code = 0
        finally:
            os._exit(code)


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _call_steps(parameters: Mapping[str, object]) -> Values:
    """Call the steps as functions, each with the outputs as they come back from JSON, in the order they were made."""
    sys.path.insert(0, str(Path.cwd()))
    values: Values = {}
    made: dict[str, str] = {}
    try:
        import shop.pipeline
        from shop import steps
    except Exception:  # noqa: BLE001 - an edited project may fail in any way
        return dict.fromkeys(FLOW, FAILED)
    assert shop.pipeline.__file__.startswith(str(Path.cwd()))
    for name, (inputs, names) in FLOW.items():
        if any(values[above] == FAILED for above in inputs):
            values[name] = FAILED
            continue
        try:
            arguments = [json.loads(made[above]) for above in inputs] + [parameters[word] for word in names]
            made[name] = json.dumps(getattr(steps, name)(*arguments))
            values[name] = _canonical(json.loads(made[name]))
        except Exception:  # noqa: BLE001 - an edited step may fail in any way
            values[name] = FAILED
    return values


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
