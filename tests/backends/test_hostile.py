"""Names and texts that are out to be more than text, on every backend.

What a file says is found as its reader finds it: the constants of Python, the scalars of YAML, and what is JSON in
them. Each text must be among them as it was given, and no part of it anywhere else. That the engines' own templates see
nothing in them is said by each backend's own tests.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.backends.airflow.backend import Airflow
from headrace.backends.argo.backend import Argo
from headrace.backends.dagster.backend import Dagster
from headrace.backends.deployment import BackendError, Deployment, FormField
from headrace.backends.kubeflow.backend import Kubeflow
from headrace.backends.prefect.backend import Prefect
from headrace.backends.protocol import Backend
from headrace.core.pipeline import pipeline, trace
from headrace.core.step import step
from headrace.engine.lookup import FormatLookup

IMAGE = "registry.example/flows@sha256:" + "a" * 64
BACKENDS: Mapping[str, tuple[Backend, Mapping[str, Any]]] = {
    "airflow": (Airflow(), {}),
    "airflow in pods": (Airflow(), {"image": IMAGE, "store": "s3://bucket/store"}),
    "argo": (Argo(), {"image": IMAGE, "store": "s3://bucket/store"}),
    "dagster": (Dagster(), {}),
    "kubeflow": (Kubeflow(), {}),
    "kubeflow in an image": (Kubeflow(), {"image": IMAGE, "store": "s3://bucket/store"}),
    "prefect": (Prefect(), {}),
}
TEXTS = (
    'it\'s "quoted" \\ \'\'\' """ `canary`',
    '\\" + canary() + \\"',
    '"""\ncanary()\n"""',
    "'); canary(); ('",
    "{canary()} {{canary}} {{ canary }} {{=canary}} {{{{canary}}}}",
    "{% raw %}{{ canary }}{% endraw %} {# canary #}",
    "{{workflow.parameters.canary}} {{inputs.parameters.canary}} {{tasks.canary.outputs.result}} {{item}}",
    "{{$.inputs.parameters['canary']}} {{channel:task=canary;name=canary;type=String;}} {{$.json_escape[1]}}",
    "{{ prefect.variables.canary }} {{ $CANARY }} {{ get-canary.output }}",
    "$(CANARY) $$(CANARY) ${CANARY} $CANARY $$ %(canary)s %s %% `canary` $(canary)",
    "!!python/object/apply:os.system ['canary'] &canary *canary <<: *canary",
    "- canary: |\n    - x # canary\n...\n---\n%YAML 1.2",
    "one\ntwo\r\nthree\rfour\x0bfive\x0csix\x85seven\u2028eight\u2029nine",
    "".join(map(chr, range(1, 32))) + "\x7f",
    " leading and trailing ",
    "\ttab",
    "# canary",
    "größe 年 👩🏽‍🔬 \u202ecanary\u202c \ufeff \U000e0001 \ufffe",
    "é e\u0301",
    "yes",
    "null",
    "1:30",
    "0o14",
    "-0.0",
    "2026-01-01",
    "<script>canary()</script> <!-- --> &amp; ]]>",
    "../../etc/passwd\\..",
    "",
    "\\",
    "'",
    '"',
    "{",
    "}}",
    "x" * 30_000,
    '{"__prefect_kind": "jinja", "template": "{{ canary }}"}',
    "__headrace__",
)
PARAMETER_NAMES = """größe 年 self cls json os sys print str type list dict date datetime Any run job items item started
    begin finish flow task dag dsl compiler context params parameters name node nodes secrets log headrace HEADRACE
    Headrace report execute wait state result output status image container component pathlib runtime logical_date
    unmapped settled kinds given logger conf kwargs args key date_"""
STEP_NAMES = f"""None True class def lambda import print os json hashlib subprocess begin finish DAG Step Begin Finish
    dag dsl compiler flow task settled headrace Headrace Lost PIPELINE HEADRACE OPTIONS COMPONENT job assets defs run
    items main step collect execute date datetime Any _ __ __init__ a-b a_b A_B {"x" * 100} wait unmapped"""
JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


@step
def number(n: int) -> int:
    return n


@step
def add(one: int, other: int = 0) -> int:
    return one + other


@pipeline
def plain(n: int = 1, text: str = "plain") -> int:
    return add(number(n), 1)


@pipeline
def named(n: int = 1) -> int:
    for name in STEP_NAMES.split():
        add.options(name=name)(n)
    return number(n)


def deployment(backend: str, chosen: Any = plain, **more: Any) -> Deployment:
    plan = trace(chosen, {}, FormatLookup(), Path(__file__).parent).plan
    fields = (
        FormField("n", "int", {"type": "integer"}, 1),
        FormField("text", "str", {"type": "string"}, "plain"),
    )
    made = Deployment(
        plan=plan,
        pipeline=f"flows.py:{chosen.name}",
        project="/srv/flows",
        command=("/srv/flows/.venv/bin/python", "-m", "headrace"),
        store="/srv/store",
        fields=fields if chosen is plain else (),
    )
    return replace(made, **{**BACKENDS[backend][1], **more})


def files(backend: str, made: Deployment) -> dict[str, str]:
    return dict(BACKENDS[backend][0].files(made))


def texts_of(made: Mapping[str, str]) -> set[str]:
    """Every text in some files, as their readers have it; of one that is JSON also the texts in it."""
    found: set[str] = set()
    waiting: list[Any] = [tree for name, text in made.items() for tree in trees_of(name, text)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and item not in found:
            found.add(item)
            waiting.extend(json_in(item))
        elif isinstance(item, Mapping):
            waiting.extend([*item.keys(), *item.values()])
        elif isinstance(item, list | tuple):
            waiting.extend(item)
    return found


def trees_of(name: str, text: str) -> Iterator[Any]:
    if name.endswith(".py"):
        compile(text, name, "exec")
        yield from (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    elif name.endswith((".yaml", ".yml")):
        yield from yaml.safe_load_all(text)
    else:
        yield text


def json_in(text: str) -> Iterator[Any]:
    """What a text holds that is JSON, or the texts of JSON in it, where values are still to be put in."""
    try:
        yield json.loads(text)
    except ValueError:
        for found in JSON_TEXT.findall(text):
            with suppress(ValueError):
                yield json.loads(found)


def canaries(made: Mapping[str, str]) -> list[str]:
    """Where a part of a text has become code."""
    return [
        f"{name}:{getattr(node, 'lineno', 0)}"
        for name, text in made.items()
        if name.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if "canary" in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", ""))
    ]


each_backend = pytest.mark.parametrize("backend", BACKENDS)


@each_backend
def test_values_come_back_as_they_were(backend: str) -> None:
    fields = [
        FormField(f"{kind}{number}", "str", schema, value)
        for number, text in enumerate(TEXTS)
        for kind, value, schema in (
            ("text", text, {"type": "string"}),
            ("list", [text, "b"], {"type": "array", "items": {"type": "string"}}),
            ("table", {"a": text, text or "b": "c"}, {"type": "object"}),
            ("choice", text, {"enum": [text, "other"]}),
        )
    ]
    made = files(backend, replace(deployment(backend), fields=tuple(fields)))
    assert set(TEXTS) - texts_of(made) == set()
    assert canaries(made) == []


@each_backend
def test_what_pages_say_is_text(backend: str) -> None:
    usual = deployment(backend)
    for first in range(0, len(TEXTS), 6):
        text = "\n".join(TEXTS[first : first + 6])
        made = files(backend, replace(usual, description=text, made_by=f"headrace {text}"))
        texts_of(made)
        assert canaries(made) == [], text


@each_backend
@pytest.mark.parametrize("place", ["project", "store", "pipeline", "command"])
def test_places_come_back_or_are_refused(backend: str, place: str) -> None:
    usual = deployment(backend)
    for text in TEXTS[:19:2]:
        given = {
            "project": f"/srv/{text}",
            "store": f"{usual.store}/{text}",
            "pipeline": f"{text}/flows.py:plain",
            "command": (f"/opt/{text}/python", "-m", "headrace"),
        }[place]
        word = given[0] if isinstance(given, tuple) else given
        try:
            made = files(backend, replace(usual, **{place: given}))
        except BackendError as error:
            assert error.hint, "who is refused is told what to do"
            continue
        found = texts_of(made)
        # Kubernetes makes one of two dollars in the words of a command.
        assert word in found or word.replace("$", "$$") in found, text
        assert canaries(made) == [], text


@each_backend
def test_names_of_parameters_are_names_of_nothing_else(backend: str) -> None:
    names = PARAMETER_NAMES.split()
    fields = [FormField(name, "str", {"type": "string"}, f"{name} of its own") for name in (*names, "text")]
    made = files(backend, replace(deployment(backend), fields=tuple(fields)))
    assert {*names, *(f"{name} of its own" for name in names)} - texts_of(made) == set()
    for file, text in made.items():
        if file.endswith(".py"):
            assert used_as_code(ast.parse(text), {*names}) == [], file


def used_as_code(tree: ast.Module, names: set[str]) -> list[str]:
    """Where a function that takes arguments of these names calls one, or asks it for an attribute."""
    found = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        arguments = {item.arg for item in (*function.args.args, *function.args.kwonlyargs)}
        if "text" not in arguments:
            continue
        for node in (node for line in function.body for node in ast.walk(line)):
            used = node.func if isinstance(node, ast.Call) else node.value if isinstance(node, ast.Attribute) else None
            if isinstance(used, ast.Name) and used.id in names & arguments:
                found.append(ast.unparse(node)[:100])
    return found


@each_backend
def test_names_of_steps_are_names_of_nothing_else(backend: str) -> None:
    made = files(backend, deployment(backend, named))
    found = texts_of(made)
    assert set(STEP_NAMES.split()) <= found
    for file, text in made.items():
        if file.endswith(".py"):
            assert bound_twice(ast.parse(text)) == [], file


def bound_twice(tree: ast.Module) -> list[str]:
    """Names of a module that an import, a class, a function or an assignment takes from another."""
    seen: set[str] = set()
    found = []
    statements = [*tree.body]
    while statements:
        item = statements.pop(0)
        names: list[str] = []
        if isinstance(item, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name.split(".")[0] for alias in item.names]
        elif isinstance(item, ast.FunctionDef | ast.ClassDef):
            names = [item.name]
        elif isinstance(item, ast.Assign | ast.AnnAssign):
            targets = item.targets if isinstance(item, ast.Assign) else [item.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        elif isinstance(item, ast.With):
            names = [part.optional_vars.id for part in item.items if isinstance(part.optional_vars, ast.Name)]
            statements = [*item.body, *statements]
        found += [name for name in names if name in seen]
        seen |= set(names)
    return found


def test_the_helpers_find_what_is_wrong() -> None:
    assert "a\nb" in texts_of({"a.py": "x = '[\"a\\\\nb\"]'"})
    assert canaries({"a.py": "x = canary()"}) == ["a.py:1"]
    assert used_as_code(ast.parse("def f(json, text):\n    json.dumps(1)\n"), {"json"}) == ["json.dumps"]
    assert bound_twice(ast.parse("import os\nwith x() as y:\n    os = 1\n    y = 2\n")) == ["os", "y"]
    with pytest.raises(SyntaxError):
        texts_of({"a.py": "def f(a, a): pass"})
