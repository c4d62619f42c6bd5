"""How a task of Prefect executes a node: from the mark on it stands in each flow file, which has values of its own."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from prefect import allow_failure, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run as runtime
from prefect.states import Cancelled, Completed, Failed

from headrace.backends.launcher import Headrace, Lost, Refused

HEADRACE = Headrace([], "", "", "", "", "prefect")
KEY = ""
LOST_RETRIES = 0
TASK_TAGS: list[str] = []
CPUS: int | None = None
MEMORY_BYTES: int | None = None
CPUS_LIMIT: str | None = None
SECRETS: dict[str, str | None] = {}
LINKS: dict[str, str] = {}


# --- how a task executes a node ---

SHOWN = {
    "succeeded": (Completed, "Completed"),
    "cached": (Completed, "Cached"),
    "skipped": (Completed, "Skipped"),
    "failed": (Failed, "Failed"),
    "timed out": (Failed, "TimedOut"),
    "crashed": (Failed, "Crashed"),
    "out of memory": (Failed, "OutOfMemory"),
    "upstream failed": (Failed, "UpstreamFailed"),
    "rejected": (Failed, "Rejected"),
    "cancelled": (Cancelled, "Cancelled"),
}


class Room:
    """The cpus and the memory that the nodes of this run have together."""

    def __init__(self, cpus: int | None, memory_bytes: int | None) -> None:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.all = (cpus or os.cpu_count() or 1, memory_bytes or pages)
        self.free = self.all
        self.is_closed = False
        self.changed = threading.Condition()

    @contextmanager
    def taken(self, cpus: int, memory_bytes: int) -> Iterator[None]:
        """Wait until so much is free, and hold it. What is more than there is waits for all of it."""
        needed = (min(cpus, self.all[0]), min(memory_bytes, self.all[1]))
        with self.changed:
            self.changed.wait_for(lambda: self.is_closed or all(a >= b for a, b in zip(self.free, needed, strict=True)))
            if self.is_closed:
                raise Refused("the run is being ended")
            self.free = (self.free[0] - needed[0], self.free[1] - needed[1])
        try:
            yield
        finally:
            with self.changed:
                self.free = (self.free[0] + needed[0], self.free[1] + needed[1])
                self.changed.notify_all()

    def close(self) -> None:
        """Let nothing begin any more."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()


ROOM = Room(CPUS, MEMORY_BYTES)


def was_lost(_task: Any, _run: Any, state: State) -> bool:
    """Prefect tries a task again only where what executed it was killed: headrace exec owns a step's retries."""
    return isinstance(state.data, Lost) and not ROOM.is_closed


OPTIONS: dict[str, Any] = {
    "retries": LOST_RETRIES,
    "retry_condition_fn": was_lost,
    "cache_policy": NO_CACHE,  # Headrace knows what was made before
    "persist_result": False,
}


def execute(run: str, node: str, how: list[str], cpus: int, memory_bytes: int, secrets: list[str]) -> State:
    """Execute a node, or some items of it, and show how it ended."""
    log = get_run_logger().info
    with ROOM.taken(cpus, memory_bytes), concurrency(CPUS_LIMIT or [], occupy=cpus, strict=bool(CPUS_LIMIT)):
        blocks = {name: block for name in secrets if (block := SECRETS[name])}  # others are in the environment
        values = {name: str(Secret.load(block).get()) for name, block in blocks.items()}
        try:
            ended = HEADRACE.execute(run, node, *how, log=log, secrets=values)
        except Lost as error:
            if ROOM.is_closed:
                return Cancelled(message=str(error))
            raise
    kind, name = SHOWN[ended["outcome"]]
    return kind(name=name, message=ended["message"] or ended["reason"], data=ended)


def node_task(node: str, cpus: int = 1, memory_bytes: int = 0, secrets: tuple[str, ...] = ()) -> Any:
    """The task that executes a node."""

    def carry_out(run: str) -> State:
        return execute(run, node, [], cpus, memory_bytes, list(secrets))

    return task(carry_out, name=node, task_run_name=node, tags=TASK_TAGS, **OPTIONS)


def slices_task(node: str) -> Any:
    """The task that says which tasks the items of a node are."""

    def carry_out(run: str) -> list[str]:
        return HEADRACE.slices(run, node, log=get_run_logger().info)

    return task(carry_out, name=f"{node} slices", task_run_name=f"{node} slices", **OPTIONS)


def items_task(node: str, cpus: int = 1, memory_bytes: int = 0, secrets: tuple[str, ...] = ()) -> Any:
    """The task that executes some items of a node."""

    def carry_out(run: str, items: str) -> State:
        return execute(run, node, ["--items", items], cpus, memory_bytes, list(secrets))

    return task(carry_out, name=f"{node} items", task_run_name=f"{node}[{{items}}]", tags=TASK_TAGS, **OPTIONS)


def collecting_task(node: str) -> Any:
    """The task that ends a node when its items have ended."""

    def carry_out(run: str) -> State:
        return execute(run, node, ["--collect"], 1, 0, [])

    return task(carry_out, name=node, task_run_name=node, **OPTIONS)


def sliced(slices: PrefectFuture[list[str]]) -> list[str]:
    """The tasks that the items of a node are, once that is known; none where it never will be."""
    found = slices.result(raise_on_failure=False)
    return found if isinstance(found, list) else []


def begin_run(run: str, engine_run: str, parameters: dict[str, Any], date: str | None) -> dict[str, Any]:
    """Write down what the run begins with."""
    return HEADRACE.begin(run, engine_run, parameters, date, log=get_run_logger().info)


def finish_run(run: str) -> State:
    """Settle how the run ended, and show it."""
    facts = HEADRACE.finish(run, log=get_run_logger().info)
    counts = ", ".join(f"{n} {outcome}" for outcome, n in (facts["counts"] or {}).items())
    reasons = [f"{node}: {message}" for node, message in facts["failed"].items()]
    reasons += [f"{gate} rejected the run" for gate in facts["rejected_by"]]
    rows = [
        {"node": node, **{name: ended[name] for name in ("outcome", "seconds", "attempt", "reason")}}
        for node, ended in facts["nodes"].items()
    ]
    lines = [f"Run `{run}` {facts['outcome']} in {facts['seconds']:.1f} s: {counts}.", ""]
    lines += [f"- {' '.join(reason.split())}" for reason in reasons]
    create_markdown_artifact(key=f"{KEY}-run", markdown="\n".join(lines), description="How the run ended")
    create_table_artifact(key=f"{KEY}-nodes", table=rows, description="How each node ended")
    for number, (text, link) in enumerate(LINKS.items()):
        create_link_artifact(key=f"{KEY}-link-{number}", link=link.replace("{run}", run), link_text=text)
    kind, name = SHOWN[facts["outcome"]]
    return kind(name=name, message="; ".join([*reasons, counts])[:2000], data={"run": run})


BEGIN = task(begin_run, name="begin", task_run_name="begin", **OPTIONS)
FINISH = task(finish_run, name="finish", task_run_name="finish", **OPTIONS)


def finished(run: str, begun: PrefectFuture[Any], others: list[PrefectFuture[Any]]) -> State:
    """Finish the run when all tasks have ended, however they did, and say how it ended."""
    wait([begun, *others])
    last = begun
    if begun.state.is_completed():
        known = [allow_failure(item) for item in others if not (item.state.is_cancelled() or item.state.is_crashed())]
        last = FINISH.submit(run, wait_for=[begun, *known])
        last.wait()
    return State(type=last.state.type, name=last.state.name, message=last.state.message)


def run_id(flow_run: Any) -> str:
    """The run's id in the store: the same when Prefect tries the flow run again."""
    return HEADRACE.run_id(flow_run.created, str(flow_run.id))


def date_of(given: object, zone: str, *, is_time: bool) -> str:
    """The date that the run is for: the one given, or else the time for which Prefect scheduled it."""
    if given is None:
        moment = runtime.scheduled_start_time.astimezone(ZoneInfo(zone))
        given = moment if is_time else moment.date()
    return given.isoformat() if isinstance(given, date | datetime) else str(given)


def carry_out(graph: Callable[..., State], parameters: dict[str, Any], date: str | None = None) -> State:
    """Carry out a run, and let nothing more begin where Prefect ends it."""
    context = FlowRunContext.get()
    assert context is not None
    run = run_id(context.flow_run)
    get_run_logger().info("Headrace run %s", run)
    given = json.loads(json.dumps(parameters, default=lambda value: value.isoformat()))
    try:
        return graph(run, str(context.flow_run.id), given, date)
    except BaseException:
        ROOM.close()
        raise


def settle(flow: Any, flow_run: Any, state: State) -> None:
    """Finish the run of a flow run whose process was killed."""
    with suppress(Lost, Refused):
        HEADRACE.finish(run_id(flow_run))


def settle_cancelled(flow: Any, flow_run: Any, state: State) -> None:
    """Tell Headrace of a cancelled flow run, and finish its run."""
    ours = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [*HEADRACE.command, "cancel", run_id(flow_run), "--store", HEADRACE.store, "--wait", "20"]
    subprocess.run(command, cwd=HEADRACE.project, env=environment, check=False)
    settle(flow, flow_run, state)
