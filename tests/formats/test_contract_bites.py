"""The contract proves that it ran, and that a broken format doesn't pass it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from headrace.core.errors import FormatError
from headrace.formats.declared import is_path
from headrace.formats.files import materialise
from headrace.testing.formats import FormatContract

WORDS = frozenset({"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"})


class Words:
    """A type with a format of its own."""

    def __init__(self, words: frozenset[str]) -> None:
        self.words = words

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words) and other.words == self.words

    __hash__ = None  # type: ignore[assignment]


class Good:
    name = "words"
    version = 1

    def handles(self, declared: object) -> bool:
        return declared is Words

    def text(self, value: Words) -> str:
        return ",".join(sorted(value.words))

    def save(self, value: Any, folder: Path, declared: object) -> None:
        if not isinstance(value, Words):
            raise FormatError(f"Words are declared, but got {value!r}", hint="return Words")
        (folder / "words").write_text(self.text(value) + "\n")

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        if "words" not in files:
            raise FormatError("The words are gone", hint="make them again")
        if is_path(declared):
            return materialise(files)
        text = files["words"].read_bytes().decode(errors="replace")
        if not text.endswith("\n"):
            raise FormatError("The words are damaged", hint="make them again")
        return Words(frozenset(text.strip().split(",")))


class HashOrder(Good):
    def text(self, value: Words) -> str:
        return ",".join(value.words)


class WritesTheTime(Good):
    def text(self, value: Words) -> str:
        return ",".join(sorted(value.words)) + time.strftime(",%Y-%m-%d")


class WritesTheDate(Good):
    def text(self, value: Words) -> str:
        return ",".join(sorted(value.words)) + f",{datetime.now().date()}"


class WritesThreads(Good):
    def text(self, value: Words) -> str:
        return ",".join(sorted(value.words)) + "," * int(os.environ.get("OMP_NUM_THREADS", 0))


class WritesChance(Good):
    def text(self, value: Words) -> str:
        return ",".join(random.sample(sorted(value.words), len(value.words)))


class LosesOne(Good):
    def load(self, files: Mapping[str, Path], declared: object) -> object:
        found = super().load(files, declared)
        return Words(frozenset(sorted(found.words)[1:])) if isinstance(found, Words) else found


class SpoilsItsFiles(Good):
    def load(self, files: Mapping[str, Path], declared: object) -> object:
        found = super().load(files, declared)
        files["words"].chmod(0o644)
        with files["words"].open("a") as file:
            file.write("\n")
        return found


class HandsOutItsFiles(Good):
    def load(self, files: Mapping[str, Path], declared: object) -> object:
        if is_path(declared):
            files["words"].chmod(0o644)
            return files["words"]
        return super().load(files, declared)


class TakesAnything(Good):
    def save(self, value: Any, folder: Path, declared: object) -> None:
        super().save(value if isinstance(value, Words) else Words(WORDS), folder, declared)


class NoticesNothing(Good):
    def load(self, files: Mapping[str, Path], declared: object) -> object:
        return (
            super().load(files, declared)
            if is_path(declared) or ("words" in files and files["words"].read_text("latin1").endswith("\n"))
            else Words(WORDS)
        )


class ChangesTheValue(Good):
    def save(self, value: Any, folder: Path, declared: object) -> None:
        super().save(value, folder, declared)
        value.words = value.words - {"alpha"}


class HandlesNothing(Good):
    def handles(self, declared: object) -> bool:
        return False


class Contract(FormatContract):
    """The contract on the good format; each broken one takes its place."""

    __test__ = False
    format = Good()
    wrong = (3, Words, "Words are declared, but got 3")
    broken: ClassVar[bool] = False

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(Words(WORDS), Words)]


class OnHashOrder(Contract):
    format = HashOrder()


class OnTheTime(Contract):
    format = WritesTheTime()


class OnTheDate(Contract):
    format = WritesTheDate()


class OnThreads(Contract):
    format = WritesThreads()


class OnChance(Contract):
    format = WritesChance()


class OnLosesOne(Contract):
    format = LosesOne()


class OnSpoils(Contract):
    format = SpoilsItsFiles()


class OnHandsOut(Contract):
    format = HandsOutItsFiles()


class OnAnything(Contract):
    format = TakesAnything()


class OnNothingNoticed(Contract):
    format = NoticesNothing()


class OnChanges(Contract):
    format = ChangesTheValue()


class OnHandlesNothing(Contract):
    format = HandlesNothing()


class WithoutExamples(Contract):
    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return []


CASES = (
    "test_annotations_are_handled",
    "test_damage_is_noticed",
    "test_equal_bytes_elsewhere",
    "test_loaded_value_has_the_same_bytes",
    "test_loading_leaves_stored_files_alone",
    "test_round_trip",
    "test_wrong_value_is_refused",
)

BITES: tuple[tuple[type[Contract], str], ...] = (
    (OnHashOrder, "test_equal_bytes_elsewhere"),
    (OnTheTime, "test_equal_bytes_elsewhere"),
    (OnTheDate, "test_equal_bytes_elsewhere"),
    (OnThreads, "test_equal_bytes_elsewhere"),
    (OnChance, "test_equal_bytes_elsewhere"),
    (OnLosesOne, "test_round_trip"),
    (OnSpoils, "test_loading_leaves_stored_files_alone"),
    (OnHandsOut, "test_loading_leaves_stored_files_alone"),
    (OnAnything, "test_wrong_value_is_refused"),
    (OnNothingNoticed, "test_damage_is_noticed"),
    (OnChanges, "test_round_trip"),
    (OnHandlesNothing, "test_annotations_are_handled"),
)


def test_no_case_was_lost() -> None:
    assert FormatContract.cases() == CASES


@pytest.mark.parametrize("case", CASES)
def test_a_good_format_passes(case: str) -> None:
    assert getattr(Contract(), case)() is None


@pytest.mark.parametrize(("contract", "case"), BITES, ids=lambda item: getattr(item, "__name__", item))
def test_a_broken_format_does_not_pass(contract: type[Contract], case: str) -> None:
    with pytest.raises((AssertionError, FormatError)):
        getattr(contract(), case)()


def test_every_case_has_bitten() -> None:
    assert {case for _, case in BITES} | {"test_loaded_value_has_the_same_bytes"} == set(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case != "test_wrong_value_is_refused"])
def test_a_contract_without_examples_does_not_pass(case: str) -> None:
    with pytest.raises(AssertionError):
        getattr(WithoutExamples(), case)()
