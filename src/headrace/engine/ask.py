"""Questions to code that a plan names: is an effect in place, what pins an external. A user's is asked in a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headrace.core.artifact import Artifact
from headrace.core.context import RunContext, entered
from headrace.core.fit import MISSING
from headrace.core.names import find_named
from headrace.core.sample import Sample
from headrace.core.values import Json, decode
from headrace.engine.exchange import load_artifact
from headrace.engine.launch import ForkServers
from headrace.engine.prepare import describe_error, rebuild_error
from headrace.engine.target import Target, enter
from headrace.stores.open import open_store


class Asker:
    """Asks code by its import path: Headrace's own in this process, everybody else's in a worker.

    ``servers`` is None for an inline run, which holds the user's modules itself.
    """

    def __init__(self, target: Target, servers: ForkServers | None) -> None:
        self._target = target
        self._servers = servers

    def ask(self, question: str, asked: Mapping[str, Any], name: str) -> Json:
        """Put a question to what ``name`` leads to. Raises what answering it raised, as a `HeadraceError`."""
        request = {"question": question, "asked": dict(asked), "target": asdict(self._target), "name": name}
        if self._servers is None or name.startswith("headrace."):
            answer = _answer(request)
        else:
            answer = self._servers.get(1).call("headrace.engine.ask:answer_in_worker", request)
        if "error" in answer:
            raise rebuild_error(answer["error"])
        return answer["answer"]


def answer_in_worker(request: Mapping[str, Any]) -> dict[str, Json]:
    """Answer in a worker."""
    enter(Target.from_json(request["target"]))
    return _answer(request)


def _answer(request: Mapping[str, Any]) -> dict[str, Json]:
    try:
        return {"answer": QUESTIONS[request["question"]](request["asked"])}
    except Exception as error:  # noqa: BLE001 - it is the user's, and is raised where it was asked
        return {"error": describe_error(error, f"{request['name']!r} raised")}


def pin(asked: Mapping[str, Any]) -> Json:
    """What an external is now."""
    store = open_store(asked["store"])
    sample = None if asked["sample"] is None else Sample.from_json(asked["sample"])
    context = RunContext("", "", 0, 0, store, Path(asked["root"]), {}, lambda *_: None, sample=sample)
    with entered(context):
        return decode(asked["external"]).pin(store)


def key_part(asked: Mapping[str, Any]) -> Json:
    """What of an external's pin enters a node's key."""
    return decode(asked["external"]).key_part(asked["pin"], frozenset(asked["inputs"]))


def effect_is_in_place(asked: Mapping[str, Any]) -> bool:
    """Whether what a step did is still in place."""
    store = open_store(asked["store"])
    effect: Any = find_named(asked["effect"])
    arguments = {name: decode(tree) for name, tree in asked["arguments"].items()}
    loaded = {name: load_artifact(Artifact.from_json(item), MISSING, store) for name, item in asked["outputs"].items()}
    output = loaded["output"] if list(loaded) == ["output"] else loaded
    root, pins = Path(asked["root"]), asked["pins"]
    context = RunContext(asked["run_id"], asked["node"], 0, 0, store, root, pins, lambda *_: None)
    with entered(context):
        return bool(effect(arguments, output))


QUESTIONS = {"pin": pin, "key_part": key_part, "effect_is_in_place": effect_is_in_place}
