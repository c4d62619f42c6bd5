"""The normal form of a piece of code: what is left when layout, comments and docstrings are gone.

The form is written here and not by ``ast.dump``: it needs no recursion (a sum of 5,000 terms is a tree 5,000 deep),
and it leaves out empty fields, so that a field which a newer Python adds changes nothing where it isn't used.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable, Sequence

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SKIPPED_FIELDS = frozenset({"ctx", "type_comment", "kind", "type_ignores", "simple", "lineno", "end_lineno"})

Drops = Callable[[ast.expr], bool]
"""Says of a decorator that it doesn't count."""


def sha256(*parts: str) -> str:
    """Hash texts, each with its length, so that no two lists of texts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def words(text: str) -> frozenset[str]:
    """Split a table of names that is written as a text."""
    return frozenset(text.split())


def is_text(statement: ast.stmt) -> bool:
    """Say whether a statement is a bare string: a docstring, or a comment in its clothes."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def normal_digest(nodes: Iterable[ast.AST], drops: Drops, *, in_function: bool = False) -> str:
    """Give the digest of the nodes' normal form."""
    return sha256("".join(_tokens(list(nodes), drops, in_function)))


def docstrings_digest(node: ast.AST) -> str:
    """Give the digest of all docstrings in a node: it counts only where code reads ``__doc__``."""
    texts = [
        ast.get_docstring(child, clean=False) or ""
        for child in ast.walk(node)
        if isinstance(child, (*DEFINITIONS, ast.Module))
    ]
    return sha256(*texts)


def _tokens(nodes: Sequence[ast.AST], drops: Drops, in_function: bool) -> list[str]:
    out: list[str] = []
    stack: list[tuple[object, bool]] = [(node, in_function) for node in reversed(nodes)]
    while stack:
        item, inside = stack.pop()
        if isinstance(item, ast.AST):
            if inside and isinstance(item, ast.AnnAssign) and item.value is not None:
                item = ast.Assign(targets=[item.target], value=item.value)  # a local's annotation is never evaluated
            out.append(f"({type(item).__name__}")
            stack.append((_CLOSE, inside))
            stack.extend(reversed(_fields(item, inside, drops)))
        elif isinstance(item, list):
            out.append("[")
            stack.append((_CLOSE_LIST, inside))
            stack.extend((child, inside) for child in reversed(item))
        elif isinstance(item, _Token):
            out.append(item.text)
        else:
            out.append(_constant(item))
    return out


class _Token:
    """A piece of the normal form's own punctuation."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_CLOSE = _Token(")")
_CLOSE_LIST = _Token("]")


def _fields(node: ast.AST, in_function: bool, drops: Drops) -> list[tuple[object, bool]]:
    inside = (in_function or isinstance(node, FUNCTIONS)) and not isinstance(node, ast.ClassDef)
    fields: list[tuple[object, bool]] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if name in _SKIPPED_FIELDS:
            continue
        if name == "annotation" and in_function and isinstance(node, ast.AnnAssign):
            continue
        if isinstance(value, list):
            value = _counted(name, value, drops)
        if _is_empty(node, name, value):
            continue
        fields.append((_Token(f",{name}="), inside))
        fields.append((value, inside))
    return fields


def _is_empty(node: ast.AST, name: str, value: object) -> bool:
    if isinstance(node, (ast.Constant, ast.MatchSingleton)) and name == "value":
        return False
    return value is None or value == []


def _counted(name: str, value: list[object], drops: Drops) -> list[object]:
    if name == "decorator_list":
        return [child for child in value if not (isinstance(child, ast.expr) and drops(child))]
    if name in ("body", "orelse", "finalbody"):
        return [child for child in value if not (isinstance(child, ast.stmt) and is_text(child))]
    return value


def _constant(value: object) -> str:
    """Write a constant so that 1, 1.0 and True, and 0.0 and -0.0 differ; integers of any length."""
    if isinstance(value, str):
        return ascii(value)
    if type(value) is int:
        return hex(value)
    return f"<{type(value).__name__} {value!r}>"
