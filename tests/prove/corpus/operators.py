"""Edits that may change what a program does: each operator at each site of a source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

Change = tuple[str, int, int, int, bytes]
"""``(operator, line, start, end, replacement)``, in bytes of the source."""

COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
ARITHMETIC = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.Div: "*", ast.FloorDiv: "+", ast.Mod: "+", ast.Pow: "*",
}  # fmt: skip
METHODS = {
    "strip": "lstrip", "lower": "upper", "upper": "lower", "append": "extend", "removesuffix": "removeprefix",
    "partition": "rpartition", "split": "rsplit", "get": "setdefault", "items": "keys", "open": "touch",
}  # fmt: skip
FUNCTIONS = {
    "min": "max",
    "max": "min",
    "sorted": "list",
    "list": "tuple",
    "round": "int",
    "int": "float",
    "sum": "max",
}


class Source:
    """A source with its tree, and the bytes of each node."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node is; its decorators are no part of it."""
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def line_span(self, first: int, last: int) -> tuple[int, int]:
        """Where whole lines are, from 1."""
        return self._starts[first - 1], self._starts[min(last, len(self._starts) - 1)]

    def segment(self, node: ast.expr | ast.stmt) -> bytes:
        """What a node is written as."""
        start, end = self.span(node)
        return self.text[start:end]

    def is_docstring(self, node: ast.AST) -> bool:
        """Say whether a constant is a bare text."""
        return isinstance(self.parents.get(node), ast.Expr)

    def is_in_fstring(self, node: ast.AST) -> bool:
        """Nodes in formatted texts have no reliable place before Python 3.12."""
        while (parent := self.parents.get(node)) is not None:
            if isinstance(parent, ast.JoinedStr):
                return True
            node = parent
        return False

    def applied(self, change: Change) -> bytes:
        """Give the changed source."""
        _, _, start, end, new = change
        return self.text[:start] + new + self.text[end:]


def changes(source: Source) -> Iterator[Change]:
    """Yield every change of every operator that still compiles."""
    for node in ast.walk(source.tree):
        if source.is_in_fstring(node) or isinstance(node, ast.JoinedStr):
            continue
        for operator, first, last, new in _changes_of(source, node):
            change = (operator, getattr(node, "lineno", 1), first, last, new)
            try:
                compile(source.applied(change), "changed", "exec")
            except SyntaxError:
                continue
            yield change


def _changes_of(source: Source, node: ast.AST) -> Iterator[tuple[str, int, int, bytes]]:
    if isinstance(node, ast.Constant):
        yield from _constant(source, node)
    elif isinstance(node, ast.Compare):
        yield from _compare(source, node)
    elif isinstance(node, ast.BinOp):
        yield from _binary(source, node)
    elif isinstance(node, ast.BoolOp):
        yield from _boolean(source, node)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp, ast.comprehension)):
        yield from _condition(source, node)
    elif isinstance(node, ast.Call):
        yield from _call(source, node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield "drop sign", *source.span(node), b"(" + source.segment(node.operand) + b")"
    elif isinstance(node, ast.ClassDef):
        yield from _class(source, node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield from _slice(source, node.slice)
    if isinstance(node, ast.stmt):
        yield from _statement(source, node)
    for block in ("body", "orelse", "finalbody"):
        statements = getattr(node, block, None)
        if isinstance(statements, list):
            yield from _swapped(source, statements)


def _constant(source: Source, node: ast.Constant) -> Iterator[tuple[str, int, int, bytes]]:
    if source.is_docstring(node):
        return
    parent = source.parents.get(node)
    is_default = isinstance(parent, ast.arguments)
    value = node.value
    if value is True or value is False:
        yield "flip truth", *source.span(node), str(not value).encode()
    elif isinstance(value, int):
        for name, new in (("add one", value + 1), ("to zero", 0), ("double", value * 2 + 3)):
            yield f"default: {name}" if is_default else f"integer: {name}", *source.span(node), str(new).encode()
        yield "integer: to decimal", *source.span(node), str(float(value)).encode()
    elif isinstance(value, float):
        yield "decimal: change", *source.span(node), repr(value * 2 + 0.125).encode()
        yield "decimal: to integer", *source.span(node), str(int(value)).encode()
    elif isinstance(value, str):
        yield "default: text" if is_default else "text: lengthen", *source.span(node), repr(value + "x").encode()
        if len(value) > 1:
            yield "text: shorten", *source.span(node), repr(value[1:]).encode()
    elif value is None:
        yield "none: to zero", *source.span(node), b"0"


def _compare(source: Source, node: ast.Compare) -> Iterator[tuple[str, int, int, bytes]]:
    if len(node.ops) == 1:
        new = COMPARISONS[type(node.ops[0])].encode()
        text = b"(" + source.segment(node.left) + b" " + new + b" " + source.segment(node.comparators[0]) + b")"
        yield "swap comparison", *source.span(node), text
        yield "negate comparison", *source.span(node), b"(not (" + source.segment(node) + b"))"


def _binary(source: Source, node: ast.BinOp) -> Iterator[tuple[str, int, int, bytes]]:
    left, right = b"(" + source.segment(node.left) + b")", b"(" + source.segment(node.right) + b")"
    if type(node.op) in ARITHMETIC:
        yield "swap arithmetic", *source.span(node), b"(" + left + ARITHMETIC[type(node.op)].encode() + right + b")"
        yield "drop right side", *source.span(node), left
        yield "drop left side", *source.span(node), right


def _boolean(source: Source, node: ast.BoolOp) -> Iterator[tuple[str, int, int, bytes]]:
    word = b" or " if isinstance(node.op, ast.And) else b" and "
    yield "swap and/or", *source.span(node), b"(" + word.join(source.segment(value) for value in node.values) + b")"


def _condition(source: Source, node: ast.AST) -> Iterator[tuple[str, int, int, bytes]]:
    for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:  # type: ignore[attr-defined]
        yield "negate condition", *source.span(test), b"(not (" + source.segment(test) + b"))"
    if isinstance(node, ast.IfExp):
        text = source.segment(node.orelse) + b" if " + source.segment(node.test) + b" else " + source.segment(node.body)
        yield "swap branches", *source.span(node), text


def _call(source: Source, node: ast.Call) -> Iterator[tuple[str, int, int, bytes]]:
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        base = source.segment(node.func.value)
        yield "other method", *source.span(node.func), base + b"." + METHODS[node.func.attr].encode()
    if isinstance(node.func, ast.Name):
        functions = [child.name for child in source.tree.body if isinstance(child, ast.FunctionDef)]
        if node.func.id in functions and len(functions) > 1:
            other = functions[(functions.index(node.func.id) + 1) % len(functions)]
            yield "other function", *source.span(node.func), other.encode()
        elif node.func.id in FUNCTIONS:
            yield "other builtin", *source.span(node.func), FUNCTIONS[node.func.id].encode()
    if len(node.args) == 2 and not any(isinstance(argument, ast.Starred) for argument in node.args):
        first, second = node.args
        between = source.text[source.span(first)[1] : source.span(second)[0]]
        yield "swap arguments", source.span(first)[0], source.span(second)[1], (
            source.segment(second) + between + source.segment(first)
        )  # fmt: skip
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
        yield "drop call", *source.span(node), b"(" + source.segment(node.args[0]) + b")"


def _class(source: Source, node: ast.ClassDef) -> Iterator[tuple[str, int, int, bytes]]:
    for base in node.bases:
        yield "other base", *source.span(base), b"object"


def _slice(source: Source, node: ast.Slice) -> Iterator[tuple[str, int, int, bytes]]:
    for bound in (node.lower, node.upper):
        if bound is not None:
            yield "move bound", *source.span(bound), b"(" + source.segment(bound) + b") + 1"


def _statement(source: Source, node: ast.stmt) -> Iterator[tuple[str, int, int, bytes]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    decorators = getattr(node, "decorator_list", [])
    for decorator in decorators:
        yield "drop decorator", *source.line_span(decorator.lineno, decorator.end_lineno or decorator.lineno), b""
    is_headrace = any(b"step" in source.segment(decorator) for decorator in decorators)
    if not is_headrace and not isinstance(node, ast.Pass):
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        start = source.line_span(first, first)[0] + node.col_offset
        yield "drop statement", start, source.span(node)[1], b"pass"


def _swapped(source: Source, statements: list[ast.stmt]) -> Iterator[tuple[str, int, int, bytes]]:
    for one, two in pairwise(statements):
        if any(getattr(node, "decorator_list", None) for node in (one, two)):
            continue
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
            continue
        between = source.text[source.span(one)[1] : source.span(two)[0]]
        text = source.segment(two) + between + source.segment(one)
        yield "swap statements", source.span(one)[0], source.span(two)[1], text
