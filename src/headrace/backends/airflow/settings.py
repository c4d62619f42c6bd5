"""What can be set for Airflow: ``[tool.headrace.backends.airflow]`` or ``--set``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime

from headrace.backends.deployment import BackendError, Deployment, read_settings
from headrace.core.dates import zone_named
from headrace.core.errors import near_miss

NAME = "airflow"
PLACE = f"[tool.headrace.backends.{NAME}] or --set"
TIMETABLES = ("trigger", "interval")
OUTLETS = ("outputs", "all", "none")
SECRET_SOURCES = ("variable", "connection", "password")
KEY = re.compile(r"[\w.-]{1,250}")
"""What Airflow takes as the id of a DAG."""


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """Settings of the DAG that is written.

    Attributes
    ----------
    dag_id
        The DAG's id; by default the pipeline's name.
    start_date
        The first date that the schedule counts from, such as 2026-01-01, in the pipeline's time zone.
    catchup
        Whether Airflow makes the runs that were due since ``start_date``.
    timetable
        ``trigger``: a run's logical date is the time at which it is due, as is Airflow 3's default. ``interval``: it is
        the begin of the interval that ends then.
    pool
        The pool that tasks take a slot of; Airflow's default pool by default.
    pools
        Pools of single steps or nodes, by name.
    slots_are_cpus
        Whether a task takes as many slots of its pool as its step has ``cpus``.
    queue
        The executor's queue for all tasks.
    max_active_tasks
        How many tasks of a run are under way at once; Airflow's own default by default.
    lost_retries, lost_retry_seconds
        How often Airflow starts a task again whose process was killed, and how long it waits before.
    outlets
        Which artifacts are assets that other DAGs can wait for: the pipeline's ``outputs``, ``all``, or ``none``.
    triggered_by
        Names of assets: a run begins when all have been updated. In place of the pipeline's schedule.
    secrets
        Where a secret comes from, by its name: ``variable:NAME`` or ``connection:ID`` (its URI) or ``password:ID`` (its
        password) of Airflow. Others are in the environment of Airflow's workers.
    links
        Addresses that each task links to, by their titles. ``{run}``, ``{node}`` and ``{pipeline}`` are replaced.
    report
        Whether ``finish`` writes the run's page into the store; its place is among what the task hands on.
    tags
        Tags of the DAG.
    owner
        The owner that Airflow shows.
    is_paused
        Whether the DAG is paused when Airflow sees it first; Airflow's own default by default.
    max_map_length
        Airflow's ``[core] max_map_length``: a map of more tasks is refused when compiled.
    namespace, service_account, secret_name, volume_claim
        For an image: the namespace of its pods, their service account, the Kubernetes secret that holds what steps take
        as secrets, and the claim of the volume that holds the store; none where that is a bucket.
    """

    dag_id: str = ""
    start_date: str = ""
    catchup: bool = False
    timetable: str = "trigger"
    pool: str = ""
    pools: dict[str, str] = field(default_factory=dict)
    slots_are_cpus: bool = False
    queue: str = ""
    max_active_tasks: int = 0
    lost_retries: int = 2
    lost_retry_seconds: float = 10.0
    outlets: str = "outputs"
    triggered_by: tuple[str, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    report: bool = False
    tags: tuple[str, ...] = ()
    owner: str = ""
    is_paused: bool | None = None
    max_map_length: int = 1024
    namespace: str = "default"
    service_account: str = ""
    secret_name: str = ""
    volume_claim: str = ""


def settings_of(deployment: Deployment) -> AirflowSettings:
    """The settings of a deployment, checked. Raises `BackendError`."""
    settings = read_settings(AirflowSettings, deployment, NAME)
    _check_choice("timetable", settings.timetable, TIMETABLES)
    _check_choice("outlets", settings.outlets, OUTLETS)
    if settings.dag_id and KEY.fullmatch(settings.dag_id) is None:
        raise _wrong(f"dag_id must be letters, digits, '_', '-' and '.', but is {settings.dag_id!r:.120}")
    for name, source in settings.secrets.items():
        kind, colon, rest = source.partition(":")
        if name not in deployment.secrets:
            raise _wrong(
                f"secrets names {name!r}, which no step takes", near_miss(name, deployment.secrets) or "there are none"
            )
        if kind not in SECRET_SOURCES or not colon or not rest:
            hint = "give variable:NAME, connection:ID or password:ID, never the value"
            raise _wrong(f"secrets says where {name!r} comes from, but this is none of Airflow's places", hint)
    if settings.start_date:
        start_of(deployment, settings)
    elif settings.catchup:
        raise _wrong("catchup needs start_date", 'as in start_date = "2026-01-01"')
    _check_pools(deployment, settings)
    if deployment.image is not None:
        _check_pods(deployment, settings)
    return settings


def _check_pods(deployment: Deployment, settings: AirflowSettings) -> None:
    if settings.report:
        raise _wrong("report is made on Airflow's worker, and pods are elsewhere", "leave it out")
    if settings.secrets:
        hint = "name the Kubernetes secret that holds them: secret_name"
        raise _wrong("secrets are handed to a process on Airflow's worker, and pods are elsewhere", hint)
    if deployment.secrets and not settings.secret_name:
        raise _wrong(
            f"steps take secrets ({', '.join(deployment.secrets)}), and pods have nowhere to take them from",
            "name the Kubernetes secret that holds them: secret_name",
        )
    if "://" not in deployment.store and not settings.volume_claim:
        raise _wrong(
            f"the store is the folder {deployment.store!r}, which pods don't share",
            "give a bucket: --store s3://…; or the claim of a volume that is mounted there: volume_claim",
        )


def start_of(deployment: Deployment, settings: AirflowSettings) -> datetime:
    """The time that the schedule counts from. Raises `BackendError` where it is no date."""
    try:
        day = date.fromisoformat(settings.start_date)
    except ValueError:
        raise _wrong(f"start_date must be a date, but is {settings.start_date!r}", "as in 2026-01-01") from None
    return datetime(day.year, day.month, day.day, tzinfo=zone_named(deployment.plan.timezone, PLACE))


def _check_pools(deployment: Deployment, settings: AirflowSettings) -> None:
    plan = deployment.plan
    known = {node.id for node in plan.nodes} | {spec.name for spec in plan.steps}
    for name in settings.pools:
        if name not in known:
            raise _wrong(f"pools names {name!r}, which is neither a step nor a node", near_miss(name, known))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _wrong(f"{name} must be one of {', '.join(choices)}, but is {value!r}", near_miss(value, choices))


def _wrong(message: str, hint: str | None = None) -> BackendError:
    return BackendError(message, where=PLACE, hint=hint)
