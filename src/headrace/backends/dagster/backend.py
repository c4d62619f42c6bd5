"""The backend: a definitions file that imports Dagster alone, and the workspace that loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backends.dagster import submitting
from headrace.backends.dagster.capabilities import CAPABILITIES
from headrace.backends.dagster.forms import parameters_of
from headrace.backends.dagster.names import Names, engine_name
from headrace.backends.dagster.settings import Settings
from headrace.backends.dagster.tables import node_of, run_of
from headrace.backends.dagster.timing import Timing
from headrace.backends.deployment import read_settings
from headrace.backends.launcher import IMPORTS, launcher_source
from headrace.backends.source import Call, Code, assigned, call, import_sections, imports_in

if TYPE_CHECKING:
    from headrace.backends.capabilities import Capabilities
    from headrace.backends.deployment import Deployment

NAME = "dagster"
PRELOADED = ("dagster", "dagster._cli", "dagster._core.storage.sqlite_storage")
"""What the process has loaded from which ops are forked. A module that isn't there is passed over."""
RUNTIME = Path(__file__).with_name("runtime.py").read_text(encoding="utf-8")


class Dagster:
    """Assets, one for each artifact; a job, a schedule and sensors. See `headrace.backends.protocol.Backend`."""

    name = NAME
    capabilities: Capabilities = CAPABILITIES

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        """The definitions file, and a workspace of it alone."""
        settings = read_settings(Settings, deployment, NAME)
        module = file_name(deployment)
        return {
            module: "".join(f"{line}\n" for line in _lines(deployment, settings)),
            "workspace.yaml": submitting.new_workspace(module, engine_name(deployment.plan.pipeline)),
        }

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        """Nothing: the file is whole."""
        return iter(())

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        """Put the file into a workspace's folder and its entry into ``workspace.yaml``; have it loaded again."""
        settings = read_settings(Settings, deployment, NAME)
        name = engine_name(deployment.plan.pipeline)
        return submitting.submit(folder / file_name(deployment), name, place, settings.webserver)


def file_name(deployment: Deployment) -> str:
    """The definitions file's name. It is no module's that anybody imports."""
    return f"{engine_name(deployment.plan.pipeline)}_definitions.py"


def _lines(deployment: Deployment, settings: Settings) -> Iterator[str]:
    names = Names.of(deployment.plan)
    timing = Timing.of(deployment.plan)
    yield from (f"# {line}" for line in deployment.heading())
    yield f'"""Assets, checks and a job of the pipeline {names.pipeline}."""'
    yield ""
    yield from import_sections([*IMPORTS, *imports_in(RUNTIME)])
    yield from ("", "")
    yield launcher_source().strip("\n")
    yield from ("", "")
    yield RUNTIME.partition(f"# {'-' * 118}\n")[2].strip("\n")
    yield from ("", "")
    yield assigned("PIPELINE", _pipeline(deployment, settings, names, timing))
    yield ""
    yield "assets = assets_of(PIPELINE)"
    yield assigned("job", _job(deployment))
    yield from timing.schedule_lines(f"{names.pipeline}_schedule", settings)
    yield assigned("defs", _definitions(settings, timing))


def _pipeline(deployment: Deployment, settings: Settings, names: Names, timing: Timing) -> Call:
    plan = deployment.plan
    return call(
        "Pipeline",
        name=names.pipeline,
        headrace=call(
            "Headrace",
            command=list(deployment.command),
            project=deployment.project,
            pipeline=deployment.pipeline,
            store=deployment.store,
            shape=deployment.shape,
            engine=NAME,
        ),
        parameters=parameters_of(deployment.fields, plan.date),
        partitions=timing.partitions(settings),
        secrets=deployment.secrets or None,
        lost_retries=settings.lost_retries,
        finish_seconds=settings.finish_seconds,
        is_forked=settings.executor == "multiprocess",
        nodes=tuple(node_of(plan, node, names) for node in plan.nodes),
        run=run_of(plan, names),
    )


def _job(deployment: Deployment) -> Call:
    return call(
        "dg.define_asset_job",
        name=Code("PIPELINE.job"),
        selection=[Code("assets")],
        description=deployment.description or None,
        tags={"headrace/pipeline": deployment.plan.pipeline},
    )


def _definitions(settings: Settings, timing: Timing) -> Call:
    ends = ("FAILURE", "CANCELED")
    return call(
        "dg.Definitions",
        assets=[Code("assets")],
        jobs=[Code("job")],
        schedules=[Code("due")] if timing.cron is not None else None,
        sensors=[Code(f"settling_sensor(PIPELINE, dg.DagsterRunStatus.{end})") for end in ends],
        executor=_executor(settings),
    )


def _executor(settings: Settings) -> Call | Code:
    if settings.executor == "in_process":
        return Code("dg.in_process_executor")
    most = {} if settings.max_concurrent is None else {"max_concurrent": settings.max_concurrent}
    options = {**most, "start_method": {"forkserver": {"preload_modules": list(PRELOADED)}}}
    return call("dg.multiprocess_executor.configured", options)
