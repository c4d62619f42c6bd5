"""Pipeline parameters from the command line: ``-p key=value`` and a file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headrace.cli.parser import UsageError
from headrace.core.dates import DATE
from headrace.core.errors import ParameterError


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Let parameters be given."""
    parser.add_argument(
        "-p",
        metavar="KEY=VALUE",
        dest="parameters",
        action="append",
        default=[],
        help="a parameter of the pipeline; the text is read as its declared type (may be given again)",
    )
    parser.add_argument(
        "--params",
        metavar="FILE",
        help="parameters from a JSON or TOML file, or as JSON from standard input (-); what -p gives goes before it",
    )


def add_date(parser: argparse._ActionsContainer) -> None:
    """Let the run's date be given."""
    parser.add_argument(
        "--date",
        metavar="DATE",
        help="the date that the run is for, such as 2026-01-31: it becomes the pipeline's date parameter",
    )


def add_dates(parser: argparse.ArgumentParser) -> None:
    """Let the run's date be given, or several."""
    group = parser.add_mutually_exclusive_group()
    add_date(group)
    group.add_argument(
        "--dates",
        metavar="A..B",
        help="run once for each date from A to B, in order: those of the pipeline's schedule, else each day",
    )


def read_parameters(pairs: Iterable[str], file: str | None, date: str | None = None) -> dict[str, object]:
    """All parameters given, by name; the run's date under the name that tracing knows it by.

    Raises `UsageError` for a pair without ``=``, and `ParameterError` for a file that is not there or does not hold
    an object.
    """
    given: dict[str, object] = dict(_read_file(Path(file))) if file is not None else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"-p takes KEY=VALUE, but got {pair!r}", hint=f"as in -p {name or 'rows'}=100")
        given[name] = value
    return given if date is None else {**given, DATE: date}


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        text = sys.stdin.buffer.read().decode() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParameterError(
            f"The parameter file {str(path)!r} cannot be read: {error.strerror}", hint="--params takes a file's path"
        ) from error
    except UnicodeDecodeError as error:
        raise ParameterError(
            f"The parameter file {str(path)!r} is not text in UTF-8", hint="is it the file?"
        ) from error
    data = _parsed(path, text)
    if not isinstance(data, dict):
        raise ParameterError(
            f"The parameter file {str(path)!r} must hold an object, but holds a {type(data).__name__}",
            hint='as in {"rows": 100}',
        )
    return data


def _parsed(path: Path, text: str) -> object:
    is_toml = path.suffix.lower() == ".toml"
    try:
        if is_toml:
            import tomllib

            return tomllib.loads(text)
        return json.loads(text)
    except ValueError as error:  # what both libraries raise is one
        kind = "TOML" if is_toml else "JSON"
        raise ParameterError(
            f"The parameter file {str(path)!r} is not {kind}: {error}",
            hint="a name that ends in .toml is read as TOML, any other as JSON",
        ) from error
