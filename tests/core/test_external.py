from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from headrace.core.errors import ValueCodecError
from headrace.core.external import External, external_id, external_tree
from headrace.core.values import canonical, decode, names_in


@dataclass(frozen=True)
class Champion(External):
    model: str
    tags: tuple[str, ...] = ()


class Bare(External):
    pass


STORE: Any = None


def test_an_external_comes_back_from_its_tree() -> None:
    tree = external_tree(Champion("churn", ("a", "b")))
    assert tree["$"] == "external"
    assert decode(json.loads(canonical(tree))) == Champion("churn", ("a", "b"))
    assert {name.rpartition(":")[2] for name in names_in(tree)} == {"Champion"}


def test_its_id_is_that_of_its_class_and_fields() -> None:
    assert external_id(Champion("a")) == external_id(Champion("a")) == external_id(external_tree(Champion("a")))
    assert external_id(Champion("a")) != external_id(Champion("b"))


def test_it_must_say_what_pins_it() -> None:
    with pytest.raises(NotImplementedError, match=r"^Champion must say what pins it$"):
        Champion("a").pin(STORE)


def test_the_whole_pin_enters_the_key_by_default() -> None:
    assert Champion("a").key_part({"digest": "d"}, frozenset({"x"})) == {"digest": "d"}


def test_a_class_that_is_no_dataclass_is_refused() -> None:
    with pytest.raises(ValueCodecError) as caught:
        external_tree(Bare())
    assert caught.value.message.endswith("test_external.Bare is an External, but no dataclass")
    assert caught.value.hint == "decorate it with @dataclass(frozen=True)"
