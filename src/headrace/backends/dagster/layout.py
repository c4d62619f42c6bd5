"""Python's brackets, laid out as a formatter would: on one line where they fit, else an item a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.backends.source import quoted

if TYPE_CHECKING:
    from headrace.core.values import Json

WIDTH = 120


@dataclass(frozen=True)
class Group:
    """Something in brackets: items, each with what stands before it, such as ``name=``."""

    opening: str
    items: tuple[tuple[str, Tree], ...]
    closing: str
    last: str = ""
    """What stands after the last item also on one line: the comma of a tuple of one."""

    def __str__(self) -> str:
        return f"{self.opening}{', '.join(f'{before}{item}' for before, item in self.items)}{self.last}{self.closing}"


Tree = str | Group
"""A piece of Python: text, or something in brackets."""


def call(function: str, /, **arguments: Tree | None) -> Group:
    """A call by keywords; those that are None are left out."""
    given = tuple((f"{key}=", item) for key, item in arguments.items() if item is not None)
    return Group(f"{function}(", given, ")")


def listed(items: Iterable[Tree]) -> Group:
    """A list."""
    return Group("[", tuple(("", item) for item in items), "]")


def several(items: Iterable[Tree]) -> Group:
    """A tuple."""
    found = tuple(("", item) for item in items)
    return Group("(", found, ")", "," if len(found) == 1 else "")


def table(items: Iterable[tuple[str, Tree]]) -> Group:
    """A dictionary whose keys are text."""
    return Group("{", tuple((f"{quoted(key)}: ", item) for key, item in items), "}")


def literal(value: Json) -> Tree:
    """Plain JSON as Python writes it."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list | tuple):
        return listed(map(literal, value))
    if isinstance(value, dict):
        return table((key, literal(item)) for key, item in value.items())
    return repr(value)


def words(items: Iterable[str]) -> Group:
    """A tuple of texts."""
    return several(map(quoted, items))


def lines_of(tree: Tree, before: str = "", after: str = "", indent: str = "") -> Iterator[str]:
    """The lines of a piece, with what stands before and after it."""
    flat = f"{indent}{before}{tree}{after}"
    if isinstance(tree, str) or not tree.items or len(flat) <= WIDTH:
        yield flat
        return
    yield f"{indent}{before}{tree.opening}"
    for before_item, item in tree.items:
        yield from lines_of(item, before_item, ",", indent + "    ")
    yield f"{indent}{tree.closing}{after}"
