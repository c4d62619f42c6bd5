# Pipeline 'flow', written by: headrace compile dagster flow:flow -o out (Headrace 0.1.0)
# Compile it again rather than edit it. Plan 96d594ac4a1c86dd.
"""Assets, checks and a job of the pipeline flow."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import dagster as dg


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


PIPELINE = Pipeline(
    name="flow",
    headrace=Headrace(
        command=["/srv/flows/.venv/bin/python", "-m", "headrace"],
        project="/srv/flows",
        pipeline="flow:flow",
        store="/srv/flows/.headrace",
        shape="c7b431268245abad58c4dea60f1cbad487a264f4f654e998c28d96351a55e7bb",
        engine="dagster",
    ),
    parameters={
        "n": dg.Field(int, is_required=False, default_value=3, description="int"),
        "share": dg.Field(float, is_required=False, default_value=0.5, description="float"),
        "name": dg.Field(str, is_required=False, default_value="plain", description="str"),
        "words": dg.Field([str], is_required=False, default_value=["a", "b"], description="tuple[str, ...]"),
        "kind": dg.Field(str, is_required=False, default_value="one", description="Literal['one', 'two']"),
        "data": dg.Field(str, is_required=False, default_value="data/rows.csv", description="pathlib.Path"),
        "limit": dg.Field(dg.Noneable(int), is_required=False, default_value=None, description="int | None"),
        "weights": dg.Field(
            dg.Noneable(dict),
            is_required=False,
            default_value=None,
            description="dict[str, float] | None",
        ),
        "is_on": dg.Field(bool, is_required=False, default_value=True, description="bool"),
    },
    partitions=dg.TimeWindowPartitionsDefinition(
        start="2020-01-01",
        fmt="%Y-%m-%d",
        cron_schedule="0 0 * * *",
        timezone="Europe/Zurich",
        end_offset=1,
    ),
    secrets=("TOKEN",),
    lost_retries=2,
    finish_seconds=30,
    is_forked=True,
    nodes=(
        Node(
            id="numbers",
            name="numbers",
            step="flow:numbers",
            group="flow",
            after=("begin",),
            artifacts=(
                Artifact(name="numbers", output="output", key=("flow", "numbers"), type="list[int]", kinds=("json",)),
            ),
        ),
        Node(
            id="double",
            name="double",
            step="flow:double",
            group="flow",
            after=("numbers",),
            artifacts=(
                Artifact(
                    name="double",
                    output="output",
                    key=("flow", "double"),
                    deps=(("flow", "numbers"),),
                    type="int",
                    kinds=("json",),
                ),
            ),
            tags={
                "headrace/cpus": "2",
                "dagster-k8s/config": {"container_config": {"resources": {"requests": {"cpu": "2"}}}},
            },
        ),
        Node(
            id="judge",
            name="judge",
            step="flow:judge",
            group="flow",
            after=("double",),
            artifacts=(
                Artifact(
                    name="judge_passed",
                    output="passed",
                    key=("flow", "judge", "passed"),
                    deps=(("flow", "double"),),
                    type="bool",
                    kinds=("json",),
                ),
                Artifact(
                    name="judge_score",
                    output="score",
                    key=("flow", "judge", "score"),
                    deps=(("flow", "double"),),
                    type="float",
                    kinds=("json",),
                ),
            ),
            checks=(
                Check(name="judge_passed_check", output="passed", asset=("flow", "judge", "passed"), is_gate=True),
            ),
            conditions=(Condition(name="judge_passed_holds", output="passed"),),
        ),
        Node(
            id="keep",
            name="keep",
            step="flow:keep",
            group="flow",
            after=("double", "judge"),
            when="judge_passed_holds",
            artifacts=(
                Artifact(
                    name="keep",
                    output="output",
                    key=("flow", "keep"),
                    deps=(("flow", "double"), ("flow", "judge", "passed")),
                    type="str",
                    kinds=("json",),
                ),
            ),
        ),
        Node(
            id="inner.keep",
            name="inner_keep",
            step="flow:keep",
            group="flow/inner",
            after=("double",),
            artifacts=(
                Artifact(
                    name="inner_keep",
                    output="output",
                    key=("flow", "inner", "keep"),
                    deps=(("flow", "double"),),
                    type="str",
                    kinds=("json",),
                ),
            ),
        ),
    ),
    run=Artifact(name="headrace_run", output="", key=("flow", "headrace_run"), deps=(("flow", "inner", "keep"),)),
)

assets = assets_of(PIPELINE)
job = dg.define_asset_job(
    name=PIPELINE.job,
    selection=[assets],
    description="Double numbers.",
    tags={"headrace/pipeline": "flow"},
)


@dg.schedule(
    name="flow_schedule",
    job=job,
    cron_schedule="0 3 * * *",
    execution_timezone="Europe/Zurich",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the run of the date that is due."""
    return dg.RunRequest(partition_key=context.scheduled_execution_time.strftime("%Y-%m-%d"))


defs = dg.Definitions(
    assets=[assets],
    jobs=[job],
    schedules=[due],
    sensors=[
        settling_sensor(PIPELINE, dg.DagsterRunStatus.FAILURE),
        settling_sensor(PIPELINE, dg.DagsterRunStatus.CANCELED),
    ],
    executor=dg.multiprocess_executor.configured(
        {
            "start_method": {
                "forkserver": {"preload_modules": ["dagster", "dagster._cli", "dagster._core.storage.sqlite_storage"]},
            },
        },
    ),
)
