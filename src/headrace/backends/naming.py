"""Names for nodes that an engine takes: readable, always the same, and no two alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

N_DIGITS = 8


def unique_names(
    ids: Iterable[str], other: str, longest: int, *, between: str = "_", lower: bool = False
) -> dict[str, str]:
    """Give each id a name of its own.

    A name that had to be changed so that it no longer tells its id from another's, or that would be longer than
    ``longest`` characters, ends in the first digits of the id's sha256.

    Parameters
    ----------
    ids
        Ids of nodes: letters, digits, ``_``, ``-`` and ``.``.
    other
        The characters that the engine doesn't take, as a class of a regular expression, such as ``[^a-z0-9-]``.
    longest
        How long a name may be.
    between
        What stands in place of them.
    lower
        Whether letters become small ones.

    Examples
    --------
    >>> unique_names(["a.b", "a_b", "c"], "[^A-Za-z0-9_]", 60)
    {'a.b': 'a_b_2c8b6dfb', 'a_b': 'a_b_f5b5e5a9', 'c': 'c'}
    """
    plain = {name: re.sub(other, between, name.lower() if lower else name) for name in ids}
    n_alike: dict[str, int] = {}
    for name in plain.values():
        n_alike[name] = n_alike.get(name, 0) + 1
    taken = {name for name, n in n_alike.items() if n == 1 and len(name) <= longest}
    return {node: _own(node, name, between, longest, taken, n_alike[name]) for node, name in plain.items()}


def _own(node: str, name: str, between: str, longest: int, taken: set[str], n_alike: int) -> str:
    if n_alike == 1 and len(name) <= longest:
        return name
    digest = hashlib.sha256(node.encode()).hexdigest()
    for n_digits in range(N_DIGITS, len(digest)):
        found = f"{name[: longest - n_digits - len(between)]}{between}{digest[:n_digits]}"
        if found not in taken:
            taken.add(found)
            return found
    raise AssertionError(f"no name is left for {node}")
