"""Run a pipeline on this machine, from its name to its end record."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headrace
from headrace.core.dates import DATE, text_of
from headrace.core.errors import DefinitionError, HeadraceError, RunError
from headrace.core.outcome import RunOutcome
from headrace.core.pipeline import Pipeline
from headrace.core.plan import Plan, Ref
from headrace.core.values import Json, decode, encode
from headrace.engine.admission import admitted, date_of, note
from headrace.engine.ask import Asker
from headrace.engine.attempt import Workplace
from headrace.engine.cancel import obeying
from headrace.engine.events import Announcer, Display, JsonLines, RunEnded, RunStarted
from headrace.engine.launch import PRELOADABLE, CancelledError, ForkServers, InlineLauncher, Launcher, WorkerLauncher
from headrace.engine.listeners import Opener, RunInfo, flush_seconds, messengers, switched_on
from headrace.engine.loading import load_value
from headrace.engine.pins import Pinning, refuse_unsampled
from headrace.engine.prepare import (
    Prepared,
    TraceCache,
    Workshop,
    describe_error,
    prepare_live,
    rebuild_error,
    trace_here,
    untraced,
)
from headrace.engine.process import worker_environment
from headrace.engine.records import NodeResult, RunRecord, dump, now, run_folder
from headrace.engine.rehearsal import refuse_missing
from headrace.engine.schedule import run_in_turn, run_outcome, run_side_by_side
from headrace.engine.selection import Part, Selection
from headrace.engine.settings import read_settings, setting, store_place, worker_count
from headrace.engine.state import Run
from headrace.engine.target import Target, enter, import_target, locate, target_of
from headrace.engine.view import run_lease
from headrace.stores.open import open_store

if TYPE_CHECKING:
    from headrace.core.sample import Sample
    from headrace.engine.starting import Ahead
    from headrace.stores.protocol import Store

LEASE_SECONDS = 1.0  # who looks whether a run is alive holds its lease for a moment


@dataclass(frozen=True)
class RunResult:
    """How a run ended, and what it made."""

    run_id: str
    outcome: RunOutcome
    nodes: Mapping[str, NodeResult]
    outputs: Mapping[str, Ref]
    store: Store

    def load(self, name: str = "output", declared: Any = None) -> Any:
        """One of the pipeline's outputs, or ``"node"`` / ``"node.output"``, as a value.

        ``declared`` is the type to have it as; by default the one that the step gave. Raises `RunError` when the
        node has not made it, and where the type must be said.
        """
        ref = self.outputs.get(name) or _parse_ref(name, self.nodes)
        result = self.nodes.get(ref.node)
        if result is not None and result.outputs and ref.output not in result.outputs:
            several = [f"{ref.node}.{output}" for output in sorted(result.outputs)]
            raise RunError(f"Run {self.run_id!r} has no output {name!r}", hint=f"node {ref.node!r} gave {several}")
        if result is None or ref.output not in result.outputs:
            ended = f", since node {ref.node!r} {result.outcome}" if result else ""
            raise RunError(f"Run {self.run_id!r} has no output {name!r}{ended}", hint=f"it has {sorted(self.outputs)}")
        return load_value(self.store, self.run_id, ref, result.outputs[ref.output], declared)


def _parse_ref(name: str, nodes: Mapping[str, NodeResult]) -> Ref:
    if name in nodes:
        return Ref(name, "output")
    node, _, output = name.rpartition(".")
    return Ref(node, output)


@dataclass(frozen=True)
class RunOptions:
    """How a run is to be done.

    Attributes
    ----------
    workers
        How many steps may run at once; the number of processors by default.
    inline
        Everything in this process, one step after the other.
    display
        What shows the run here: is called with each event, at once, and must not take its time.
    listeners
        What else is told of each event, each from a thread of its own, beside those that the environment and the
        project's settings switch on: called with a `RunInfo`, each gives a `Listener`.
    run_id
        The run's id; by default made from the time.
    resumes
        The run that this one resumes.
    selection
        Which steps are executed again, or alone; by default those whose results are not there. With `resumes` it is
        that of the run that is resumed.
    sample
        The sample of its data that the run takes; by default all. With `resumes` it is that of the run that is resumed.
    echo
        For an inline run: also print what steps print.
    engine
        The orchestrator that carries out the run, and what the run is called there; None on this machine's own engine.
    waits
        Is told what the run waits for where it may not begin yet: another run for its date, a place among
        ``max_active_runs``, the run of the date before. None: it does not wait, but raises `RunError`.
    """

    workers: int | None = None
    inline: bool = False
    display: Display | None = None
    listeners: tuple[Opener, ...] = ()
    run_id: str | None = None
    resumes: RunRecord | None = None
    selection: Selection = field(default_factory=Selection)
    sample: Sample | None = None
    echo: bool = True
    engine: Mapping[str, str] | None = None
    waits: Callable[[str], None] | None = None


def run(
    pipeline: Pipeline[..., Any] | str,
    parameters: Mapping[str, object] | None = None,
    *,
    store: str | Path | None = None,
    folder: Path | None = None,
    options: RunOptions | None = None,
    workers: int | None = None,
    inline: bool = False,
    date: object = None,
) -> RunResult:
    """Run a pipeline.

    Parameters
    ----------
    pipeline
        The pipeline, or where it is: ``module:name`` or ``path/to/file.py:name``.
    parameters
        Its parameters by name; text is read as the declared type.
    store
        A folder or URL; by default what the environment or the project says, else ``.headrace`` in the project.
    folder
        What names and relative paths given as text are relative to; the current folder by default.
    options
        Everything else; see `RunOptions`. ``workers`` and ``inline`` stand for the two most used.
    date
        The date that the run is for, as a date or as text: it becomes the pipeline's date parameter.

    Returns
    -------
    RunResult
        Also for a run whose steps failed: look at its ``outcome``.

    Raises
    ------
    HeadraceError
        For what is wrong before the first step: the pipeline, its parameters, the store.
    """
    chosen = options or RunOptions(workers=workers, inline=inline)
    here = folder or Path.cwd()
    target = locate(pipeline, here) if isinstance(pipeline, str) else target_of(pipeline)
    live = None if isinstance(pipeline, str) else pipeline
    if target is None and not chosen.inline:
        raise DefinitionError(
            f"{pipeline!r} is made inside a function, so no other process can find it",
            hint="define it at the top of a module, or run it with inline=True",
        )
    session = Session(target, live, here, store)
    given = dict(parameters or {}) | ({} if date is None else {DATE: date})
    return session.run(encode(given), chosen)


class Session:
    """A project and a store, opened for one run; with ``ahead`` for one node of it."""

    def __init__(
        self,
        target: Target | None,
        live: Pipeline[..., Any] | None,
        folder: Path,
        store: str | Path | None,
        ahead: Ahead | None = None,
    ) -> None:
        from headrace.core.project import Project

        root = Project.find(Path(target.root) if target else folder).root
        self.target = target or Target(str(root), (), "__main__")
        self.is_found_again = target is not None
        self.live = live
        self.folder = folder
        self.settings = read_settings(root)
        self.store: Store = open_store(store_place(None if store is None else str(store), root, self.settings))
        self.workshop = Workshop.open(root, self.store.cache_dir)
        self.is_for_one_node = ahead is not None
        self.servers = ForkServers(ahead)

    def run(self, parameters: Json, options: RunOptions) -> RunResult:
        """Trace, begin, execute, end. Raises what `run` does."""
        self.check_listeners()
        with self.closing(), steady(self.target) if options.inline else nullcontext():
            return self.run_within(parameters, options)

    def run_within(self, parameters: Json, options: RunOptions) -> RunResult:
        """As `run`, for one of several runs of an opened session."""
        workers = worker_count(options.workers, self.settings)
        part = options.selection.applied(self.traced(parameters, options.inline))
        run_id = options.run_id or new_run_id()
        with (
            admitted(self.store, part.prepared.plan, options.waits),
            self.store.lease(run_lease(run_id), wait_seconds=LEASE_SECONDS),
        ):
            begin = self._begin_record(run_id, part.prepared, parameters, options, part.taken, process=os.getpid())
            if part.taken:
                nobody = Announcer(JsonLines(self.store, run_id), None, (), 0.0)
                refuse_missing(self._run(begin, part, options, nobody))
            self._write_begin(begin)
            note(self.store, part.prepared.plan, begin)
            engine = self._run(begin, part, options, self._announcer(run_id, part.prepared, options, None))
            with _closing(engine):
                plan = part.prepared.plan
                engine.emit(RunStarted(run_id, plan.pipeline, len(plan.nodes), self.store.url))
                result = self._execute(engine, options, workers)
            note(self.store, plan, begin, result.outcome)
            return result

    def check_listeners(self) -> None:
        """Refuse wrong settings of listeners, before a run begins. Raises `ProjectError`."""
        switched_on(self.settings)
        flush_seconds(self.settings)

    def prepare(self, parameters: Json) -> Prepared:
        """Only trace."""
        with self.closing():
            return self.traced(parameters, inline=False)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Give back at the end what the session holds: processes, and what it remembers of files."""
        try:
            yield
        finally:
            self.servers.close()
            self.workshop.stamps.save()

    def traced(self, parameters: Json, inline: bool) -> Prepared:
        """The plan and its code, as last time where nothing has changed since."""
        if not self.is_found_again:
            assert self.live is not None
            return prepare_live(self.live, decode(parameters), self.workshop, self.folder)
        cache = TraceCache(self.workshop, self.store.salt)
        known = [parameters, str(self.folder) if _has_text(parameters) else ""]
        prepared = cache.read(self.target, known)
        if prepared is None:
            prepared = self._trace(parameters, inline)
            cache.write(self.target, known, prepared)
        return prepared

    def _trace(self, parameters: Json, inline: bool) -> Prepared:
        request = {
            "target": asdict(self.target),
            "parameters": parameters,
            "folder": str(self.folder),
            "cache": str(self.workshop.cache),
            "salt": self.store.salt.hex(),
        }
        if inline:
            return trace_inline(request)
        answer = self.servers.get(1).call("headrace.engine.prepare:trace_target", request)
        if "error" in answer:
            raise rebuild_error(answer["error"])
        return Prepared.from_json(answer)

    def write_begin(
        self, run_id: str, prepared: Prepared, parameters: Json, options: RunOptions, *, process: int | None
    ) -> bool:
        """Record what a run begins with, its pins among it, unless that is there already: True if this is new.

        ``process``: the one that carries out the whole run, None where each node has one of its own.
        """
        if self.store.read_record(f"{run_folder(run_id)}/run.json") is not None:
            return False
        return self._write_begin(self._begin_record(run_id, prepared, parameters, options, process=process))

    def _write_begin(self, begin: Mapping[str, Json]) -> bool:
        return self.store.create_record(f"{run_folder(str(begin['id']))}/run.json", dump(begin))

    def _begin_record(
        self,
        run_id: str,
        prepared: Prepared,
        parameters: Json,
        options: RunOptions,
        taken: frozenset[str] = frozenset(),
        *,
        process: int | None,
    ) -> dict[str, Any]:
        """What a run begins with. The objects that it names are in the store then."""
        started = now()
        if options.sample is not None:
            refuse_unsampled(prepared.plan)
        return {
            "version": 1,
            "id": run_id,
            "pipeline": prepared.plan.pipeline,
            "target": asdict(self.target),
            "folder": str(self.folder),
            "given": parameters,
            "plan": self.store.add_bytes(prepared.plan.to_json().encode()).digest,
            "codes": self.store.add_bytes(
                dump({name: code.to_json() for name, code in sorted(prepared.codes.items())})
            ).digest,
            "pins": self._pinning(options, taken).read(prepared.plan),
            "started": started,
            "headrace": headrace.__version__,
            "inline": options.inline,
            "process": process,
            **({"engine": dict(options.engine)} if options.engine else {}),
            "resumes": options.resumes.id if options.resumes else None,
            "date": text_of(day) if (day := date_of(prepared.plan)) else None,
            "selection": options.selection.since(started).to_json(),
            **({"sample": options.sample.to_json()} if options.sample else {}),
        }

    def opened(self, run_id: str, prepared: Prepared, options: RunOptions, *, node: str | None = None) -> Run:
        """A run that has begun, for one of its processes to work on: its parameters and pins are those of its record.

        ``node``: the one node that this process carries out, empty for the one that only begins the run, None for the
        one that finishes it.
        """
        begin = RunRecord(self.store, run_id).begin()
        run = self._run(begin, Part(prepared), options, self._announcer(run_id, prepared, options, node))
        run.is_shared = True
        return run

    def _run(self, begin: Mapping[str, Any], part: Part, options: RunOptions, emit: Announcer) -> Run:
        return Run(
            id=begin["id"],
            target=self.target,
            folder=str(self.folder),
            parameters=begin["given"],
            prepared=part.prepared,
            workshop=self.workshop,
            store=self.store,
            launcher=self._launcher(part.prepared, begin["given"], options),
            asker=self._asker(options),
            emit=emit,
            pins=begin["pins"],
            table_engine=str(setting("table_engine", None, self.settings, "polars")),
            is_inline=options.inline,
            reuse=options.resumes,
            imported=part.prepared.discovered.to_json() if options.inline else {},
            forced=part.forced,
            taken=part.taken,
            since=Selection.from_json(begin["selection"]).made_since,
        )

    def _announcer(self, run_id: str, prepared: Prepared, options: RunOptions, node: str | None) -> Announcer:
        plan, folder = prepared.plan, Path(self.target.root)
        info = RunInfo(run_id, plan.pipeline, self.store, plan, folder, self.settings, node)
        told = messengers(info, options.listeners)
        return Announcer(JsonLines(self.store, run_id), options.display, told, flush_seconds(self.settings))

    def _pinning(self, options: RunOptions, taken: frozenset[str]) -> Pinning:
        return Pinning(self.workshop, self._asker(options), self.store, options.sample, options.resumes, taken)

    def _asker(self, options: RunOptions) -> Asker:
        return Asker(self.target, None if options.inline else self.servers)

    def _launcher(self, prepared: Prepared, parameters: Json, options: RunOptions) -> Launcher:
        if not options.inline:
            # One worker imports what it needs itself: nobody else would use what a server has loaded for it.
            modules = () if self.is_for_one_node else _modules_to_preload(prepared, self.settings)
            return WorkerLauncher(self.servers, modules)
        workplace = Workplace(self.target, self.store, parameters, str(self.folder), self.workshop, prepared.live)
        return InlineLauncher(workplace, options.echo)

    def _execute(self, engine: Run, options: RunOptions, workers: int) -> RunResult:
        started = time.perf_counter()
        try:
            with obeying(engine, interrupts=True):
                if options.inline:
                    run_in_turn(engine)
                else:
                    run_side_by_side(engine, workers)
            outcome = run_outcome(engine)
        except KeyboardInterrupt:
            engine.cancelled.set()
            outcome = RunOutcome.CANCELLED
        except CancelledError:  # what was asked in a worker has been killed with it
            outcome = RunOutcome.CANCELLED
        except HeadraceError:
            # The engine itself can't go on (a full disk, say): where the store takes one more record, it says so.
            with suppress(HeadraceError):
                end_run(engine, RunOutcome.FAILED, time.perf_counter() - started)
            raise
        return self._ended(engine, outcome, started)

    def _ended(self, engine: Run, outcome: RunOutcome, started: float) -> RunResult:
        end_run(engine, outcome, time.perf_counter() - started)
        return RunResult(engine.id, outcome, dict(engine.results), engine.prepared.plan.outputs, self.store)


def end_run(engine: Run, outcome: RunOutcome, seconds: float) -> None:
    """Write the record of a run's end, and tell it."""
    counts = Counter(result.outcome.value for result in engine.results.values())
    record = {"version": 1, "outcome": outcome.value, "ended": now(), "seconds": round(seconds, 6), "counts": counts}
    engine.store.create_record(f"{run_folder(engine.id)}/end.json", dump(record), durable=True)
    engine.emit(RunEnded(engine.id, outcome.value, seconds, dict(counts)))


@contextmanager
def _closing(engine: Run) -> Iterator[None]:
    try:
        yield
    finally:
        engine.launcher.close()
        engine.emit.close()


@contextmanager
def steady(target: Target) -> Iterator[None]:
    """Give this process what a worker's environment is set to, as far as that can still be done."""
    before = dict(os.environ)
    folder = Path.cwd()
    os.environ.update(worker_environment({}, 1))
    time.tzset()
    enter(target)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
        time.tzset()


def new_run_id() -> str:
    """An id that sorts by time: ``20261122-093015-123-1f3a``."""
    time_now = datetime.now(UTC)
    return f"{time_now:%Y%m%d-%H%M%S}-{time_now.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def trace_inline(request: Mapping[str, Any]) -> Prepared:
    """Import and trace in this process; what the user's module raises comes as a `ProjectError`, chained."""
    try:
        return trace_here(request)
    except HeadraceError:
        raise
    except Exception as error:
        raise rebuild_error(describe_error(error, untraced(request))) from error


def _has_text(parameters: Json) -> bool:
    return any(isinstance(value, str) for value in parameters.values())


def _modules_to_preload(prepared: Prepared, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules that several steps will import, among those that survive a fork."""
    given = settings.get("preload")
    if given is not None:
        return tuple(given)
    reached = {name for code in prepared.codes.values() for name in code.distributions}
    return tuple(module for name, modules in PRELOADABLE.items() if name in reached for module in modules)


def trace(
    pipeline: Pipeline[..., Any] | str, parameters: Mapping[str, object] | None = None, *, folder: Path | None = None
) -> Plan:
    """The plan of a pipeline, without running it. Takes and raises what `run` does."""
    from headrace.core.pipeline import trace as trace_pipeline
    from headrace.core.project import Project
    from headrace.engine.lookup import FormatLookup

    here = folder or Path.cwd()
    if isinstance(pipeline, str):
        named = locate(pipeline, here)
        with chdir(here):
            enter(named)
            return trace_pipeline(import_target(named), parameters or {}, FormatLookup(), Path(named.root), here).plan
    found = target_of(pipeline)
    root = Path(found.root) if found else Project.find(here).root
    return trace_pipeline(pipeline, parameters or {}, FormatLookup(), root, here).plan
