"""Pipeline 'flow', written by: headrace compile kubeflow flow:flow -o out --set sdk_python=/srv/kfp/bin/python (Headrace 0.1.0)

Compile it again rather than edit it. Plan 96d594ac4a1c86dd.
Where the KFP SDK is installed, this file makes the YAML beside it: python FILE
Its steps take secrets: TOKEN
"""

import pathlib

from kfp import compiler, dsl
from kfp.dsl import HTML, Artifact, Output


def headrace(started: str, job: str):
    """Headrace in the project's own environment, started from KFP's: each component holds this."""
    import hashlib
    import json
    import os
    import re
    import subprocess
    import sys
    import tempfile
    import threading
    from collections.abc import Callable
    from contextlib import suppress
    from datetime import datetime, timezone
    from pathlib import Path
    from typing import Any

    # fmt: off
    class Lost(Exception):
        """What executed the node was killed. It may be tried again: what had ended is found."""

    class Refused(Exception):
        """The node can't be begun: trying again gives the same."""

    class Headrace:
        """The project's command line, in the project's own environment."""

        def __init__(self, command: list[str], project: str, pipeline: str, store: str, shape: str, engine: str) -> None:
            self.command = command
            self.project = project
            self.pipeline = pipeline
            self.store = store
            self.shape = shape
            self.engine = engine

        @staticmethod
        def run_id(moment: datetime, engine_run: str) -> str:
            """The run's id in the store, which begins with its time: the same for all tasks of the engine's run."""
            utc = moment.astimezone(timezone.utc)
            digest = hashlib.sha256(engine_run.encode()).hexdigest()[:8]
            return f"{utc:%Y%m%d-%H%M%S}-{utc.microsecond // 1000:03d}-{digest}"

        def begin(
            self,
            run: str,
            engine_run: str,
            parameters: dict[str, Any],
            date: str | None = None,
            log: Callable[[str], Any] = print,
        ) -> dict[str, Any]:
            """Write down what the run begins with; done again, it changes nothing."""
            more = ["--begin", "--params", "-", "--shape", self.shape]
            more += ["--engine", self.engine, f"--engine-run={engine_run}"]
            more += [f"--date={date}"] if date is not None else []
            return self._facts([self.pipeline, *more], run, log, {}, json.dumps(parameters))

        def execute(
            self,
            run: str,
            node: str,
            *how: str,
            log: Callable[[str], Any] = print,
            secrets: dict[str, str] | None = None,
            values: tuple[str, ...] = (),
        ) -> dict[str, Any]:
            """Execute a node, or with ``how`` some items of it. Returns how it ended, and references to what it made.

            ``secrets``: variables for its environment alone. ``values``: outputs of which what they hold is returned too,
            where that is JSON and small, for the engine to show. A node that fails returns too: see ``"outcome"``.
            """
            shown = [f"--value={name}" for name in values]
            facts = self._facts([node, self.pipeline, *how, *shown], run, log, secrets or {})
            kept = ("node", "outcome", "attempt", "reason", "seconds")
            failure = facts.get("failure") or {}
            outputs = {
                name: {
                    "digest": artifact["digest"],
                    "format": artifact["format"],
                    "n_bytes": sum(file[2] for file in artifact["files"]),
                }
                for name, artifact in list((facts.get("outputs") or {}).items())[:100]
            }
            return {
                "run": run,
                **{key: facts.get(key) for key in kept},
                "message": str(failure.get("message", ""))[:2000],
                "outputs": outputs,
                "values": facts.get("values") or {},
            }

        def slices(self, run: str, node: str, log: Callable[[str], Any] = print) -> list[str]:
            """The tasks that the items of a node are, such as ``0:10``; none where it has ended already."""
            code, out = self._call([node, self.pipeline, "--slices"], run, log, {})
            if code != 0:
                return []  # it failed, and whoever collects the items says so
            return [str(item) for item in json.loads(out)]

        def finish(self, run: str, log: Callable[[str], Any] = print) -> dict[str, Any]:
            """Settle how the run ended, and return it: ``"outcome"`` is succeeded, rejected, failed or cancelled."""
            return self._facts([self.pipeline, "--finish"], run, log, {})

        def _facts(
            self, what: list[str], run: str, log: Callable[[str], Any], secrets: dict[str, str], given: str = ""
        ) -> dict[str, Any]:
            code, out = self._call([*what, "--json"], run, log, secrets, given)
            lines = out.strip().splitlines()
            facts: dict[str, Any] = json.loads(out if code == 2 else lines[-1]) if lines else {}
            if code == 2:
                error = facts.get("error") or {}
                raise Refused(f"{error.get('message', 'headrace exec could not begin')}. Hint: {error.get('hint')}")
            if not facts:
                raise Lost(f"headrace exec ended with exit code {code} before it could say how")
            return facts

        def _call(
            self, what: list[str], run: str, log: Callable[[str], Any], secrets: dict[str, str], given: str = ""
        ) -> tuple[int, str]:
            """Run ``headrace exec`` to its end, its log told line by line. Raises `Lost` where a signal ended it."""
            command = [*self.command, "exec", *what, "--run", run, "--store", self.store, "--with-parent", str(os.getpid())]
            # These are of the orchestrator's environment, and not of the project's.
            ours = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
            environment = {name: value for name, value in os.environ.items() if name not in ours}
            with subprocess.Popen(
                command,
                cwd=self.project,
                env={**environment, **secrets},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            ) as process:
                assert process.stdin is not None and process.stdout is not None
                teller = threading.Thread(target=self._tell, args=(process.stderr, log), daemon=True)
                teller.start()
                try:
                    with suppress(BrokenPipeError):  # it has ended without reading, and says why
                        process.stdin.write(given)
                        process.stdin.close()
                    out = process.stdout.read()
                    code = process.wait()
                except BaseException:  # the orchestrator cancels the task: the step goes with it
                    process.terminate()
                    try:
                        process.wait(30)
                    except subprocess.TimeoutExpired:
                        process.kill()
                    raise
                finally:
                    teller.join(10)
            if code < 0:
                raise Lost(f"headrace exec was killed by signal {-code}")
            return code, out

        @staticmethod
        def _tell(lines: Any, log: Callable[[str], Any]) -> None:
            for line in lines:
                log(line.rstrip("\n"))

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
            return datetime.fromisoformat(text + ("+00:00" if zone == "Z" else zone or "")).astimezone(timezone.utc)

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
            print(line, flush=True)
    # fmt: on

    place = Headrace(
        command=["/srv/flows/.venv/bin/python", "-m", "headrace"],
        project="/srv/flows",
        pipeline="flow:flow",
        store="/srv/flows/.headrace",
        shape="c7b431268245abad58c4dea60f1cbad487a264f4f654e998c28d96351a55e7bb",
        engine="kubeflow",
    )
    return Tasks(place, started, job, lost_retries=2)


COMPONENT = {"base_image": "python:3.11", "install_kfp_package": False}
COMPONENT["additional_funcs"] = [headrace]


@dsl.component(**COMPONENT)
def begin(
    started: str,
    job: str,
    day: str,
    n: int,
    share: float,
    name: str,
    words: list,
    kind: str,
    data: str,
    limit: str,
    weights: str,
    is_on: bool,
    headrace_parameters: str,
) -> str:
    """Begin the run: its parameters, its plan and what it reads are written down, once."""
    given = {
        "day": day,
        "n": n,
        "share": share,
        "name": name,
        "words": words,
        "kind": kind,
        "data": data,
        "limit": limit,
        "weights": weights,
        "is_on": is_on,
    }
    kinds = {
        "day": "str",
        "n": "int",
        "share": "float",
        "name": "str",
        "words": "list of str",
        "kind": "str",
        "data": "str",
        "limit": "json",
        "weights": "json",
        "is_on": "bool",
    }
    return headrace(started, job).begin(given, kinds, headrace_parameters)


@dsl.component(**COMPONENT)
def numbers(started: str, job: str, output: Output[Artifact]) -> str:
    """Step numbers, flow.py:17."""
    outputs = {"output": output}
    return headrace(started, job).execute("numbers", outputs)


@dsl.component(**COMPONENT)
def double_slices(started: str, job: str) -> list:
    """Say into which tasks the items of double go."""
    return headrace(started, job).slices("double")


@dsl.component(**COMPONENT)
def double_items(started: str, job: str, items: str) -> str:
    """Step double, flow.py:22: some items."""
    return headrace(started, job).execute("double", {}, "--items", items)


@dsl.component(**COMPONENT)
def double(started: str, job: str, output: Output[Artifact]) -> str:
    """What the items of step double made, as lists."""
    outputs = {"output": output}
    return headrace(started, job).execute("double", outputs, "--collect")


@dsl.component(**COMPONENT)
def judge(started: str, job: str, passed: Output[Artifact], score: Output[Artifact]) -> str:
    """Step judge, flow.py:27."""
    outputs = {"passed": passed, "score": score}
    return headrace(started, job).execute("judge", outputs)


@dsl.component(**COMPONENT)
def keep(started: str, job: str, output: Output[Artifact]) -> str:
    """Step keep, flow.py:32."""
    outputs = {"output": output}
    return headrace(started, job).execute("keep", outputs)


@dsl.component(**COMPONENT)
def inner_keep(started: str, job: str, output: Output[Artifact]) -> str:
    """Step keep, flow.py:32."""
    outputs = {"output": output}
    return headrace(started, job).execute("inner.keep", outputs)


@dsl.component(**COMPONENT)
def finish(started: str, job: str, status: dsl.PipelineTaskFinalStatus, report: Output[HTML]):
    """Settle how the run ended, whatever became of its tasks; a rejection is failed here."""
    print("Kubeflow Pipelines says:", status.state)
    headrace(started, job).finish(report)


def settled(task, *after):
    """What was made is found by Headrace, not by KFP."""
    return task.after(*after).set_caching_options(False)


@dsl.pipeline(name="flow", description="Double numbers.")
def flow(
    day: str,
    n: int = 3,
    share: float = 0.5,
    name: str = "plain",
    words: list = ["a", "b"],
    kind: str = "one",
    data: str = "data/rows.csv",
    limit: str = "null",
    weights: str = "null",
    is_on: bool = True,
    headrace_parameters: str = "{}",
):
    """flow."""
    run = {"started": dsl.PIPELINE_JOB_NAME_PLACEHOLDER, "job": dsl.PIPELINE_JOB_ID_PLACEHOLDER}
    with dsl.ExitHandler(finish(**run).set_caching_options(False), name="steps"):
        begin_task = settled(
            begin(
                **run,
                day=day,
                n=n,
                share=share,
                name=name,
                words=words,
                kind=kind,
                data=data,
                limit=limit,
                weights=weights,
                is_on=is_on,
                headrace_parameters=headrace_parameters,
            )
        )
        numbers_task = settled(numbers(**run), begin_task)
        double_slices_task = settled(double_slices(**run), numbers_task)
        with dsl.ParallelFor(double_slices_task.output, name="double-items") as items:
            double_items_task = settled(double_items(**run, items=items))
            double_items_task.set_cpu_request("2").set_cpu_limit("2")
        double_task = settled(double(**run), double_items_task)
        judge_task = settled(judge(**run), double_task)
        settled(keep(**run), double_task, judge_task)
        inner_keep_task = settled(inner_keep(**run), double_task)
        inner_keep_task.set_display_name("inner.keep")


if __name__ == "__main__":
    compiler.Compiler().compile(flow, str(pathlib.Path(__file__).with_suffix(".yaml")))
