from __future__ import annotations

import functools
import json
import math
import os
import sys
import types
from pathlib import Path

import pytest

from headrace.core.errors import ValueCodecError
from headrace.core.names import class_around, find_named, is_importable, is_name, name_of


class Outer:
    class Inner:
        def method(self) -> None: ...

    @classmethod
    def make(cls) -> Outer:
        return cls()


class Child(Outer):
    pass


def function() -> None: ...


renamed = function
hidden = functools.partial(function)


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (function, f"{__name__}:function"),
        (Outer, f"{__name__}:Outer"),
        (Outer.Inner, f"{__name__}:Outer.Inner"),
        (Outer.Inner.method, f"{__name__}:Outer.Inner.method"),
        (Outer.make, f"{__name__}:Outer.make"),
        (Child.make, f"{__name__}:Child.make"),
        (json.dumps, "json:dumps"),
        (len, "builtins:len"),
        (math.sqrt, "math:sqrt"),
    ],
)
def test_names_lead_home(thing: object, name: str) -> None:
    assert name_of(thing) == name
    assert find_named(name) == thing
    assert is_importable(thing)


def test_another_name_for_a_thing_does_not_matter() -> None:
    assert name_of(renamed) == f"{__name__}:function"


@pytest.mark.parametrize(
    ("thing", "message", "hint"),
    [
        (lambda: 1, "A lambda cannot be a value in a plan (", "define a named function at the top of a module"),
        (hidden, "functools.partial(<function function at ", "define it at the top of a module"),
        (5, "5 has no name to import it by", "define it at the top of a module"),
        ("x" * 1000, "xxx", "define it at the top of a module"),
        ([].append, "has no name to import it by", "define it at the top of a module"),
    ],
    ids=["lambda", "partial", "number", "text", "bound"],
)
def test_what_has_no_name(thing: object, message: str, hint: str) -> None:
    with pytest.raises(ValueCodecError) as caught:
        name_of(thing)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert len(caught.value.message) < 300
    assert not is_importable(thing)


def test_what_is_made_in_a_function_is_told_with_its_place() -> None:
    def local() -> None: ...

    with pytest.raises(ValueCodecError) as caught:
        name_of(local)
    line = local.__code__.co_firstlineno
    assert caught.value.message == (
        "'test_what_is_made_in_a_function_is_told_with_its_place.<locals>.local' is defined inside a function "
        f"({__file__}:{line}), so another process cannot import it"
    )


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("json", "'json' is no import path", "it should read 'package.module:name'"),
        ("", "'' is no import path", "it should read"),
        ("json:", "'json:' is no import path", "it should read"),
        (".json:dumps", "'.json:dumps' is no import path", "it should read"),
        ("json:JSONEncodr", "'json' has no 'JSONEncodr'", "did you mean 'JSONEncoder'?"),
        ("json:JSONEncoder.encod", "'json' has no 'JSONEncoder.encod'", "did you mean 'encode'?"),
        ("nowhere.at_all:x", "Module 'nowhere.at_all' of 'nowhere.at_all:x' does not import: No module named", None),
    ],
)
def test_a_name_that_leads_nowhere(name: str, message: str, hint: str | None) -> None:
    with pytest.raises(ValueCodecError) as caught:
        find_named(name)
    assert caught.value.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint or "")


def test_what_a_module_raises_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_that_raises.py").write_text("raise ZeroDivisionError('mine')")
    (tmp_path / "module_that_misses.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError, match=r"^mine$"):
        find_named("module_that_raises:x")
    with pytest.raises(ValueCodecError, match="does not import: No module named 'no_such_library'"):
        find_named("module_that_misses:x")


def test_a_name_that_gives_another_thing_is_not_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("module_of_test_names")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def stand_in() -> None: ...

    stand_in.__module__, stand_in.__qualname__ = module.__name__, "thing"
    module.thing = 5  # type: ignore[attr-defined]
    assert not is_importable(stand_in)
    module.thing = stand_in  # type: ignore[attr-defined]
    assert is_importable(stand_in)


@pytest.mark.parametrize("name", ["a", "_a", "train-2", "Train_the_model", "x" * 100])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "2a", "-a", "a.b", "a/b", "a b", "a\n", "é", "x" * 101, 5, None])
def test_what_is_no_name(name: object) -> None:
    assert not is_name(name)


def test_the_class_around_a_function() -> None:
    def local() -> None: ...

    assert class_around(function) is None
    assert class_around(local) is None
    assert class_around(Outer.Inner.method) == "Outer.Inner"
    assert class_around(os.path.join) is None
