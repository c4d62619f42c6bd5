"""Kubeflow Pipelines, as far as it runs without a cluster: the compiled YAML, carried out by `kfp.local`."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine import (
    BEGIN,
    FAILED,
    FINISH,
    NOT_STARTED,
    SECRET,
    SECRET_NAME,
    SUCCEEDED,
    Deployed,
    Ended,
)
from environments import python_of
from services import Service, wait_until

RUNNER = Path(__file__).with_name("kubeflow_local.py")
COLOUR = re.compile(r"\x1b\[\d+m")
JOB = re.compile(r'"job": "(\d+)"')
TRIED = re.compile(r"Executing task '(.+)'$", re.MULTILINE)
TASK_ENDED = re.compile(r"Task '(.+)' finished with status (\w+)$", re.MULTILINE)
RUN_ENDED = re.compile(r"Pipeline '.+' finished with status (\w+)", re.MULTILINE)
TRIED_AT = re.compile(r"^ *([\d:.]{12}) - \w+ - Executing task '(.+)'$", re.MULTILINE)
ENDED_AT = re.compile(r"^ *([\d:.]{12}) - \w+ - Task '(.+)' finished with status \w+$", re.MULTILINE)
STATES = {"SUCCESS": SUCCEEDED, "FAILURE": FAILED}


@dataclass(frozen=True)
class LocalRun:
    """A run of `kfp.local`: a process, and where the artifacts of Kubeflow's go."""

    service: Service
    root: Path

    @property
    def log(self) -> str:
        """What it has printed."""
        return COLOUR.sub("", self.service.log.read_text(encoding="utf-8", errors="replace"))


class KubeflowEngine:
    """`kfp.local`, with a process for each run. It has no service and no database, and what it shows is its log."""

    name = "kubeflow"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = python_of(self.name)
        self.runs: dict[str, LocalRun] = {}

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        for run in self.runs.values():
            run.service.stop()

    def compile_options(self) -> Sequence[str]:
        return ["--set", f"sdk_python={self.python}"]

    @property
    def services(self) -> list[Service]:
        """None that stays."""
        return []

    def deploy(self, deployed: Deployed) -> None:
        """There is nowhere to put it. What was written by hand isn't compiled yet."""
        if not package_of(deployed).is_file():
            subprocess.run([str(self.python), str(package_of(deployed).with_suffix(".py"))], check=True)

    def trigger(self, deployed: Deployed, parameters: Mapping[str, Any], date: str | None = None) -> str:
        given = arguments_of(deployed, parameters if date is None else {**parameters, "day": date})
        return self.trigger_as_it_is(deployed, given)

    def trigger_as_it_is(self, deployed: Deployed, given: Mapping[str, Any]) -> str:
        """Start a run with arguments by KFP's own names."""
        root = self.folder / f"run-{len(self.runs)}"
        root.mkdir()
        told = root / "given.json"
        told.write_text(json.dumps(given))
        command = [str(self.python), str(RUNNER), str(package_of(deployed)), str(root), str(told)]
        service = Service(root.name, command, self.folder, env={**os.environ, SECRET_NAME: SECRET})
        run = self.runs[root.name] = LocalRun(service, root)
        if "pipeline_job_uuid" not in package_of(deployed).read_text():
            return root.name
        wait_until(lambda: JOB.search(run.log), service, seconds=300)
        found = JOB.search(run.log)
        assert found is not None
        self.runs[found[1]] = run
        return found[1]

    def wait(self, deployed: Deployed, run: str, seconds: float = 800.0) -> Ended:
        local = self.runs[run]
        wait_until(lambda: local.service.process.poll() is not None, seconds=seconds)
        log, (nodes, parts) = local.log, nodes_of(deployed)
        word = RUN_ENDED.findall(log)[-1]
        words = {nodes[task]: how for task, how in TASK_ENDED.findall(log) if task in nodes}
        tries = [nodes[task] for task in TRIED.findall(log) if task in nodes]
        return Ended(
            state=STATES[word],
            word=word,
            tasks={node: STATES[words[node]] if node in words else NOT_STARTED for node in nodes.values()},
            words=words,
            n_tries={node: tries.count(node) for node in nodes.values()},
            n_parts=dict(Counter(parts[task] for task in TRIED.findall(log) if task in parts)),
        )

    def spans(self, deployed: Deployed, run: str) -> dict[str, tuple[datetime, datetime]]:
        """When each task began and ended. Those that aren't Headrace's are numbered, since their names are all one."""
        nodes, found = nodes_of(deployed)[0], {}
        log = self.runs[run].log
        ended = [(_moment(time), task) for time, task in ENDED_AT.findall(log)]
        for number, (time, task) in enumerate(TRIED_AT.findall(log)):
            end = next(moment for moment, name in ended if name == task and moment >= _moment(time))
            found[nodes.get(task, f"task-{number}")] = (_moment(time), end)
        return found

    def backfill(self, deployed: Deployed, first: str, last: str) -> list[str]:
        day, end, runs = Date.fromisoformat(first), Date.fromisoformat(last), []
        while day <= end:
            runs.append(self.trigger(deployed, {}, day.isoformat()))
            self.wait(deployed, runs[-1])
            day += timedelta(days=1)
        return runs

    def kill_worker(self, deployed: Deployed, run: str, node: str) -> None:
        component = next(task for task, known in nodes_of(deployed)[0].items() if known == node).replace("-", "_")
        self._kill(run, "kfp.dsl.executor_main", component)

    def kill_exec(self, run: str, node: str) -> None:
        """Kill the ``headrace exec`` of a node."""
        self._kill(run, "exec", node)

    def _kill(self, run: str, *words: str) -> None:
        for pid in _processes(self.runs[run].service.process.pid):
            if set(words) <= set(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")):
                os.kill(pid, signal.SIGKILL)
                return
        raise AssertionError(f"there is no process with {words}")

    def resume(self, deployed: Deployed, run: str, parameters: Mapping[str, Any]) -> str:
        """A failed local run is over: a new one finds what had ended."""
        return self.trigger(deployed, parameters)

    def texts(self, deployed: Deployed, run: str) -> Iterator[tuple[str, str]]:
        local = self.runs[run]
        yield "log", local.log
        for path in (*local.root.rglob("*"), *deployed.folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_text(encoding="utf-8", errors="replace")

    def database_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def package_of(deployed: Deployed) -> Path:
    """The YAML."""
    return next(deployed.folder.glob("*_pipeline.py")).with_suffix(".yaml")


def definition_of(deployed: Deployed) -> ast.Module:
    """The Python file that it was made from."""
    return ast.parse(package_of(deployed).with_suffix(".py").read_text())


def nodes_of(deployed: Deployed) -> tuple[dict[str, str], dict[str, str]]:
    """The nodes, by the names that KFP gives to their components; and by those of the components in a loop."""
    nodes, parts = {"begin": BEGIN, "finish": FINISH}, {}
    for function in definition_of(deployed).body:
        if not isinstance(function, ast.FunctionDef) or not function.decorator_list:
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "execute":
                words = [str(word.value) for word in call.args if isinstance(word, ast.Constant)]
                found = parts if "--items" in words else nodes
                found[function.name.replace("_", "-")] = words[0]
    return nodes, parts


def arguments_of(deployed: Deployed, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A run's arguments by KFP's own names, as docs/how-to/kubeflow.md says: what KFP would alter goes as JSON."""
    if not parameters:
        return {}
    names, kinds = _tables(deployed, "given"), _tables(deployed, "kinds")
    found: dict[str, Any] = {}
    altered: dict[str, Any] = {}
    for name, value in parameters.items():
        if kinds[name] == "json":
            found[names[name]] = _json(value)
        elif _is_kept(value):
            found[names[name]] = float(value) if kinds[name] == "float" else value
        else:
            altered[name] = value
    return {**found, "headrace_parameters": _json(altered)} if altered else found


def _is_kept(value: Any) -> bool:
    text = json.dumps(value)
    return "{{" not in text and "python3" not in text and not (isinstance(value, int) and abs(value) >= 2**53)


def _json(value: Any) -> str:
    return json.dumps(value).replace("{{", "{\\u007b").replace("python3", "python\\u0033")


def _tables(deployed: Deployed, name: str) -> dict[str, str]:
    """A table in the component that begins the run."""
    begin = next(item for item in definition_of(deployed).body if getattr(item, "name", "") == "begin")
    for item in ast.walk(begin):
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name) and item.targets[0].id == name:
            assert isinstance(item.value, ast.Dict)
            return {
                key.value: value.id if isinstance(value, ast.Name) else value.value
                for key, value in zip(item.value.keys, item.value.values, strict=True)
            }
    raise AssertionError(f"{name!r} isn't in the file")


def _moment(time: str) -> datetime:
    """The log says the time of day only."""
    return datetime.fromisoformat(f"2000-01-01T{time}")


def _processes(session: int) -> Iterator[int]:
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                if os.getsid(int(place.name)) == session:
                    yield int(place.name)
            except ProcessLookupError:
                continue
