"""What every backend must do before an engine has seen its files, as tests.

>>> class TestMyBackend(BackendContract):  # doctest: +SKIP
...     backend = MyBackend()
...     packages = ("my_engine",)
...     def executed(self, files):
...         return [task["node"] for task in json.loads(files["flow.json"])["tasks"]]

pytest collects the subclass and runs the promises of `headrace.backends.protocol.Backend` on plans of every kind that
the backend doesn't refuse. Each case is a method ``test_…`` that can be called without pytest too;
`BackendContract.cases` names them all, so that a suite can prove that none was lost. That an engine carries the files
out is for tests on the engine.
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from headrace.backends.capabilities import Feature, Kind, Support, features_of
from headrace.backends.compiling import refuse_unsupported
from headrace.backends.deployment import BackendError, Deployment, FormField
from headrace.backends.forms import fields_of
from headrace.backends.protocol import Backend
from headrace.core.pipeline import Pipeline, pipeline, trace
from headrace.core.secret import Secret
from headrace.core.step import Resources, step
from headrace.engine.lookup import FormatLookup

HOSTILE = (
    'it\'s "quoted" \\ \'\'\' """ `back`',
    "{{ hostile }} {% hostile %} {{workflow.hostile}} {{$.inputs.hostile}} ${hostile} $(hostile) %(hostile)s",
    "one\ntwo\r\n\tthree\n# four",
    'x"; hostile(); "',
    "x'); hostile(); ('",
    "} ] ) : - & * ! | > # @ %",
    "Größe 数据 🎣 \u202e\u2028\x07",
    "x" * 5_000,
    "",
)
"""Texts that must stay texts."""
WITHOUT_WHICH_NOTHING = (
    Feature.PARAMETERS,
    Feature.CONDITION,
    Feature.GATE,
    Feature.CACHE,
    Feature.RETRY,
    Feature.TIME_LIMIT,
    Feature.RESUME,
)
"""Features that no backend may refuse."""
SECRET_VALUE = "hush-0123456789"


@dataclass(frozen=True)
class _Verdict:
    __headrace_gate__: ClassVar[str] = "passed"
    passed: bool


@step
def _number(n: int) -> int:
    return n


@step
def _add(one: int, other: int = 0) -> int:
    return one + other


@step
def _list(n: int) -> list[int]:
    return list(range(n))


@step
def _judge(n: int) -> _Verdict:
    return _Verdict(n > 0)


@step
def _told(n: int, token: Secret) -> int:
    return n


@step(retries=2, timeout_seconds=60.0)
def _patient(n: int) -> int:
    return n


@step(resources=Resources(cpus=2, memory_bytes=1 << 30))
def _heavy(n: int) -> int:
    return n


@pipeline
def _plain(n: int = 1, text: str = "plain", words: tuple[str, ...] = ("a",)) -> int:
    """Add numbers."""
    one = _number(n)
    return _add(_add.options(name="left")(one, 1), _add.options(name="right")(one, 2))


@pipeline
def _inner(n: int) -> int:
    return _add(n)


@pipeline
def _nested(n: int = 1) -> int:
    return _inner(_inner(_number(n)))


@pipeline
def _conditional(n: int = 1) -> int:
    verdict = _judge(_number(n))
    kept = _add.options(name="kept", when=verdict.passed)(1)
    return _add.options(name="after")(kept)


@pipeline
def _mapped(n: int = 3) -> object:
    return _add.options(name="each", max_tasks=2).map(_list(n))


@pipeline
def _mapped_twice(n: int = 3) -> object:
    return _add.options(name="again").map(_add.options(name="each").map(_list(n)))


@pipeline
def _secretive() -> int:
    return _told(1, Secret("HEADRACE_CONTRACT_TOKEN"))


@pipeline
def _careful() -> int:
    return _patient(1)


@pipeline
def _large() -> int:
    return _heavy(1)


@pipeline(schedule="*/5 3 * * 1-5", timezone="Europe/Zurich", max_active_runs=2)
def _scheduled(n: int = 1) -> int:
    return _number(n)


@pipeline(schedule="@daily", date="day", depends_on_past=True)
def _dated(day: str = "2026-01-01") -> int:
    return _number(1)


@pipeline
def _wide() -> int:
    first = _number.options(name="a" * 100)(1)
    alike = [_add.options(name=name)(first) for name in ("a_b", "a-b", "A_b", "a__b", "_", "class", "begin", "finish")]
    return _add.options(name="end")(alike[0], _inner(first))


@pipeline
def _long() -> int:
    last = _number(0)
    for _ in range(300):
        last = _add(last)
    return last


PIPELINES: tuple[Pipeline[..., Any], ...] = (
    _plain,
    _nested,
    _conditional,
    _mapped,
    _mapped_twice,
    _secretive,
    _careful,
    _large,
    _scheduled,
    _dated,
    _wide,
    _long,
)
"""What the cases are about: a pipeline for each thing that plans have."""


def deployment_of(chosen: Pipeline[..., Any]) -> Deployment:
    """A deployment of a pipeline of this module, in a place that needn't exist."""
    plan = trace(chosen, {}, FormatLookup(), Path(__file__).parent).plan
    return Deployment(
        plan=plan,
        pipeline=f"flows.py:{chosen.name}",
        project="/srv/flows",
        command=("/srv/flows/.venv/bin/python", "-m", "headrace"),
        store="/srv/store",
        fields=tuple(fields_of(plan, chosen)),
        secrets=("HEADRACE_CONTRACT_TOKEN",) if chosen is _secretive else (),
        description=(chosen.__doc__ or "").strip(),
    )


class BackendContract:
    """The promises of a backend. A subclass gives ``backend``, ``packages`` and `executed`.

    ``packages``: the orchestrator's own, which Python files of the backend may import. ``settings``: what the backend
    must be told so that it can compile at all. ``image``: the image that it needs for it, None where it needs none.
    """

    backend: ClassVar[Backend]
    packages: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, Any]] = {}
    image: ClassVar[str | None] = None
    store: ClassVar[str | None] = None

    def executed(self, files: Mapping[str, str]) -> Sequence[str]:
        """The nodes for which there are tasks, as the engine would find them in the files: each node once."""
        raise NotImplementedError

    @classmethod
    def cases(cls) -> tuple[str, ...]:
        """Name every case of the contract."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    def deployments(self) -> Iterator[Deployment]:
        """Those that the backend doesn't refuse."""
        n_made = 0
        for chosen in PIPELINES:
            made = self._deployment(chosen)
            if not self._refused(made):
                n_made += 1
                yield made
        assert n_made > 3, "the backend refuses nearly everything"

    def _deployment(self, chosen: Pipeline[..., Any]) -> Deployment:
        made = replace(deployment_of(chosen), settings=dict(self.settings), image=self.image)
        return made if self.store is None else replace(made, store=self.store)

    def _refused(self, made: Deployment) -> list[Feature]:
        used = features_of(made.plan)
        return [feature for feature in used if self.backend.capabilities[feature].kind is Kind.REFUSED]

    def test_every_feature_is_declared(self) -> None:
        """Each feature has a kind, and a sentence that says how or why not."""
        declared = self.backend.capabilities
        assert set(declared) == set(Feature), set(Feature) ^ set(declared)
        for feature, support in declared.items():
            assert isinstance(support, Support), feature
            assert support.how.strip(), feature

    def test_what_everybody_has_is_not_refused(self) -> None:
        """What a pipeline can't do without is had by each backend, natively or inside a task."""
        for feature in WITHOUT_WHICH_NOTHING:
            assert self.backend.capabilities[feature].kind is not Kind.REFUSED, feature

    def test_what_is_refused_is_refused_by_name(self) -> None:
        """A plan that uses what the backend declares as refused never reaches it; the error names step and feature."""
        for chosen in PIPELINES:
            made = self._deployment(chosen)
            refused = self._refused(made)
            try:
                refuse_unsupported(self.backend, made)
            except BackendError as error:
                assert refused, error
                assert all(str(feature) in error.message for feature in refused), error
            else:
                assert not refused, f"{refused} of {chosen.name!r} was let through"

    def test_the_same_plan_gives_the_same_files(self) -> None:
        """Nothing but the deployment counts: no folder, no environment."""
        for made in self.deployments():
            first = dict(self.backend.files(made))
            with _elsewhere():
                assert dict(self.backend.files(made)) == first

    def test_files_stay_in_their_folder(self) -> None:
        """Each name is relative, goes nowhere else, and ends in what tells its kind."""
        for made in self.deployments():
            files = self.backend.files(made)
            assert files, made.pipeline
            for name in files:
                path = PurePosixPath(name)
                assert not path.is_absolute() and ".." not in path.parts and path.suffix, name

    def test_each_node_has_a_task(self) -> None:
        """One of the engine's tasks for each node; names that look alike, or are long, are kept apart."""
        for made in self.deployments():
            found = sorted(self.executed(self.backend.files(made)))
            assert found == sorted(node.id for node in made.plan.nodes), made.pipeline

    def test_python_imports_the_orchestrator_alone(self) -> None:
        """A Python file imports the standard library and the orchestrator: never Headrace, nor the user's packages."""
        known = {*sys.stdlib_module_names, *self.packages}
        for made in self.deployments():
            for name, tree in self._trees(self.backend.files(made)):
                for module in _imported(tree):
                    assert module.partition(".")[0] in known, f"{name} imports {module}"

    def test_texts_stay_texts(self) -> None:
        """What users named or gave is data: nothing of it is code, and all of it is there as it was."""
        for text in HOSTILE:
            made = self._deployment(_plain)
            fields = tuple(
                FormField(field.name, field.type, field.schema, text if field.name == "text" else field.default)
                for field in made.fields
            )
            hostile = replace(made, fields=fields, description=text, project=f"/srv/{text}", made_by=f"headrace {text}")
            try:
                files = self.backend.files(hostile)
            except BackendError:  # an engine may have no way to write such a folder: it is told, and the rest is text
                hostile = replace(hostile, project=made.project)
                files = self.backend.files(hostile)
            for name, tree in self._trees(files):
                for node in ast.walk(tree):
                    called = getattr(node, "id", None) or getattr(node, "attr", None)
                    assert called != "hostile", f"{name} would evaluate a part of {text!r}"
            self.check_hostile(hostile, files, text)

    def check_hostile(self, deployment: Deployment, files: Mapping[str, str], text: str) -> None:
        """Look for more, where the engine has templates of its own; a subclass says how."""

    def test_a_secret_is_told_by_its_name_alone(self) -> None:
        """The variable's name is in the files, and its value nowhere, whatever the environment holds."""
        made = self._deployment(_secretive)
        if self._refused(made):
            return
        before = os.environ.get("HEADRACE_CONTRACT_TOKEN")
        os.environ["HEADRACE_CONTRACT_TOKEN"] = SECRET_VALUE
        try:
            files = self.backend.files(made)
        finally:
            os.environ.pop("HEADRACE_CONTRACT_TOKEN")
            if before is not None:
                os.environ["HEADRACE_CONTRACT_TOKEN"] = before
        assert any("HEADRACE_CONTRACT_TOKEN" in text for text in files.values())
        assert not any(SECRET_VALUE in text for text in files.values())

    def test_a_setting_that_there_is_not_is_refused(self) -> None:
        """A misspelt setting is an error, not nothing."""
        made = replace(self._deployment(_plain), settings={**self.settings, "no_such_setting": "1"})
        try:
            self.backend.files(made)
        except BackendError as error:
            assert "no_such_setting" in error.message
        else:
            raise AssertionError("a setting that there is not was let through")

    def test_the_files_tell_where_they_are_from(self) -> None:
        """A reader finds the command that wrote a file, and the graph that it was made for."""
        for made in self.deployments():
            files = self.backend.files(made).values()
            assert any(made.heading()[1] in text for text in files), "the heading of the deployment is in a file"
            assert any(made.shape in text for text in files), "the shape is handed to exec --begin"

    def _trees(self, files: Mapping[str, str]) -> Iterator[tuple[str, ast.Module]]:
        for name, text in files.items():
            if name.endswith(".py"):
                yield name, ast.parse(text)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Another current folder, and another environment."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        os.environ.clear()
        os.environ.update({"HOME": folder, "TZ": "Asia/Kathmandu", "USER": "nobody"})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
