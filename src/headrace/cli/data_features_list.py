"""``headrace data features list``."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.cli.data_features import add_online, open_chosen
from headrace.cli.parser import Parser, add_json

if TYPE_CHECKING:
    from headrace.steps.feature_store.online import OnlineStore, ViewState

DESCRIPTION = """\
List the views in the online store: of whom, which features, how many entities were written, and up to when what
was known is in. It also looks whether each is whole, as far as counts and a sample tell, and ends with 1 where one
isn't."""
NOT_WHOLE = 1


def main(given: Sequence[str]) -> int:
    """List the views."""
    parser = Parser("data features list", DESCRIPTION)
    add_online(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.columns import table

    with open_chosen(arguments.online) as store:
        states = [state for view in store.views() if (state := store.state(view)) is not None]
        shown = [_json(store, state) for state in states]
        url = store.url
    if arguments.json:
        print(json.dumps({"online": url, "views": shown}, indent=2))  # noqa: T201
    elif not shown:
        print(f"there are no views in {url}")  # noqa: T201
    else:
        head = ("view", "entity", "entities", "known until", "features")
        print("\n".join(table(map(_row, shown), head)))  # noqa: T201
        for view in shown:
            if view["problem"]:
                print(f"{view['view']} is not whole: {view['problem']}; materialize it again")  # noqa: T201
    return NOT_WHOLE if any(view["problem"] for view in shown) else 0


def _json(store: OnlineStore, state: ViewState) -> dict[str, Any]:
    from headrace.steps.feature_store.online import check_whole
    from headrace.steps.feature_store.rows import moment_of

    return {
        "view": state.view,
        "entity": state.entity,
        "features": state.features,
        "ttl_seconds": None if state.ttl is None else state.ttl / 1e6,
        "n_entities": state.n_rows,
        "until": moment_of(state.until).isoformat(),
        "problem": check_whole(store, state, time.time_ns() // 1000),
    }


def _row(view: dict[str, Any]) -> tuple[str, ...]:
    return (
        view["view"],
        ", ".join(view["entity"]),
        str(view["n_entities"]),
        view["until"],
        ", ".join(view["features"]),
    )
