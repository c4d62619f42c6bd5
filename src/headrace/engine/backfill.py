"""Runs of a pipeline for several dates, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from headrace.core.dates import DATE, read_range, text_of
from headrace.core.errors import HeadraceError, ParameterError
from headrace.core.outcome import RunOutcome
from headrace.core.values import Json, encode
from headrace.engine.admission import calendar_of, date_of
from headrace.engine.run import RunOptions, RunResult, steady

if TYPE_CHECKING:
    from headrace.core.plan import Plan
    from headrace.engine.run import Session


@dataclass(frozen=True)
class Day:
    """What became of one date: its run, or why there was none."""

    date: str
    result: RunResult | None = None
    problem: HeadraceError | None = None

    @property
    def outcome(self) -> RunOutcome | None:
        """How its run ended; None where there was none."""
        return self.result.outcome if self.result else None


@dataclass(frozen=True)
class BackFill:
    """The dates of a range, ready to be run for."""

    session: Session
    plan: Plan
    dates: Sequence[date]
    parameters: Mapping[str, Json]

    def run(self, options: Callable[[str], RunOptions]) -> Iterator[Day]:
        """Run for each date in order, in one opened session, and tell each as it ends.

        A failure doesn't end it, unless the pipeline depends on the past; a cancelled run does. ``options`` makes those
        of the run for a date.
        """
        self.session.check_listeners()
        is_over = False
        chosen = options("")
        with self.session.closing(), steady(self.session.target) if chosen.inline else nullcontext():
            for moment in self.dates:
                text = text_of(moment)
                day = Day(text) if is_over else self._run(moment, options(text))
                is_over = is_over or day.outcome is RunOutcome.CANCELLED
                is_over = is_over or (self.plan.depends_on_past and day.outcome is not RunOutcome.SUCCEEDED)
                yield day

    def _run(self, moment: date, options: RunOptions) -> Day:
        parameters = {**self.parameters, DATE: encode(moment)}
        try:
            return Day(text_of(moment), self.session.run_within(parameters, options))
        except HeadraceError as error:
            return Day(text_of(moment), problem=error)


def back_fill(session: Session, parameters: Mapping[str, Json], text: str, options: RunOptions) -> BackFill:
    """The runs for a range of dates, ``A..B``, both counted: the pipeline's schedule says which, else each day.

    Raises
    ------
    ParameterError
        For what is no range, one that ends before it begins, and one in which no run is due.
    HeadraceError
        For what is wrong with the pipeline or its other parameters: it is traced for the first date.
    """
    begin = text.partition("..")[0]
    with session.closing(), steady(session.target) if options.inline else nullcontext():
        prepared = session.traced({**parameters, DATE: begin}, options.inline)
    plan = options.selection.applied(prepared).prepared.plan
    calendar = calendar_of(plan)
    kind = datetime if isinstance(date_of(plan), datetime) else date
    first, last = read_range(text, kind, calendar.zone)
    dates = list(calendar.between(first, last))
    if not dates:
        raise ParameterError(
            f"Pipeline {plan.pipeline!r} has no run in {text}: its schedule is {plan.schedule!r}",
            hint="choose a longer range",
        )
    return BackFill(session, plan, dates, parameters)


def overall(days: Sequence[Day]) -> RunOutcome:
    """How it all ended: the worst of the runs; a date that could not be run for counts as failed."""
    outcomes = [day.outcome or RunOutcome.FAILED for day in days]
    for outcome in (RunOutcome.CANCELLED, RunOutcome.FAILED, RunOutcome.REJECTED):
        if outcome in outcomes:
            return outcome
    return RunOutcome.SUCCEEDED
