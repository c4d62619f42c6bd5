"""A small language for rules across columns, read by us and never evaluated as code.

==============  =========================================================================================
values          ``18``, ``0.5``, ``'text'`` (a quote is doubled), ``true``, ``date '2024-01-31'``,
                ``datetime '2024-01-31T12:00:00'``
columns         ``age``; ``"monthly fee"`` where the name is no plain word
comparisons     ``= != < <= > >=`` (``==`` and ``<>`` too), ``between A and B``, ``in ('a', 'b')``, ``not in``,
                ``is missing``, ``is not missing`` (``null`` too)
calculation     ``+ - * / %``, parentheses, ``-x``
logic           ``and``, ``or``, ``not``
functions       of numbers ``abs(x)``, ``round(x, digits)``; of text ``length(x)``, ``lower(x)``, ``upper(x)``,
                ``trim(x)``, ``contains(x, 'part')``, ``starts_with(x, 'a')``, ``ends_with(x, 'z')``,
                ``matches(x, 'pattern')`` (the whole text); of times ``year(x)``, ``month(x)``, ``day(x)``;
                ``coalesce(x, y)``, the first that isn't missing
==============  =========================================================================================

What is calculated of a missing value is missing, as in SQL: ``a or b`` is true where one is true, whatever the other.
NaN is missing. Sums, differences and products are floats of 64 bits, as whole numbers could overflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError, near_miss
from headrace.steps.checks.patterns import check_pattern, portable

if TYPE_CHECKING:
    import narwhals as nw

    from headrace.steps.kinds import Kind

Sort = Literal["number", "text", "time", "boolean", "missing"]
"""What a part of an expression is."""

DEEPEST = 50
SORTS: Mapping[str, Sort] = {
    "integer": "number",
    "number": "number",
    "text": "text",
    "date": "time",
    "datetime": "time",
    "boolean": "boolean",
}
COMPARISONS = {"=": "==", "==": "==", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Sort]] = {
    "abs": (("number",), "number"),
    "round": (("number", "whole"), "number"),
    "length": (("text",), "number"),
    "lower": (("text",), "text"),
    "upper": (("text",), "text"),
    "trim": (("text",), "text"),
    "contains": (("text", "literal"), "boolean"),
    "starts_with": (("text", "literal"), "boolean"),
    "ends_with": (("text", "literal"), "boolean"),
    "matches": (("text", "pattern"), "boolean"),
    "year": (("time",), "number"),
    "month": (("time",), "number"),
    "day": (("time",), "number"),
    "coalesce": (("any", "same"), "missing"),
}
"""Each function's parameters and what it gives; of ``coalesce`` that of its parameters."""

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[^\W\d]\w*)
    | (?P<sign><=|>=|<>|!=|==|[=<>+\-*/%(),])
    )""",
    re.VERBOSE,
)
KEYWORDS = frozenset(["and", "or", "not", "in", "is", "between", "missing", "null", "true", "false"])


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text, where it begins, and what it is."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression: ``name`` says which, ``value`` is a literal's or a column's."""

    name: str
    at: int
    parts: tuple[Part, ...] = ()
    value: Any = None


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression that was read."""

    text: str
    root: Part

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names, in their order."""
        return tuple(dict.fromkeys(part.value for part in _walk(self.root) if part.name == "column"))

    def check(self, kinds: Mapping[str, Kind | None]) -> None:
        """Raise DataError where parts don't fit together (text with a number), or the whole is no yes or no."""
        sort = _Sorts(self.text, kinds).of(self.root)
        if sort != "boolean":
            raise _error(self.text, 0, f"This is {_a(sort)}, but a rule is true or false", "compare it with something")

    def expr(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Give it as an expression over the columns' expressions: true, false or missing."""
        return _expr(self.root, values)


@lru_cache(maxsize=512)
def parse(text: str) -> Formula:
    """Read an expression. Raises DataError, with the place, for what is none."""
    reader = _Reader(text)
    root = reader.any_of(0)
    if reader.token is not None:
        raise reader.error(f"{reader.token.text!r} isn't expected")
    return Formula(text, root)


def _error(text: str, at: int, message: str, hint: str | None = None) -> DataError:
    return DataError(f"{message} (at character {at + 1} of {text!r})", hint=hint)


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _error(text, at, f"{text[at:].lstrip()[:1]!r} isn't expected", "text stands in single quotes")
        kind, value = found.lastgroup, found[found.lastgroup]
        yield Token("keyword" if kind == "word" and value.lower() in KEYWORDS else kind, value, found.start(kind))
        at = found.end()


class _Reader:
    """Reads by precedence: or, and, not, comparisons, sums, products, signs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    @property
    def token(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def error(self, message: str, hint: str | None = None) -> DataError:
        return _error(self.text, self.token.at if self.token else len(self.text), message, hint)

    def take(self, *texts: str) -> Token | None:
        """Take the next token if it is one of these."""
        token = self.token
        if token is None or token.kind in ("text", "quoted") or token.text.lower() not in texts:
            return None
        self._next += 1
        return token

    def need(self, text: str) -> Token:
        found = self.take(text)
        if found is None:
            raise self.error(f"{text!r} is expected, but got {self.token.text if self.token else 'the end'!r}")
        return found

    def any_of(self, depth: int) -> Part:
        if depth > DEEPEST:
            raise self.error(f"The expression is nested more than {DEEPEST} deep")
        return self._joined("or", lambda: self._joined("and", lambda: self._negated(depth)))

    def _joined(self, word: str, read: Any) -> Part:
        parts = [read()]
        at = parts[0].at
        while self.take(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else Part(word, at, tuple(parts))

    def _negated(self, depth: int) -> Part:
        token = self.take("not")
        if token is None:
            return self._compared(depth)
        if depth > DEEPEST:
            raise self.error(f"The expression is nested more than {DEEPEST} deep")
        return Part("not", token.at, (self._negated(depth + 1),))

    def _compared(self, depth: int) -> Part:
        left = self._sum(depth)
        if (sign := self.take(*COMPARISONS)) is not None:
            return Part(COMPARISONS[sign.text], sign.at, (left, self._sum(depth)))
        if (word := self.take("is")) is not None:
            negated = self.take("not")
            if self.take("missing", "null") is None:
                raise self.error("'missing' is expected after 'is'")
            part = Part("is missing", word.at, (left,))
            return Part("not", word.at, (part,)) if negated else part
        negated = self.take("not")
        if (word := self.take("in")) is not None:
            part = Part("in", word.at, (left, *self._list(depth)))
        elif (word := self.take("between")) is not None:
            low = self._sum(depth)
            self.need("and")
            high = self._sum(depth)
            part = Part("and", word.at, (Part(">=", word.at, (left, low)), Part("<=", word.at, (left, high))))
        elif negated:
            raise self.error("'in' or 'between' is expected after 'not'")
        else:
            return left
        return Part("not", word.at, (part,)) if negated else part

    def _list(self, depth: int) -> list[Part]:
        self.need("(")
        listed = [self._sum(depth + 1)]
        while self.take(","):
            listed.append(self._sum(depth + 1))
        self.need(")")
        odd = next((part for part in listed if part.name not in ("literal", "negative")), None)
        if odd is not None:
            raise _error(self.text, odd.at, "A list after 'in' holds values only")
        return [Part("literal", part.at, value=_literal(part)) for part in listed]

    def _sum(self, depth: int) -> Part:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/", "%"), lambda: self._signed(depth)))

    def _chain(self, signs: Sequence[str], read: Any) -> Part:
        left: Part = read()
        n_links = 0
        while (sign := self.take(*signs)) is not None:
            n_links += 1
            if n_links > DEEPEST:
                raise self.error(f"The expression has more than {DEEPEST} terms in a row")
            left = Part(sign.text, sign.at, (left, read()))
        return left

    def _signed(self, depth: int) -> Part:
        sign = self.take("-")
        if sign is None:
            return self._single(depth)
        if depth > DEEPEST:
            raise self.error(f"The expression is nested more than {DEEPEST} deep")
        return Part("negative", sign.at, (self._signed(depth + 1),))

    def _single(self, depth: int) -> Part:
        token = self.token
        if token is None:
            raise self.error("The expression ends too early")
        if self.take("("):
            inner = self.any_of(depth + 1)
            self.need(")")
            return inner
        self._next += 1
        if token.kind == "number":
            whole = token.text.isdigit()
            return Part("literal", token.at, value=int(token.text) if whole else float(token.text))
        if token.kind == "text":
            return Part("literal", token.at, value=token.text[1:-1].replace("''", "'"))
        if token.kind == "quoted":
            return Part("column", token.at, value=token.text[1:-1].replace('""', '"'))
        if token.kind == "keyword" and token.text.lower() in ("true", "false"):
            return Part("literal", token.at, value=token.text.lower() == "true")
        if token.kind == "word":
            return self._word(token, depth)
        self._next -= 1
        raise self.error(f"{token.text!r} isn't expected", 'a column of that name stands in double quotes: "and"')

    def _word(self, token: Token, depth: int) -> Part:
        after = self.token
        if token.text.lower() in ("date", "datetime") and after is not None and after.kind == "text":
            self._next += 1
            return Part("literal", token.at, value=self._time(token.text.lower(), after))
        if self.take("("):
            return self._call(token, depth)
        return Part("column", token.at, value=token.text)

    def _time(self, kind: str, token: Token) -> date | datetime:
        try:
            text = token.text[1:-1]
            found = date.fromisoformat(text) if kind == "date" else datetime.fromisoformat(text)
        except ValueError:
            raise _error(self.text, token.at, f"{token.text} is no {kind}", "such as '2024-01-31'") from None
        if isinstance(found, datetime) and found.tzinfo is not None:
            raise _error(self.text, token.at, f"{token.text} has a time zone", "leave it out")
        return found

    def _call(self, token: Token, depth: int) -> Part:
        name = token.text.lower()
        if name not in FUNCTIONS:
            raise _error(self.text, token.at, f"There is no function {name!r}", near_miss(name, FUNCTIONS))
        given = [] if self.take(")") else [self.any_of(depth + 1)]
        while given and self.take(","):
            given.append(self.any_of(depth + 1))
        if given:
            self.need(")")
        wanted = FUNCTIONS[name][0]
        if name == "round" and len(given) == 1:
            given.append(Part("literal", token.at, value=0))
        if len(given) != len(wanted):
            raise _error(self.text, token.at, f"{name}() takes {len(wanted)} values, but got {len(given)}")
        for part, want in zip(given, wanted, strict=True):
            if want in ("literal", "pattern") and not isinstance(part.value, str | None):
                raise _error(self.text, part.at, f"{name}() takes text here")
            if want in ("literal", "pattern", "whole") and part.name != "literal":
                raise _error(self.text, part.at, f"{name}() takes a plain value here")
            if want == "pattern":
                check_pattern(part.value, f"in {self.text!r}")
            if want == "whole" and type(part.value) is not int:
                raise _error(self.text, part.at, f"{name}() takes a whole number of digits")
        return Part(f"{name}()", token.at, tuple(given))


def _literal(part: Part) -> Any:
    if part.name == "negative":
        return -_literal(part.parts[0])
    return part.value


def _walk(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(reversed(part.parts))


@dataclass(frozen=True, slots=True)
class _Sorts:
    """What each part is, given the columns' kinds."""

    text: str
    kinds: Mapping[str, Kind | None]

    def of(self, part: Part) -> Sort:
        found = [self.of(inner) for inner in part.parts]
        if part.name == "literal":
            return _sort_of(part.value)
        if part.name == "column":
            return self._column(part)
        if part.name in ("and", "or", "not"):
            self._need(part, found, "boolean", f"'{part.name}' joins what is true or false")
            return "boolean"
        if part.name in ("+", "-", "*", "/", "%", "negative"):
            self._need(part, found, "number", "Numbers are calculated with")
            return "number"
        if part.name == "is missing":
            return "boolean"
        if part.name.endswith("()"):
            return self._function(part, found)
        odd = next((sort for sort in found[1:] if sort != found[0]), None)
        if odd is not None:
            raise _error(self.text, part.at, f"{_a(found[0])} is compared with {_a(odd)}", "IsKind reads text as it")
        return "boolean"

    def _column(self, part: Part) -> Sort:
        kind = self.kinds.get(part.value)
        if kind is None:
            raise _error(self.text, part.at, f"Column {part.value!r} is of no kind that is compared")
        return SORTS[kind]

    def _function(self, part: Part, found: list[Sort]) -> Sort:
        wanted, gives = FUNCTIONS[part.name[:-2]]
        if "same" in wanted:
            self._need(part, found[1:], found[0], f"{part.name} takes values of one kind")
            return found[0]
        if wanted[0] != found[0]:
            raise _error(self.text, part.at, f"{part.name} is for {wanted[0]}s, but got {_a(found[0])}")
        return gives

    def _need(self, part: Part, found: Sequence[Sort], wanted: Sort, message: str) -> None:
        odd = next((sort for sort in found if sort != wanted), None)
        if odd is not None:
            raise _error(self.text, part.at, f"{message}, but got {_a(odd)}")


def _a(sort: Sort) -> str:
    return {"text": "text", "missing": "nothing", "boolean": "true or false"}.get(sort, f"a {sort}")


def _sort_of(value: object) -> Sort:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "time" if isinstance(value, date) else "number"


def _expr(part: Part, values: Mapping[str, nw.Expr]) -> nw.Expr:
    import narwhals as nw

    if part.name == "column":
        return values[part.value]
    if part.name == "literal":
        return nw.lit(part.value)
    if part.name == "in":
        return _expr(part.parts[0], values).is_in([inner.value for inner in part.parts[1:]])
    inner = [_expr(one, values) for one in part.parts]
    if part.name in ("and", "or"):
        joined = inner[0]
        for one in inner[1:]:
            joined = joined & one if part.name == "and" else joined | one
        return joined
    if part.name.endswith("()"):
        return _called(part.name[:-2], inner, [one.value for one in part.parts])
    first = inner[0]
    if part.name in ("not", "negative", "is missing"):
        return ~first if part.name == "not" else first.is_null() if part.name == "is missing" else _float(first) * -1
    return _calculated(part.name, first, inner[1])


def _float(value: nw.Expr) -> nw.Expr:
    import narwhals as nw

    return value.cast(nw.Float64)


def _calculated(sign: str, one: nw.Expr, other: nw.Expr) -> nw.Expr:
    import narwhals as nw

    if sign in ("/", "%"):
        # Engines differ in what they make of a division by zero: here it is missing.
        other = nw.when(other != 0).then(other)
    made: dict[str, Any] = {
        "+": lambda: _float(one) + _float(other),
        "-": lambda: _float(one) - _float(other),
        "*": lambda: _float(one) * _float(other),
        "/": lambda: one / other,
        "%": lambda: one % other,
        "==": lambda: one == other,
        "!=": lambda: one != other,
        "<": lambda: one < other,
        "<=": lambda: one <= other,
        ">": lambda: one > other,
        ">=": lambda: one >= other,
    }
    calculated: nw.Expr = made[sign]()
    return calculated


def _called(name: str, given: list[nw.Expr], literals: list[Any]) -> nw.Expr:
    import narwhals as nw

    x = given[0]
    made: dict[str, Any] = {
        "abs": lambda: _float(x).abs(),
        "round": lambda: _float(x).round(literals[1]),
        "length": lambda: x.str.len_chars(),
        "lower": lambda: x.str.to_lowercase(),
        "upper": lambda: x.str.to_uppercase(),
        "trim": lambda: x.str.strip_chars(),
        "contains": lambda: x.str.contains(literals[1], literal=True),
        "starts_with": lambda: x.str.starts_with(literals[1]),
        "ends_with": lambda: x.str.ends_with(literals[1]),
        "matches": lambda: x.str.contains(portable(literals[1])),
        "year": lambda: x.dt.year(),
        "month": lambda: x.dt.month(),
        "day": lambda: x.dt.day(),
        "coalesce": lambda: nw.coalesce(*given),
    }
    called: nw.Expr = made[name]()
    return called
