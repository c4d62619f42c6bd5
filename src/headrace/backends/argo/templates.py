"""The templates of a workflow: one for each kind of pod, and the DAG that says which node is carried out by which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hera.workflows import models as m

from headrace.backends.argo.names import TaskNames, parameter_names, task_names
from headrace.backends.argo.settings import Settings
from headrace.backends.argo.texts import json_text, word
from headrace.backends.deployment import Deployment
from headrace.core.plan import Node, StepSpec
from headrace.engine.attempts import secrets_in

RUN = "{{workflow.creationTimestamp.%s}}"
RUN_ID = (
    "".join(RUN % letter for letter in "Ymd") + "-" + "".join(RUN % letter for letter in "HMS") + "-{{workflow.uid}}"
)
"""The run's id in the store: the same for all pods of a workflow, also when it is retried; it sorts by time."""
PARAMETERS = "/headrace/parameters.json"
LEFT = "/tmp/headrace"
"""Where ``exec`` leaves how it ended, for Argo to read."""
MAIN, FINISH = "main", "finish"
VOLUME = "store"
GRACE_SECONDS = 600
"""What a pod gets beside the time limits of its step, before Argo ends it."""
LOST = 'lastRetry.status == "Error" || (asInt(lastRetry.exitCode) >= 128 && asInt(lastRetry.exitCode) != 130)'
"""A pod that was deleted, or killed by a signal. 130 says that the run was cancelled."""
FACTS = {"outcome": "unknown", "outputs.json": "{}"}
"""The files that ``exec`` leaves, and what stands for them where it couldn't."""
SMALL = {"cpu": "100m", "memory": "256Mi"}


@dataclass(frozen=True)
class Needs:
    """What a pod needs beside its command."""

    cpus: int | None = None
    memory_bytes: int | None = None
    deadline_seconds: int | None = None
    secrets: tuple[str, ...] = ()


@dataclass
class Templates:
    """The templates of a deployment. Nodes whose pods need the same share one, which takes the node as a parameter."""

    deployment: Deployment
    settings: Settings
    secret: str
    made: dict[tuple[str, Needs], m.Template] = field(default_factory=dict)

    def all(self) -> list[m.Template]:
        """Every template, the DAG first."""
        main = self._main()
        return [main, self._begin(), *self.made.values(), self._finish()]

    def _main(self) -> m.Template:
        begin, names = task_names(node.id for node in self.deployment.plan.nodes)
        tasks = [m.DAGTask(name=begin, template="begin")]
        for node in self.deployment.plan.nodes:
            before = " && ".join(names[other].task for other in node.upstream()) or begin
            made = self._mapped if node.map else self._one
            tasks += made(node, names[node.id], before)
        return m.Template(name=MAIN, dag=m.DAGTemplate(fail_fast=False, tasks=tasks))

    def _one(self, node: Node, names: TaskNames, before: str) -> Sequence[m.DAGTask]:
        template = self._template("step", self._needs(node))
        return [m.DAGTask(name=names.task, template=template, depends=before, arguments=_arguments(node=node.id))]

    def _mapped(self, node: Node, names: TaskNames, before: str) -> Sequence[m.DAGTask]:
        """Which slices there are; each of them; and the end, also where one or the other failed."""
        needs = self._needs(node)
        ends = [f"{names.items}.{result}" for result in ("Succeeded", "Skipped", "Failed", "Errored")]
        ends += [f"{names.slices}.{result}" for result in ("Failed", "Errored")]
        no_limit = replace(needs, deadline_seconds=None)  # how many items there are is known in the run alone
        return [
            m.DAGTask(
                name=names.slices,
                template=self._template("slices", Needs()),
                depends=before,
                arguments=_arguments(node=node.id),
            ),
            m.DAGTask(
                name=names.items,
                template=self._template("items", no_limit),
                depends=names.slices,
                with_param=f"{{{{tasks.{names.slices}.outputs.result}}}}",
                arguments=_arguments(node=node.id, items="{{item}}"),
            ),
            m.DAGTask(
                name=names.task,
                template=self._template("collect", replace(no_limit, cpus=None, secrets=())),
                depends=" || ".join(ends),
                arguments=_arguments(node=node.id),
            ),
        ]

    def _needs(self, node: Node) -> Needs:
        step = self.deployment.plan.step_of(node)
        found = {secret.name for tree in node.arguments.values() for secret in secrets_in(tree)}
        deadline = deadline_seconds(step, n_tries=1 + max(0, self.settings.lost_retries))
        return Needs(step.cpus, step.memory_bytes, deadline, tuple(sorted(found)))

    def _template(self, kind: str, needs: Needs) -> str:
        """The name of the template for such pods, made where it is the first."""
        if (kind, needs) not in self.made:
            n_alike = sum(1 for known, _ in self.made if known == kind)
            name = f"{kind}-{n_alike + 1}" if n_alike else kind
            self.made[kind, needs] = self._of_node(name, kind, needs)
        return str(self.made[kind, needs].name)

    def _of_node(self, name: str, kind: str, needs: Needs) -> m.Template:
        how = {
            "step": ["--json"],
            "slices": ["--slices"],
            "items": ["--items", "{{inputs.parameters.items}}", "--json"],
            "collect": ["--collect", "--json"],
        }[kind]
        leaves_facts = kind in ("step", "collect")
        given = ["node", "items"] if kind == "items" else ["node"]
        words = ["{{inputs.parameters.node}}", self._pipeline, *how, *(["--leave", LEFT] if leaves_facts else [])]
        return m.Template(
            name=name,
            inputs=m.Inputs(parameters=[m.Parameter(name=given_name) for given_name in given]),
            outputs=_facts() if leaves_facts else None,
            metadata=m.Metadata(annotations={"headrace-node": "{{inputs.parameters.node}}", "headrace-run": RUN_ID}),
            active_deadline_seconds=_number(needs.deadline_seconds),
            retry_strategy=self._retries(),
            container=self._container(words, needs),
        )

    def _begin(self) -> m.Template:
        words = [self._pipeline, "--begin", "--params", PARAMETERS, "--shape", self.deployment.shape]
        words += ["--engine", "argo", "--engine-run", "{{workflow.name}}", "--json"]
        names = parameter_names(item.name for item in self.deployment.fields)
        lines = [f"  {json_text(name)}: {{{{workflow.parameters.{own}}}}}" for name, own in names.items()]
        data = "{\n" + ",\n".join(lines) + "\n}\n"
        return m.Template(
            name="begin",
            inputs=m.Inputs(artifacts=[m.Artifact(name="parameters", path=PARAMETERS, raw=m.RawArtifact(data=data))]),
            retry_strategy=self._retries(),
            container=self._container(words, Needs()),
        )

    def _finish(self) -> m.Template:
        return m.Template(
            name=FINISH,
            outputs=_facts(),
            retry_strategy=self._retries(),
            container=self._container([self._pipeline, "--finish", "--json", "--leave", LEFT], Needs()),
        )

    @property
    def _pipeline(self) -> str:
        return word(self.deployment.pipeline, "The pipeline")

    def _retries(self) -> m.RetryStrategy | None:
        if self.settings.lost_retries <= 0:
            return None
        return m.RetryStrategy(
            limit=m.IntOrString(root=str(self.settings.lost_retries)),
            retry_policy="Always",
            expression=LOST,
            # No maxDuration: it counts from the first try's start, so that a long step's lost pod would be given up.
            backoff=m.Backoff(duration="10s", factor=m.IntOrString(root="2")),
        )

    def _container(self, words: list[str], needs: Needs) -> m.Container:
        store = word(self.deployment.store, "The store")
        return m.Container(
            image=self.deployment.image,
            command=[word(part, "The command") for part in self.deployment.command],
            args=["exec", *words, "--run", RUN_ID, "--store", store],
            working_dir=word(self.deployment.project, "The project's folder"),
            env=self._variables(needs) or None,
            env_from=self._all_of_a_secret(),
            resources=self._resources(needs),
            volume_mounts=self._mounts(),
        )

    def _variables(self, needs: Needs) -> list[m.EnvVar]:
        given = [
            m.EnvVar(name=name, value=word(text, f"Variable {name!r}"))
            for name, text in sorted(self.settings.variables.items())
        ]
        keys = secret_keys(self.deployment.secrets)
        return given + [
            m.EnvVar(
                name=name,
                value_from=m.EnvVarSource(secret_key_ref=m.SecretKeySelector(name=self.secret, key=keys[name])),
            )
            for name in needs.secrets
        ]

    def _all_of_a_secret(self) -> list[m.EnvFromSource] | None:
        name = self.settings.variables_secret
        return [m.EnvFromSource(secret_ref=m.SecretEnvSource(name=name))] if name else None

    def _resources(self, needs: Needs) -> m.ResourceRequirements:
        if needs.cpus is None and needs.memory_bytes is None:
            return m.ResourceRequirements(requests=_quantities(SMALL))
        found = {} if needs.cpus is None else {"cpu": str(needs.cpus)}
        if needs.memory_bytes is not None:
            found["memory"] = f"{-(-needs.memory_bytes // (1 << 20)) + self.settings.memory_beside}Mi"
        return m.ResourceRequirements(requests=_quantities(found), limits=_quantities(found))

    def _mounts(self) -> list[m.VolumeMount] | None:
        if self.settings.volume_claim is None:
            return None
        path = self.settings.volume_path or self.deployment.store
        return [m.VolumeMount(name=VOLUME, mount_path=word(path, "The volume's path"))]


def deadline_seconds(step: StepSpec, n_tries: int) -> int | None:
    """How long a step may take at most in its pods, all retries within each; None for a step without a limit.

    Argo counts it over all pods that it tries, so that one for each must fit in.
    """
    if step.timeout_seconds is None:
        return None
    pauses = sum(2 * step.backoff_seconds * 2**number for number in range(min(step.retries, 30)))
    return n_tries * (int(step.timeout_seconds * (step.retries + 1) + pauses) + GRACE_SECONDS)


def secret_keys(names: Sequence[str]) -> dict[str, str]:
    """The key of each secret in the Secret: its name, but for letters that Kubernetes doesn't take."""
    from headrace.backends.naming import unique_names

    return unique_names(names, "[^-._A-Za-z0-9]", 200)


def _arguments(**given: str) -> m.Arguments:
    return m.Arguments(parameters=[m.Parameter(name=name, value=text) for name, text in given.items()])


def _facts() -> m.Outputs:
    return m.Outputs(
        parameters=[
            m.Parameter(name=file.removesuffix(".json"), value_from=m.ValueFrom(path=f"{LEFT}/{file}", default=default))
            for file, default in FACTS.items()
        ]
    )


def _number(value: int | None) -> m.IntOrString | None:
    return None if value is None else m.IntOrString(root=value)


def _quantities(amounts: dict[str, str]) -> dict[str, m.Quantity]:
    return {name: m.Quantity(root=text) for name, text in amounts.items()}
