"""Names that Kubeflow Pipelines and a Python file take: for components, parameters and artifacts."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection, Iterable

from headrace.backends.naming import unique_names

LONGEST = 60
IN_THE_FILE = (
    *("begin", "compiler", "container", "dsl", "finish", "given", "headrace", "items", "job", "json", "kfp", "kinds"),
    *("kubernetes", "outputs", "pathlib", "report", "result", "run", "settled", "slices", "started", "status"),
)
OTHER = "[^a-z0-9]+"
TAKEN = frozenset((*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *IN_THE_FILE))


def own_names(ids: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Give each id a name of small letters, digits and single underscores, which begins with a letter.

    KFP makes small letters of them and ``-`` of the rest, so that those which differ in that only are told apart here.
    """
    ids = tuple(ids)
    named = unique_names(map(_framed, ids), OTHER, LONGEST, lower=True)
    used = {*TAKEN, *taken}
    found: dict[str, str] = {}
    for name in ids:
        own = named[_framed(name)]
        while own in used:
            own += "_x"
        used.add(own)
        found[name] = own
    return found


def _framed(name: str) -> str:
    """The id with letters at its ends, which no other id becomes too: ids have no such dots there."""
    front = "" if name[:1].isascii() and name[:1].isalpha() else "x."
    return f"{front}{name}{'' if name[-1:].isascii() and name[-1:].isalnum() else '.x'}"
