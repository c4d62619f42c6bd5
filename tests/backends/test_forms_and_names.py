"""Parameters as forms have them, and names that engines take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.backends.forms import schema_of
from headrace.backends.naming import unique_names


@pytest.mark.parametrize(
    ("declared", "schema"),
    [
        ("int", {"type": "integer"}),
        ("pathlib.Path | None", {"type": ["string", "null"]}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("tuple[str, ...]", {"type": "array", "items": {"type": "string"}}),
        ("tuple[str, int]", {"type": "array"}),
        ("dict[str, list[float]]", {"type": "object"}),
        ("list[dict[str, Any]] | None", {"type": ["array", "null"], "items": {"type": "object"}}),
        ("Literal['a', 'b', 3]", {"enum": ["a", "b", 3]}),
        ("Literal['a'] | None", {"enum": ["a", None]}),
        ("int | float", {"type": ["integer", "number"]}),
        ("Any", {}),
        ("MyClass | int", {}),
        ("not a type", {}),
    ],
)
def test_a_declared_type_as_a_schema(declared: str, schema: dict[str, object]) -> None:
    assert schema_of(declared) == schema


NODE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}(\.[A-Za-z_][A-Za-z0-9_-]{0,9}){0,2}", fullmatch=True)


@given(st.lists(NODE, unique=True), st.sampled_from([("[^A-Za-z0-9_]", "_", False), ("[^a-z0-9-]", "-", True)]))
def test_names_are_the_engines_and_no_two_alike(ids: list[str], kind: tuple[str, str, bool]) -> None:
    other, between, lower = kind
    names = unique_names(ids, other, 14, between=between, lower=lower)

    assert list(names) == ids
    assert len(set(names.values())) == len(ids)
    assert all(len(name) <= 14 and re.search(other, name) is None for name in names.values())
    assert names == unique_names(ids, other, 14, between=between, lower=lower)


def test_a_name_that_fits_stays() -> None:
    assert unique_names(["read", "a.b", "a_b"], "[^A-Za-z0-9_]", 60)["read"] == "read"
