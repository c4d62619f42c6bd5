"""``headrace compile``: what a backend is told, what is refused, and what is written."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

DIGEST = "sha256:" + "a" * 64


def compiled(project: Any, plain: dict[str, str], *more: str) -> Any:
    return project.headrace("compile", "plain", "flow:flow", "-o", "out", *more, env=plain)


def told(project: Any, plain: dict[str, str], *more: str) -> Any:
    done = compiled(project, plain, *more)
    assert done.code == 0, done.err
    return json.loads((project.folder / "out/flow.json").read_text())


def test_a_backend_of_another_package_is_told_everything(project: Any, plain: dict[str, str]) -> None:
    document = told(project, plain, "-p", "n=7", "--set", "owner=me", "--set", "tags=x,y")

    assert document["heading"][0].startswith(
        "Pipeline 'flow', written by: headrace compile plain flow:flow -o out -p n=7 --set owner=me"
    )
    assert document["command"] == [sys.executable, "-m", "headrace"]
    assert document["pipeline"] == "flow:flow"
    assert document["project"] == str(project.folder)
    assert document["store"] == str(project.folder / ".headrace")
    assert (document["owner"], document["tags"]) == ("me", ["x", "y"])
    assert document["secrets"] == ["TOKEN"]
    assert document["description"] == "Double numbers."
    assert document["tasks"] == ["begin", "numbers", "double", "judge", "keep", "inner.keep", "finish"]


def test_parameters_are_a_form(project: Any, plain: dict[str, str]) -> None:
    fields = told(project, plain, "-p", "n=7")["fields"]

    assert fields == {
        "day": [{"type": "string", "format": "date"}, None, True],
        "n": [{"type": "integer"}, 7, False],
        "share": [{"type": "number"}, 0.5, False],
        "name": [{"type": "string"}, "plain", False],
        "words": [{"type": "array", "items": {"type": "string"}}, ["a", "b"], False],
        "kind": [{"enum": ["one", "two"]}, "one", False],
        "data": [{"type": "string"}, "data/rows.csv", False],
        "limit": [{"type": ["integer", "null"]}, None, False],
        "weights": [{"type": ["object", "null"]}, None, False],
        "is_on": [{"type": "boolean"}, True, False],
    }, "and 'odd', which JSON can't say, keeps its value"


def test_the_same_plan_gives_the_same_bytes_and_is_written_once(project: Any, plain: dict[str, str]) -> None:
    first = compiled(project, plain, "--json")
    before = (project.folder / "out/flow.json").read_bytes()
    again = compiled(project, plain, "--json")

    assert first.json["files"] == {"flow.json": "written"}
    assert again.json["files"] == {"flow.json": "unchanged"}
    assert (project.folder / "out/flow.json").read_bytes() == before
    assert again.json["shape"] == json.loads(before)["shape"]


def test_nothing_of_the_store_is_made(project: Any, plain: dict[str, str]) -> None:
    compiled(project, plain)

    assert not (project.folder / ".headrace").exists()


def test_settings_of_the_project(project: Any, plain: dict[str, str]) -> None:
    project.write("pyproject.toml", '[tool.headrace.backends.plain]\nowner = "us"\ntags = ["a"]\n')
    document = told(project, plain, "--set", "tags=b")

    assert (document["owner"], document["tags"]) == ("us", ["b"])


def test_submit_says_what_it_did(project: Any, plain: dict[str, str]) -> None:
    done = compiled(project, plain, "--submit", "--to", "there")
    nowhere = compiled(project, plain, "--submit")

    assert done.out.splitlines() == ["out/flow.json: written", "put into there"]
    assert nowhere.code == 2
    assert "There is nowhere to put it" in nowhere.err


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("cpus=2", "cpus=2, memory_bytes=9"), "step 'double' uses memory (it has no memory)"),
        (('date="day"', 'date="day", depends_on_past=True'), "pipeline 'flow' uses depends_on_past (it knows no past)"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(
    project: Any, plain: dict[str, str], edit: tuple[str, str], message: str
) -> None:
    text = (project.folder / "flow.py").read_text()
    project.write("flow.py", text.replace(*edit))
    done = compiled(project, plain)

    assert done.code == 2
    assert f"Backend 'plain' can't carry out pipeline 'flow': {message}" in done.err
    assert not (project.folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("--image", "shop:latest"), "An image is named by its digest, but got 'shop:latest'", "give NAME@sha256:…"),
        (("--python", "/nowhere/python"), "'/nowhere/python' is no interpreter that has Headrace", "--python names"),
        (("--set", "owners=me"), "Backend 'plain' has no setting 'owners'", "did you mean 'owner'?"),
        (("--set", "owner"), "--set takes KEY=VALUE, but got 'owner'", "as in --set"),
        (("--to", "x"), "--to says where --submit puts the files", "add --submit"),
        (("-p", "m=1"), "has no parameter 'm'", "there are 'data', 'day'"),
        (("-p", "n=many"), "Parameter 'n' must be int, but got 'many'", ""),
        (("-p", "day=2026-01-01", "-p", "n=many"), "Parameter 'n' must be int, but got 'many'", ""),
    ],
)
def test_what_is_wrong_is_said(
    project: Any, plain: dict[str, str], arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = compiled(project, plain, *arguments)

    assert done.code == 2
    assert message in done.err
    assert hint in done.err
    assert not (project.folder / "out").exists()


def test_a_backend_that_there_is_not(project: Any, plain: dict[str, str]) -> None:
    done = project.headrace("compile", "plian", "flow.py", "-o", "out", env=plain)

    assert done.code == 2
    assert "There is no backend 'plian'" in done.err
    assert "did you mean 'plain'?" in done.err


def test_a_pipeline_that_does_not_trace_shows_its_own_traceback(project: Any, plain: dict[str, str]) -> None:
    project.write("flow.py", "import nothing_of_the_kind\nfrom headrace import pipeline\n@pipeline\ndef flow(): pass\n")
    done = compiled(project, plain)

    assert done.code == 2
    assert "ModuleNotFoundError" in done.err


def test_an_image_is_of_the_project_and_its_pins(project: Any, plain: dict[str, str]) -> None:
    document = told(project, plain, "--image", f"shop@{DIGEST}", "--store", "s3://bucket/team")
    dockerfile = (project.folder / "out/Dockerfile").read_text()
    pins = (project.folder / "out/requirements.lock").read_text().splitlines()

    assert document["project"] == "/project"
    assert document["command"] == ["python", "-m", "headrace"]
    assert document["store"] == "s3://bucket/team"
    assert 'COPY ["out/requirements.lock", "/tmp/"]' in dockerfile
    assert "COPY --chown=headrace . /project" in dockerfile
    assert any(line.startswith("polars==") for line in pins)
    assert not any(line.startswith("flows==") for line in pins)
    assert ".headrace" in (project.folder / "out/Dockerfile.dockerignore").read_text().splitlines()


def test_an_image_can_be_written_before_there_is_one(project: Any) -> None:
    done = project.headrace("compile", "image", "flow:flow", "-o", "deploy")

    assert done.code == 0, done.err
    assert sorted(path.name for path in (project.folder / "deploy").iterdir()) == [
        "Dockerfile",
        "Dockerfile.dockerignore",
        "requirements.lock",
    ]
