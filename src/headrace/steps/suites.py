"""Suites: checks in a file, as YAML or as Python, both ways. Nothing in a YAML file is executed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any

from headrace.core.errors import DataError, near_miss
from headrace.steps.checks import CHECKS, Check, read_checks

VERSION = 1
KEYS = ("version", "tables", "checks")
MOST_BYTES = 16 << 20
LINE_WIDTH = 116


@dataclass(frozen=True, slots=True)
class Suite:
    """Checks, and where the other tables are that they name.

    >>> from headrace.steps.checks import InRange, Unique
    >>> suite = Suite((Unique("id"), InRange("age", 18, 110, mostly=0.99)))
    >>> print(suite.to_yaml(), end="")
    version: 1
    checks:
      - check: Unique
        key: [id]
      - check: InRange
        column: age
        at_least: 18
        at_most: 110
        mostly: 0.99
    >>> Suite.from_yaml(suite.to_yaml()) == suite
    True
    """

    checks: tuple[Check, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    """Files by the names that `ForeignKey` uses; a file's place is told from the suite's own."""

    def to_yaml(self, comments: Mapping[int, str] | None = None) -> str:
        """Write the suite. ``comments`` stand before checks, by their numbers."""
        lines = [f"version: {VERSION}"]
        if self.tables:
            lines += ["tables:", *_indented(_yaml(dict(self.tables)))]
        lines.append("checks:" if self.checks else "checks: []")
        for number, check in enumerate(self.checks):
            comment = (comments or {}).get(number)
            lines += [f"  # {line}" for line in comment.splitlines()] if comment else []
            first, *rest = _yaml(plain_check(check)).splitlines()
            lines += [f"  - {first}", *(f"    {line}" for line in rest)]
        return "\n".join(lines) + "\n"

    def to_python(self) -> str:
        """Write the suite as a module that has it as ``CHECKS``."""
        names = sorted({type(check).__name__ for check in self.checks}, key=str.lower)
        head = f"from headrace.steps.checks import {', '.join(names)}\n\n" if names else ""
        if len(head) > LINE_WIDTH:
            head = "from headrace.steps.checks import (\n" + "".join(f"    {name},\n" for name in names) + ")\n\n"
        if any("datetime." in _called(check) for check in self.checks):
            head = f"import datetime\n\n{head}"
        return head + "CHECKS = (\n" + "".join(f"    {_called(check)},\n" for check in self.checks) + ")\n"

    @classmethod
    def from_yaml(cls, text: str, *, where: str = "suite") -> Suite:
        """Read a suite. Raises DataError with the line, and the nearest name, for what it can't be."""
        return _Reading(text, where).suite()

    @classmethod
    def load(cls, path: Path) -> Suite:
        """Read a suite's file. Raises DataError where it can't be read, with the line where it is wrong."""
        try:
            size = path.stat().st_size
            text = path.read_text(encoding="utf-8") if size <= MOST_BYTES else ""
        except FileNotFoundError:
            beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"There is no file {str(path)!r}", hint=near_miss(path.name, beside)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{str(path)!r} can't be read as a suite: {error}") from error
        if size > MOST_BYTES:
            raise DataError(f"{str(path)!r} has {size} bytes: that is no suite", hint="was the data meant?")
        suite = cls.from_yaml(text, where=str(path))
        return cls(suite.checks, {name: str(path.parent / place) for name, place in suite.tables.items()})


def plain_check(check: Check) -> dict[str, Any]:
    """Give a check as plain data: its name and what differs from its defaults."""
    plain: dict[str, Any] = {"check": type(check).__name__}
    shared = [item.name for item in fields(Check)]
    for item in sorted(fields(check), key=lambda one: one.name in shared):
        value = getattr(check, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if default is MISSING or value != default:
            plain[item.name] = _plain(value)
    return plain


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _called(check: Check) -> str:
    given = {name: getattr(check, name) for name in plain_check(check) if name != "check"}
    return f"{type(check).__name__}({', '.join(f'{name}={_literal(value)}' for name, value in given.items())})"


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return f"float({str(value)!r})" if isinstance(value, float) and not isfinite(value) else repr(value)


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def _yaml(plain: dict[str, Any]) -> str:
    """Write a mapping, lists in one line."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Puts in quotes what either version of YAML would read as something else than text."""

    def in_line(dumper: Any, values: list[Any]) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)

    def text(dumper: Any, value: str) -> Any:
        # What isn't printed, other kinds of line ends among it, stands escaped.
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"')

    _know_plain_values(Dumper)
    Dumper.add_representer(list, in_line)
    Dumper.add_representer(str, text)
    written: str = yaml.dump(
        plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=LINE_WIDTH
    )
    return written


class _Reading:
    """Reads one text, and knows its lines."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where

    def suite(self) -> Suite:
        root = self._root()
        if root is None:
            raise self._error("The suite is empty", None, "it begins with 'checks:'")
        entries = self._entries(root, KEYS, "A suite")
        version = entries.get("version")
        if version is not None and self._value(version) != VERSION:
            raise self._error(f"This suite is of version {self._value(version)!r}, not {VERSION}", version)
        if "checks" not in entries:
            raise self._error("The suite has no 'checks'", root, near_miss("checks", entries))
        listed = entries["checks"]
        if listed.id != "sequence":
            raise self._error("'checks' is a list", listed, "each check begins with '- check: NAME'")
        return Suite(tuple(self._check(node) for node in listed.value), self._tables(entries.get("tables")))

    def _tables(self, node: Any) -> dict[str, str]:
        if node is None:
            return {}
        tables = self._value(node)
        texts = isinstance(tables, dict) and all(isinstance(part, str) for pair in tables.items() for part in pair)
        if not texts:
            raise self._error("'tables' gives a file for each name", node, "such as customers: customers.parquet")
        return dict(tables)

    def _check(self, node: Any) -> Check:
        names = [item.name for cls in CHECKS for item in fields(cls)]
        entries = self._entries(node, dict.fromkeys(["check", *names]), "A check")
        plain = {name: self._value(value) for name, value in entries.items()}
        self._refuse_unread(plain, entries)
        try:
            return read_checks([plain])[0]
        except DataError as error:
            raise self._error(error.message, node, error.hint) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise self._error(f"{plain!r} is no check: {error}", node) from error

    def _refuse_unread(self, plain: Mapping[str, Any], entries: Mapping[str, Any]) -> None:
        """Raise where a name that must be text was read as something else."""
        for name in ("column", "check", "where", "earlier", "later", "table", "pattern", "format", "expression"):
            value = plain.get(name)
            one = value if isinstance(value, list) else [value]
            if name in plain and not all(isinstance(part, str) for part in one):
                raise self._error(f"{name!r} is text, but got {value!r}", entries[name], "put it in quotes")

    def _root(self) -> Any:
        import yaml

        try:
            loader = _loader()(self._text)
            root = loader.get_single_node()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            place = f"{self._where}:{mark.line + 1}" if mark is not None else self._where
            raise DataError(f"This is no YAML: {problem}", where=place) from error
        except RecursionError as error:
            raise DataError("This is no suite: it is nested too deep", where=self._where) from error
        self._loader = loader
        return root

    def _entries(self, node: Any, known: Iterable[str], what: str) -> dict[str, Any]:
        if node.id != "mapping":
            raise self._error(f"{what} is made of 'name: value' lines, but this is a {node.id}", node)
        entries: dict[str, Any] = {}
        for key, value in node.value:
            name = self._value(key)
            if name in entries:
                raise self._error(f"{name!r} stands twice", key)
            if name not in known:
                raise self._error(f"{what} has no {name!r}", key, near_miss(str(name), known))
            entries[name] = value
        return entries

    def _value(self, node: Any) -> Any:
        import yaml

        try:
            return self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            raise self._error(f"This value can't be read: {str(error).splitlines()[0]}", node) from error

    def _error(self, message: str, node: Any, hint: str | None = None) -> DataError:
        line = f":{node.start_mark.line + 1}" if node is not None else ""
        return DataError(message, where=f"{self._where}{line}", hint=hint)


PLAIN_VALUES = {
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": ("[-+]?[0-9]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": ("~|null|Null|NULL|", ["~", "n", "N", ""]),
    "timestamp": (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?)?",
        "0123456789",
    ),
}
"""What YAML 1.2 reads as something else than text, and the signs that it begins with."""


def _know_plain_values(cls: Any) -> None:
    import re

    for tag, (pattern, first) in PLAIN_VALUES.items():
        cls.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def _loader() -> Any:
    """PyYAML's safe loader with YAML 1.2's plain values: ``no`` is text, ``010`` is ten. Aliases are refused."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: Mapping[str, Sequence[Any]] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                event = self.peek_event()
                raise yaml.composer.ComposerError(None, None, "aliases aren't read", event.start_mark)
            return super().compose_node(parent, index)

    _know_plain_values(Loader)
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
    Loader.add_constructor("tag:yaml.org,2002:float", _float)
    return Loader


def _float(loader: Any, node: Any) -> float:
    text = loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    return float(text)
