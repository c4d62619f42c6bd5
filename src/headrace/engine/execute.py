"""Execute one node: the same for the engine on this machine and for each task of an orchestrator."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.artifact import Artifact
from headrace.core.errors import RunError
from headrace.core.key import KeyParts, environment_of, seed_of
from headrace.core.outcome import Outcome
from headrace.core.plan import Node, Ref, StepSpec, refs_in
from headrace.core.secret import Secret, scrub
from headrace.core.values import TAG, Json, names_in
from headrace.engine.ask import load_plain
from headrace.engine.attempt import Attempt, AttemptEnd
from headrace.engine.events import Announcer, NodeEnded, NodeProgressed, NodeRetried, NodeStarted
from headrace.engine.prepare import Prepared, Workshop, path_digest, paths_in
from headrace.engine.process import worker_environment
from headrace.engine.records import Action, Failure, NodeResult, RunRecord, action_names, attempt_name, now
from headrace.engine.target import Target

if TYPE_CHECKING:
    from headrace.core.discovery import Discovered
    from headrace.engine.ask import Asker
    from headrace.engine.launch import Launcher
    from headrace.stores.protocol import Store

LONGEST_PAUSE_SECONDS = 300.0
LEASE_POLL_SECONDS = 0.5
MOST_REBUILDS = 3


@dataclass
class Run:
    """A run under way, as the process that works on it knows it."""

    id: str
    target: Target
    folder: str
    parameters: Json
    prepared: Prepared
    workshop: Workshop
    store: Store
    launcher: Launcher
    asker: Asker
    emit: Announcer
    pins: Mapping[str, Json]
    table_engine: str = "polars"
    is_inline: bool = False
    reuse: RunRecord | None = None
    imported: Mapping[str, Json] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)
    results: dict[str, NodeResult] = field(default_factory=dict)
    environments: dict[tuple[int, bool], dict[str, Json]] = field(default_factory=dict)
    plain_steps: dict[str, dict[str, Json]] = field(default_factory=dict)

    def result(self, node_id: str) -> NodeResult | None:
        """How a node ended in this run, as far as is known here or in the records."""
        found = self.results.get(node_id)
        if found is None:
            found = RunRecord(self.store, self.id).result(node_id)
            if found is not None:
                self.results[node_id] = found
        return found

    def artifact(self, ref: Ref) -> Artifact:
        """An output that a node made in this run. Raises `RunError` when it has not been made."""
        result = self.result(ref.node)
        if result is None or ref.output not in result.outputs:
            raise RunError(
                f"Output {str(ref)!r} has not been made in run {self.id!r}", hint=f"execute {ref.node!r} first"
            )
        return result.outputs[ref.output]

    @cached_property
    def plain_target(self) -> dict[str, Json]:
        """The target as workers are told it."""
        return asdict(self.target)

    def plain_step(self, spec: StepSpec) -> dict[str, Json]:
        """A step as workers are told it; made once."""
        if spec.id not in self.plain_steps:
            self.plain_steps[spec.id] = asdict(spec)
        return self.plain_steps[spec.id]

    def cpus(self, spec: StepSpec) -> int:
        """The thread limit that a step gets. Inline it is one: what a library has been given it does not give back."""
        return 1 if self.is_inline else spec.cpus

    def environment(self, spec: StepSpec) -> dict[str, Json]:
        """What of the environment counts for a step."""
        kind = self.cpus(spec), spec.takes_table
        if kind not in self.environments:
            installed = self.workshop.installed(self.table_engine) if spec.takes_table else None
            engine = f"{self.table_engine} {installed}" if spec.takes_table else None
            self.environments[kind] = environment_of(kind[0], engine)
        return self.environments[kind]

    def record(self, result: NodeResult) -> NodeResult:
        """Keep a node's result, in the store and here."""
        self.store.write_record(attempt_name(self.id, result.node, result.attempt), result.to_json())
        self.results[result.node] = result
        return result


@dataclass(frozen=True)
class Request:
    """A node whose inputs are there: its step, inputs, and key."""

    node: Node
    spec: StepSpec
    inputs: Mapping[str, Artifact]
    paths: Mapping[str, str | None]
    parts: KeyParts
    key: str


@dataclass(frozen=True)
class Miss:
    """A node that must be executed, and why."""

    request: Request
    reason: str


def examine(run: Run, node: Node) -> NodeResult | Miss:
    """End a node that is skipped or whose result is there already; else say that it must be executed, and why."""
    result = _decided_by_others(run, node)
    if result is None:
        request = prepare_request(run, node)
        found = find_result(run, request)
        if isinstance(found, str):
            return Miss(request, found)
        result = found
    return _ended(run, result)


def execute(run: Run, node: Node, miss: Miss | None = None) -> NodeResult:
    """Bring one node to its end, and record it. Raises only what the store raises.

    An input that turns out damaged is made again, by executing its producer here. ``miss`` is what `examine` said.
    """
    waiting, n_rebuilds = [node], 0
    while True:
        current = waiting[-1]
        result, damaged = _execute_once(run, current, miss)
        miss = None
        if damaged is not None and n_rebuilds < MOST_REBUILDS * len(run.prepared.plan.nodes):
            producers = _producers(run, current, damaged)
            if producers:
                n_rebuilds += 1
                run.store.drop_object(damaged)
                waiting.extend(producers)
                continue
        waiting.pop()
        if not waiting:
            return result


def _producers(run: Run, node: Node, digest: str) -> list[Node]:
    """The nodes that made an artifact which holds this object, among those that the node takes from."""
    found: dict[str, Node] = {}
    for ref in node.refs():
        if any(file.digest == digest for file in run.artifact(ref).files):
            found[ref.node] = run.prepared.plan.by_id[ref.node]
    return list(found.values())


def _execute_once(run: Run, node: Node, miss: Miss | None) -> tuple[NodeResult, str | None]:
    found = miss or examine(run, node)
    if isinstance(found, NodeResult):
        return found, None
    if not found.request.spec.cache:
        return _attempts(run, found.request, found.reason)
    return _with_lease(run, found.request, found.reason)


def _decided_by_others(run: Run, node: Node) -> NodeResult | None:
    """Whether what comes before, or the condition, already says how this node ends."""
    for name in node.upstream():
        result = run.result(name)
        if result is None:
            raise RunError(f"Node {name!r} has not ended in run {run.id!r}", hint=f"execute it before {node.id!r}")
        if result.outcome.is_failure:
            cancelled = result.outcome is Outcome.CANCELLED
            outcome = Outcome.CANCELLED if cancelled else Outcome.UPSTREAM_FAILED
            return NodeResult(node.id, outcome, reason=f"{name!r} {result.outcome}", started=now())
        if result.outcome is Outcome.SKIPPED:
            return NodeResult(node.id, Outcome.SKIPPED, reason=f"{name!r} was skipped", started=now())
    if node.when is not None and not read_plain(run, node.when):
        return NodeResult(node.id, Outcome.SKIPPED, reason=f"{str(node.when)!r} is false", started=now())
    if run.cancelled.is_set():
        return NodeResult(node.id, Outcome.CANCELLED, reason="the run was cancelled", started=now())
    return None


def read_plain(run: Run, ref: Ref) -> Any:
    """A plain output, such as a condition. One that is damaged is made again."""
    from headrace.core.errors import DamagedObjectError

    try:
        return load_plain(run.store, run.artifact(ref))
    except DamagedObjectError as error:
        run.store.drop_object(error.digest)
        execute(run, run.prepared.plan.by_id[ref.node])
        return load_plain(run.store, run.artifact(ref))


def prepare_request(run: Run, node: Node) -> Request:
    """Gather a node's inputs and compute its key."""
    spec = run.prepared.plan.step_of(node)
    inputs = {f"{ref.node}/{ref.output}": run.artifact(ref) for ref in node.refs()}
    digests = frozenset(artifact.digest for artifact in inputs.values())
    paths: dict[str, str | None] = {}
    values = {name: _keyed(run, tree, inputs, digests, paths) for name, tree in node.arguments.items()}
    codes = {spec.id: run.prepared.codes[spec.id].digest}
    for tree in node.arguments.values():
        for name in names_in(tree) if isinstance(tree, list | dict) else ():
            codes[name] = run.prepared.codes[name].digest
    formats = {output.name: output.format for output in spec.outputs}
    parts = KeyParts(codes, values, formats, run.environment(spec))
    return Request(node, spec, inputs, paths, parts, parts.key)


def _keyed(
    run: Run,
    tree: Json,
    inputs: Mapping[str, Artifact],
    digests: frozenset[str],
    paths: dict[str, str | None],
) -> Json:
    """A value as it enters the key: artifacts by digest, files by content, other state by its pin."""
    if isinstance(tree, list):
        return [_keyed(run, item, inputs, digests, paths) for item in tree]
    if isinstance(tree, str):
        return _keyed_text(run, tree, paths)
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(TAG)
    if kind == "ref":
        return {TAG: "artifact", "digest": inputs[f"{tree['node']}/{tree['output']}"].digest}
    if kind == "path":
        paths[tree["value"]] = run.pins[path_pin(tree["value"])]
        return {**tree, "digest": paths[tree["value"]]}
    if kind == "external":
        from headrace.core.external import external_id

        pin = run.pins[external_id(tree)]
        asked = {"external": tree, "pin": pin, "inputs": sorted(digests)}
        return {**tree, "pin": run.asker.ask("key_part", asked, tree["type"])}
    if kind in (
        None,
        "dict",
        "tuple",
        "set",
        "frozenset",
        "dataclass",
        "namedtuple",
        "pydantic",
        "estimator",
        "partial",
    ):
        return {name: item if name == TAG else _keyed(run, item, inputs, digests, paths) for name, item in tree.items()}
    return tree


def path_pin(path: str) -> str:
    """The name under which a run keeps what a file or a folder held when it began."""
    return f"path {path}"


def _keyed_text(run: Run, text: str, paths: dict[str, str | None]) -> Json:
    """Text that names a file counts by the file's content too."""
    for candidate in paths_in(text):
        path = Path(run.workshop.project.root, candidate)
        try:
            is_file = path.is_file()
        except (OSError, ValueError):
            is_file = False
        if is_file:
            paths[text] = digest = path_digest(path, run.workshop.stamps)
            return {TAG: "text", "value": text, "digest": digest}
    return text


def find_result(run: Run, request: Request) -> NodeResult | str:
    """What was made of the same before, or why there is nothing to take."""
    spec = request.spec
    if not spec.cache:
        return _reused(run, request) or "it is not cached (cache=False)"
    reason = "nothing was made from these inputs yet"
    for name in action_names(run.store, request.key):
        action = _read_action(run.store, name)
        if action is None:
            continue
        problem = _why_not(run, request, action)
        if problem is None:
            return _cached(request, action)
        reason = problem.text
        if problem.is_final:
            run.store.delete_record(name)
    return reason


def _cached(request: Request, action: Action) -> NodeResult:
    return NodeResult(
        request.node.id,
        Outcome.CACHED,
        outputs=action.outputs,
        key=request.key,
        made_of=request.parts.to_json(),
        discovered=action.discovered,
        reason=f"made by run {action.run_id}",
        started=now(),
    )


def _read_action(store: Store, name: str) -> Action | None:
    text = store.read_record(name)
    try:
        return None if text is None else Action.from_json(text)
    except (ValueError, KeyError, TypeError):
        store.delete_record(name)  # cut short by a power cut: a miss
        return None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an action is not a hit. A final one stays so: the action is removed, to be made again."""

    text: str
    is_final: bool


def _why_not(run: Run, request: Request, action: Action) -> Problem | None:
    expires = request.spec.expires_after_seconds
    if expires is not None:
        age = (datetime.now(UTC) - datetime.fromisoformat(action.created)).total_seconds()
        if age >= expires:
            return Problem(f"the result is {age:.0f} seconds old, and expires after {expires:g}", True)
    for name, artifact in action.outputs.items():
        for file in artifact.files:
            if run.store.object_size(file.digest) != file.n_bytes:
                return Problem(f"its stored output {name!r} is damaged or gone", True)
    if any(action.discovered.values()):
        environment = worker_environment(os.environ, run.cpus(request.spec))
        changes = _discovered(action.discovered).changes(
            run.workshop.project, run.workshop.stamps, run.store.salt, environment
        )
        if changes:
            return Problem("; ".join(changes[:3]), False)
    if request.spec.effect is not None and not _effect_is_in_place(run, request, action):
        return Problem("its effect is not in place any more", True)
    return None


def _discovered(data: Mapping[str, Json]) -> Discovered:
    from headrace.core.discovery import Discovered

    return Discovered.from_json(data)


def _effect_is_in_place(run: Run, request: Request, action: Action) -> bool:
    assert request.spec.effect is not None
    arguments = {name: tree for name, tree in request.node.arguments.items() if next(refs_in(tree), None) is None}
    outputs = {name: artifact.to_json() for name, artifact in action.outputs.items()}
    asked = {"effect": request.spec.effect, "arguments": arguments, "outputs": outputs, "node": request.node.id}
    asked |= {"run_id": run.id, "store": run.store.url, "root": str(run.workshop.project.root), "pins": run.pins}
    return bool(run.asker.ask("effect_is_in_place", asked, request.spec.effect))


def _reused(run: Run, request: Request) -> NodeResult | None:
    """For a step that is not cached: what the run that is resumed made of the same."""
    record = run.reuse
    while record is not None:
        result = record.result(request.node.id)
        if result is not None and result.outcome.is_good and result.key == request.key:
            files = [file for artifact in result.outputs.values() for file in artifact.files]
            if all(run.store.object_size(file.digest) == file.n_bytes for file in files):
                return replace(
                    result, outcome=Outcome.CACHED, attempt=1, reason=f"made by run {record.id}", seconds=0.0
                )
        earlier = record.begin().get("resumes")
        record = RunRecord(run.store, earlier) if earlier else None
    return None


def _with_lease(run: Run, request: Request, reason: str) -> tuple[NodeResult, str | None]:
    """Execute under a lease of the key. Who had to wait looks first whether the other has made it meanwhile."""
    has_waited = False
    while True:
        with run.store.lease(f"{request.key}.lock", wait_seconds=LEASE_POLL_SECONDS if has_waited else 0.0) as lease:
            if lease.acquired:
                if has_waited:
                    found = find_result(run, request)
                    if isinstance(found, NodeResult):
                        return _ended(run, found), None
                return _attempts(run, request, reason)
        has_waited = True
        if run.cancelled.is_set():
            result = NodeResult(request.node.id, Outcome.CANCELLED, reason="the run was cancelled", started=now())
            return _ended(run, result), None


def _attempts(run: Run, request: Request, reason: str) -> tuple[NodeResult, str | None]:
    """Try until it works, or may not be tried again."""
    spec = request.spec
    first = len(RunRecord(run.store, run.id).attempts(request.node.id)) + 1
    number = first
    while True:
        end, started = _one_attempt(run, request, number)
        result = _result_of(request, end, number, reason, started)
        run.record(result)
        if end.damaged is not None:
            return result, end.damaged
        may_retry = end.failure is not None and end.failure.is_retryable and number - first < spec.retries
        if not may_retry or end.outcome is Outcome.CANCELLED:
            _tell(run, result)
            return result, None
        pause = backoff_pause(spec.backoff_seconds, number - first)
        assert end.failure is not None
        run.emit(NodeRetried(request.node.id, number, end.outcome.value, end.failure.message, pause))
        if run.cancelled.wait(pause):
            cancelled = NodeResult(
                request.node.id, Outcome.CANCELLED, number + 1, reason="the run was cancelled", started=now()
            )
            return _ended(run, cancelled), None
        number += 1


def backoff_pause(first_seconds: float, n_failed: int) -> float:
    """The pause after ``n_failed + 1`` failures: doubling, at most five minutes, less up to half by chance."""
    whole = min(LONGEST_PAUSE_SECONDS, first_seconds * 2.0 ** min(n_failed, 60))
    return whole * random.uniform(0.5, 1.0)


def _one_attempt(run: Run, request: Request, number: int) -> tuple[AttemptEnd, str]:
    run.emit(NodeStarted(request.node.id, number))
    started = now()
    secrets = [secret for tree in request.node.arguments.values() for secret in _secrets_in(tree)]
    if secrets:
        end = _attempt_with_secrets(run, request, number, secrets)
    else:
        end = _launch(
            run, request, number, str(run.store.stream_path(attempt_name(run.id, request.node.id, number, "log")))
        )
    if run.cancelled.is_set() and end.outcome is Outcome.CRASHED:
        end = replace(end, outcome=Outcome.CANCELLED, failure=Failure("Cancelled", "The run was cancelled"))
    return end, started


def _launch(run: Run, request: Request, number: int, log: str) -> AttemptEnd:
    node, spec = request.node, request.spec
    attempt = Attempt(
        target=run.plain_target,
        parameters=run.parameters,
        folder=run.folder,
        store=run.store.url,
        run_id=run.id,
        node=node.id,
        number=number,
        key=request.key,
        seed=seed_of(request.key),
        step=run.plain_step(spec),
        arguments=node.arguments,
        inputs={name: artifact.to_json() for name, artifact in request.inputs.items()},
        modules=_modules(run, request),
        pins=run.pins,
        paths=request.paths,
        imported=run.imported,
    )

    def report(done: float, total: float | None, message: str) -> None:
        run.emit(NodeProgressed(node.id, done, total, message))

    return run.launcher.run(attempt, spec.cpus, spec.timeout_seconds, log, report)


def _modules(run: Run, request: Request) -> Mapping[str, tuple[str, str]]:
    """The project modules that the key was made from: the step's, and those of the classes that its values name."""
    codes = [run.prepared.codes[name] for name in request.parts.code]
    return codes[0].modules if len(codes) == 1 else {k: v for code in codes for k, v in code.modules.items()}


def _attempt_with_secrets(run: Run, request: Request, number: int, secrets: list[Secret]) -> AttemptEnd:
    """Execute a step that is given secrets: its log reaches the store once they have been taken out of it."""
    with run.store.scratch() as folder:
        raw = folder / "log"
        raw.touch(mode=0o600)
        end = _launch(run, request, number, str(raw))
        printed = scrub(raw.read_bytes(), secrets)
    with run.store.open_stream(attempt_name(run.id, request.node.id, number, "log")) as log:
        log.write(printed)
    if end.failure is None:
        return end
    message, traceback = (
        scrub(text.encode(), secrets).decode() for text in (end.failure.message, end.failure.traceback)
    )
    return replace(end, failure=replace(end.failure, message=message, traceback=traceback))


def _secrets_in(tree: Json) -> Iterator[Secret]:
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) == "secret":
                yield Secret(item["name"])
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _result_of(request: Request, end: AttemptEnd, number: int, reason: str, started: str) -> NodeResult:
    return NodeResult(
        request.node.id,
        end.outcome,
        attempt=number,
        outputs=end.outputs,
        key=request.key,
        made_of=request.parts.to_json(),
        discovered=end.discovered,
        failure=end.failure,
        reason=reason,
        started=started,
        seconds=end.seconds,
    )


def _ended(run: Run, result: NodeResult) -> NodeResult:
    run.record(result)
    _tell(run, result)
    return result


def _tell(run: Run, result: NodeResult) -> None:
    run.emit(
        NodeEnded(
            node=result.node,
            outcome=result.outcome.value,
            attempt=result.attempt,
            seconds=result.seconds,
            reason=result.reason,
            message=result.failure.message if result.failure else "",
            where=result.failure.where if result.failure else "",
            n_bytes=sum(artifact.n_bytes for artifact in result.outputs.values()),
        )
    )
