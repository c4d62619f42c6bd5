"""``prefect.yaml``: the deployment, its schedule and its limit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from headrace.backends.deployment import Deployment
from headrace.backends.prefect.literals import comments, quoted
from headrace.backends.prefect.settings import Settings

N_DIGITS = 16


def deployment_file(deployment: Deployment, settings: Settings, entrypoint: str, flow: str) -> str:
    """The text of ``prefect.yaml``. Its ``version`` is that of this file and of the flow file together."""
    lines = list(_lines(deployment, settings, entrypoint))
    version = hashlib.sha256("\n".join([*lines, flow]).encode()).hexdigest()[:N_DIGITS]
    return "\n".join([*comments(deployment), *lines, f"    version: {quoted(version)}", ""])


def deployment_name(deployment: Deployment, settings: Settings) -> str:
    """What the deployment is called, beside the flow's name."""
    return settings.deployment or deployment.plan.pipeline


def version_in(text: str) -> str:
    """The version that a ``prefect.yaml`` of ours says."""
    return text.rpartition("version: ")[2].strip().strip('"')


def _lines(deployment: Deployment, settings: Settings, entrypoint: str) -> Iterator[str]:
    plan = deployment.plan
    yield f"name: {quoted(plan.pipeline)}"
    yield "deployments:"
    yield f"  - name: {quoted(deployment_name(deployment, settings))}"
    yield f"    entrypoint: {quoted(entrypoint)}"
    yield "    work_pool:"
    yield f"      name: {quoted(settings.work_pool)}"
    yield f"    tags: [{', '.join(map(quoted, settings.tags))}]"
    if plan.schedule is None:
        yield "    schedules: []"
    else:
        yield "    schedules:"
        yield f"      - cron: {quoted(plan.schedule)}"
        yield f"        timezone: {quoted(plan.timezone or 'UTC')}"
    if plan.max_active_runs is not None:
        yield "    concurrency_limit:"
        yield f"      limit: {plan.max_active_runs}"
        yield "      collision_strategy: ENQUEUE"
