"""Objects as YAML that every reader reads alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

FIRST = """apiVersion kind name generateName namespace metadata spec template depends withParam entrypoint onExit
    image command args workingDir"""
LAST = "container dag tasks workflowSpec templates"
"""Keys in the order that a reader wants them in; the others stand between."""
PLAIN = re.compile(r"(?!---)[A-Za-z/-]?[A-Za-z/-][A-Za-z0-9_./-]*")
WORDS = re.compile(r"(?i)y|yes|n|no|on|off|true|false|null|nan|inf")
"""What one reader or another takes for something else than text."""


class _Writer(yaml.SafeDumper):  # type: ignore[misc]
    """Texts are in quotes unless they are plain words."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what is there twice twice: an anchor is hard to read."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists under their key."""
        super().increase_indent(flow, False)


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = PLAIN.fullmatch(text) and not WORDS.fullmatch(text)
    is_simple = text.isascii() and text.replace("\n", "").isprintable()
    if is_plain:
        style = None
    elif is_simple and "\n" in text and text[:1] not in (" ", "\n"):
        style = "|"
    else:
        style = "'" if is_simple and "\n" not in text and ('"' in text or "\\" in text) else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def written(tree: Mapping[str, Any], heading: Iterable[str] = ()) -> str:
    """An object's YAML, under comment lines."""
    text: str = yaml.dump(_ordered(tree), Dumper=_Writer, sort_keys=False, width=1000, default_flow_style=False)
    return "".join(f"# {_printable(line)}\n" for line in heading) + text


def _ordered(tree: Any) -> Any:
    """What tells a reader what it is comes first, what is long last."""
    if isinstance(tree, list):
        return [_ordered(item) for item in tree]
    if not isinstance(tree, Mapping):
        return tree
    place = {key: number - len(FIRST) for number, key in enumerate(FIRST.split())} | {
        key: number + 1 for number, key in enumerate(LAST.split())
    }
    return {key: _ordered(tree[key]) for key in sorted(tree, key=lambda key: place.get(key, 0))}


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() and letter.isascii() else ascii(letter)[1:-1] for letter in text)
