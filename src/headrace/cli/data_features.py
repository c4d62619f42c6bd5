"""``headrace data features``: the words about features that are served."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parser import Parser, UsageError
from headrace.core.errors import near_miss

if TYPE_CHECKING:
    from headrace.steps.feature_store.online import OnlineStore

WORDS: Mapping[str, tuple[str, str]] = {
    "materialize": ("headrace.cli.data_features_materialize", "put a view's last values into the online store"),
    "list": ("headrace.cli.data_features_list", "list the views in the online store"),
    "get": ("headrace.cli.data_features_get", "look up the features of an entity"),
}

_EPILOG = "`headrace data features WORD --help` says more of each word."


def main(given: Sequence[str]) -> int:
    """Run one of the words."""
    if given and given[0] in WORDS:
        code: int = import_module(WORDS[given[0]][0]).main(given[1:])
        return code
    parser = Parser("data features", "Look after the features that are served.", _EPILOG)
    listed = "; ".join(f"{name}: {summary}" for name, (_, summary) in WORDS.items())
    parser.add_argument("word", choices=[*WORDS], metavar="WORD", help=listed)
    if given and not given[0].startswith("-"):
        raise UsageError(f"headrace data features has no word {given[0]!r}", hint=near_miss(given[0], WORDS))
    parser.read(given)
    raise UsageError("headrace data features: its word comes first", hint="headrace data features --help")


def add_online(parser: argparse.ArgumentParser) -> None:
    """Let the online store be chosen."""
    parser.add_argument(
        "--online",
        metavar="URL",
        help="the online store, such as sqlite:features.sqlite or redis://host:6379/0 (else HEADRACE_FEATURE_STORE, "
        "else [tool.headrace.feature_store], else features.sqlite in the project)",
    )


def open_chosen(url: str | None) -> OnlineStore:
    """Open the online store that was named, else that of the environment or project.

    A path is relative to where one stands when it was named here, else to the project. The password is the one that the
    project's settings name.
    """
    from headrace.core.project import Project
    from headrace.steps.feature_store.online import online_settings, open_online

    root = Project.find(Path.cwd()).root
    chosen, secret = online_settings(root)
    if url is None:
        return open_online(chosen, password=secret, root=root)
    return open_online(url, password=secret if url.startswith("redis") else None, root=Path.cwd())
