"""What every definitions file has of its own code: its text, below the line of dashes, stands in the file.

It is never imported here, where there is no Dagster.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from headrace.backends.launcher import Headrace, Refused

# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Artifact:
    """An output of a node, and the asset that it is."""

    name: str
    output: str
    key: tuple[str, ...]
    deps: tuple[tuple[str, ...], ...] = ()
    type: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """What a node finds out about an asset: a gate's verdict, or what a validation found."""

    name: str
    output: str
    asset: tuple[str, ...]
    is_gate: bool = False


@dataclass(frozen=True)
class Condition:
    """An output on which other nodes depend by ``when=``: where it holds, the op's output of this name is yielded."""

    name: str
    output: str


@dataclass(frozen=True)
class Node:
    """A node of the plan, and the op that carries it out."""

    id: str
    name: str
    step: str
    group: str
    after: tuple[str, ...]
    when: str = ""
    artifacts: tuple[Artifact, ...] = ()
    checks: tuple[Check, ...] = ()
    conditions: tuple[Condition, ...] = ()
    tags: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> list[str]:
        """The names of the op's outputs that are conditions."""
        return [item.name for item in self.conditions]

    @property
    def made(self) -> list[str]:
        """The names of the op's outputs that are assets and checks."""
        return [*(item.name for item in self.artifacts), *(item.name for item in self.checks)]


@dataclass(frozen=True)
class Pipeline:
    """The pipeline's nodes, and what carries them out."""

    name: str
    headrace: Headrace
    nodes: tuple[Node, ...]
    run: Artifact
    parameters: dict[str, Any]
    partitions: Any = None
    secrets: tuple[str, ...] = ()
    lost_retries: int = 2
    finish_seconds: int = 30
    is_forked: bool = True

    @property
    def job(self) -> str:
        """The name of the job that materializes all assets."""
        return f"{self.name}_job"

    def run_id(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
        """The run's id in the store. A re-execution that doesn't begin anew goes on with the run that it repeats."""
        while run.parent_run_id and run.step_keys_to_execute and f"{self.name}.begin" not in run.step_keys_to_execute:
            parent = instance.get_run_by_id(run.parent_run_id)
            if parent is None:
                break
            run = parent
        record = instance.get_run_record_by_id(run.run_id)
        assert record is not None
        return Headrace.run_id(record.create_timestamp, run.run_id)

    def owns(self, run: dg.DagsterRun) -> bool:
        """Whether a run of Dagster is one of this pipeline, or of some of its assets."""
        return run.job_name == self.job or any(key.path[0] == self.name for key in run.asset_selection or ())

    def retried(self) -> dg.RetryPolicy:
        """How often what was lost is tried again; what failed for good says that it isn't."""
        return dg.RetryPolicy(max_retries=self.lost_retries)


def begin_op(pipeline: Pipeline) -> dg.OpDefinition:
    """The op that writes down what the run begins with: its parameters, given as the op's config."""

    @dg.op(
        name=f"{pipeline.name}__begin",
        out={"ended": dg.Out(dg.Nothing)},
        config_schema=pipeline.parameters,
        retry_policy=pipeline.retried(),
        tags={"headrace/task": "begin"},
    )
    def begin(context: dg.OpExecutionContext) -> Iterator[Any]:
        run = pipeline.run_id(context.instance, context.run)
        given = dict(context.op_config or {})
        date = context.partition_key if pipeline.partitions is not None else None
        try:
            pipeline.headrace.begin(run, context.run_id, given, date, log=context.log.info)
        except Refused as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        yield dg.Output(None, "ended")

    return begin


def node_op(pipeline: Pipeline, node: Node) -> dg.OpDefinition:
    """The op that has a node carried out. What comes after it waits for its output ``ended``.

    An output that isn't yielded is how Dagster is told to skip what comes after: ``ended`` of a node that was skipped,
    and a condition that doesn't hold.
    """
    when = ("when",) if node.when else ()

    @dg.op(
        name=f"{pipeline.name}__{node.name}",
        description=node.step,
        ins={name: dg.In(dg.Nothing) for name in (*(f"after_{name}" for name in node.after), *when)},
        out={name: dg.Out(dg.Nothing, is_required=False) for name in ("ended", *node.made, *node.told)},
        retry_policy=pipeline.retried(),
        tags={"headrace/task": "node", "headrace/node": node.id, **node.tags},
    )
    def carry_out(context: dg.OpExecutionContext) -> Iterator[Any]:
        run = pipeline.run_id(context.instance, context.run)
        secrets = {name: os.environ[name] for name in pipeline.secrets if name in os.environ}
        asked = [check.output for check in node.checks] + [item.output for item in node.conditions]
        values = tuple(dict.fromkeys(asked))
        if pipeline.is_forked:
            end_with_run()
        try:
            result = pipeline.headrace.execute(run, node.id, log=context.log.info, secrets=secrets, values=values)
        except Refused as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if result["outcome"] in ("succeeded", "cached"):
            made = [*materialized(pipeline, node, result), *checked(node, result), *followed(node, result)]
            yield from (event for name, event in made if name in context.selected_output_names)
        elif result["outcome"] != "skipped":
            raise dg.Failure(f"{result['outcome']}: {result['message']}", allow_retries=False)

    return carry_out


def end_with_run() -> None:
    """Have this process end when that of the run does: one that is killed leaves the ops that it forked behind."""
    run = multiprocessing.parent_process()
    if run is not None:

        def watch() -> None:
            run.join()
            os.kill(os.getpid(), signal.SIGKILL)  # headrace exec ends with this process

        threading.Thread(target=watch, daemon=True).start()


def materialized(pipeline: Pipeline, node: Node, result: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a node made: references, never the data."""
    for artifact in node.artifacts:
        reference = result["outputs"].get(artifact.output)
        if reference is not None:
            metadata = {
                "digest": reference["digest"],
                "format": reference["format"],
                "size": dg.MetadataValue.int(reference["n_bytes"]),
                "outcome": result["outcome"],
                "store": pipeline.headrace.store,
                "run": result["run"],
                "take out": f"headrace show {result['run']} --save {node.id}.{artifact.output} PLACE",
            }
            version = dg.DataVersion(reference["digest"])
            yield artifact.name, dg.Output(None, artifact.name, metadata=metadata, data_version=version)


def checked(node: Node, result: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a node found out about its assets: counts, and none of the data."""
    for check in node.checks:
        value = result["values"].get(check.output)
        if value is None:
            continue
        facts: dict[str, Any] = {}
        broken: list[dict[str, Any]] = []
        if not check.is_gate:
            told = ("rule", "severity", "n_bad", "share")
            broken = [{name: item[name] for name in told} for item in value["findings"] if item["n_bad"]]
            facts = {"rows": value["n_rows"], "set aside": value["n_quarantined"]}
            facts["broken rules"] = dg.MetadataValue.json(broken[:50])
        yield (
            check.name,
            dg.AssetCheckResult(
                asset_key=dg.AssetKey(check.asset),
                check_name=check.output,
                passed=bool(value) if check.is_gate else not broken,
                severity=dg.AssetCheckSeverity.ERROR if check.is_gate else dg.AssetCheckSeverity.WARN,
                metadata=facts,
            ),
        )


def followed(node: Node, result: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What lets other ops begin. Where a condition can't be told here, they begin, and find it out."""
    yield "ended", dg.Output(None, "ended")
    for condition in node.conditions:
        if result["values"].get(condition.output, True):
            yield condition.name, dg.Output(None, condition.name)


def finish_op(pipeline: Pipeline) -> dg.OpDefinition:
    """The op that settles how the run ended. Dagster doesn't start it after a failure: `settling_sensor` follows."""
    run_asset = pipeline.run.name

    @dg.op(
        name=f"{pipeline.name}__finish",
        ins={"ended": dg.In(dg.Nothing)},
        out={run_asset: dg.Out(dg.Nothing, is_required=False)},
        retry_policy=pipeline.retried(),
        tags={"headrace/task": "finish"},
    )
    def finish(context: dg.OpExecutionContext) -> Iterator[Any]:
        end = pipeline.headrace.finish(pipeline.run_id(context.instance, context.run), log=context.log.info)
        metadata = {
            "outcome": end["outcome"],
            "run": end["run"],
            "steps": dg.MetadataValue.json(end["counts"]),
            "store": pipeline.headrace.store,
            "report": f"headrace show {end['run']} --report",
        }
        yield dg.Output(None, run_asset, metadata=metadata)
        if end["outcome"] != "succeeded":
            who = ", ".join([*end["rejected_by"], *end["failed"]])
            raise dg.Failure(f"The run ended {end['outcome']}: {who}", allow_retries=False)

    return finish


def graph_of(pipeline: Pipeline) -> dg.GraphDefinition:
    """The ops: each waits for those after which its node comes; ``finish`` waits for all, skipped ones too."""
    names = [name for node in pipeline.nodes for name in node.made] + [pipeline.run.name]

    @dg.graph(name=pipeline.name, out={name: dg.GraphOut() for name in names})
    def ops() -> dict[str, Any]:
        ended = {"begin": begin_op(pipeline).alias("begin")()}
        made: dict[str, Any] = {}
        holds: dict[str, Any] = {}
        for node in pipeline.nodes:
            after = {f"after_{name}": ended[name] for name in node.after}
            when = {"when": holds[node.when]} if node.when else {}
            outputs = node_op(pipeline, node).alias(node.name)(**after, **when)
            ended[node.name] = outputs.ended if node.made else outputs
            made.update({name: getattr(outputs, name) for name in node.made})
            holds.update({name: getattr(outputs, name) for name in node.told})
        made[pipeline.run.name] = finish_op(pipeline).alias("finish")(ended=list(ended.values()))
        return made

    return ops


def assets_of(pipeline: Pipeline) -> dg.AssetsDefinition:
    """The assets, one for each artifact and one for the run. Materialising some runs what these need, and no more."""
    checks = [check for node in pipeline.nodes for check in node.checks]
    artifacts = [*((node, item) for node in pipeline.nodes for item in node.artifacts), (None, pipeline.run)]
    specs = [
        dg.AssetSpec(
            dg.AssetKey(item.key),
            deps=[dg.AssetKey(key) for key in item.deps],
            description=node.step if node else "How a run of the pipeline ended.",
            group_name=node.group if node else pipeline.name,
            metadata={"node": node.id, "step": node.step, "type": item.type} if node else {},
            kinds=set(item.kinds),
            partitions_def=pipeline.partitions,
        )
        for node, item in artifacts
    ]
    return dg.AssetsDefinition(
        node_def=graph_of(pipeline),
        keys_by_input_name={},
        keys_by_output_name={item.name: dg.AssetKey(item.key) for _, item in artifacts},
        specs=specs,
        check_specs_by_output_name={
            check.name: dg.AssetCheckSpec(check.output, asset=dg.AssetKey(check.asset)) for check in checks
        },
        can_subset=True,
    )


def settling_sensor(pipeline: Pipeline, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    """A sensor that settles in the store how a run ended of which Dagster didn't start ``finish``, or lost it."""

    @dg.run_status_sensor(
        run_status=status,
        name=f"{pipeline.name}_{status.value.lower()}",
        description=f"Settles in the store how a run ended that ended as {status.value}.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=pipeline.finish_seconds,
    )
    def settle(context: dg.RunStatusSensorContext) -> None:
        run = context.dagster_run
        if pipeline.owns(run):
            try:
                end = pipeline.headrace.finish(pipeline.run_id(context.instance, run), log=context.log.info)
                told = f"headrace: run {end['run']} ended {end['outcome']}: {', '.join(end['failed'])}"
            except Refused as error:  # it had not begun
                told = f"headrace: {error}"
            context.instance.report_engine_event(told, run)

    return settle
