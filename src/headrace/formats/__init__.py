"""How a Python value becomes an artifact's files, and back. One format a file."""

from __future__ import annotations

from headrace.formats.protocol import Format, Pickle, StoredAs, Trusts
from headrace.formats.registry import find_format, format_named, loads_as, natural_type, save_artifact, type_named
from headrace.formats.table import Table, TableLike
from headrace.formats.text import Html, Text

__all__ = [
    "Format",
    "Html",
    "Pickle",
    "StoredAs",
    "Table",
    "TableLike",
    "Text",
    "Trusts",
    "find_format",
    "format_named",
    "loads_as",
    "natural_type",
    "save_artifact",
    "type_named",
]
