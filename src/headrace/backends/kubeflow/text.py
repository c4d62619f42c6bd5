"""Text of users in a file of Kubeflow's: as text, and not as one of the placeholders that KFP fills in.

KFP replaces ``{{$…}}`` in all that it hands to a component, its source code included, `kfp.local` replaces
``python3`` in arguments, and the head of the YAML is a comment into which defaults are written as they are.
"""

from __future__ import annotations

import json
from typing import Any

REPLACED = ("{{", "python3")


def is_plain(text: str) -> bool:
    """Whether KFP hands a text on as it is."""
    return text.isprintable() and not any(part in text for part in REPLACED)


def literal(value: Any) -> str:
    """A value as Python has it, in which nothing stands that KFP replaces."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(name)}: {literal(item)}" for name, item in value.items()) + "}"
    return repr(value)


def _quoted(text: str) -> str:
    """In double quotes, or in single ones where that takes no escapes."""
    escaped = text.replace("\\", "\\\\") if text.isprintable() else text.encode("unicode_escape").decode()
    escaped = escaped.replace("{{", "{\\x7b").replace("python3", "python\\x33")
    if '"' in text and "'" not in text:
        return f"'{escaped}'"
    return '"' + escaped.replace('"', '\\"') + '"'


def safe_json(value: Any) -> str:
    """JSON that KFP hands on as it is."""
    return json.dumps(value).replace("{{", "{\\u007b").replace("python3", "python\\u0033")


def one_line(text: str) -> str:
    """Words for a docstring or a comment: what could end it, or what KFP replaces, is left out."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.replace("\\", "/").replace('"', "'").replace("{", "{ ").split())
