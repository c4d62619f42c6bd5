"""Put a pipeline on a Kubeflow Pipelines server: its newest version, and its recurring run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from headrace.backends.deployment import BackendError, Deployment
from headrace.backends.kubeflow.parameters import parameters_of
from headrace.backends.kubeflow.sdk import run_sdk
from headrace.backends.kubeflow.settings import Settings
from headrace.core.values import Json

CLIENT = Path(__file__).with_name("client.py")
DATES = {"datetime.date": "[[ScheduledTime.2006-01-02]]", "datetime.datetime": "[[ScheduledTime.2006-01-02T15:04:05Z]]"}
"""What the server puts in place of, in the parameters of a recurring run, by the date's type."""


def submit(deployment: Deployment, settings: Settings, package: Path, place: str | None) -> Iterator[str]:
    """Upload the YAML, and make the recurring run that the plan asks for; say what changed, a line each.

    The client runs in the SDK's environment. ``place`` is the server's address; by default the client's own settings.
    """
    wanted = {
        "host": place,
        "package": str(package),
        "pipeline": deployment.plan.pipeline,
        "version": f"{deployment.plan.digest[:16]}",
        "description": deployment.description,
        "experiment": settings.experiment or deployment.plan.pipeline,
        "recurring": recurring_run(deployment, settings),
    }
    yield from json.loads(run_sdk(settings.sdk_python, str(CLIENT), given=wanted))


def recurring_run(deployment: Deployment, settings: Settings) -> Json:
    """The recurring run of a plan with a schedule; None without one.

    Raises `BackendError` where the cluster reads schedules in another time zone.
    """
    plan = deployment.plan
    if plan.schedule is None:
        return None
    if (plan.timezone or "UTC") != settings.cluster_timezone:
        raise BackendError(
            f"The schedule of pipeline {plan.pipeline!r} is of {plan.timezone or 'UTC'}, and a recurring run's is read "
            f"in the cluster's time zone, {settings.cluster_timezone}",
            hint="--set cluster_timezone=… says what its CRON_SCHEDULE_TIMEZONE is; or give the schedule in that zone",
        )
    dates = {item.field.name: (item.name, item.field.type) for item in parameters_of(deployment.fields)}
    name, declared = dates.get(plan.date or "", ("", ""))
    return {
        "name": plan.pipeline,
        "cron": f"0 {plan.schedule}",  # its first field are the seconds
        "max_concurrency": plan.max_active_runs or 10,
        "parameters": {name: DATES[declared]} if declared in DATES else {},
    }
