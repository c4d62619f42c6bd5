"""What stands in each DAG file: the operators. Airflow alone imports this; Headrace reads it as text.

`headrace.backends.airflow.dag_file` takes its classes and functions, and puts a pipeline's own values between `Link`
and the operators.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator, BaseOperatorLink, Connection, Context, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from headrace.backends.launcher import Headrace, Lost, Refused


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


# A DAG file has its own values of these.
HEADRACE = Headrace(["python", "-m", "headrace"], "/project", "flow.py:flow", "/store", "", "airflow")
LINKS: Sequence[Link] = ()
SECRETS: Mapping[str, str] = {}
DATE = ""
IS_TIME = False
TIMEZONE = "UTC"
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
