"""Listeners: what is told of a run elsewhere, and can neither change, nor fail, nor hold up the run.

A package brings one by the entry point group ``headrace.listeners``: something that is called with a `RunInfo` and
gives a `Listener`, such as a class. Those that come with Headrace are switched on by the environment variables that
their world knows (see `SWITCHES`), others by name (``HEADRACE_LISTENERS``). While none is, no entry point is looked at.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headrace.core.discovery_hub import unseen
from headrace.core.errors import HeadraceError, ProjectError, near_miss
from headrace.engine.events import Event, NodeProgressed, RunEnded

if TYPE_CHECKING:
    from headrace.core.plan import Plan
    from headrace.stores.protocol import Store

ENTRY_POINT_GROUP = "headrace.listeners"
MOST_WAITING = 20_000
"""Events that wait for a listener. What doesn't fit is not told to it; a run's end always is."""
MOST_WAITING_PROGRESS = 1_000
"""Steps' progress is told while no more than these wait."""
IDLE_SECONDS = 5.0
FLUSH_SECONDS = 10.0
"""How long a run waits at its end for its listeners, all together."""


@dataclass(frozen=True)
class RunInfo:
    """The run that a listener is opened for.

    Attributes
    ----------
    run_id, pipeline
        The run's id, and the pipeline's name.
    store
        Where its records are. A node's record is there before its end is told, the run's before the run's.
    plan
        The plan.
    folder
        The project's folder.
    settings
        The table ``[tool.headrace]`` of the project's file.
    node
        The one node that this process carries out for an orchestrator, empty where it only begins the run; None where
        it carries out the whole run, or finishes one.
    """

    run_id: str
    pipeline: str
    store: Store
    plan: Plan
    folder: Path
    settings: Mapping[str, Any]
    node: str | None = None


class Listener(Protocol):
    """Is told what happens in a run.

    **Threads.** It is made, told, and closed in one thread, which is its own: it may take its time, and import what it
    needs. It is told one event at a time, in order. **Time.** It may be told late. At the run's end it is waited for,
    for ten seconds or what ``listener_seconds`` says, and then left behind. **Errors.** What it raises first is told
    as a warning, and the next event is told as if nothing had been. **Ownership.** Events are frozen; the store is read
    and not written; the environment, the current folder and standard output are the run's, and are left alone.

    **Events.** One of a kind that it doesn't know is passed over, since kinds may be added. Of a run, it is told
    `RunStarted`, for each attempt of a node `NodeStarted` and then `NodeRetried` or `NodeEnded`; for a node that isn't
    executed (a hit, a skip) `NodeEnded` alone; `RunEnded`. Where an orchestrator carries out a run (``RunInfo.node``),
    each process tells of its own node, `RunStarted` comes from the first, and `RunEnded` from the one that finishes the
    run, if any does.

    Inherit from this class to have ``idle`` and ``close`` do nothing.
    """

    def __call__(self, event: Event) -> None:
        """Take one event."""

    def idle(self) -> None:
        """Nothing has been told for five seconds: a time to send what was kept."""
        return

    def close(self) -> None:
        """No more events come; the run may have been cut short. Send what was kept, give back what is held."""
        return


Opener = Callable[[RunInfo], Listener]
"""Opens a listener for a run: what an entry point names, such as a class."""


class Messenger:
    """Hands events to a listener, in a thread of its own that starts with the first.

    The run's threads only put an event into a queue of bounded length. What goes wrong is told once by ``warn``.
    """

    def __init__(self, name: str, opener: Callable[[], Listener]) -> None:
        self.name = name
        self._opener = opener
        self._warn: Callable[[str, str], None] = lambda source, message: None
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._n_dropped = 0
        self._has_failed = False

    def start(self, warn: Callable[[str, str], None]) -> None:
        """Say where to tell what goes wrong."""
        self._warn = warn

    def __call__(self, event: Event) -> None:
        """Take one event. Never waits and never raises."""
        with self._changed:
            if not self._fits(event):
                self._n_dropped += not isinstance(event, NodeProgressed)
                return
            self._waiting.append(event)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"headrace-{self.name}", daemon=True)
            self._thread.start()

    def _fits(self, event: Event) -> bool:
        n_waiting = len(self._waiting)
        if isinstance(event, NodeProgressed):
            return n_waiting < MOST_WAITING_PROGRESS
        return n_waiting < MOST_WAITING or isinstance(event, RunEnded)

    def close(self) -> None:
        """Say that no more events come."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def wait(self, deadline: float) -> None:
        """Wait until all has been told, but not beyond a moment of the monotonic clock."""
        if self._thread is None:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._has_failed:
            return  # one warning a listener
        if self._thread.is_alive():
            n_left = len(self._waiting)
            left = f", {n_left} events not told" if n_left else ""
            self._warn(self.name, f"was still at work when the run had ended, and is left behind{left}")
        elif self._n_dropped:
            self._warn(self.name, f"was too slow: {self._n_dropped} events not told")

    def _work(self) -> None:
        with unseen():  # what a listener reads is no input of the step that runs meanwhile in this process
            listener: Listener | None = None
            try:
                listener = self._opener()
            except BaseException as error:  # noqa: BLE001 - nothing that a listener does may end a run
                self._fail(error)
                return
            while (task := self._next(listener)) is not None:
                self._guarded(task)
            self._guarded(listener.close)

    def _next(self, listener: Listener) -> Callable[[], None] | None:
        """What is to be done next; None when all is."""
        with self._changed:
            if not self._waiting and not self._is_closed:
                self._changed.wait(IDLE_SECONDS)
            if self._waiting:
                event = self._waiting.popleft()
                return lambda: listener(event)
            return None if self._is_closed else listener.idle

    def _guarded(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        try:
            self._warn(self.name, describe(self.name, error))
        except Exception:  # noqa: BLE001 - the store that can't take the warning tells the run itself
            return


def describe(name: str, error: BaseException) -> str:
    """What a listener raised, as a warning says it: without secrets that are part of a URL or of its variables."""
    switch = SWITCHES.get(name)
    if isinstance(error, ImportError) and switch is not None:
        return f"is switched on by {switch.cause()}, but isn't installed ({error}): {switch.install}"
    text = str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
    return without_secrets(text, switch.secrets if switch else ())


def without_secrets(text: str, variables: tuple[str, ...] = ()) -> str:
    """A text without the values of these variables, and without the passwords and queries of the URLs in it."""
    from headrace.core.secret import Secret, scrub

    cleaned = scrub(text.encode(errors="replace"), map(Secret, variables)).decode(errors="replace")
    cleaned = re.sub(r"://[^/\s@'\"]+@", "://***@", cleaned)
    return re.sub(r"(/[^\s?'\"]*)\?[^\s'\")]+", r"\1?***", cleaned)


@dataclass(frozen=True)
class Switch:
    """How a listener that comes with Headrace is switched on.

    ``variables``: any of these, a last ``*`` standing for any end, set and not empty. ``off``: the variable that
    overrules them when it is ``true``. ``setting``: the key in ``[tool.headrace]``. ``files``: any of these files.
    ``check``: a function that is given that table, and refuses the run where it is wrong. ``secrets``: the variables
    whose values are kept out of warnings.
    """

    extra: str | None = None
    variables: tuple[str, ...] = ()
    off: str | None = None
    setting: str | None = None
    files: tuple[str, ...] = ()
    check: str | None = None
    secrets: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """The line that installs what it needs."""
        return f'python -m pip install "headrace[{self.extra}]"' if self.extra else "python -m pip install headrace"

    def cause(self, settings: Mapping[str, Any] | None = None) -> str | None:
        """What switches it on; None when nothing does."""
        if self.off and os.environ.get(self.off, "").strip().lower() == "true":
            return None
        for name in self.variables:
            if name.endswith("*"):
                found = next((known for known in os.environ if known.startswith(name[:-1]) and os.environ[known]), None)
            else:
                found = name if os.environ.get(name) else None
            if found:
                return found
        found = next((str(file) for file in self.files if Path(file).expanduser().is_file()), None)
        if found or settings is None:
            return found or f"{self.setting!r} in [tool.headrace]"
        return f"{self.setting!r} in [tool.headrace]" if self.setting and settings.get(self.setting) else None


SWITCHES: Mapping[str, Switch] = {
    "mlflow": Switch("mlflow", ("HEADRACE_MLFLOW_TRACKING_URI",), setting="mlflow_tracking_uri"),
    "notify": Switch(
        variables=("HEADRACE_NOTIFY_*",), setting="notify", check="headrace.integrations.notify_settings:read"
    ),
    "openlineage": Switch(
        "openlineage",
        ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT*"),
        off="OPENLINEAGE_DISABLED",
        files=("openlineage.yml", "~/.openlineage/openlineage.yml"),
        secrets=("OPENLINEAGE_API_KEY",),
    ),
    "otel": Switch(
        "otel",
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        ),
        off="OTEL_SDK_DISABLED",
        secrets=(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        ),
    ),
    "prometheus": Switch("prometheus", ("HEADRACE_PROMETHEUS_DIRECTORY",), setting="prometheus_directory"),
}
"""The listeners that come with Headrace."""


def switched_on(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the listeners that the environment and the project's settings ask for.

    Raises `ProjectError` where their settings are wrong.
    """
    found = [name for name, switch in SWITCHES.items() if switch.cause(settings) is not None]
    for name in found:
        check = SWITCHES[name].check
        if check is not None:
            _imported(check)(settings)
    return tuple(dict.fromkeys([*found, *_named(settings)]))


def _named(settings: Mapping[str, Any]) -> Iterator[str]:
    """Listeners of other packages, which are switched on by name."""
    given = os.environ.get("HEADRACE_LISTENERS") or settings.get("listeners") or ()
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ProjectError(
            f"listeners must be a list of names, but got {given!r}", hint='write listeners = ["mine"], for example'
        )
    yield from filter(None, (name.strip() for name in names))


def flush_seconds(settings: Mapping[str, Any]) -> float:
    """How long a run waits at its end for its listeners. Raises `ProjectError` for what is no number of seconds."""
    given = os.environ.get("HEADRACE_LISTENER_SECONDS") or settings.get("listener_seconds", FLUSH_SECONDS)
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ProjectError(
            f"0 <= listener_seconds must hold, but got listener_seconds={given!r}",
            hint="give the seconds that a run may wait for its listeners at its end",
        )
    return seconds


def messengers(info: RunInfo, openers: tuple[Opener, ...] = ()) -> list[Messenger]:
    """A messenger for each listener of a run: the given ones, and those that are switched on.

    Nothing is imported before the first event.
    """
    given = [Messenger(getattr(opener, "__name__", type(opener).__name__), partial(opener, info)) for opener in openers]
    named = [Messenger(name, partial(open_listener, name, info)) for name in switched_on(info.settings)]
    return [*given, *named]


def open_listener(name: str, info: RunInfo) -> Listener:
    """The listener of that name, by its entry point. Raises `ProjectError` when there is none."""
    from importlib.metadata import entry_points

    points = entry_points(group=ENTRY_POINT_GROUP)
    found = [point for point in points if point.name == name]
    if not found:
        raise ProjectError(
            f"There is no listener {name!r}",
            hint=near_miss(name, [point.name for point in points]) or "install the package that brings it",
        )
    opened: Listener = found[0].load()(info)
    return opened


def _imported(path: str) -> Callable[..., Any]:
    from importlib import import_module

    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
