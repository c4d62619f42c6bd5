"""``headrace data features materialize``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.data_features import add_online, open_chosen
from headrace.cli.parser import Parser, add_json, add_store
from headrace.core.errors import ProjectError, near_miss

if TYPE_CHECKING:
    from headrace.formats.table import Table
    from headrace.steps.feature_store.materializing import Written
    from headrace.steps.feature_store.view import FeatureView

DESCRIPTION = """\
Put what is known of each entity at a moment into the online store, for `FeatureLookup`.

Only rows are read that became known since the last time, less the overlap, and only what is newer than what is there is
written: done again, it changes nothing. Everything is written anew where the view's declaration has changed, where the
store isn't whole, and with --full."""
EPILOG = """\
VIEW is a FeatureView at the top of a module: features.py:activity or churn.features:activity; the module's only one
needs no name. TABLE is a file (CSV, TSV, JSON lines, Parquet), else an output of the newest run: STEP, STEP.OUTPUT or
one of the pipeline's."""

FILES = (".csv", ".tsv", ".jsonl", ".parquet", ".gz")
"""What ends so is a file, also where it isn't there."""


def main(given: Sequence[str]) -> int:
    """Materialise a view."""
    parser = Parser("data features materialize", DESCRIPTION, EPILOG)
    parser.add_argument("view", metavar="VIEW", help="the feature view (see below)")
    parser.add_argument(
        "--from", dest="table", metavar="TABLE", required=True, help="the table with its rows (see below)"
    )
    parser.add_argument("--run", metavar="RUN", help="the run whose output TABLE is; the newest by default")
    parser.add_argument(
        "--at",
        type=_moment,
        metavar="TIME",
        help="the moment, in ISO 8601; UTC unless it says otherwise; now by default",
    )
    parser.add_argument(
        "--overlap",
        type=_seconds,
        default=86_400.0,
        metavar="TIME",
        help="how late rows may come: 90m, 36h; 1d by default",
    )
    parser.add_argument(
        "--full", action="store_true", help="write everything anew, beside what is there, then in its place"
    )
    add_online(parser)
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.steps.feature_store.materializing import write_online

    table = _table(arguments.table, arguments.run, arguments.store)
    at = arguments.at or datetime.now(UTC)
    with open_chosen(arguments.online) as store:
        view = _view(arguments.view).on(table)
        written = write_online(view, store, at=at, overlap_seconds=arguments.overlap, full=arguments.full)
        url = store.url
    if arguments.json:
        print(json.dumps(_json(written, url), indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(written, url)))  # noqa: T201
    return 0


def _view(named: str) -> FeatureView:
    from importlib import import_module

    from headrace.engine.target import enter, locate
    from headrace.steps.feature_store.view import FeatureView

    target = locate(named, Path.cwd())
    enter(target)
    try:
        module = import_module(target.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{target.module}.".startswith(f"{error.name}."):
            raise
        raise ProjectError(
            f"There is no module {target.module!r}", hint="give a file and a name in it, as in features.py:activity"
        ) from None
    found = {name: value for name, value in vars(module).items() if isinstance(value, FeatureView)}
    found |= {view.name: view for view in found.values() if view.name not in found}
    if target.attribute is None and len({id(view) for view in found.values()}) == 1:
        return next(iter(found.values()))
    if target.attribute in found:
        return found[target.attribute]
    what = "no feature view" if target.attribute is None and not found else f"{len(found)} feature views"
    raise ProjectError(
        f"Module {target.module!r} has no feature view {target.attribute!r}"
        if target.attribute
        else f"Module {target.module!r} has {what}",
        hint=near_miss(target.attribute or "", found) or "name one at the top of the module: activity = FeatureView(…)",
    )


def _table(named: str, run: str | None, store: str | None) -> Table:
    from headrace.formats.table import Table
    from headrace.steps.ingestion import ingest

    path = Path(named)
    if run is None and (path.is_file() or path.suffix in FILES):
        return ingest(path.resolve())
    from headrace.cli.outputs import output_artifact
    from headrace.cli.places import open_existing_store
    from headrace.engine.exchange import load_artifact
    from headrace.engine.view import RunView, find_run

    opened = open_existing_store(store)
    found: Any = load_artifact(output_artifact(RunView.read(opened, find_run(opened, run)), named), Table, opened)
    assert isinstance(found, Table)
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a time such as 2026-03-01T12:00 is needed, but got {text!r}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
    try:
        return 0.0 if text == "0" else float(text[:-1]) * units[text[-1]]
    except (ValueError, KeyError, IndexError):
        raise argparse.ArgumentTypeError(f"a time such as 36h or 7d is needed, but got {text!r}") from None


def _lines(written: Written, url: str) -> Iterator[str]:
    from headrace.steps.feature_store.rows import moment_of

    state = written.state
    yield f"{state.view}: {written.n_written} of {written.n_read} entities were new or newer; {state.n_rows} in {url}"
    yield f"known until {moment_of(state.until).isoformat()}"
    if written.why_anew is not None:
        yield f"all was written anew: {written.why_anew}"


def _json(written: Written, url: str) -> dict[str, Any]:
    from headrace.steps.feature_store.rows import moment_of

    state = written.state
    return {
        "view": state.view,
        "online": url,
        "until": moment_of(state.until).isoformat(),
        "n_read": written.n_read,
        "n_written": written.n_written,
        "n_entities": state.n_rows,
        "why_anew": written.why_anew,
    }
