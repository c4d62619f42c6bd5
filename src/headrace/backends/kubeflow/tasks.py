"""What the components of a compiled pipeline do.

`Tasks` stands in the file that is written, beside `headrace.backends.launcher.Headrace`, so it is Python 3.9, and needs
the standard library alone. In an image it is imported (`headrace.backends.kubeflow.container`).
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from headrace.backends.launcher import Headrace, Lost, Refused

IMPORTS = ("import re", "import sys", "import tempfile", "from pathlib import Path")
"""What the class imports beside what the launcher does."""


class Tasks:
    """What the components do in one run of Kubeflow Pipelines.

    ``started`` is when that was created, as Kubeflow says it: the time, or a name that ends in the local time.
    ``job`` is its id. ``lost_retries``: how often a step is begun again whose process was killed.
    """

    def __init__(self, headrace: Headrace, started: str, job: str, lost_retries: int = 0) -> None:
        self.headrace = headrace
        self.job = job
        self.lost_retries = lost_retries
        created = started.split("/")[0]  # in a loop, kfp.local goes on with the loop's name
        self.run = headrace.run_id(self._moment(created), f"{created} {job}")

    @staticmethod
    def _moment(started: str) -> datetime:
        pattern = r"(\d{4}-\d\d-\d\d)[T-](\d\d)[:-](\d\d)[:-](\d\d)(?:[.-](\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)?$"
        found = re.search(pattern, started)
        if found is None:
            raise Refused(f"Kubeflow Pipelines says no time at which the run was created, but {started!r}")
        date, hour, minute, second, fraction, zone = found.groups()
        text = f"{date}T{hour}:{minute}:{second}.{(fraction or '0').ljust(6, '0')}"
        return datetime.fromisoformat(text + ("+00:00" if zone == "Z" else zone or "")).astimezone(timezone.utc)  # noqa: UP017

    def begin(self, given: dict[str, Any], kinds: dict[str, str], more: str) -> str:
        """Write down what the run begins with. ``more``: parameters that Kubeflow would alter, as a JSON object."""
        parameters = {name: self._exact(name, value, kinds[name]) for name, value in given.items()}
        parameters.update(self._read("headrace_parameters", more or "{}"))
        facts = self.headrace.begin(self.run, self.job, parameters, log=self._log)
        self._log(f"run {self.run} of {facts['pipeline']!r} in {facts['store']}")
        return self.run

    def _exact(self, name: str, value: Any, kind: str) -> Any:
        """A parameter as it was given: Kubeflow hands on each number as a float, and what it has no type for as JSON.

        Raises `Refused` for a whole number that may have lost digits.
        """
        if kind == "json":
            return self._read(name, value)
        if kind.startswith("list of "):
            return [self._exact(name, item, kind[8:]) for item in value]
        if kind == "int" and isinstance(value, (int, float)) and value == int(value):
            if abs(value) >= 2**53:
                hint = "give it in headrace_parameters"
                raise Refused(f"Kubeflow rounds whole numbers from 2**53 on, so parameter {name!r} can't be: {hint}")
            return int(value)
        return float(value) if kind == "float" and isinstance(value, int) else value

    @staticmethod
    def _read(name: str, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refused(f"Parameter {name!r} must be JSON, but got {text!r}: {error}") from None

    def execute(self, node: str, outputs: dict[str, Any], *how: str) -> str:
        """Execute a node, or with ``how`` some items of it; say by reference what it made, in KFP's artifacts too."""
        done = self._executed(node, *how)
        for name, artifact in outputs.items():
            self._refer(name, artifact, done)
        is_item = "--items" in how  # who collects the items says that the node failed
        if done["outcome"] not in ("succeeded", "cached", "skipped") and not is_item:
            sys.exit(f"{node}: {done['outcome']}: {done['message']}")
        return json.dumps(done)

    def _executed(self, node: str, *how: str) -> dict[str, Any]:
        """Execute a node, again where that was lost; but not what has failed, should Kubeflow try that again."""
        for _ in range(self.lost_retries):
            try:
                return self.headrace.execute(self.run, node, "--once", *how, log=self._log)
            except Lost as lost:
                self._log(f"{lost}: once more")
        return self.headrace.execute(self.run, node, "--once", *how, log=self._log)

    def _refer(self, name: str, artifact: Any, done: dict[str, Any]) -> None:
        """Let an artifact of Kubeflow's point at the record of what was made: the data stays in the store."""
        node, made = done["node"], done["outputs"].get(name, {})
        record = f"runs/{self.run}/nodes/{node}.{done['attempt']}.json#{name}"
        store = self.headrace.store
        # By another scheme than s3:// and the like: what Kubeflow knows, it would copy to its own bucket.
        artifact.uri = f"file://{store}/{record}" if store.startswith("/") else f"headrace+{store}/{record}"
        artifact.metadata.update({"run": self.run, "node": node, "output": name, "outcome": done["outcome"], **made})
        if made and type(artifact).__name__ == "Metrics":
            artifact.metadata.update(self._metrics(f"{node}.{name}"))

    def _metrics(self, output: str) -> dict[str, float]:
        """The numbers of an evaluation."""
        with tempfile.TemporaryDirectory() as folder:
            self._show("--save", output, f"{folder}/evaluation.json")
            evaluation = json.loads(Path(folder, "evaluation.json").read_text(encoding="utf-8"))["fields"]
        return {name: value for name, value in evaluation["metrics"].items() if isinstance(value, (int, float))}

    def slices(self, node: str) -> list[str]:
        """The tasks that the items of a node are."""
        return self.headrace.slices(self.run, node, log=self._log)

    def finish(self, report: Any) -> None:
        """Settle how the run ended, and show its report. Fails unless it succeeded: none else tells a rejection."""
        end = self.headrace.finish(self.run, log=self._log)
        place = self._show("--report").strip()
        page = Path(self.headrace.project, place).read_text(encoding="utf-8")
        Path(report.path).write_text(page, encoding="utf-8")
        report.metadata.update({"run": self.run, "outcome": end["outcome"], **(end["counts"] or {})})
        self._log(f"run {self.run}: {end['outcome']}")
        if end["outcome"] != "succeeded":
            by = f" by {', '.join(end['rejected_by'])}" if end["rejected_by"] else ""
            sys.exit(f"{end['outcome']}{by}")

    def _show(self, *what: str) -> str:
        command = [*self.headrace.command, "show", self.run, *what, "--store", self.headrace.store]
        ours = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        done = subprocess.run(
            command,
            cwd=self.headrace.project,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode != 0:
            self._log(done.stderr.rstrip())
            sys.exit(done.returncode)
        return done.stdout

    @staticmethod
    def _log(line: str) -> None:
        print(line, flush=True)  # noqa: T201


def tasks_source() -> str:
    """The class as it stands in the file that is written."""
    return re.sub(r"  # noqa: \w+", "", inspect.getsource(Tasks))
