"""``headrace data features get``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from headrace.cli.data_features import add_online, open_chosen
from headrace.cli.parser import Parser, UsageError, add_json
from headrace.core.errors import near_miss

DESCRIPTION = """\
Look up the features of an entity: what a model would be served now.

A feature is empty (null) where nothing is known, or where what was known has expired; the status says which."""
UNKNOWN = 1


def main(given: Sequence[str]) -> int:
    """Look an entity up."""
    parser = Parser("data features get", DESCRIPTION, "It ends with 1 where the view doesn't know the entity.")
    parser.add_argument("view", metavar="VIEW", help="the view's name in the online store")
    parser.add_argument("entity", nargs="+", metavar="COLUMN=VALUE", help="the entity, as in customer_id=C7")
    add_online(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.columns import table
    from headrace.reports.texts import clean
    from headrace.steps.feature_store.lookup import FeatureLookup

    with open_chosen(arguments.online) as store:
        lookup = FeatureLookup(store, [arguments.view])
        state = store.state(arguments.view)
        assert state is not None
        found = lookup.look(_entity(arguments.entity, state.entity))[arguments.view]
    values = {name: value.isoformat() if isinstance(value, date) else value for name, value in found.values.items()}
    timestamp = None if found.timestamp is None else found.timestamp.isoformat()
    if arguments.json:
        told = {"status": found.status, "timestamp": timestamp, "age_seconds": found.age_seconds, "values": values}
        print(json.dumps(told, indent=2))  # noqa: T201
    else:
        rows = [(name, "" if value is None else str(value)) for name, value in values.items()]
        lines = [f"{found.status}" + (f", of {timestamp}" if timestamp else ""), *table(rows, indent="  ")]
        print("\n".join(clean(line) for line in lines))  # noqa: T201
    return UNKNOWN if found.status == "unknown" else 0


def _entity(given: Sequence[str], kinds: Mapping[str, str]) -> dict[str, object]:
    entity: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in kinds:
            raise UsageError(
                f"An entity is given as COLUMN=VALUE for {', '.join(kinds)}, but got {text!r}",
                hint=near_miss(name, kinds),
            )
        entity[name] = _read(value, kinds[name], name)
    return entity


def _read(value: str, kind: str, name: str) -> Any:
    try:
        if kind == "integer":
            return int(value)
        if kind == "date":
            return date.fromisoformat(value)
        if kind == "boolean":
            return {"true": True, "false": False}[value.lower()]
    except (ValueError, KeyError):
        raise UsageError(f"{name} is {kind}, and {value!r} is none") from None
    return value
