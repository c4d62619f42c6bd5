"""Carry out the commands of a compiled workflow as plain processes, one after another.

This tests our commands, and not Argo: what Argo does with its YAML is done here by hand, as its documentation has it,
and only what our files use. Values are put in place of tags as text in the template's JSON, again in what was put in;
``$(NAME)`` is expanded in words and variables, as Kubernetes does; files are handed in and read out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from headrace.backends.argo.lint.expressions import DEPENDS, EXPRESSION

TAG = re.compile(r"\{\{([^{}]+)\}\}")
WORDS = {"&&": " and ", "||": " or "}


@dataclass(frozen=True)
class Ran:
    """A container that has ended."""

    code: int
    out: str
    err: str
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        return "Succeeded" if self.code == 0 else "Failed"


@dataclass
class Cluster:
    """A compiled workflow, the machine's own folders in place of the containers', and what has ended."""

    folder: Path
    project: Path
    scratch: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    number: int = 0

    def trees(self) -> dict[str, Any]:
        return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(self.folder.glob("*.yaml"))}

    def submit(self, parameters: Mapping[str, str], file: str = "workflow") -> Workflow:
        """A workflow of the template, as ``workflow.yaml`` or the schedule has it, and with these parameters' texts."""
        trees = self.trees()
        spec = trees[file]["spec"]
        given = (spec.get("workflowSpec", spec).get("arguments") or {}).get("parameters", [])
        self.number += 1
        return Workflow(
            self,
            trees["workflow-template"],
            {item["name"]: item["value"] for item in given} | dict(parameters),
            f"{self.number:08d}-0000-4000-8000-000000000000",
        )


@dataclass
class Workflow:
    """One run of it."""

    cluster: Cluster
    template: Any
    given: Mapping[str, str]
    uid: str
    ran: dict[str, list[Ran]] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.templates = {item["name"]: item for item in self.template["spec"]["templates"]}
        parameters = (self.template["spec"].get("arguments") or {}).get("parameters", [])
        values = {item["name"]: item["value"] for item in parameters if "value" in item} | dict(self.given)
        date, clock = ("2026", "11", "22"), ("15", "46", "39")
        self.values = {f"workflow.parameters.{name}": text for name, text in values.items()}
        self.values |= {f"workflow.creationTimestamp.{k}": v for k, v in zip("YmdHMS", date + clock, strict=True)}
        self.values |= {"workflow.uid": self.uid, "workflow.name": f"run-{self.uid[:8]}"}
        self.values |= {"workflow.scheduledTime": "2026-03-28T23:30:00Z"}
        self.id = f"20261122-154639-{self.uid}"

    def run(self) -> Ran:
        """Every task whose turn comes, and the exit handler."""
        for task in self.templates["main"]["dag"]["tasks"]:
            self.phases[task["name"]] = self._phase(task)
        return self.container("finish", {})

    def _phase(self, task: Any) -> str:
        if "depends" in task and not is_met(task["depends"], self.phases):
            return "Omitted"
        given = {item["name"]: item["value"] for item in task["arguments"]["parameters"]} if "arguments" in task else {}
        items = json.loads(self._put(task["withParam"])) if "withParam" in task else [None]
        if not items:
            return "Skipped"
        self.ran[task["name"]] = [
            self.container(
                task["template"], {name: text.replace("{{item}}", str(item)) for name, text in given.items()}
            )
            for item in items
        ]
        last = self.ran[task["name"]][-1]
        self.values[f"tasks.{task['name']}.outputs.result"] = last.out.strip()
        return "Succeeded" if all(ran.code == 0 for ran in self.ran[task["name"]]) else "Failed"

    def container(self, name: str, inputs: Mapping[str, str]) -> Ran:
        """Start a template's container, and wait for its end."""
        own = {f"inputs.parameters.{key}": text for key, text in inputs.items()}
        template = self._put(self.templates[name], own)
        place = self.cluster.scratch / f"{self.uid[:8]}-{name}-{len(list(self.cluster.scratch.iterdir()))}"
        place.mkdir(parents=True)
        container = template["container"]
        variables = {item["name"]: self._variable(item) for item in container.get("env", [])}
        words = [expanded(word, variables) for word in container.get("args", [])]
        for artifact in template.get("inputs", {}).get("artifacts", []):
            path = place / "in.json"
            path.write_text(in_the_pods_variable(artifact["raw"]["data"], variables))
            words = [str(path) if word == artifact["path"] else word for word in words]
        words = [str(place / "left") if word == "/tmp/headrace" else word for word in words]
        assert container["command"] == ["python", "-m", "headrace"]
        done = subprocess.run(
            [sys.executable, "-m", "headrace", *words],
            cwd=self.cluster.project,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        outputs = {}
        for item in template.get("outputs", {}).get("parameters", []):
            path = place / "left" / Path(item["valueFrom"]["path"]).name
            outputs[item["name"]] = path.read_text() if path.exists() else item["valueFrom"]["default"]
        return Ran(done.returncode, done.stdout, done.stderr, outputs)

    def outcome(self, task: str) -> str:
        """The output parameter that a task is shown with."""
        return self.ran[task][0].outputs["outcome"]

    def _put(self, tree: Any, own: Mapping[str, str] | None = None) -> Any:
        """Put values in place of the tags, as text in the tree's JSON, three times over; what has none stays."""
        values = {**self.values, **(own or {})}
        text = json.dumps(tree)
        for _ in range(3):
            text = TAG.sub(lambda tag: in_quotes(values[tag[1]]) if tag[1] in values else tag[0], text)
        return json.loads(text)

    def _variable(self, item: Any) -> str:
        if "value" in item:
            return expanded(item["value"], {})
        key = item["valueFrom"]["secretKeyRef"]
        return self.cluster.secrets[f"{key['name']}/{key['key']}"]


def in_quotes(text: str) -> str:
    """A text as Go's ``strconv.Quote`` writes it, without the quotes: not for every character is that JSON."""
    odd = {"\a": "\\a", "\v": "\\v", "\x00": "\\x00", "\x1b": "\\x1b", "\x7f": "\\x7f"}
    return "".join(odd.get(letter, json.dumps(letter, ensure_ascii=False)[1:-1]) for letter in text)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A word or a variable as Kubernetes expands it: ``$(NAME)`` where there is that variable, ``$$`` is one ``$``."""
    return re.sub(
        r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else variables.get(found[1], found[0]), text
    )


def in_the_pods_variable(text: str, variables: Mapping[str, str]) -> str:
    """A raw artifact on its way in the variable that hands the template to the pod, which is expanded too."""
    return expanded(text, {**variables, "PATH": "/evaluated", "POD_NAME": "evaluated"})


def is_met(depends: str, phases: Mapping[str, str]) -> bool:
    """Whether a task's turn has come."""
    pieces = []
    for kind, piece in DEPENDS.tokens(depends):
        name, _, result = piece.partition(".")
        wanted = (result.replace("Errored", "Error"),) if result else ("Succeeded", "Skipped", "Daemoned")
        pieces.append(WORDS.get(piece, piece) if kind != "operand" else str(phases[name] in wanted))
    return bool(eval("".join(pieces), {}))


def would_retry(expression: str, code: int, status: str) -> bool:
    """What the condition of a retry says of a pod that has ended."""
    values = {"lastRetry.status": repr(status), "lastRetry.exitCode": repr(str(code)), "asInt": "int"}
    pieces = [WORDS.get(piece, values.get(piece, piece)) for _, piece in EXPRESSION.tokens(expression)]
    return bool(eval(" ".join(pieces), {"int": int}))
