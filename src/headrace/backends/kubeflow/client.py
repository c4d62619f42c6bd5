"""Talks to a Kubeflow Pipelines server, in an environment that has the KFP SDK; it isn't imported, but run.

What is wanted is JSON on standard input; what was changed is printed, a JSON list of lines.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def put(client: Any, wanted: dict[str, Any]) -> list[str]:
    """Hold the server to what is wanted: the pipeline, its version, the recurring run."""
    pipeline_id, version_id, lines = put_version(client, wanted)
    recurring: dict[str, Any] | None = wanted["recurring"]
    if recurring is None:
        return lines
    experiment = client.create_experiment(wanted["experiment"])
    name = f"{recurring['name']} {wanted['version']}"
    for old in client.list_recurring_runs(experiment_id=experiment.experiment_id, page_size=100).recurring_runs or []:
        if old.display_name == name:
            return [*lines, f"recurring run {name!r}: unchanged"]
        if old.display_name.rpartition(" ")[0] == recurring["name"]:
            client.disable_recurring_run(old.recurring_run_id)
            lines.append(f"recurring run {old.display_name!r}: disabled")
    made = client.create_recurring_run(
        experiment_id=experiment.experiment_id,
        job_name=name,
        cron_expression=recurring["cron"],
        max_concurrency=recurring["max_concurrency"],
        no_catchup=True,
        params=recurring["parameters"],
        pipeline_id=pipeline_id,
        version_id=version_id,
        enable_caching=False,
    )
    return [*lines, f"recurring run {made.display_name!r}: made, {recurring['cron']}"]


def put_version(client: Any, wanted: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Upload the YAML, unless a version of that name is there."""
    name = wanted["pipeline"]
    pipeline_id = client.get_pipeline_id(name)
    if pipeline_id is None:
        made = client.upload_pipeline(wanted["package"], pipeline_name=name, description=wanted["description"])
        pipeline_id = made.pipeline_id
        lines = [f"pipeline {name!r}: made"]
    else:
        lines = []
    versions = client.list_pipeline_versions(pipeline_id, page_size=100).pipeline_versions or []
    for version in versions:
        if version.display_name == wanted["version"]:
            return pipeline_id, version.pipeline_version_id, [*lines, f"version {wanted['version']}: unchanged"]
    version = client.upload_pipeline_version(wanted["package"], wanted["version"], pipeline_id=pipeline_id)
    return pipeline_id, version.pipeline_version_id, [*lines, f"version {wanted['version']}: uploaded"]


def main() -> None:
    """Do it."""
    from kfp import Client

    wanted = json.load(sys.stdin)
    client = Client(host=wanted["host"]) if wanted["host"] else Client()
    print(json.dumps(put(client, wanted)))  # noqa: T201


if __name__ == "__main__":
    main()
