from __future__ import annotations

from headrace.core.outcome import Outcome, RunOutcome


def test_outcomes_are_good_failures_or_neither() -> None:
    good = {outcome for outcome in Outcome if outcome.is_good}
    failures = {outcome for outcome in Outcome if outcome.is_failure}
    assert good == {Outcome.SUCCEEDED, Outcome.CACHED}
    assert set(Outcome) - good - failures == {Outcome.SKIPPED}
    assert not good & failures


def test_outcomes_read_as_words() -> None:
    assert [str(outcome) for outcome in Outcome] == [
        "succeeded",
        "cached",
        "skipped",
        "failed",
        "timed out",
        "crashed",
        "out of memory",
        "cancelled",
        "upstream failed",
    ]
    assert Outcome("out of memory") is Outcome.OUT_OF_MEMORY


def test_a_run_ends_its_process_with_the_code_of_its_outcome() -> None:
    assert {str(outcome): outcome.exit_code for outcome in RunOutcome} == {
        "succeeded": 0,
        "failed": 1,
        "rejected": 3,
        "cancelled": 130,
    }
