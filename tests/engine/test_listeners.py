"""Listeners that are slow, hang, raise or are missing: the run is the same without and with them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

from headrace import RunOutcome
from headrace.core.errors import ProjectError, RunError, StoreFullError
from headrace.engine import listeners
from headrace.engine.events import (
    Event,
    JsonLines,
    NodeEnded,
    NodeProgressed,
    NodeStarted,
    RunEnded,
    RunStarted,
    Warned,
)
from headrace.engine.listeners import (
    SWITCHES,
    Listener,
    Messenger,
    RunInfo,
    Switch,
    flush_seconds,
    switched_on,
    without_secrets,
)
from headrace.engine.records import run_folder
from headrace.testing.listeners import ListenerContract, stories

FLOW = """
@step
def one(n: int) -> int:
    return n + 1

@step
def two(n: int) -> int:
    return n * 2

@pipeline
def flow(n: int = 1):
    return two(one(n))
"""


class Told(Listener):
    """Keeps what it was told, and in which threads."""

    def __init__(self, info: RunInfo | None = None, events: list[Any] | None = None) -> None:
        self.events = events if events is not None else []
        self.threads = {threading.current_thread()}
        self.n_closed = 0

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.threads.add(threading.current_thread())

    def close(self) -> None:
        self.n_closed += 1
        self.threads.add(threading.current_thread())


class TestTold(ListenerContract):
    @classmethod
    def open_listener(cls, info: RunInfo) -> Listener:
        return Told(info)


def test_the_contract_has_these_cases() -> None:
    assert ListenerContract.cases() == (
        "test_a_pause_changes_nothing",
        "test_a_run_goes_as_without_it",
        "test_a_story_may_be_cut_short",
        "test_every_story_is_taken",
        "test_other_kinds_are_passed_over",
        "test_the_process_is_left_alone",
        "test_the_store_is_left_alone",
    )


def test_the_stories_tell_what_they_say() -> None:
    told = {
        story.name: [getattr(event, "outcome", "") for event in story.events if isinstance(event, NodeEnded | RunEnded)]
        for story in stories()
    }
    assert told == {
        "succeeded": [*["succeeded"] * 4, "succeeded"],
        "hits": [*["cached"] * 4, "succeeded"],
        "rejected": ["cached", "cached", "succeeded", "skipped", "rejected"],
        "failed": ["cached", "failed", "upstream failed", "upstream failed", "failed"],
        "one node": ["succeeded"],
    }


class Bad(Told):
    """Breaks one promise, as ``fault`` says."""

    fault = ""

    def __call__(self, event: Event) -> None:
        if self.fault == "unknown kind" and type(event).__name__ == "_Later":
            raise TypeError("what is this?")
        if self.fault == "raises" and isinstance(event, NodeEnded) and event.outcome == "failed":
            raise ValueError("no failures, please")
        if self.fault == "prints":
            print("here")
        if self.fault == "environment":
            os.environ["HEADRACE_TEST_LEFT"] = "1"
        if self.fault == "thread":
            self.thread = threading.Thread(target=STOP.wait)
            self.thread.start()
        if self.fault == "hit" and isinstance(event, NodeEnded) and event.outcome == "succeeded":
            raise KeyError(event.node)

    def idle(self) -> None:
        if self.fault == "idle":
            raise OSError("nothing to do")

    def close(self) -> None:
        if self.fault == "close" and not self.events:
            raise IndexError("nothing was told")


STOP = threading.Event()


@pytest.mark.parametrize(
    ("fault", "case"),
    [
        ("raises", "every_story_is_taken"),
        ("close", "a_story_may_be_cut_short"),
        ("idle", "a_pause_changes_nothing"),
        ("unknown kind", "other_kinds_are_passed_over"),
        ("prints", "the_process_is_left_alone"),
        ("environment", "the_process_is_left_alone"),
        ("thread", "the_process_is_left_alone"),
        ("hit", "a_run_goes_as_without_it"),
    ],
)
def test_the_contract_bites(fault: str, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Suite(ListenerContract):
        @classmethod
        def open_listener(cls, info: RunInfo) -> Listener:
            listener = Bad(info)
            listener.fault = fault
            return listener

    monkeypatch.setenv("HEADRACE_TEST_LEFT", "0")
    try:
        with pytest.raises((AssertionError, ValueError, OSError, TypeError, IndexError)):
            getattr(Suite(), f"test_{case}")()
    finally:
        STOP.set()
        STOP.clear()


# --- what a listener does to a run ---------------------------------------------------------------------------------


def warnings_of(project: Any) -> list[str]:
    return [f"{event.source}: {event.message}" for event in project.events if isinstance(event, Warned)]


def recorded(result: Any) -> list[dict[str, Any]]:
    path = result.store.stream_path(f"{run_folder(result.run_id)}/events.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_listener_is_told_all_in_order_in_one_thread_of_its_own(project: Any, mode: dict[str, bool]) -> None:
    project.write(FLOW)
    made: list[Told] = []
    result = project.run(listeners=(lambda info: made.append(Told(info)) or made[0],), **mode)
    assert result.outcome == RunOutcome.SUCCEEDED and warnings_of(project) == []
    (told,) = made
    assert told.events == project.events and told.n_closed == 1
    (thread,) = told.threads
    assert thread is not threading.main_thread() and not thread.is_alive() and thread.daemon


class Raises(Told):
    def __call__(self, event: Event) -> None:
        super().__call__(event)
        raise ValueError(f"no {type(event).__name__}, please")


def test_a_listener_that_raises_is_reported_once_and_told_the_rest(project: Any, mode: dict[str, bool]) -> None:
    project.write(FLOW)
    told: list[Any] = []
    result = project.run(listeners=(partial(Raises, events=told), Told), **mode)
    assert result.outcome == RunOutcome.SUCCEEDED and result.load() == 4
    assert warnings_of(project) == ["partial: ValueError: no RunStarted, please"]
    assert [type(event) for event in told] == [type(e) for e in project.events if not isinstance(e, Warned)]
    warned = [line for line in recorded(result) if line["event"] == "Warned"]
    assert [(line["source"], line["message"]) for line in warned] == [("partial", "ValueError: no RunStarted, please")]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("all of it"), GeneratorExit()])
def test_nothing_that_a_listener_raises_ends_a_run(project: Any, error: BaseException) -> None:
    def refuse(info: RunInfo) -> Listener:
        raise error

    project.write(FLOW)
    result = project.run(listeners=(refuse,), inline=True)
    assert result.outcome == RunOutcome.SUCCEEDED
    assert warnings_of(project) == [f"refuse: {type(error).__name__}: {error}"]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_listener_that_hangs_holds_up_the_end_for_the_bounded_time_only(
    project: Any, mode: dict[str, bool], release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hangs(Told):
        def __call__(self, event: Event) -> None:
            release.wait()

    monkeypatch.setenv("HEADRACE_LISTENER_SECONDS", "0.2")
    project.write(FLOW)
    result = project.run(listeners=(Hangs, Told), **mode)
    assert result.outcome == RunOutcome.SUCCEEDED and not release.is_set()
    n_told = len(project.events) - 1
    left = f"was still at work when the run had ended, and is left behind, {n_told - 1} events not told"
    assert warnings_of(project) == [f"Hangs: {left}"]
    assert type(project.events[-2]) is RunEnded


def test_a_slow_listener_does_not_delay_the_steps(project: Any, release: threading.Event) -> None:
    """The steps have all ended before the listener has taken its first event."""

    class Slow(Told):
        def __call__(self, event: Event) -> None:
            release.wait(20)
            super().__call__(event)

    ended: list[Event] = []

    def show(event: Event) -> None:
        ended.append(event)
        if isinstance(event, RunEnded):
            release.set()

    project.write(FLOW)
    told: list[Any] = []
    import headrace

    options = headrace.RunOptions(display=show, listeners=(partial(Slow, events=told),), echo=False)
    headrace.run(f"{project.module}.py:flow", store=project.folder / "s", folder=project.folder, options=options)
    assert told == ended


def test_an_interruption_while_a_listener_is_waited_for_leaves_the_run_as_it_ended(
    project: Any, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hangs(Told):
        def __call__(self, event: Event) -> None:
            release.wait()

    def interrupted(self: Messenger, deadline: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Messenger, "wait", interrupted)
    project.write(FLOW)
    result = project.run(listeners=(Hangs,), inline=True)
    assert result.outcome == RunOutcome.SUCCEEDED
    assert warnings_of(project) == ["listeners: not waited for any longer: interrupted"]


def test_a_display_that_raises_is_told_no_more(project: Any) -> None:
    import headrace

    def broken(event: Event) -> None:
        raise ZeroDivisionError("no terminal")

    project.write(FLOW)
    options = headrace.RunOptions(display=broken, echo=False)
    result = headrace.run(f"{project.module}.py:flow", store=project.folder, folder=project.folder, options=options)
    assert result.outcome == RunOutcome.SUCCEEDED
    warned = [line["message"] for line in recorded(result) if line["event"] == "Warned"]
    assert warned == ["ZeroDivisionError: no terminal"]


def test_what_a_listener_reads_is_no_input_of_the_step_that_runs_meanwhile(project: Any) -> None:
    class Reads(Told):
        def __call__(self, event: Event) -> None:
            if isinstance(event, NodeStarted):
                assert os.environ.get("LISTENER_SETTING") is None
                (project.folder / "settings.txt").read_text()
                READ.set()

    project.write(
        """
        import builtins

        @step
        def waits() -> int:
            assert builtins.listener_has_read(20)
            return 1

        @pipeline
        def flow():
            return waits()
        """
    )
    (project.folder / "settings.txt").write_text("something of the project")
    import builtins

    READ.clear()
    builtins.listener_has_read = READ.wait  # type: ignore[attr-defined]
    try:
        result = project.run(listeners=(Reads,), inline=True)
    finally:
        del builtins.listener_has_read  # type: ignore[attr-defined]
    assert result.outcome == RunOutcome.SUCCEEDED and warnings_of(project) == []
    assert not any("settings.txt" in str(found) or "LISTENER" in str(found) for found in [result.nodes["waits"]])


READ = threading.Event()


def test_a_warning_that_the_log_cannot_take_does_not_end_the_run(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = JsonLines.__call__

    def full(self: JsonLines, event: Event) -> None:
        if isinstance(event, Warned):
            raise StoreFullError("No space is left")
        write(self, event)

    monkeypatch.setattr(JsonLines, "__call__", full)
    project.write(FLOW)
    result = project.run(listeners=(Raises,), inline=True)
    assert result.outcome == RunOutcome.SUCCEEDED
    assert warnings_of(project) == ["Raises: ValueError: no RunStarted, please"]


# --- the queue -----------------------------------------------------------------------------------------------------


def handed(messenger: Messenger, *events: Event) -> None:
    for event in events:
        messenger(event)


def test_the_queue_is_bounded_and_the_runs_end_always_fits(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event, wait_for: Callable[..., None]
) -> None:
    class Hangs(Told):
        def __call__(self, event: Event) -> None:
            release.wait()
            super().__call__(event)

    monkeypatch.setattr(listeners, "MOST_WAITING", 4)
    monkeypatch.setattr(listeners, "MOST_WAITING_PROGRESS", 2)
    told: list[Any] = []
    warned: list[tuple[str, str]] = []
    messenger = Messenger("late", partial(Hangs, events=told))
    messenger.start(lambda source, message: warned.append((source, message)))
    started = RunStarted("r", "p", 1, "s")
    messenger(started)
    wait_for(lambda: not messenger._waiting)
    nodes: list[Event] = [NodeStarted(f"n{number}", 1) for number in range(7)]
    progress = NodeProgressed("n0", 1, 2, "")
    handed(messenger, progress, progress, progress, *nodes)
    ended = RunEnded("r", "succeeded", 1.0, {})
    messenger(ended)
    messenger.close()
    release.set()
    messenger.wait(time.monotonic() + 20)
    assert told == [started, progress, progress, *nodes[:2], ended]
    assert warned == [("late", "was too slow: 5 events not told")]


def test_a_messenger_without_events_opens_nothing() -> None:
    opened: list[Listener] = []

    def opens() -> Listener:
        opened.append(Told())
        return opened[-1]

    messenger = Messenger("unused", opens)
    messenger.close()
    messenger.wait(time.monotonic() + 20)
    assert opened == []


def test_idle_comes_when_nothing_is_told(monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None]) -> None:
    class Idles(Told):
        def idle(self) -> None:
            self.events.append("idle")

    monkeypatch.setattr(listeners, "IDLE_SECONDS", 0.01)
    told: list[Any] = []
    messenger = Messenger("idles", partial(Idles, events=told))
    messenger(RunStarted("r", "p", 1, "s"))
    wait_for(lambda: "idle" in told)
    messenger.close()
    messenger.wait(time.monotonic() + 20)
    assert told[0] == RunStarted("r", "p", 1, "s", told[0].time) and set(told[1:]) == {"idle"}


# --- what is switched on -------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "OPENLINEAGE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nothing_set")
@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, ("otel",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "True"}, ()),
        ({"HEADRACE_PROMETHEUS_DIRECTORY": "/metrics"}, ("prometheus",)),
        ({"OPENLINEAGE_URL": "http://localhost:5000"}, ("openlineage",)),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console"}, ("openlineage",)),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console", "OPENLINEAGE_DISABLED": "true"}, ()),
        ({"HEADRACE_MLFLOW_TRACKING_URI": "http://mlflow"}, ("mlflow",)),
        ({"HEADRACE_LISTENERS": " mine, yours ,"}, ("mine", "yours")),
    ],
)
def test_what_the_environment_switches_on(
    variables: dict[str, str], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert switched_on({}) == names


@pytest.mark.usefixtures("nothing_set")
def test_what_a_file_switches_on(tmp_path: Any) -> None:
    assert switched_on({"listeners": ["mine"], "prometheus_directory": "/metrics"}) == ("prometheus", "mine")
    (tmp_path / "openlineage.yml").write_text("transport:\n  type: console\n")
    assert switched_on({}) == ("openlineage",)


@pytest.mark.usefixtures("nothing_set")
def test_settings_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProjectError, match=r"listeners must be a list of names, but got 3.\nHint: write listeners = "):
        switched_on({"listeners": 3})
    for given in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("HEADRACE_LISTENER_SECONDS", given)
        with pytest.raises(ProjectError, match=rf"0 <= listener_seconds must hold, but got listener_seconds='{given}'"):
            flush_seconds({})
    monkeypatch.delenv("HEADRACE_LISTENER_SECONDS")
    assert flush_seconds({}) == 10.0 and flush_seconds({"listener_seconds": 2}) == 2.0


def test_wrong_settings_refuse_a_run_before_it_begins(project: Any) -> None:
    project.write(FLOW)
    (project.folder / "pyproject.toml").write_text("[tool.headrace]\nlisteners = 3\n")
    with pytest.raises(ProjectError, match="listeners must be a list of names"):
        project.run()
    assert not (project.folder / ".headrace/runs").exists()


def test_a_listener_that_there_is_not(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LISTENERS", "mlflo")
    project.write(FLOW)
    assert project.run(inline=True).outcome == RunOutcome.SUCCEEDED
    assert warnings_of(project) == ["mlflo: There is no listener 'mlflo'.\nHint: did you mean 'mlflow'?"]


def test_a_listener_of_another_package_is_found_by_its_entry_point(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    point = SimpleNamespace(name="mine", load=lambda: partial(Told, events=told))
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "headrace.listeners" else [])
    (project.folder / "pyproject.toml").write_text('[tool.headrace]\nlisteners = ["mine"]\n')
    project.write(FLOW)
    assert project.run().outcome == RunOutcome.SUCCEEDED
    assert told == project.events


def test_a_missing_extra_is_one_warning_with_the_line_that_installs_it(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(info: RunInfo) -> Listener:
        raise ModuleNotFoundError("No module named 'opentelemetry'", name="opentelemetry")

    point = SimpleNamespace(name="otel", load=lambda: missing)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    project.write(FLOW)
    assert project.run().outcome == RunOutcome.SUCCEEDED
    assert warnings_of(project) == [
        "otel: is switched on by OTEL_EXPORTER_OTLP_ENDPOINT, but isn't installed (No module named 'opentelemetry'): "
        'python -m pip install "headrace[otel]"'
    ]


def test_no_entry_point_is_looked_at_while_nothing_is_switched_on(project: Any) -> None:
    import subprocess
    import sys

    project.write(FLOW)
    program = f"""
import sys, headrace
from headrace.engine.run import RunOptions
result = headrace.run("{project.module}.py:flow", store="s")
assert result.load() == 4
light = ("importlib.metadata", "opentelemetry", "openlineage", "smtplib", "prometheus_client", "headrace.integrations")
print([name for name in light if name in sys.modules])
"""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OPENLINEAGE", "HEADRACE_"))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project.folder, env=plain, capture_output=True, text=True, check=True
    )
    again = subprocess.run(
        [sys.executable, "-c", program], cwd=project.folder, env=plain, capture_output=True, text=True, check=True
    )
    assert "opentelemetry" not in done.stdout and "headrace.integrations" not in done.stdout
    assert again.stdout == "[]\n"


# --- secrets -------------------------------------------------------------------------------------------------------


def test_warnings_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_HEADERS", "authorization=Bearer 0123456789")
    text = "can't reach https://me:secret@host/path?token=secret (authorization=Bearer 0123456789), and why?"
    assert without_secrets(text, ("SOME_HEADERS",)) == "can't reach https://***@host/path?*** (***), and why?"
    error = RunError("no way to http://me:pw@x/", hint="try http://x/?a=b")
    assert listeners.describe("otel", error) == "no way to http://***@x/.\nHint: try http://x/?***"


def test_every_listener_that_comes_with_headrace_has_an_entry_point_and_its_extra() -> None:
    names = {point.name for point in metadata.entry_points(group="headrace.listeners")}
    assert names == set(SWITCHES)
    extras = set(metadata.metadata("headrace").get_all("Provides-Extra") or ())
    assert {switch.extra for switch in SWITCHES.values()} - {None} <= extras
    assert Switch().install == "python -m pip install headrace"
