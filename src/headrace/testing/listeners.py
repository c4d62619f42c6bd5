"""What every listener must do, as tests.

>>> class TestMine(ListenerContract):  # doctest: +SKIP
...     @classmethod
...     def open_listener(cls, info):
...         return Mine(info)

pytest collects the subclass and runs the promises of `headrace.engine.listeners.Listener` on the stories of real runs:
one that succeeded, one of hits, one that was rejected, one that failed after a retry, and one of a single node as an
orchestrator has it carried out. Each case is a method ``test_…`` that can be called without pytest too;
`ListenerContract.cases` names them all, so that a suite can prove that none was lost.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from headrace.engine.events import Event, NodeEnded, NodeStarted, Warned
from headrace.engine.listeners import Listener, Opener, RunInfo
from headrace.engine.records import NodeResult
from headrace.engine.run import RunOptions, RunResult, run
from headrace.engine.view import RunView
from headrace.testing.whole import check_whole

FLOW = '''
from typing import NamedTuple

from headrace import TransientError, pipeline, progress, step


class Verdict(NamedTuple):
    """What the gate says."""

    __headrace_gate__ = "passed"

    passed: bool
    reasons: list[dict[str, object]]


@step
def ingest(n: int) -> list[int]:
    print("reading", n, "rows")
    progress(n, n, "rows")
    return list(range(n))


@step(retries=1, backoff_seconds=0.01)
def train(rows: list[int], error: str) -> float:
    print("training on", len(rows), "rows")
    if error:
        raise TransientError(error)
    return sum(rows) / len(rows)


@step
def gate(score: float, least: float) -> Verdict:
    return Verdict(score >= least, [{"rule": f"score >= {least}", "passed": score >= least, "value": score}])


@step
def register(score: float) -> str:
    return f"version with {score}"


@pipeline
def listened(n: int = 5, error: str = "", least: float = 1.0):
    score = train(ingest(n), error)
    verdict = gate(score, least)
    return register.options(when=verdict.passed)(score)
'''
STORIES: Mapping[str, Mapping[str, object]] = {
    "succeeded": {},
    "hits": {},
    "rejected": {"least": 7.0},
    "failed": {"error": "the disk is on fire"},
}


@dataclass(frozen=True)
class Story:
    """What was told of a run."""

    name: str
    info: RunInfo
    events: tuple[Event, ...]


class ListenerContract:
    """The promises of a listener. A subclass gives `open_listener`."""

    @classmethod
    def open_listener(cls, info: RunInfo) -> Listener:
        """Open the listener for a run, as its entry point does."""
        raise NotImplementedError

    @classmethod
    def cases(cls) -> tuple[str, ...]:
        """Name every case of the contract."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    def test_every_story_is_taken(self) -> None:
        """It takes every story to its end."""
        for story in stories():
            self._tell(story, len(story.events))

    def test_a_story_may_be_cut_short(self) -> None:
        """It may be closed at any moment: a run that is killed tells no end."""
        for story in stories():
            for n_told in range(len(story.events)):
                self._tell(story, n_told)

    def test_a_pause_changes_nothing(self) -> None:
        """Idle moments may come before, between and after the events."""
        for story in stories():
            self._tell(story, len(story.events), between=lambda listener: listener.idle())

    def test_other_kinds_are_passed_over(self) -> None:
        """An event of a kind that it doesn't know is passed over."""
        listener = self.open_listener(stories()[0].info)
        listener(_Later())  # type: ignore[arg-type]
        listener(Warned("another", "something went wrong"))
        listener.close()

    def test_the_process_is_left_alone(self) -> None:
        """The environment, the folder, standard output, and the threads are as before."""
        before = _process()
        written = StringIO()
        streams, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), written, written
        try:
            for story in stories():
                self._tell(story, len(story.events))
        finally:
            sys.stdout, sys.stderr = streams
        assert written.getvalue() == "", f"it printed {written.getvalue()!r}"
        assert _process() == before

    def test_the_store_is_left_alone(self) -> None:
        """Nothing in the store is added, changed or removed."""
        store = stories()[0].info.store
        before = _content(store)
        for story in stories():
            self._tell(story, len(story.events))
        assert _content(store) == before
        check_whole(store)

    def test_a_run_goes_as_without_it(self) -> None:
        """A run that is listened to ends alike, makes the same, and has no warning."""
        for story in stories()[:4]:
            parameters = STORIES[story.name]
            folder = Path(tempfile.mkdtemp())
            try:
                result, events = _run(folder, parameters, self.open_listener)
                assert [event.message for event in events if isinstance(event, Warned)] == []
                assert _ends(result.nodes) == _ends(_view(story).results), story.name
            finally:
                shutil.rmtree(folder)

    def _tell(self, story: Story, n_told: int, between: Callable[[Listener], object] = lambda listener: None) -> None:
        listener = self.open_listener(story.info)
        between(listener)
        for event in story.events[:n_told]:
            listener(event)
            between(listener)
        listener.close()


@dataclass(frozen=True)
class _Later:
    """An event of a kind that is added later."""

    what: str = "something new"


@cache
def stories() -> Sequence[Story]:
    """The stories of real runs, carried out once in a process, in a folder that is removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-stories-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    told = []
    for name, parameters in STORIES.items():
        result, events = _run(folder, parameters)
        view = RunView.read(result.store, result.run_id)
        info = RunInfo(result.run_id, view.plan.pipeline, result.store, view.plan, folder, {})
        told.append(Story(name, info, tuple(events)))
    first = told[0]
    own = [event for event in first.events if isinstance(event, NodeStarted | NodeEnded) and event.node == "train"]
    return (*told, Story("one node", replace(first.info, node="train"), tuple(own)))


def _run(folder: Path, parameters: Mapping[str, object], *listeners: Opener) -> tuple[RunResult, list[Event]]:
    (folder / "pyproject.toml").write_text('[project]\nname = "listened"\n')
    (folder / "listened.py").write_text(FLOW)
    events: list[Event] = []
    options = RunOptions(display=events.append, listeners=listeners)
    result = run("listened.py:listened", parameters, store=folder / ".headrace", folder=folder, options=options)
    return result, events


def _ends(nodes: Mapping[str, NodeResult]) -> Mapping[str, Any]:
    """How nodes ended, a hit being as good as an execution, and what they made."""
    return {
        node: (item.outcome.is_good or item.outcome, [artifact.digest for artifact in item.outputs.values()])
        for node, item in nodes.items()
    }


def _view(story: Story) -> RunView:
    return RunView.read(story.info.store, story.info.run_id)


def _process() -> tuple[Any, ...]:
    threads = {thread for thread in threading.enumerate() if not thread.daemon and thread.is_alive()}
    return dict(os.environ), Path.cwd(), threads


def _content(store: Any) -> tuple[Any, ...]:
    return sorted(store.list_objects()), {name: store.read_record(name) for name in store.list_records()}
