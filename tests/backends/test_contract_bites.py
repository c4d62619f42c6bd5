"""The contract holds for a backend of another package, counts its cases, and finds what is wrong with a bad one."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from headrace.backends.capabilities import Feature, refused
from headrace.testing.backends import BackendContract

sys.path.insert(0, str(Path(__file__).resolve().parent))

from plain_package import CAPABILITIES, Plain


class TestPlain(BackendContract):
    backend = Plain()

    def executed(self, files: Mapping[str, str]) -> list[str]:
        return [name for text in files.values() for name in json.loads(text)["tasks"][1:-1]]


def test_no_case_was_lost() -> None:
    assert len(TestPlain.cases()) == 11


class Written(Plain):
    """Writes Python, and badly."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        lines = [f"# {line}" for line in deployment.heading()]
        lines += [f"DESCRIPTION = '{deployment.description}'", f"SHAPE = {deployment.shape!r}"]
        lines += [f"TASKS = {[node.id for node in deployment.plan.nodes]!r}", f"SECRETS = {deployment.secrets!r}"]
        return {"flow.py": "\n".join(lines)}


class OfItsOwn(Plain):
    """Imports Headrace."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        return {"flow.py": "import headrace\n"}


class Clocked(Plain):
    """Depends on where it is."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        return {"flow.json": json.dumps([os.getcwd(), super().files(deployment)])}  # noqa: PTH109


class Short(Plain):
    """Cuts names off."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        return {name: re.sub(r'"a[_-]+b"', '"a_b"', text) for name, text in super().files(deployment).items()}


class Lax(Plain):
    """Declares less than everything."""

    capabilities: ClassVar[Any] = {
        feature: support for feature, support in CAPABILITIES.items() if feature is not Feature.CANCEL
    }


class Poor(Plain):
    """Knows no gates."""

    capabilities: ClassVar[Any] = {**CAPABILITIES, Feature.GATE: refused("what is a gate?")}


class Open(Plain):
    """Holds the value of a secret."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        values = [os.environ.get(name) for name in deployment.secrets]
        return {**super().files(deployment), "values.json": json.dumps([deployment.secrets, values])}


class Away(Plain):
    """Writes somewhere else."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        return {"../flow.json": ""}


class Mute(Plain):
    """Says nothing of where its files are from."""

    def files(self, deployment: Any) -> Mapping[str, str]:
        return {name: json.dumps(json.loads(text)["tasks"]) for name, text in super().files(deployment).items()}


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        (Written, "test_texts_stay_texts"),
        (OfItsOwn, "test_python_imports_the_orchestrator_alone"),
        (Clocked, "test_the_same_plan_gives_the_same_files"),
        (Short, "test_each_node_has_a_task"),
        (Lax, "test_every_feature_is_declared"),
        (Poor, "test_what_everybody_has_is_not_refused"),
        (Open, "test_a_secret_is_told_by_its_name_alone"),
        (Away, "test_files_stay_in_their_folder"),
        (Mute, "test_the_files_tell_where_they_are_from"),
        (Mute, "test_a_setting_that_there_is_not_is_refused"),
    ],
)
def test_a_bad_backend_does_not_pass(kind: type[Plain], case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if case == "test_a_setting_that_there_is_not_is_refused":
        monkeypatch.setattr("plain_package.read_settings", lambda kind, *_: kind())
    contract = TestPlain()
    contract.backend = kind()  # type: ignore[misc]

    with pytest.raises((AssertionError, SyntaxError)):
        getattr(contract, case)()


def test_what_is_refused_must_not_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.testing.backends.refuse_unsupported", lambda *_: None)

    with pytest.raises(AssertionError, match="was let through"):
        TestPlain().test_what_is_refused_is_refused_by_name()
