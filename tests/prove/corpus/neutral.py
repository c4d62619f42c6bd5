"""Edits that change nothing that a program does: comments, docstrings, layout, unrelated code, annotations, order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from tests.prove.corpus.operators import Change, Source


def neutral_changes(source: Source) -> Iterator[Change]:
    """Yield every neutral change of a source that still compiles."""
    for change in _all(source):
        try:
            compile(source.applied(change), "changed", "exec")
        except SyntaxError:
            continue
        yield change


def _all(source: Source) -> Iterator[Change]:
    yield from _whole(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.stmt):
            yield from _around(source, node)
        if isinstance(node, ast.Constant) and not source.is_in_fstring(node):
            yield from _text(source, node)
        if isinstance(node, (ast.BinOp, ast.Compare, ast.Call)) and not source.is_in_fstring(node):
            start, end = source.span(node)
            yield "brackets", node.lineno, start, end, b"(\n" + source.segment(node) + b"\n)"
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield from _definition(source, node)
    yield from _order(source)


def _whole(source: Source) -> Iterator[Change]:
    end = len(source.text)
    yield "reflow", 1, 0, end, ast.unparse(source.tree).encode() + b"\n"
    yield "comment at the end", 1, end, end, b"\n# The end.\n"
    yield "new function", 1, end, end, b"\n\ndef brand_new(x):\n    return [x, 1]\n"
    yield (
        "new class",
        1,
        end,
        end,
        b"\n\nclass BrandNew:\n    size = 1\n\n    def brand_new_method(self):\n        return 2\n",
    )
    yield "new constant", 1, end, end, b'\nBRAND_NEW = {"a": [1, 2]}\n'
    main = b'\nif __name__ == "__main__":\n    print("by hand")\n'
    if b"__main__" not in source.text:
        yield "new main block", 1, end, end, main
    first = _after_header(source)
    yield "new standard import", 1, first, first, b"import wave\n"
    checking = b"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fractions import Fraction\n"
    yield "new import for types", 1, first, first, checking
    yield "blank lines", 1, first, first, b"\n\n\n\n"


def _after_header(source: Source) -> int:
    """The place behind the module's docstring and ``__future__``."""
    place = 0
    for node in source.tree.body:
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not is_future and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            break
        place = source.line_span(node.lineno, node.end_lineno or node.lineno)[1]
    return place


def _around(source: Source, node: ast.stmt) -> Iterator[Change]:
    start = source.line_span(node.lineno, node.lineno)[0]
    if source.text[start : start + node.col_offset].strip():
        return
    indent = b" " * node.col_offset
    yield "comment before", node.lineno, start, start, indent + b"# A remark.\n"
    end = source.line_span(node.end_lineno or node.lineno, node.end_lineno or node.lineno)[1]
    if isinstance(node, (ast.Assign, ast.Return, ast.AugAssign)):
        yield "comment behind", node.lineno, end - 1, end - 1, b"  # so be it"
        yield "type: ignore", node.lineno, end - 1, end - 1, b"  # type: ignore"
    if isinstance(node, ast.Assign) and _is_local(source, node) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, ast.Name):
            place = source.span(target)[1]
            yield "annotation of a local", node.lineno, place, place, b': "object"'


def _is_local(source: Source, node: ast.AST) -> bool:
    while (parent := source.parents.get(node)) is not None:
        if isinstance(parent, (ast.FunctionDef, ast.ClassDef)):
            return isinstance(parent, ast.FunctionDef)
        node = parent
    return False


def _text(source: Source, node: ast.Constant) -> Iterator[Change]:
    if not isinstance(node.value, str):
        if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 10:
            yield "number written otherwise", node.lineno, *source.span(node), hex(node.value).encode()
        return
    segment = source.segment(node)
    if source.is_docstring(node):
        yield "docstring", node.lineno, *source.span(node), b'"""Said otherwise."""'
    elif re.fullmatch(rb'"[^"\'\\]*"', segment):
        yield "quotes", node.lineno, *source.span(node), b"'" + segment[1:-1] + b"'"
        if len(segment) > 4:
            parts = b"(" + segment[:2] + b'" "' + segment[2:] + b")"
            yield "text in two", node.lineno, *source.span(node), parts


def _definition(source: Source, node: ast.FunctionDef | ast.ClassDef) -> Iterator[Change]:
    if node.name.startswith("unused_"):
        last = node.body[-1]
        start, end = source.span(last)
        yield "body of an unused definition", node.lineno, start, end, b"return None"
        yield "name of an unused definition", node.lineno, *_name_span(source, node), node.name.encode() + b"_now"


def _name_span(source: Source, node: ast.FunctionDef | ast.ClassDef) -> tuple[int, int]:
    start = source.span(node)[0]
    place = source.text.index(node.name.encode(), start)
    return place, place + len(node.name)


def _order(source: Source) -> Iterator[Change]:
    for one, two in pairwise(source.tree.body):
        if any(getattr(node, "decorator_list", None) for node in (one, two)):
            continue
        both_functions = isinstance(one, ast.FunctionDef) and isinstance(two, ast.FunctionDef)
        both_imports = isinstance(one, (ast.Import, ast.ImportFrom)) and isinstance(two, (ast.Import, ast.ImportFrom))
        if not (both_functions or both_imports) or b"noqa" in source.text[source.span(one)[1] : source.span(two)[0]]:
            continue
        between = source.text[source.span(one)[1] : source.span(two)[0]]
        operator = "order of functions" if both_functions else "order of imports"
        text = source.segment(two) + between + source.segment(one)
        yield operator, one.lineno, source.span(one)[0], source.span(two)[1], text
