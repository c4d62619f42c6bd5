"""What a component does in a container image: `python -m headrace.backends.kubeflow.container`.

Kubeflow tells a component what it gets, and where what it makes goes, as a JSON text, the *executor input*; what it
made is written to a file that is named there. That is how the SDK's own Python components work, which would need the
SDK in the image.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.backends.kubeflow.tasks import Tasks
from headrace.backends.launcher import Headrace


class Artifact:
    """An artifact of Kubeflow's that a component is to make."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.name = told["name"]
        self.uri = told["uri"]
        self.metadata: dict[str, Any] = dict(told.get("metadata") or {})

    @property
    def path(self) -> str:
        """Where its file goes, for Kubeflow to copy it to the URI."""
        scheme, _, rest = self.uri.partition("://")
        return f"/{scheme}/{rest}" if rest else self.uri

    def to_json(self) -> dict[str, Any]:
        """What Kubeflow is told."""
        return {"artifacts": [{"name": self.name, "uri": self.uri, "metadata": self.metadata}]}


class Metrics(Artifact):
    """One whose metadata are an evaluation's numbers."""


def main(given: Sequence[str]) -> int:
    """Do what a component is for: ``begin``, ``execute``, ``slices``, ``items`` or ``finish``."""
    told, executor_input = map(json.loads, given)
    values = executor_input.get("inputs", {}).get("parameterValues", {})
    wanted = executor_input["outputs"]
    artifacts = {name: _artifact(item["artifacts"][0]) for name, item in wanted.get("artifacts", {}).items()}
    tasks = Tasks(Headrace(**told["place"]), values["started"], values["job"], told["lost_retries"])
    made = _carry_out(tasks, told, values, artifacts)
    done = {
        "parameterValues": dict.fromkeys(wanted.get("parameters", {}), made),
        "artifacts": {name: artifact.to_json() for name, artifact in artifacts.items()},
    }
    path = Path(wanted["outputFile"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(done), encoding="utf-8")
    return 0


def _artifact(told: dict[str, Any]) -> Artifact:
    return (Metrics if told.get("type", {}).get("schemaTitle") == "system.Metrics" else Artifact)(told)


def _carry_out(
    tasks: Tasks, told: dict[str, Any], values: dict[str, Any], artifacts: dict[str, Artifact]
) -> str | list[str] | None:
    what = told["what"]
    if what == "begin":
        given = {name: values[own] for name, own in told["given"].items() if own in values}
        return tasks.begin(given, told["kinds"], values.get("headrace_parameters", ""))
    if what == "slices":
        return tasks.slices(told["node"])
    if what == "items":
        return tasks.execute(told["node"], {}, "--items", values["items"])
    if what == "finish":
        tasks.finish(artifacts["report"])
        return None
    outputs = {name: artifacts[own] for name, own in told["outputs"].items()}
    return tasks.execute(told["node"], outputs, *told["how"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
