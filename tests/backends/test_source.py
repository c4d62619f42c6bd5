"""Python as the backends lay it out."""

from __future__ import annotations

import ast

import pytest

from headrace.backends.source import Call, Code, call, import_sections, imports_in, literal, merged_imports


@pytest.mark.parametrize("value", ["", "plain", "it's", 'say "x"', "both ' and \"", "\n\t\\", "é\u2028\ud800", "{{ }}"])
def test_a_text_is_read_back_as_it_was(value: str) -> None:
    assert ast.literal_eval(literal(value)) == value


def test_what_is_too_long_for_a_line_is_spread() -> None:
    call = Call("f", (Code("x"),), {"items": {"a": [1, 2], "b": (3,)}, "text": "t" * 10})

    assert literal(call) == 'f(x, items={"a": [1, 2], "b": (3,)}, text="tttttttttt")'
    assert literal(call, width=40) == ('f(\n    x,\n    items={"a": [1, 2], "b": (3,)},\n    text="tttttttttt",\n)')
    assert literal(call, width=20) == (
        'f(\n    x,\n    items={\n        "a": [1, 2],\n        "b": (3,),\n    },\n    text="tttttttttt",\n)'
    )


def test_imports_are_put_together_in_order() -> None:
    lines = ["from b import z, A", "import os", "from b import CONST", "import abc"]

    assert merged_imports(lines) == ["import abc", "import os", "from b import CONST, A, z"]


def test_what_stands_around_a_value_counts_too() -> None:
    value = [Code("one"), (Code("two"),)]

    assert literal(value, before="at ", after=" ->", width=20) == "at [one, (two,)] ->"
    assert literal(value, before="at ", after=" ->", width=18) == "at [\n    one,\n    (two,),\n] ->"
    assert literal([], indent="  ", before="at ", width=2) == "  at []"


def test_a_call_has_no_words_that_are_none() -> None:
    assert literal(call("f", None, name="x", other=None)) == 'f(None, name="x")'


def test_the_standard_library_comes_first() -> None:
    ours = imports_in("from __future__ import annotations\nimport b.c\nimport os\nfrom headrace.core import plan\n")

    assert import_sections([*ours, "from re import sub"]) == ["import os", "from re import sub", "", "import b.c"]
