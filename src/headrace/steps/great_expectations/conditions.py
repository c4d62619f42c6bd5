"""Row conditions of Great Expectations: which rows an expectation looks at.

Three ways of writing them are read: what ``pandas.DataFrame.query`` takes (``condition_parser="pandas"``), the
``col("age") > 30`` of the other engines, and the trees that 1.x writes (``{"type": "comparison", ...}``). Each becomes
one tree of the few kinds below, with pandas' meaning: a comparison with a missing value is false, ``!=`` true.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.steps.kinds import Kind

Literal = str | int | float | bool

OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
PANDAS = ("pandas", "python")
OWN = ("great_expectations", "great_expectations__experimental__")


class ConditionError(ValueError):
    """The condition can't be said in Headrace; the text says why."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A column beside a value or another column."""

    column: str
    operator: str
    value: Literal | None = None
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Among:
    """A column's value is one of some."""

    column: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A column has no value."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """What is inside doesn't hold."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """All parts hold (``is_any``: at least one)."""

    parts: tuple[Condition, ...]
    is_any: bool = False


Condition = Compare | Among | Missing | Not | Both


def read_condition(given: object, parser: str | None) -> Condition | None:
    """Read a ``row_condition`` with its ``condition_parser``; None where there is none.

    Raises ConditionError for what has no counterpart here: calls, arithmetic, names from outside, SQL.
    """
    if given is None or given == "":
        return None
    if isinstance(given, Mapping):
        return _of_tree(given)
    if not isinstance(given, str):
        raise ConditionError(f"{given!r} is no condition")
    if parser in OWN or (parser is None and given.lstrip().startswith("col(")):
        return _of_own(given)
    if parser is None or parser in PANDAS:
        return _of_query(given)
    raise ConditionError(f"condition_parser={parser!r} reads another engine's SQL; say it as condition_parser='pandas'")


# --- trees, as 1.x writes them ------------------------------------------------------------------------------------


def _of_tree(given: Mapping[str, Any]) -> Condition:
    kind = given.get("type")
    if kind in ("and", "or"):
        return Both(tuple(_of_tree(part) for part in given["conditions"]), is_any=kind == "or")
    if kind == "pass_through":
        return _of_query(str(given["pass_through_filter"]))
    if kind not in ("nullity", "comparison"):
        raise ConditionError(f"{dict(given)!r} is no condition that is known")
    column = given["column"]
    name = str(column["name"] if isinstance(column, Mapping) else column)
    if kind == "nullity":
        return Missing(name) if given["is_null"] else Not(Missing(name))
    operator, value = str(given["operator"]), given["parameter"]
    if operator in ("IN", "NOT_IN"):
        among = Among(name, tuple(_literal(item) for item in value))
        return among if operator == "IN" else Not(among)
    if operator not in OPERATORS:
        raise ConditionError(f"{operator!r} is no operator")
    return Compare(name, operator, _literal(value))


def _literal(value: object) -> Literal:
    if isinstance(value, str | int | float):
        return value
    raise ConditionError(f"{value!r} ({type(value).__name__}) can't be compared with a column")


# --- col("x") > 3 -------------------------------------------------------------------------------------------------

_OWN_COMPARISON = re.compile(
    r"""\s*col\("(?P<column>[^"]+)"\)\s*
    (?:(?P<notnull>\.notnull\(\))
    |(?P<operator>==|!=|<=|>=|<|>)\s*
    (?:(?P<number>[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'))\s*\Z""",
    re.VERBOSE | re.IGNORECASE,
)


def _of_own(text: str) -> Condition:
    found = _OWN_COMPARISON.match(text)
    if found is None:
        raise ConditionError(f'{text!r} isn\'t one comparison such as col("age") > 30, or col("age").notnull()')
    if found["notnull"]:
        return Not(Missing(found["column"]))
    if found["number"] is not None:
        number = found["number"]
        return Compare(found["column"], found["operator"], int(number) if number.isdigit() else float(number))
    text_value = found["double"] if found["double"] is not None else found["single"]
    return Compare(found["column"], found["operator"], text_value)


# --- pandas.DataFrame.query ---------------------------------------------------------------------------------------

_QUOTED_NAME = re.compile(r"`([^`]+)`")
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_TURNED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _of_query(text: str) -> Condition:
    names: dict[str, str] = {}

    def placed(found: re.Match[str]) -> str:
        names[f"_quoted_{len(names)}"] = found[1]
        return f"_quoted_{len(names) - 1}"

    try:
        tree = ast.parse(_in_words(_QUOTED_NAME.sub(placed, text.strip())), mode="eval")
    except (SyntaxError, tokenize.TokenError, IndentationError):
        raise ConditionError(f"{text!r} can't be parsed") from None
    return _Query(text, names).read(tree.body)


def _in_words(text: str) -> str:
    """Write ``&``, ``|`` and ``~`` as words, as pandas does, which gives them the words' precedence."""
    words = {"&": "and", "|": "or", "~": "not", "=": "=="}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    written = [words.get(token.string, token.string) if token.type == tokenize.OP else token.string for token in tokens]
    return " ".join(written).strip()


@dataclass(frozen=True)
class _Query:
    text: str
    names: Mapping[str, str]

    def read(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            return Both(tuple(self.read(part) for part in node.values), is_any=isinstance(node.op, ast.Or))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(self.read(node.operand))
        if isinstance(node, ast.Name):
            return Compare(self.name(node), "==", True)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = [self.compared(sides[i], op, sides[i + 1]) for i, op in enumerate(node.ops)]
            return parts[0] if len(parts) == 1 else Both(tuple(parts))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords:
            return self.called(node.func, node.args)
        raise self.refused(node)

    def compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, ast.In | ast.NotIn) or isinstance(right, ast.List | ast.Tuple):
            among = Among(self.name(left), self.literals(right))
            return Not(among) if isinstance(op, ast.NotIn | ast.NotEq) else among
        operator = _COMPARED.get(type(op))
        if operator is None:
            raise self.refused(left)
        if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
            left, right, operator = right, left, _TURNED[operator]
        if isinstance(right, ast.Name):
            return Compare(self.name(left), operator, other=self.name(right))
        return Compare(self.name(left), operator, self.literal(right))

    def called(self, function: ast.Attribute, arguments: list[ast.expr]) -> Condition:
        name = self.name(function.value)
        if function.attr in ("isnull", "isna") and not arguments:
            return Missing(name)
        if function.attr in ("notnull", "notna") and not arguments:
            return Not(Missing(name))
        if function.attr == "isin" and len(arguments) == 1:
            return Among(name, self.literals(arguments[0]))
        raise self.refused(function)

    def name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        raise self.refused(node)

    def literals(self, node: ast.expr) -> tuple[Literal, ...]:
        if not isinstance(node, ast.List | ast.Tuple | ast.Set):
            raise self.refused(node)
        return tuple(self.literal(item) for item in node.elts)

    def literal(self, node: ast.expr) -> Literal:
        try:
            return _literal(ast.literal_eval(node))
        except ValueError:
            raise self.refused(node) from None

    def refused(self, node: ast.AST) -> ConditionError:
        part = ast.unparse(node)
        return ConditionError(
            f"{self.text!r} has {part!r}: columns, values, comparisons, in, and, or, not, isnull() and notnull() are "
            "known"
        )


# --- in Headrace's words ------------------------------------------------------------------------------------------

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def where_text(condition: Condition, kinds: Mapping[str, Kind | None] | None = None, *, negated: bool = False) -> str:
    """Write a condition as the text of ``where``, which keeps to SQL: a comparison with a missing value is neither.

    ``kinds`` are the columns' kinds: text is read as a day or moment beside a column of such.
    """
    kinds = kinds or {}
    if isinstance(condition, Not):
        return where_text(condition.inner, kinds, negated=not negated)
    if isinstance(condition, Both):
        glue = " or " if condition.is_any != negated else " and "
        return f"({glue.join(where_text(part, kinds, negated=negated) for part in condition.parts)})"
    name = _quoted(condition.column)
    if isinstance(condition, Missing):
        return f"{name} is {'not ' if negated else ''}missing"
    if isinstance(condition, Among):
        return _among_text(condition, kinds, negated)
    operator = _OPPOSITE[condition.operator] if negated else condition.operator
    right = (
        _written(condition.value, kinds.get(condition.column)) if condition.other is None else _quoted(condition.other)
    )
    text = f"{name} {operator} {right}"
    # What pandas takes for true though a value is missing: that it differs, and that a comparison doesn't hold.
    if negated == (condition.operator == "!="):
        return text
    names = [name] if condition.other is None else [name, right]
    return f"({text}{''.join(f' or {each} is missing' for each in names)})"


def _among_text(condition: Among, kinds: Mapping[str, Kind | None], negated: bool) -> str:
    kind = kinds.get(condition.column)
    listed = [_written(value, kind) for value in condition.values if _fits(value, kind)]
    name = _quoted(condition.column)
    if not listed:
        return f"({name} is missing {'or' if negated else 'and'} {name} is not missing)"
    if negated:
        return f"({name} not in ({', '.join(listed)}) or {name} is missing)"
    return f"{name} in ({', '.join(listed)})"


def _fits(value: Literal, kind: Kind | None) -> bool:
    if kind in ("integer", "number"):
        return not isinstance(value, str)
    return isinstance(value, str) or kind in (None, "boolean")


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _written(value: Literal | None, kind: Kind | None) -> str:
    if kind == "boolean" and value in (0, 1):
        return "true" if value else "false"
    if isinstance(value, bool):
        return (str(int(value))) if kind in ("integer", "number") else str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if kind in ("date", "datetime"):
        try:
            return f"datetime '{datetime.fromisoformat(value).isoformat()}'"
        except ValueError:
            raise ConditionError(f"{value!r} is no day or moment, beside a column of such") from None
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
