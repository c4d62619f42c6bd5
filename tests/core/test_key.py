from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.key import KeyParts, environment_of, seed_of

PARTS = KeyParts(
    code={"flow:train": "aa", "flow:Scaler": "bb"},
    values={"rows": 1, "table": {"$": "artifact", "digest": "cc"}},
    formats={"output": "json"},
    environment={"python": "cpython 3.11", "threads": 1},
)


def test_the_key_is_the_sha256_over_scheme_and_parts() -> None:
    text = (
        '[1,{"code":{"flow:Scaler":"bb","flow:train":"aa"},"values":{"rows":1,"table":{"$":"artifact","digest":"cc"}},'
        '"formats":{"output":"json"},"environment":{"python":"cpython 3.11","threads":1}}]'
    )
    assert PARTS.key == hashlib.sha256(text.encode()).hexdigest()


def test_the_order_of_code_does_not_count() -> None:
    assert replace(PARTS, code=dict(reversed(PARTS.code.items()))).key == PARTS.key


@pytest.mark.parametrize(
    "changed",
    [
        replace(PARTS, code={**PARTS.code, "flow:train": "ab"}),
        replace(PARTS, code={"flow:train": "aa"}),
        replace(PARTS, values={**PARTS.values, "rows": 1.0}),
        replace(PARTS, values={**PARTS.values, "rows": True}),
        replace(PARTS, values={**PARTS.values, "rows": "1"}),
        replace(PARTS, values={**PARTS.values, "table": {"$": "artifact", "digest": "cd"}}),
        replace(PARTS, values={**PARTS.values, "more": None}),
        replace(PARTS, formats={"output": "pickle"}),
        replace(PARTS, environment={**PARTS.environment, "threads": 2}),
    ],
)
def test_each_part_counts(changed: KeyParts) -> None:
    assert changed.key != PARTS.key


def test_the_form_that_records_keep_makes_the_same_key() -> None:
    again = KeyParts.from_json(json.loads(json.dumps(PARTS.to_json())))
    assert again.key == PARTS.key
    assert again == PARTS


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()))
def test_a_key_outlives_json(values: dict[str, object]) -> None:
    parts = replace(PARTS, values=values)
    assert KeyParts.from_json(json.loads(json.dumps(parts.to_json()))).key == parts.key


def test_the_environment_is_that_of_this_process() -> None:
    found = environment_of(3, None)
    assert found == {
        "python": f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}",
        "machine": subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip(),
        "threads": 3,
    }
    assert environment_of(3, "polars 2.1") == {**found, "table engine": "polars 2.1"}
    assert os.uname().machine == found["machine"]


def test_the_seed_is_32_bits_of_the_key() -> None:
    assert seed_of("ffffffff" + "0" * 56) == 2**32 - 1
    assert seed_of("00000001" + "f" * 56) == 1
