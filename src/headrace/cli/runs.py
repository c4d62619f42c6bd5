"""``headrace runs``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace.cli.columns import table
from headrace.cli.parser import Parser, add_json, add_store, whole_number
from headrace.engine.readable import sample_text
from headrace.reports.texts import counts_text, duration, moment

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

DESCRIPTION = "List the runs of a store, the newest first."


def main(given: Sequence[str]) -> int:
    """List runs."""
    parser = Parser("runs", DESCRIPTION)
    parser.add_argument("--limit", type=whole_number, default=20, metavar="N", help="how many at most; 20 by default")
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.places import open_existing_store
    from headrace.engine.view import ENDED_WITHOUT_A_WORD, known_runs

    store = open_existing_store(arguments.store)
    ids = known_runs(store)
    found = list(_described(store, ids[: arguments.limit]))
    if arguments.json:
        print(json.dumps(found, indent=2))  # noqa: T201
        return 0
    if not found:
        print("no runs yet")  # noqa: T201
        return 0
    head: tuple[str, ...] = ("run", "pipeline", "outcome", "started (UTC)", "took", "steps")
    rows = [_row(item) for item in found]
    for name in ("date", "sample"):
        if any(item[name] for item in found):
            head = (*head[:2], name, *head[2:])
            rows = [(*row[:2], item[name] or "", *row[2:]) for row, item in zip(rows, found, strict=True)]
    for line in table(rows, head):
        print(line)  # noqa: T201
    if any(item["outcome"] == ENDED_WITHOUT_A_WORD for item in found):
        print("what ended without a word was killed, or its machine: headrace cancel RUN marks it as ended")  # noqa: T201
    if len(ids) > len(found):
        print(f"and {len(ids) - len(found)} older: --limit {len(ids)}")  # noqa: T201
    return 0


def _described(store: Store, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    from collections import Counter

    from headrace.core.errors import RunError
    from headrace.engine.records import RunRecord
    from headrace.engine.view import run_state

    for run_id in ids:
        record = RunRecord(store, run_id)
        try:
            begin, end = record.begin(), record.end()
        except (RunError, ValueError):
            continue  # its begin was cut short: there is nothing to tell
        counts = end["counts"] if end else Counter(result.outcome.value for result in record.results().values())
        yield {
            "run": run_id,
            "pipeline": begin["pipeline"],
            "outcome": run_state(store, run_id, begin, end),
            "started": begin["started"],
            "seconds": end["seconds"] if end else None,
            "counts": dict(counts),
            "resumes": begin["resumes"],
            "date": begin.get("date"),
            "selection": begin.get("selection"),
            "sample": sample_text(begin),
        }


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    seconds = "" if item["seconds"] is None else duration(item["seconds"])
    counts = counts_text(item["counts"])
    return item["run"], item["pipeline"], item["outcome"], moment(item["started"]), seconds, counts
