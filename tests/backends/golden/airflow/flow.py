# Pipeline 'flow', written by: headrace compile airflow flow:flow -o out (Headrace 0.1.0)
# Compile it again rather than edit it. Plan 96d594ac4a1c86dd.

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.sdk import (
    DAG,
    Asset,
    BaseOperator,
    BaseOperatorLink,
    Connection,
    Context,
    CronTriggerTimetable,
    Param,
    TaskGroup,
    TriggerRule,
    Variable,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException


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


class Link(BaseOperatorLink):
    """A link of each task to a page elsewhere, such as a tracker's."""

    def __init__(self, title: str, address: str) -> None:
        self.title = title
        self.address = address

    @property
    def name(self) -> str:
        """What the button says."""
        return self.title

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address."""
        return f"_link_{self.title}"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address for one task of one run."""
        places = {"{run}": operator.headrace_run, "{node}": operator.task_id, "{pipeline}": ti_key.dag_id}
        address = self.address
        for place, value in places.items():
            address = address.replace(place, quote(value, safe=""))
        return address


HEADRACE = Headrace(
    command=["/srv/flows/.venv/bin/python", "-m", "headrace"],
    project="/srv/flows",
    pipeline="flow:flow",
    store="/srv/flows/.headrace",
    shape="c7b431268245abad58c4dea60f1cbad487a264f4f654e998c28d96351a55e7bb",
    engine="airflow",
)
LINKS = ()
SECRETS = {}
DATE = "day"
IS_TIME = False
TIMEZONE = "Europe/Zurich"
MAKES_REPORT = False


class Task(BaseOperator):
    """A call of `headrace exec`. The store holds what comes of it, and only references come back."""

    ui_color = "#e8f1f8"
    operator_extra_links = LINKS
    headrace_run = ""

    def execute(self, context: Context) -> Any:
        """Do the task's work in the run that belongs to this DAG run. What is refused isn't tried again."""
        run = context["dag_run"]
        self.headrace_run = Headrace.run_id(run.run_after, f"{run.dag_id}/{run.run_id}")
        try:
            return self.work(context)
        except Refused as refused:
            raise AirflowFailException(str(refused)) from None

    def work(self, context: Context) -> Any:
        """What this kind of task does."""
        raise NotImplementedError

    def on_kill(self) -> None:
        """Airflow ends the task, and the step ends with it."""
        super().on_kill()
        raise Lost("Airflow ended the task")


class Begin(Task):
    """Writes down the run's parameters, its date, and the state of external data, once."""

    def work(self, context: Context) -> Any:
        """Begin the run; done again, it changes nothing."""
        run = context["dag_run"]
        parameters = dict(context["params"])
        date = None
        if DATE and parameters.get(DATE) is None:
            parameters.pop(DATE, None)
            moment = (run.logical_date or run.run_after).astimezone(ZoneInfo(TIMEZONE))
            date = moment.isoformat() if IS_TIME else moment.date().isoformat()
        self.log.info("This is run %s of the store %s", self.headrace_run, HEADRACE.store)
        return HEADRACE.begin(self.headrace_run, f"{run.dag_id}/{run.run_id}", parameters, date, log=self.log.info)


class Step(Task):
    """One node of the plan."""

    how: tuple[str, ...] = ()

    def __init__(self, *, node: str, secret_names: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.node = node
        self.secret_names = tuple(secret_names)

    def work(self, context: Context) -> Any:
        """Execute the node. Headrace has tried again what may pass, so a failure is one for good."""
        values = {name: secret_from(SECRETS[name]) for name in self.secret_names if name in SECRETS}
        facts = HEADRACE.execute(self.headrace_run, self.node, *self.how, log=self.log.info, secrets=values)
        if facts["outcome"] == "skipped":
            raise AirflowSkipException(facts["reason"] or "skipped")
        if facts["outcome"] not in ("succeeded", "cached"):
            raise AirflowFailException(f"{self.node}: {facts['outcome']}. {facts['message'] or facts['reason'] or ''}")
        for asset in self.outlets:
            artifact = facts["outputs"].get(asset.extra.get("output"), {})
            context["outlet_events"][asset].extra = {"run": self.headrace_run, "outcome": facts["outcome"], **artifact}
        return facts


class Slices(Step):
    """Says into which tasks the items of a mapped node go."""

    def work(self, context: Context) -> Any:
        """The slices, such as `0:10`; none where the node needs no work of its items."""
        return HEADRACE.slices(self.headrace_run, self.node, log=self.log.info)


class Items(Step):
    """Carries out some items of a mapped node."""

    def __init__(self, *, items: str, **options: Any) -> None:
        super().__init__(**options)
        self.items = items

    def work(self, context: Context) -> Any:
        """Execute the items of one slice."""
        self.how = ("--items", self.items)
        return super().work(context)


class Collect(Step):
    """Ends a mapped node, whatever became of its items."""

    how = ("--collect",)


class Finish(Task):
    """Ends the run. It fails where the run failed, or where a gate rejected it."""

    def work(self, context: Context) -> Any:
        """Settle how the run ended, and make its report where one is wanted."""
        facts = HEADRACE.finish(self.headrace_run, log=self.log.info)
        context["ti"].xcom_push(key="outcome", value=facts["outcome"])
        if MAKES_REPORT:
            self.make_report(context)
        if facts["outcome"] == "rejected":
            raise AirflowFailException(f"Rejected by {', '.join(facts['rejected_by'])}")
        if facts["outcome"] != "succeeded":
            raise AirflowFailException(f"The run has ended: {facts['outcome']}. {', '.join(facts['failed'])}")
        return {key: facts[key] for key in ("run", "outcome", "seconds", "counts")}

    def make_report(self, context: Context) -> None:
        """Write the run's page beside its records. A run is none the worse for having no page."""
        words = ["show", self.headrace_run, "--report", "--store", HEADRACE.store]
        done = subprocess.run(
            [*HEADRACE.command, *words], cwd=HEADRACE.project, capture_output=True, text=True, check=False
        )
        self.log.info("Report: %s", done.stdout.strip() or done.stderr.strip())
        if done.returncode == 0:
            context["ti"].xcom_push(key="report", value=done.stdout.strip())


def secret_from(source: str) -> str:
    """A secret's value: `variable:NAME`, the URI of `connection:ID`, or the password of `password:ID`."""
    kind, _, name = source.partition(":")
    if kind == "variable":
        return str(Variable.get(name))
    connection = Connection.get(name)
    return str(connection.password if kind == "password" else connection.get_uri())


ASSET_output = Asset("flow.output", extra={"output": "output"})

with DAG(
    "flow",
    description="Double numbers.",
    schedule=CronTriggerTimetable("0 3 * * *", timezone="Europe/Zurich"),
    catchup=False,
    tags=["headrace"],
    default_args={"trigger_rule": TriggerRule.NONE_FAILED, "retries": 2, "retry_delay": timedelta(seconds=10.0)},
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            description="The date that the run is for; left empty, that of its logical date.",
        ),
        "n": Param(3, type="integer", description="int"),
        "share": Param(0.5, type="number", description="float"),
        "name": Param("plain", type="string", description="str"),
        "words": Param(["a", "b"], type="array", items={"type": "string"}, description="tuple[str, ...]"),
        "kind": Param("one", enum=["one", "two"], description="Literal['one', 'two']"),
        "data": Param("data/rows.csv", type="string", description="pathlib.Path"),
        "limit": Param(None, type=["integer", "null"], description="int | None"),
        "weights": Param(None, type=["object", "null"], description="dict[str, float] | None"),
        "is_on": Param(True, type="boolean", description="bool"),
    },
    doc_md="Double numbers.\n\nPipeline 'flow', written by: headrace compile airflow flow:flow -o out (Headrace 0.1.0)\n\nCompile it again rather than edit it. Plan 96d594ac4a1c86dd.\n\nIn the project: `headrace show --store /srv/flows/.headrace`\n",
) as dag:
    begin = Begin(task_id="begin")
    numbers = Step(task_id="numbers", node="numbers", secret_names=("TOKEN",), trigger_rule=TriggerRule.ALL_SUCCESS)
    with TaskGroup("double"):
        double_slices = Slices(task_id="slices", node="double")
        double_items = Items.partial(task_id="items", node="double").expand(items=double_slices.output)
        double_collect = Collect(task_id="collect", node="double", trigger_rule=TriggerRule.ALL_DONE)
    judge = Step(task_id="judge", node="judge")
    keep = Step(task_id="keep", node="keep")
    with TaskGroup("inner"):
        inner_keep = Step(task_id="keep", node="inner.keep", outlets=[ASSET_output])
    finish = Finish(task_id="finish")

    begin >> numbers
    numbers >> double_slices
    double_items >> double_collect
    double_collect >> judge
    [double_collect, judge] >> keep
    double_collect >> inner_keep
    [keep, inner_keep] >> finish

    # The run's end is settled whatever became of it, also when it is marked as failed.
    begin.as_setup()
    finish.as_teardown(setups=begin, on_failure_fail_dagrun=True)
