"""The Python file that defines a pipeline by KFP's SDK: lines, from a deployment and nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from headrace.backends import launcher
from headrace.backends.deployment import Deployment
from headrace.backends.kubeflow import tasks
from headrace.backends.kubeflow.names import own_names
from headrace.backends.kubeflow.parameters import Parameter, parameters_of
from headrace.backends.kubeflow.settings import Settings
from headrace.backends.kubeflow.text import literal, one_line
from headrace.core.plan import Node, OutputSpec
from headrace.engine.attempts import secrets_in

WIDTH = 120
RUN = ("started: str", "job: str")
DATASETS = ("parquet", "numpy")
MODELS = ("skops", "lightgbm", "headrace.steps.model_format:ModelFormat")
EVALUATIONS = ("headrace.steps.Evaluation", "headrace.steps.evaluation.Evaluation")


def artifact_type(output: OutputSpec) -> str:
    """KFP's type for an output."""
    if output.type in EVALUATIONS:
        return "Metrics"
    if output.format in MODELS:
        return "Model"
    return "Dataset" if output.format in DATASETS else "Artifact"


@dataclass(frozen=True)
class Pipeline:
    """A deployment with the names that it has in the file."""

    deployment: Deployment
    settings: Settings

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The parameters that a run may be given."""
        return parameters_of(self.deployment.fields)

    @cached_property
    def components(self) -> dict[str, str]:
        """The components' names, by node, and by what `slices_of` and `items_of` say for nodes that map."""
        return own_names(self._component_ids(), taken=[parameter.name for parameter in self.parameters])

    def _component_ids(self) -> Iterator[str]:
        for node in self.deployment.plan.nodes:
            yield node.id
            if node.map is not None:
                yield from (slices_of(node), items_of(node))

    @cached_property
    def variables(self) -> dict[str, str]:
        """The names of the tasks in the pipeline's function, by the same ids."""
        taken = [*self.components.values(), *(parameter.name for parameter in self.parameters)]
        names = own_names((f"{component}_task" for component in self.components.values()), taken)
        return {ident: names[f"{component}_task"] for ident, component in self.components.items()}

    @cached_property
    def waited_for(self) -> frozenset[str]:
        """The nodes that others come after."""
        return frozenset(name for node in self.deployment.plan.nodes for name in node.upstream())

    @cached_property
    def name(self) -> str:
        """KFP's name for the pipeline: no component's, which kfp.local would carry out in its place."""
        name = self.deployment.plan.pipeline
        return own_names([name], taken=[*self.components.values()])[name]

    def outputs(self, node: Node) -> dict[str, tuple[str, str]]:
        """The names and the types of the artifacts that a node's outputs are, by output."""
        specs = self.deployment.plan.step_of(node).outputs
        names = own_names(spec.name for spec in specs)
        return {spec.name: (names[spec.name], artifact_type(spec)) for spec in specs}


def slices_of(node: Node) -> str:
    """What the component is known by that says a node's tasks: like no node's id."""
    return f"{node.id}:slices"


def items_of(node: Node) -> str:
    """What the component is known by that carries one of them out."""
    return f"{node.id}:items"


def definition(deployment: Deployment, settings: Settings) -> str:
    """The whole file."""
    pipeline = Pipeline(deployment, settings)
    parts = (_head, _shared, _components, _settled, _pipeline, _main)
    text = "\n".join(line for part in parts for line in part(pipeline))
    return text + "\n"


def _head(pipeline: Pipeline) -> Iterator[str]:
    first, second = pipeline.deployment.heading()
    types = {kind for node in pipeline.deployment.plan.nodes for _, kind in pipeline.outputs(node).values()}
    yield f'"""{one_line(first)}'
    yield ""
    yield one_line(second)
    yield "Where the KFP SDK is installed, this file makes the YAML beside it: python FILE"
    if pipeline.deployment.secrets:
        yield f"Its steps take secrets: {one_line(', '.join(pipeline.deployment.secrets))}"
    yield '"""'
    yield ""
    if pipeline.deployment.image is not None:
        yield "import json"
    yield "import pathlib"
    yield ""
    yield "from kfp import compiler, dsl" + (", kubernetes" if _uses_secrets(pipeline) else "")
    yield f"from kfp.dsl import {', '.join(sorted({'HTML', 'Output', *types}, key=_import_order))}"


def _import_order(name: str) -> tuple[bool, str]:
    return not name.isupper(), name


def _uses_secrets(pipeline: Pipeline) -> bool:
    return bool(pipeline.deployment.image and pipeline.deployment.secrets)


def _shared(pipeline: Pipeline) -> Iterator[str]:
    """What all components share: where headrace is, and what is done with it."""
    if pipeline.deployment.image is not None:
        yield from _container(pipeline)
        return
    yield from ("", "")
    yield "def headrace(started: str, job: str):"
    yield '    """Headrace in the project\'s own environment, started from KFP\'s: each component holds this."""'
    imports = sorted({*launcher.IMPORTS, *tasks.IMPORTS}, key=lambda line: (line.startswith("from"), line))
    yield from _indented([*imports, ""])
    yield "    # fmt: off"
    yield from _indented(launcher.launcher_source().replace("\n\n\n", "\n\n").splitlines())
    yield from ("", *_indented(tasks.tasks_source().splitlines()))
    yield from ("    # fmt: on", "")
    yield "    place = Headrace("
    yield from (f"        {name}={literal(value)}," for name, value in _place(pipeline).items())
    yield "    )"
    yield f"    return Tasks(place, started, job, lost_retries={pipeline.settings.lost_retries})"
    yield from ("", "")
    yield f'COMPONENT = {{"base_image": {literal(pipeline.settings.base_image)}, "install_kfp_package": False}}'
    yield 'COMPONENT["additional_funcs"] = [headrace]'


def _place(pipeline: Pipeline) -> dict[str, str | list[str]]:
    deployment = pipeline.deployment
    return {
        "command": list(deployment.command),
        "project": deployment.project,
        "pipeline": deployment.pipeline,
        "store": deployment.store,
        "shape": deployment.shape,
        "engine": "kubeflow",
    }


def _container(pipeline: Pipeline) -> Iterator[str]:
    yield ""
    yield "PLACE = {"
    yield from (f"    {literal(name)}: {literal(value)}," for name, value in _place(pipeline).items())
    yield "}"
    yield from ("", "")
    yield "def container(**what):"
    yield '    """A task in the project\'s own image, which has Headrace; KFP fills in the last argument."""'
    yield f'    told = json.dumps({{**what, "place": PLACE, "lost_retries": {pipeline.settings.lost_retries}}})'
    yield "    return dsl.ContainerSpec("
    yield f"        image={literal(pipeline.deployment.image)},"
    yield f'        command=[{literal(pipeline.deployment.command[0])}, "-m", "headrace.backends.kubeflow.container"],'
    yield '        args=[told.replace("{{", "{\\\\u007b"), "{{$}}"],'
    yield "    )"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield textwrap.indent(line, "    ")


def _components(pipeline: Pipeline) -> Iterator[str]:
    yield from _begin(pipeline)
    for node in pipeline.deployment.plan.nodes:
        yield from _node(pipeline, node)
    yield from _finish(pipeline)


def _begin(pipeline: Pipeline) -> Iterator[str]:
    parameters = pipeline.parameters
    names = {parameter.field.name: parameter.name for parameter in parameters}
    kinds = {parameter.field.name: parameter.kind for parameter in parameters}
    takes = [*RUN, *(f"{parameter.name}: {parameter.type}" for parameter in parameters), "headrace_parameters: str"]
    doc = "Begin the run: its parameters, its plan and what it reads are written down, once."
    is_contained = pipeline.deployment.image is not None
    body = [*_table("given", names, quoted=is_contained), *_table("kinds", kinds)]
    call = "headrace(started, job).begin(given, kinds, headrace_parameters)"
    body.append('return container(what="begin", given=given, kinds=kinds)' if is_contained else f"return {call}")
    yield from _component(pipeline, "begin", takes, "str", doc, body)


def _node(pipeline: Pipeline, node: Node) -> Iterator[str]:
    spec = pipeline.deployment.plan.step_of(node)
    outputs = pipeline.outputs(node)
    takes = [*RUN, *(f"{own}: Output[{kind}]" for own, kind in outputs.values())]
    what = f"Step {spec.name}, {spec.where}"
    if node.map is not None:
        yield from _mapped(pipeline, node, what)
        what = f"What the items of step {spec.name} made, as lists"
    how = ["--collect"] if node.map is not None else []
    is_contained = pipeline.deployment.image is not None
    names = {name: own for name, (own, _) in outputs.items()}
    if is_contained:
        call = f'container(what="execute", node={literal(node.id)}, outputs=outputs, how={literal(how)})'
    else:
        call = f"headrace(started, job).execute({', '.join([literal(node.id), 'outputs', *map(literal, how)])})"
    body = [*_table("outputs", names, quoted=is_contained), f"return {call}"]
    yield from _component(pipeline, pipeline.components[node.id], takes, "str", f"{one_line(what)}.", body)


def _mapped(pipeline: Pipeline, node: Node, what: str) -> Iterator[str]:
    slices, items = pipeline.components[slices_of(node)], pipeline.components[items_of(node)]
    is_contained = pipeline.deployment.image is not None
    call = f"headrace(started, job).slices({literal(node.id)})"
    says = f"Say into which tasks the items of {node.id} go."
    body = _contained("slices", node=node.id) if is_contained else [f"return {call}"]
    yield from _component(pipeline, slices, [*RUN], "list", says, body)
    call = f'headrace(started, job).execute({literal(node.id)}, {{}}, "--items", items)'
    body = _contained("items", node=node.id) if is_contained else [f"return {call}"]
    yield from _component(pipeline, items, [*RUN, "items: str"], "str", f"{one_line(what)}: some items.", body)


def _finish(pipeline: Pipeline) -> Iterator[str]:
    doc = "Settle how the run ended, whatever became of its tasks; a rejection is failed here."
    if pipeline.deployment.image is not None:
        takes = [*RUN, "report: Output[HTML]"]
        yield from _component(pipeline, "finish", takes, None, doc, _contained("finish"))
        return
    takes = [*RUN, "status: dsl.PipelineTaskFinalStatus", "report: Output[HTML]"]
    body = ['print("Kubeflow Pipelines says:", status.state)', "headrace(started, job).finish(report)"]
    yield from _component(pipeline, "finish", takes, None, doc, body)


def _contained(what: str, **more: str) -> list[str]:
    words = [f"what={literal(what)}", *(f"{name}={literal(value)}" for name, value in more.items())]
    return [f"return container({', '.join(words)})"]


def _component(
    pipeline: Pipeline, name: str, takes: Sequence[str], gives: str | None, doc: str, body: Iterable[str]
) -> Iterator[str]:
    is_contained = pipeline.deployment.image is not None
    if is_contained and gives:
        takes = [*takes, f"result: dsl.OutputPath({gives})"]
    returns = f" -> {gives}" if gives and not is_contained else ""
    yield from ("", "")
    yield "@dsl.container_component" if is_contained else "@dsl.component(**COMPONENT)"
    yield from _signature(name, takes, returns)
    yield f'    """{one_line(doc)}"""'
    yield from _indented(body)


def _signature(name: str, takes: Sequence[str], returns: str = "") -> Iterator[str]:
    line = f"def {name}({', '.join(takes)}){returns}:"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"def {name}("
    yield from (f"    {part}," for part in takes)
    yield f"){returns}:"


def _table(name: str, items: dict[str, str], *, quoted: bool = True) -> Iterator[str]:
    shown = ", ".join(f"{literal(key)}: {literal(value) if quoted else value}" for key, value in items.items())
    if len(shown) < WIDTH - len(name) - 12:
        yield f"{name} = {{{shown}}}"
        return
    yield f"{name} = {{"
    yield from (f"    {literal(key)}: {literal(value) if quoted else value}," for key, value in items.items())
    yield "}"


def _settled(pipeline: Pipeline) -> Iterator[str]:
    is_retried = pipeline.deployment.image is not None and pipeline.settings.lost_retries > 0
    retry = f".set_retry(num_retries={pipeline.settings.lost_retries})" if is_retried else ""
    also = ", which starts a lost pod again" if is_retried else ""
    yield from ("", "")
    yield "def settled(task, *after):"
    yield f'    """What was made is found by Headrace, not by KFP{also}."""'
    yield f"    return task.after(*after).set_caching_options(False){retry}"


def _pipeline(pipeline: Pipeline) -> Iterator[str]:
    deployment = pipeline.deployment
    moment = "CREATE_TIME_UTC" if deployment.image is not None else "NAME"
    described = f", description={literal(one_line(deployment.description))}" if deployment.description else ""
    yield from ("", "")
    yield f"@dsl.pipeline(name={literal(pipeline.name.replace('_', '-'))}{described})"
    yield f"def {pipeline.name}("
    yield from (f"    {parameter.declaration}," for parameter in pipeline.parameters)
    yield '    headrace_parameters: str = "{}",'
    yield "):"
    yield f'    """{one_line(deployment.plan.pipeline)}."""'
    yield f'    run = {{"started": dsl.PIPELINE_JOB_{moment}_PLACEHOLDER, "job": dsl.PIPELINE_JOB_ID_PLACEHOLDER}}'
    given = [f"{name}={name}" for name in (*(item.name for item in pipeline.parameters), "headrace_parameters")]
    yield '    with dsl.ExitHandler(finish(**run).set_caching_options(False), name="steps"):'
    yield "        begin_task = settled("
    yield "            begin("
    yield "                **run,"
    yield from (f"                {item}," for item in given)
    yield "            )"
    yield "        )"
    for node in deployment.plan.nodes:
        yield from textwrap.indent("\n".join(_task(pipeline, node)), "        ").splitlines()


def _task(pipeline: Pipeline, node: Node) -> Iterator[str]:
    names, tasks_ = pipeline.components, pipeline.variables
    after = ", ".join(tasks_[name] for name in node.upstream()) or "begin_task"
    if node.map is not None:
        slices, items = slices_of(node), items_of(node)
        yield f"{tasks_[slices]} = settled({names[slices]}(**run), {after})"
        loop = names[items].replace("_", "-")
        yield f"with dsl.ParallelFor({tasks_[slices]}.output, name={literal(loop)}) as items:"
        yield f"    {tasks_[items]} = settled({names[items]}(**run, items=items))"
        yield from _indented(_needs(pipeline, node, tasks_[items]))
        after = tasks_[items]
    more = []
    if node.id.replace("_", "-").lower() != names[node.id].replace("_", "-"):
        more.append(f"{tasks_[node.id]}.set_display_name({literal(node.id)})")
    if node.map is None:
        more += _needs(pipeline, node, tasks_[node.id])
    is_named = more or node.id in pipeline.waited_for
    yield f"{f'{tasks_[node.id]} = ' if is_named else ''}settled({names[node.id]}(**run), {after})"
    yield from more


def _needs(pipeline: Pipeline, node: Node, task: str) -> Iterator[str]:
    """What the task needs of the machine, and the secrets that its step takes."""
    spec = pipeline.deployment.plan.step_of(node)
    if spec.cpus > 1:
        yield f'{task}.set_cpu_request("{spec.cpus}").set_cpu_limit("{spec.cpus}")'
    if spec.memory_bytes is not None:
        yield f'{task}.set_memory_request("{spec.memory_bytes}")'
    if pipeline.deployment.image is not None:
        named = {secret.name for tree in node.arguments.values() for secret in secrets_in(tree)}
        for variable in sorted(named):
            place = pipeline.settings.secrets.get(variable, f"{pipeline.settings.secret}/{variable}")
            secret, _, key = place.partition("/")
            keys = f"{{{literal(key)}: {literal(variable)}}}"
            yield f"kubernetes.use_secret_as_env({task}, secret_name={literal(secret)}, secret_key_to_env={keys})"


def _main(pipeline: Pipeline) -> Iterator[str]:
    yield from ("", "")
    yield 'if __name__ == "__main__":'
    yield f'    compiler.Compiler().compile({pipeline.name}, str(pathlib.Path(__file__).with_suffix(".yaml")))'
