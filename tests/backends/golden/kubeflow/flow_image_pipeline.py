"""Pipeline 'flow', written by: headrace compile kubeflow flow:flow -o out --set sdk_python=/srv/kfp/bin/python --image registry.example/flows@sha256:1111111111111111111111111111111111111111111111111111111111111111 --store s3://bucket/store (Headrace 0.1.0)

Compile it again rather than edit it. Plan 96d594ac4a1c86dd.
Where the KFP SDK is installed, this file makes the YAML beside it: python FILE
Its steps take secrets: TOKEN
"""

import json
import pathlib

from kfp import compiler, dsl, kubernetes
from kfp.dsl import HTML, Artifact, Output

PLACE = {
    "command": ["python", "-m", "headrace"],
    "project": "/project",
    "pipeline": "flow:flow",
    "store": "s3://bucket/store",
    "shape": "c7b431268245abad58c4dea60f1cbad487a264f4f654e998c28d96351a55e7bb",
    "engine": "kubeflow",
}


def container(**what):
    """A task in the project's own image, which has Headrace; KFP fills in the last argument."""
    told = json.dumps({**what, "place": PLACE, "lost_retries": 2})
    return dsl.ContainerSpec(
        image="registry.example/flows@sha256:1111111111111111111111111111111111111111111111111111111111111111",
        command=["python", "-m", "headrace.backends.kubeflow.container"],
        args=[told.replace("{{", "{\\u007b"), "{{$}}"],
    )


@dsl.container_component
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
    result: dsl.OutputPath(str),
):
    """Begin the run: its parameters, its plan and what it reads are written down, once."""
    given = {
        "day": "day",
        "n": "n",
        "share": "share",
        "name": "name",
        "words": "words",
        "kind": "kind",
        "data": "data",
        "limit": "limit",
        "weights": "weights",
        "is_on": "is_on",
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
    return container(what="begin", given=given, kinds=kinds)


@dsl.container_component
def numbers(started: str, job: str, output: Output[Artifact], result: dsl.OutputPath(str)):
    """Step numbers, flow.py:17."""
    outputs = {"output": "output"}
    return container(what="execute", node="numbers", outputs=outputs, how=[])


@dsl.container_component
def double_slices(started: str, job: str, result: dsl.OutputPath(list)):
    """Say into which tasks the items of double go."""
    return container(what="slices", node="double")


@dsl.container_component
def double_items(started: str, job: str, items: str, result: dsl.OutputPath(str)):
    """Step double, flow.py:22: some items."""
    return container(what="items", node="double")


@dsl.container_component
def double(started: str, job: str, output: Output[Artifact], result: dsl.OutputPath(str)):
    """What the items of step double made, as lists."""
    outputs = {"output": "output"}
    return container(what="execute", node="double", outputs=outputs, how=["--collect"])


@dsl.container_component
def judge(started: str, job: str, passed: Output[Artifact], score: Output[Artifact], result: dsl.OutputPath(str)):
    """Step judge, flow.py:27."""
    outputs = {"passed": "passed", "score": "score"}
    return container(what="execute", node="judge", outputs=outputs, how=[])


@dsl.container_component
def keep(started: str, job: str, output: Output[Artifact], result: dsl.OutputPath(str)):
    """Step keep, flow.py:32."""
    outputs = {"output": "output"}
    return container(what="execute", node="keep", outputs=outputs, how=[])


@dsl.container_component
def inner_keep(started: str, job: str, output: Output[Artifact], result: dsl.OutputPath(str)):
    """Step keep, flow.py:32."""
    outputs = {"output": "output"}
    return container(what="execute", node="inner.keep", outputs=outputs, how=[])


@dsl.container_component
def finish(started: str, job: str, report: Output[HTML]):
    """Settle how the run ended, whatever became of its tasks; a rejection is failed here."""
    return container(what="finish")


def settled(task, *after):
    """What was made is found by Headrace, not by KFP, which starts a lost pod again."""
    return task.after(*after).set_caching_options(False).set_retry(num_retries=2)


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
    run = {"started": dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER, "job": dsl.PIPELINE_JOB_ID_PLACEHOLDER}
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
        kubernetes.use_secret_as_env(numbers_task, secret_name="headrace", secret_key_to_env={"TOKEN": "TOKEN"})
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
