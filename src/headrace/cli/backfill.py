"""``headrace run --dates``: a run for each date, and a table at the end."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.columns import table
from headrace.core.outcome import RunOutcome
from headrace.reports.texts import clean, count, counts_text, duration, one_line

if TYPE_CHECKING:
    from headrace.cli.console import Console
    from headrace.core.values import Json
    from headrace.engine.backfill import Day
    from headrace.engine.run import RunOptions
    from headrace.engine.selection import Selection
    from headrace.engine.target import Target

MOST_ROWS = 62
NOT_RUN = "not run"


def run_dates(
    target: Target,
    parameters: Mapping[str, Json],
    arguments: argparse.Namespace,
    selection: Selection,
    *,
    again: Sequence[str],
) -> int:
    """Run for each date of a range, show how it goes and how it ended, and return the exit code."""
    from headrace.cli.complaint import complain
    from headrace.cli.run import options_of, sample_of
    from headrace.cli.steady import ending_as_interrupted
    from headrace.core.errors import HeadraceError
    from headrace.engine.backfill import back_fill, overall
    from headrace.engine.run import Session

    teller = _Teller(arguments)
    with ending_as_interrupted():
        try:
            session = Session(target, None, Path.cwd(), arguments.store)
            sample = sample_of(arguments, session.settings)
            options = options_of(arguments, teller.console(), selection, sample=sample)
            filled = back_fill(session, parameters, arguments.dates, options)
        except HeadraceError as error:
            return complain(error, as_json=arguments.json)
        teller.n_dates = len(filled.dates)

        def chosen(date: str) -> RunOptions:
            return options_of(arguments, teller.begin(date), selection, sample=sample)

        days = []
        for day in filled.run(chosen):
            days.append(day)
            teller.end(day)
    outcome = overall(days)
    if arguments.json:
        print(json.dumps(_as_json(filled.plan.pipeline, days, outcome), indent=2))  # noqa: T201
    elif not arguments.quiet or outcome is not RunOutcome.SUCCEEDED:
        print(clean("\n".join(_lines(filled.plan.pipeline, days, outcome, again))))  # noqa: T201
    return outcome.exit_code


class _Teller:
    """Tells of one date after the other, each with a console of its own."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._console: Console | None = None
        self._n_begun = 0
        self.n_dates = 0

    def console(self) -> Console:
        """A console for one run."""
        from headrace.cli.console import open_console

        arguments = self._arguments
        self._console = open_console(is_quiet=arguments.quiet, is_inline=arguments.inline, as_json=arguments.json)
        return self._console

    def begin(self, date: str) -> Console:
        """Tell that a date's turn has come."""
        if date:
            self._n_begun += 1
            if not self._arguments.quiet:
                self._write(f"\n{date} ({self._n_begun} of {self.n_dates})")
        return self.console()

    def end(self, day: Day) -> None:
        """Tell what became of a date, and write its run's report."""
        if self._console is not None:
            self._console.close()
        if day.problem is not None:
            self._write(f"{day.date}: {clean(str(day.problem))}")
        if day.result is None:
            return
        from headrace.cli.summary import failure_lines, headline, rejection_lines, write_report
        from headrace.engine.view import RunView

        view = RunView.read(day.result.store, day.result.run_id)
        write_report(view)
        told = [line for failed in view.failures() for line in failure_lines(view, failed)]
        told += rejection_lines(view)
        if not self._arguments.quiet:
            told.append(headline(view, day.result.outcome))
        if told:
            self._write("\n".join(told))

    def _write(self, text: str) -> None:
        print(clean(text), file=sys.stderr if self._arguments.json else sys.stdout, flush=True)


def _lines(pipeline: str, days: Sequence[Day], outcome: RunOutcome, again: Sequence[str]) -> Iterator[str]:
    shown = days if len(days) <= MOST_ROWS else [day for day in days if day.outcome is not RunOutcome.SUCCEEDED]
    yield ""
    yield from table([_row(day) for day in shown], ("date", "outcome", "took", "steps", "run"))
    n_good = sum(day.outcome is RunOutcome.SUCCEEDED for day in days)
    if len(shown) < len(days):
        yield f"and {count(n_good, 'date')} that succeeded"
    yield f"{pipeline} {'succeeded' if n_good == len(days) else 'has run'} for {n_good} of {count(len(days), 'date')}"
    if n_good < len(days) and outcome is not RunOutcome.REJECTED:
        yield f"what succeeded is kept; go on with: {shlex.join(again)}"


def _row(day: Day) -> Sequence[str]:
    if day.result is None:
        return day.date, NOT_RUN, "", "", one_line(day.problem.message, 60) if day.problem else ""
    end = _end(day)
    return day.date, str(day.outcome), duration(end["seconds"]), counts_text(end["counts"]), day.result.run_id


def _end(day: Day) -> Mapping[str, Any]:
    from headrace.engine.records import RunRecord

    assert day.result is not None
    return RunRecord(day.result.store, day.result.run_id).end() or {"seconds": 0.0, "counts": {}}


def _as_json(pipeline: str, days: Sequence[Day], outcome: RunOutcome) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "outcome": outcome.value,
        "exit_code": outcome.exit_code,
        "dates": [_day_json(day) for day in days],
    }


def _day_json(day: Day) -> dict[str, Any]:
    end = _end(day) if day.result else {}
    return {
        "date": day.date,
        "run": day.result.run_id if day.result else None,
        "outcome": str(day.outcome) if day.outcome else NOT_RUN,
        "seconds": end.get("seconds"),
        "counts": dict(end.get("counts", {})),
        "message": day.problem.message if day.problem else None,
        "hint": day.problem.hint if day.problem else None,
    }
