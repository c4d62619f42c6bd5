"""``headrace store gc``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parser import Parser, add_json, add_store

if TYPE_CHECKING:
    from headrace.engine.gc import Collected, Policy
    from headrace.stores.protocol import Store

DESCRIPTION = """\
Remove what nothing keeps: old runs, results that were not used for long, and the objects that no record names.

Kept are runs under way, the registry's models and what else is in the store, and of runs: the newest 20 of each
pipeline and those of the last 30 days, or what --keep says; in any case the newest of each pipeline, and its newest
that succeeded. A result is kept as long as a run that is kept took it, and else by its last use. Nothing younger than
the grace is removed. It may go on beside runs; who needs what was removed computes it again."""
EPILOG = """\
KEEP is a number (the newest runs of each pipeline), a time such as 7d (runs that began, and results that were used,
within it) or a run's id. It may be given several times; a number or a time takes the place of 20 and 30d.
Times are written as 90m, 36h, 7d or 4w."""
MOST_LISTED = 10
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_RUN = re.compile(r"[\w.\-]{8,}")


def main(given: Sequence[str]) -> int:
    """Clean up a store."""
    parser = Parser("store gc", DESCRIPTION, EPILOG)
    parser.add_argument("--dry-run", action="store_true", help="only say what would go, and how much")
    parser.add_argument(
        "--keep", action="append", default=[], type=_keep, metavar="KEEP", help="which runs to keep (see below)"
    )
    parser.add_argument(
        "--grace",
        type=_time,
        metavar="TIME",
        help="nothing younger is removed; 24h by default. Less than 12h is refused while a run is under way",
    )
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.places import open_existing_store
    from headrace.engine.gc import Collector

    store = open_existing_store(arguments.store)
    policy = _policy(store, arguments)

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            print(f"headrace: {text} ...", file=sys.stderr)  # noqa: T201

    collector = Collector(store, policy, tell=tell)
    found = collector.look() if arguments.dry_run else collector.collect()
    if arguments.json:
        print(json.dumps(_json(found, is_dry=arguments.dry_run), indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(found, is_dry=arguments.dry_run)))  # noqa: T201
    return 0


def _policy(store: Store, arguments: argparse.Namespace) -> Policy:
    from dataclasses import replace

    from headrace.engine.gc import Policy
    from headrace.engine.records import RunRecord

    keep: list[int | float | str] = arguments.keep
    counts = [item for item in keep if isinstance(item, int)]
    times = [item for item in keep if isinstance(item, float)]
    runs = {RunRecord.find(store, item).id for item in keep if isinstance(item, str)}
    policy = Policy(runs=frozenset(runs | _named_elsewhere()))
    if counts or times:
        policy = replace(policy, n_newest=max(counts, default=0), age_seconds=max(times, default=0.0))
    return policy if arguments.grace is None else replace(policy, grace_seconds=arguments.grace)


def _named_elsewhere() -> set[str]:
    """The runs that MLflow's registry names, where runs are mirrored to it. Raises where it can't be asked."""
    from headrace.core.project import Project
    from headrace.engine.settings import read_settings, setting

    uri = setting("mlflow_tracking_uri", None, read_settings(Project.find(Path.cwd()).root))
    if not uri:
        return set()
    from headrace.integrations.mlflow_registry import registered_runs

    return registered_runs(str(uri))


def _keep(text: str) -> int | float | str:
    if re.fullmatch(r"\d{1,6}", text):
        return int(text)
    if _TIME.fullmatch(text):
        return _time(text)
    if _RUN.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"a number, a time such as 7d, or a run's id is needed, but got {text!r}")


def _time(text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None and text != "0":
        raise argparse.ArgumentTypeError(f"a time such as 36h or 7d is needed, but got {text!r}")
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _lines(found: Collected, *, is_dry: bool) -> Iterator[str]:
    from headrace.cli.columns import table
    from headrace.reports.texts import size

    verb = "would go" if is_dry else "went"
    for run_id in found.runs[:MOST_LISTED]:
        yield f"run {run_id} {verb}"
    if len(found.runs) > MOST_LISTED:
        yield f"and {len(found.runs) - MOST_LISTED} more runs"
    rows = []
    for kind, went in found.went.items():
        stays = found.stayed.get(kind)
        rest = (str(stays.n), size(stays.n_bytes)) if stays else ("", "")
        rows.append((kind, str(went.n), size(went.n_bytes), *rest))
    if not any(went.n for went in found.went.values()):
        yield "there is nothing to remove"
    yield from table(rows, ("", verb, "", "stay" if is_dry else "stayed", ""))
    yield f"{size(found.n_bytes)} {'would be' if is_dry else 'are'} free again"


def _json(found: Collected, *, is_dry: bool) -> dict[str, object]:
    return {
        "dry_run": is_dry,
        "runs": found.runs,
        "went": {kind: amount._asdict() for kind, amount in found.went.items()},
        "stayed": {kind: amount._asdict() for kind, amount in found.stayed.items()},
        "n_bytes": found.n_bytes,
    }
