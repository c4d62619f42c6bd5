"""One attempt of a step, in the process that executes it."""

from __future__ import annotations

import inspect
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import headrace
from headrace.core.artifact import Artifact
from headrace.core.context import RunContext, entered
from headrace.core.errors import (
    CodeChangedError,
    DamagedObjectError,
    HeadraceError,
    TransientError,
)
from headrace.core.faults import fault_point
from headrace.core.fit import MISSING
from headrace.core.names import find_named
from headrace.core.outcome import Outcome
from headrace.core.values import Json, decode
from headrace.engine.exchange import Loader, Scratch, load_arguments, save_outputs
from headrace.engine.generators import seed_generators
from headrace.engine.memos import StepMemory
from headrace.engine.prepare import Workshop, path_digest, user_traceback
from headrace.engine.records import Action, Failure, action_names, now
from headrace.engine.target import Target, enter, import_target
from headrace.stores.open import open_store

if TYPE_CHECKING:
    from headrace.core.project import Project
    from headrace.core.stamps import Stamps
    from headrace.stores.protocol import Store

Report = Callable[[float, "float | None", str], None]
"""Is told of a step's progress: done, total, message."""


@dataclass(frozen=True)
class Attempt:
    """What a worker must know, as plain data."""

    target: dict[str, Any]
    parameters: Json
    folder: str
    store: str
    run_id: str
    node: str
    number: int
    key: str
    seed: int
    step: dict[str, Any]
    arguments: Mapping[str, Json]
    inputs: Mapping[str, Json]  # artifacts by "node/output"
    modules: Mapping[str, Any]  # the project modules that the key was made from
    pins: Mapping[str, Json]
    paths: Mapping[str, str | None]  # external files and what they were when the key was made
    imported: Mapping[str, Json] = field(default_factory=dict)  # what importing was seen to read, where not by this one
    since: str = ""  # where what was made before does not count: since when it does
    table_engine: str = ""  # what tables are opened with; the process's own if it isn't said


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended, as plain data. ``damaged`` is the digest of an input that must be made again."""

    outcome: Outcome
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    discovered: Mapping[str, Json] = field(default_factory=dict)
    failure: Failure | None = None
    damaged: str | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Json]:
        """The form that goes from the worker to the engine."""
        return {
            "outcome": self.outcome.value,
            "outputs": {name: artifact.to_json() for name, artifact in self.outputs.items()},
            "discovered": dict(self.discovered),
            "failure": asdict(self.failure) if self.failure else None,
            "damaged": self.damaged,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AttemptEnd:
        """Read that form."""
        return cls(
            Outcome(data["outcome"]),
            {name: Artifact.from_json(item) for name, item in data["outputs"].items()},
            data["discovered"],
            Failure.from_json(data["failure"]),
            data["damaged"],
            data["seconds"],
        )


class Workplace:
    """What one process keeps between attempts: the project, its stamps, the store, and the steps it has found."""

    def __init__(
        self,
        target: Target,
        store: Store,
        parameters: Json,
        folder: str,
        workshop: Workshop,
        live: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.target = target
        self.store = store
        self.parameters = parameters
        self.folder = folder
        self.workshop = workshop
        self.project: Project = workshop.project
        self.stamps: Stamps = workshop.stamps
        self._functions: dict[str, Callable[..., Any]] = dict(live)
        self._hints: dict[str, tuple[inspect.Signature, dict[str, Any]]] = {}

    def function(self, spec: Mapping[str, Any]) -> Callable[..., Any]:
        """The step's function: by its import path, else by tracing the pipeline again."""
        spec_id = spec["id"]
        if spec_id not in self._functions:
            if spec["target"] is not None:
                self._functions[spec_id] = find_named(spec["target"]).function  # type: ignore[attr-defined]
            else:
                self._functions.update(self._traced_again())
        if spec_id not in self._functions:
            raise CodeChangedError(
                f"Step {spec['name']!r} is not in this environment's pipeline", hint="trace it again"
            )
        return self._functions[spec_id]

    def _traced_again(self) -> dict[str, Callable[..., Any]]:
        from headrace.core.pipeline import trace
        from headrace.engine.lookup import FormatLookup

        pipeline = import_target(self.target)
        traced = trace(pipeline, decode(self.parameters), FormatLookup(), self.project.root, Path(self.folder))
        return {spec_id: item.step.function for spec_id, item in traced.steps.items()}

    def signature(self, spec_id: str, function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
        """The function's signature and its evaluated annotations."""
        if spec_id not in self._hints:
            hints = get_type_hints(inspect.unwrap(function), include_extras=True)
            self._hints[spec_id] = inspect.signature(function), hints
        return self._hints[spec_id]


def run_in_worker(request: Mapping[str, Any], report: Report) -> dict[str, Json]:
    """Execute an attempt in a process made for it alone, and return its `AttemptEnd` as plain data."""
    attempt = Attempt(**request)
    target = Target.from_json(attempt.target)
    store, workshop = opened(target.root, attempt.store)
    make_ready(target, attempt.store)
    workplace = Workplace(target, store, attempt.parameters, attempt.folder, workshop, {})
    return run_attempt(attempt, workplace, report).to_json()


@lru_cache(maxsize=1)
def opened(root: str, store: str) -> tuple[Store, Workshop]:
    """The store and the project in a folder. Imports nothing of it."""
    found = open_store(store)
    return found, Workshop.open(Path(root), found.cache_dir)


@lru_cache(maxsize=1)
def make_ready(target: Target, store: str) -> None:
    """Make this process ready to import the target's modules. Imports none as yet."""
    from headrace.core.loader import install_loader

    _, workshop = opened(target.root, store)
    enter(target)
    install_loader(workshop.project, workshop.cache / "bytecode")


def run_attempt(attempt: Attempt, workplace: Workplace, report: Report) -> AttemptEnd:
    """Load the inputs, call the step, store its outputs and the action. Never raises but for an interruption."""
    started = time.perf_counter()

    def seconds() -> float:
        return time.perf_counter() - started

    try:
        outputs, discovered = _execute(attempt, workplace, report, started)
    except DamagedObjectError as error:
        failure = Failure("DamagedObjectError", str(error), is_retryable=True)
        return AttemptEnd(Outcome.FAILED, failure=failure, damaged=error.digest, seconds=seconds())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a step raises is its outcome
        return AttemptEnd(Outcome.FAILED, failure=_failure(error, attempt), seconds=seconds())
    return AttemptEnd(Outcome.SUCCEEDED, outputs, discovered, seconds=seconds())


def _execute(
    attempt: Attempt, workplace: Workplace, report: Report, started: float
) -> tuple[Mapping[str, Artifact], Mapping[str, Json]]:
    from headrace.core.discovery import Discovered, Recorder, unseen

    store, project = workplace.store, workplace.project
    memory = StepMemory(attempt.key, attempt.run_id, attempt.node, workplace.workshop, store, attempt.since)
    scratch = Scratch(store)
    context = RunContext(
        attempt.run_id,
        attempt.node,
        attempt.number,
        attempt.seed,
        store,
        project.root,
        attempt.pins,
        report,
        memory,
        scratch=scratch.folder,
    )
    if attempt.table_engine:
        os.environ["HEADRACE_TABLE_ENGINE"] = attempt.table_engine
    ignored = (store.cache_dir.parent, *(Path(project.root, path) for path in attempt.paths))  # known otherwise
    with Recorder(project, ignore=ignored) as recorder, entered(context), scratch:
        function = workplace.function(attempt.step)
        with unseen():
            _refuse_other_code(attempt, attempt.modules, project)
        signature, hints = workplace.signature(attempt.step["id"], function)
        loader = Loader(attempt.inputs, store, project.root, scratch)
        args, kwargs = load_arguments(attempt.arguments, signature, hints, loader)
        loaded = {name for name in attempt.modules if name in sys.modules}
        seed_generators(attempt.seed)
        value = _called(function, args, kwargs)
        outputs: Mapping[str, Artifact] = save_outputs(attempt.step, hints.get("return", MISSING), value, store)
    late = {name: source for name, source in attempt.modules.items() if name in sys.modules and name not in loaded}
    _refuse_other_code(attempt, late, project)
    _refuse_changed_paths(attempt, workplace)
    discovered = Discovered.from_json(attempt.imported) if attempt.imported else Discovered()
    seen = discovered.merge(recorder.snapshot(workplace.stamps, store.salt)).merge(memory.seen).to_json()
    action = Action(attempt.key, outputs, seen, now(), time.perf_counter() - started, attempt.run_id, attempt.node)
    fault_point("engine.before_action")
    if attempt.step["cache"] and attempt.since:
        _replace(action, store)
    elif attempt.step["cache"] and not store.create_record(action.name, action.to_json()):
        outputs = _winner(action, store)
    memory.forget_checkpoints()
    return outputs, seen


def _replace(action: Action, store: Store) -> None:
    """Keep what was made in place of all that was made of the same before: it was to be made again."""
    store.write_record(action.name, action.to_json())
    for name in action_names(store, action.key):
        if name != action.name:
            store.delete_record(name)


def _winner(action: Action, store: Store) -> Mapping[str, Artifact]:
    """Another process stored this key first: take its outputs, unless they are gone; then ours replace them."""
    text = store.reuse_record(action.name)
    if text is not None:
        try:
            theirs = Action.from_json(text)
        except (ValueError, KeyError):
            pass
        else:
            if _is_there(theirs.outputs, store):
                return theirs.outputs
    store.write_record(action.name, action.to_json())
    return action.outputs


def _is_there(outputs: Mapping[str, Artifact], store: Store) -> bool:
    return all(
        store.object_size(file.digest) == file.n_bytes for artifact in outputs.values() for file in artifact.files
    )


def _refuse_other_code(attempt: Attempt, modules: Mapping[str, Any], project: Project) -> None:
    """Refuse to go on, or to store, where the code that is loaded is not the one that the key was made from."""
    if not modules:
        return
    from headrace.core.loader import source_changes

    expected: Any = {name: tuple(source) for name, source in modules.items()}
    if changes := source_changes(expected, project):
        raise CodeChangedError(
            f"This environment holds other code than the plan: {'; '.join(changes[:3])}",
            where=f"step {attempt.step['name']!r}",
            hint="run again, so that the plan is made from the code as it is now",
        )


def _refuse_changed_paths(attempt: Attempt, workplace: Workplace) -> None:
    for path, digest in attempt.paths.items():
        if path_digest(Path(workplace.project.root, path), workplace.stamps) != digest:
            raise TransientError(
                f"{path!r} changed while step {attempt.step['name']!r} read it",
                hint="nothing was stored; run again once it is complete",
            )


def _called(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    value = function(*args, **kwargs)
    if inspect.iscoroutine(value):
        import asyncio

        return asyncio.run(value)
    return value


def _failure(error: BaseException, attempt: Attempt) -> Failure:
    step = attempt.step
    kinds = tuple(kind for kind in map(find_named, step["retry_on"]) if isinstance(kind, type))
    own = isinstance(error, HeadraceError)
    message = str(error) if own else f"{type(error).__name__}: {error}"
    return Failure(
        kind=type(error).__name__,
        message=message,
        traceback=_traceback(error) if own else user_traceback(error),
        where=_place(error, Path(attempt.target["root"])),
        is_retryable=isinstance(error, kinds),
    )


def _traceback(error: BaseException) -> str:
    """The traceback of an error of Headrace's own, which says what is wrong: the frames of the user's code alone."""
    package = Path(headrace.__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not Path(frame.filename).is_relative_to(package)]
    if not theirs:
        return ""
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(theirs)]
    return "".join([*lines, *traceback.format_exception_only(error)])


def _place(error: BaseException, root: Path) -> str:
    """The innermost line of the project's own code."""
    place = ""
    frame = error.__traceback__
    while frame is not None:
        file = Path(frame.tb_frame.f_code.co_filename)
        if file.is_relative_to(root) and not any(part.startswith(".") for part in file.relative_to(root).parts):
            place = f"{file.relative_to(root).as_posix()}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


@contextmanager
def captured(open_log: Callable[[], Any], echo: bool) -> Iterator[None]:
    """Copy what is printed in this process into a log, which is opened at the first line; for inline runs."""
    tee = (_Tee(sys.stdout, open_log, echo), _Tee(sys.stderr, open_log, echo))
    tee[1].share(tee[0])
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = tee
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        tee[0].close_log()


class _Tee:
    def __init__(self, stream: Any, open_log: Callable[[], Any], echo: bool) -> None:
        self._stream = stream
        self._open_log = open_log
        self._log: list[Any] = []
        self._echo = echo

    def share(self, other: _Tee) -> None:
        self._log = other._log

    def write(self, text: str) -> int:
        if not self._log:
            self._log.append(self._open_log())
        self._log[0].write(text.encode(errors="replace"))
        if self._echo:
            self._stream.write(text)
        return len(text)

    def close_log(self) -> None:
        if self._log:
            self._log[0].close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
