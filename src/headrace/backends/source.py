"""Python source, laid out as a formatter would: for files that a backend writes and people read."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

WIDTH = 120
STEP = "    "


@dataclass(frozen=True)
class Code:
    """An expression that stands as it is."""

    text: str


@dataclass(frozen=True)
class Call:
    """A call: its words come after what has no name."""

    name: str
    items: tuple[Any, ...] = ()
    words: Mapping[str, Any] = field(default_factory=dict)


def call(name: str, /, *items: Any, **words: Any) -> Call:
    """A call without those of its words that are None."""
    return Call(name, items, {word: item for word, item in words.items() if item is not None})


def literal(value: Any, *, indent: str = "", before: str = "", after: str = "", width: int = WIDTH) -> str:
    """The source of a value: of plain data, and of `Code` and `Call` in it.

    What is too long for a line is spread over several, each item on one of its own. ``indent``, ``before`` and
    ``after``: what the line has around it.
    """
    line, parts = f"{indent}{before}{flat(value)}{after}", _parts(value)
    if len(line) <= width or not parts:
        return line
    opening, closing = _brackets(value)
    inside = [literal(item, indent=indent + STEP, before=name, after=",", width=width) for name, item in parts]
    return "\n".join([f"{indent}{before}{opening}", *inside, f"{indent}{closing}{after}"])


def assigned(name: str, value: Any, *, indent: str = "") -> str:
    """A line or lines that give a name a value."""
    return literal(value, indent=indent, before=f"{name} = ")


def quoted(value: str) -> str:
    """The literal of a text, in double quotes wherever that takes no more escapes."""
    single = repr(value)
    if single[0] == '"' or '"' in value:
        return single
    return '"' + single[1:-1].replace("\\'", "'") + '"'


def imports_in(source: str) -> list[str]:
    """The import lines at the top of a module of ours that a file without Headrace needs too."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return [line for line in map(ast.unparse, nodes) if _package(line) not in ("__future__", "headrace")]


def import_sections(lines: Iterable[str]) -> list[str]:
    """Import lines put together: those of the standard library, an empty line, the others."""
    found = set(lines)
    standard = {line for line in found if _package(line) in sys.stdlib_module_names}
    return [*merged_imports(standard), "", *merged_imports(found - standard)]


def _package(line: str) -> str:
    return line.split()[1].partition(".")[0]


def merged_imports(lines: Iterable[str]) -> list[str]:
    """Import lines with those of one module put together, in the order that isort gives them within a section."""
    plain: set[str] = set()
    named: dict[str, set[str]] = {}
    for line in lines:
        (node,) = ast.parse(line).body
        if isinstance(node, ast.Import):
            plain.update(ast.unparse(ast.Import([name])) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            named.setdefault(node.module or "", set()).update(ast.unparse(name) for name in node.names)
    froms = [_import(module, sorted(names, key=_rank)) for module, names in sorted(named.items())]
    return [*sorted(plain), *froms]


def _import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"{STEP}{name}," for name in names), ")"])


def _rank(name: str) -> tuple[int, str]:
    """Constants before classes before the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


def flat(value: Any) -> str:
    """The source of a value on one line, however long."""
    if isinstance(value, Code):
        return value.text
    if isinstance(value, str):
        return quoted(value)
    if not isinstance(value, Call | Mapping | list | tuple):
        return repr(value)
    opening, closing = _brackets(value)
    inside = ", ".join(name + flat(item) for name, item in _parts(value))
    return f"{opening}{inside}{',' if isinstance(value, tuple) and len(value) == 1 else ''}{closing}"


def _brackets(value: Any) -> tuple[str, str]:
    if isinstance(value, Call):
        return f"{value.name}(", ")"
    return ("{", "}") if isinstance(value, Mapping) else ("[", "]") if isinstance(value, list) else ("(", ")")


def _parts(value: Any) -> list[tuple[str, Any]]:
    """The items inside brackets, each with what stands before it."""
    if isinstance(value, Call):
        return [*(("", item) for item in value.items), *((f"{name}=", item) for name, item in value.words.items())]
    if isinstance(value, Mapping):
        return [(f"{flat(key)}: ", item) for key, item in value.items()]
    return [("", item) for item in value] if isinstance(value, list | tuple) else []
