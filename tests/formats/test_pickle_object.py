from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from headrace.core.errors import FormatError
from headrace.formats import Pickle, find_format
from headrace.formats.pickle_object import PickleFormat
from headrace.testing.formats import FormatContract, format_error, stored


class Plain:
    """A class with nothing but a value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Other:
    value: int


class TestPickleContract(FormatContract):
    format = PickleFormat()
    wrong = (
        Other(1),
        Annotated[Plain, Pickle],
        f"A value of type '{__name__}.Plain' is declared, but got a {__name__}.Other",
    )
    has_equal_bytes = False
    is_chosen_by_type = False

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(Plain({"a", "b", "c"}), Annotated[Plain, Pickle]), (Other(1), Annotated[Other | None, Pickle])]


def test_it_is_chosen_by_name_only() -> None:
    with pytest.raises(FormatError, match="No format stores a value of type"):
        find_format(Plain)
    assert find_format(Annotated[Plain, Pickle]).name == "pickle"


def test_what_does_not_pickle_is_refused(tmp_path: Path) -> None:
    error = format_error(lambda: PickleFormat().save(Plain(lambda: 0), tmp_path, Plain))
    assert error.message.startswith(f"A {__name__}.Plain doesn't pickle: ")
    assert error.hint == "return what it is made of, in a type that has a format"


def test_a_pickle_of_another_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "value.pickle").write_bytes(pickle.dumps(3))
    error = format_error(lambda: PickleFormat().load({"value.pickle": tmp_path / "value.pickle"}, Plain))
    assert error.message == f"A value of type '{__name__}.Plain' is declared, but got a builtins.int"


def test_a_pickle_whose_class_is_gone_is_refused(tmp_path: Path) -> None:
    with stored(PickleFormat(), Other(1), Other) as files:
        data = files["value.pickle"].read_bytes().replace(b"Other", b"Othor")
    (tmp_path / "value.pickle").write_bytes(data)
    error = format_error(lambda: PickleFormat().load({"value.pickle": tmp_path / "value.pickle"}, Other))
    assert error.message.startswith("The pickle 'value.pickle' can't be read (AttributeError: ")
