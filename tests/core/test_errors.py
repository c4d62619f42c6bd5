from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest

from headrace.core import errors
from headrace.core.errors import (
    DamagedObjectError,
    DefinitionError,
    HeadraceError,
    TransientError,
    ValueCodecError,
    near_miss,
)


class Wordy(TransientError):
    """A user's subclass with arguments of its own."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"The server said {code}", hint="wait")


@pytest.mark.parametrize(
    ("message", "facts", "text"),
    [
        ("It broke", {}, "It broke."),
        ("It broke.", {}, "It broke."),
        ("Did it break?", {}, "Did it break?"),
        ("It broke", {"hint": "mend it"}, "It broke.\nHint: mend it"),
        ("It broke", {"where": "flow.py:3"}, "It broke (flow.py:3)."),
        ("It broke.", {"where": "flow.py:3"}, "It broke (flow.py:3)."),
        ("It broke", {"where": "flow.py:3", "hint": "mend it"}, "It broke (flow.py:3).\nHint: mend it"),
        ("It broke", {"where": "", "hint": ""}, "It broke."),
        (ValueError("no room"), {}, "no room."),
    ],
)
def test_the_text_says_what_where_and_what_to_do(message: object, facts: dict[str, str], text: str) -> None:
    error = HeadraceError(message, **facts)
    assert str(error) == text
    assert error.message == str(message)


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy], ids=["pickle", "copy"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: HeadraceError("A", hint="b", where="c"),
        lambda: ValueCodecError("A"),
        lambda: DamagedObjectError("ab" * 32, "cut short", where="here"),
        lambda: Wordy(503),
    ],
    ids=["base", "plain", "with facts", "of a user"],
)
def test_an_error_goes_to_other_processes_whole(
    again: Callable[[HeadraceError], HeadraceError], make: Callable[[], HeadraceError]
) -> None:
    error = make()
    error.add_note("noted")
    back = again(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.__notes__ == ["noted"]


def test_a_damaged_object_says_what_becomes_of_it() -> None:
    error = DamagedObjectError("0123456789abcdef" * 4, "cut short")
    assert str(error) == (
        "Object 0123456789ab is cut short.\n"
        "Hint: nothing is lost: run again, and the step that made it is executed again"
    )
    assert (error.digest, error.problem) == ("0123456789abcdef" * 4, "cut short")


def test_a_transient_error_needs_no_words() -> None:
    assert str(TransientError()) == "this may pass if it is tried again."
    assert str(TransientError(OSError("line busy"))) == "line busy."


def test_the_drawn_tree_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    parents = ["HeadraceError"]
    for line in (errors.__doc__ or "").splitlines():
        if "── " in line:
            stem, _, rest = line.partition("── ")
            depth = (len(stem) - 4) // 4 + 1
            name = rest.split()[0]
            parents[depth:] = [name]
            drawn[name] = parents[depth - 1]
    real = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, HeadraceError) and kind is not HeadraceError
    }
    assert drawn == real
    assert len(real) > 10


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("featurs", ["features", "labels"], "did you mean 'features'?"),
        ("zzz", ["b", "a", "a"], "there are 'a', 'b'"),
        ("zzz", ["a"], "there are 'a'"),
        ("zzz", [], None),
        ("FEATURES", ["features"], "did you mean 'features'?"),
        (
            "zzz",
            [f"name{n}" for n in range(10)],
            "there are 'name0', 'name1', 'name2', 'name3', 'name4', 'name5', 'name6', 'name7' and 2 more",
        ),
    ],
)
def test_near_misses(name: str, known: list[str], hint: str | None) -> None:
    assert near_miss(name, known) == hint


def test_a_definition_error_covers_values() -> None:
    with pytest.raises(DefinitionError):
        raise ValueCodecError("A")
