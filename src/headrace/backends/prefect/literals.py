"""Comments, types and names in the files: what comes from users is data there, never code."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.backends.source import flat
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.backends.deployment import Deployment

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
FORMATS = {"date": "date", "date-time": "datetime"}


def comments(deployment: Deployment) -> list[str]:
    """The lines that a file of ours begins with; what can't be printed is escaped."""
    return [f"# {_printable(line)}" for line in deployment.heading()]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)


def quoted(text: str) -> str:
    """A text as YAML has it between quotes."""
    return _printable(json.dumps(text, ensure_ascii=False))


def annotation(schema: Mapping[str, Json]) -> str:
    """The type that takes what a JSON schema takes; ``Any`` where it doesn't say."""
    if "enum" in schema:
        values: Any = schema["enum"]
        return f"Literal[{', '.join(map(flat, values))}]"
    kinds: Any = schema.get("type")
    if kinds is None:
        return "Any"
    return " | ".join(_plain(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _plain(kind: str, schema: Mapping[str, Json]) -> str:
    if kind == "array":
        items: Any = schema.get("items") or {}
        return f"list[{annotation(items)}]"
    if kind == "object":
        return "dict[str, Any]"
    if kind == "string":
        return FORMATS.get(str(schema.get("format")), "str")
    return PLAIN[kind]


def free_name(name: str, taken: set[str]) -> str:
    """A name that nothing else has, which is then taken."""
    found, number = name, 2
    while found in taken or keyword.iskeyword(found) or keyword.issoftkeyword(found):
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found
