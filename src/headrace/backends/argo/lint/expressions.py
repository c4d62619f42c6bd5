"""The small languages in texts (``depends``, ``when``, conditions of retries): can they be read, what do they name?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.backends.argo.lint.document import words


@dataclass(frozen=True)
class Language:
    """What a text may hold: operands as a pattern, and operators, before an operand or between two."""

    operand: str
    binary: frozenset[str]
    unary: frozenset[str]
    has_calls: bool = False

    def tokens(self, text: str) -> Iterator[tuple[str, str]]:
        """The pieces, each with its kind: operand, operator, bracket, or wrong."""
        symbols = sorted((word for word in self.binary | self.unary if not word.isalpha()), key=len, reverse=True)
        operator = "|".join(re.escape(symbol) + (r"\b" if symbol[-1].isalpha() else "") for symbol in symbols)
        pattern = re.compile(
            rf"\s*(?:(?P<operator>{operator})|(?P<operand>{self.operand})|(?P<bracket>[()\[\],])|(?P<wrong>\S))"
        )
        at = 0
        while found := pattern.match(text, at):
            at = found.end()
            kind = found.lastgroup or "wrong"
            piece = found[kind]
            yield ("operator" if piece in self.binary | self.unary else kind), piece

    def operands(self, text: str) -> list[str]:
        """The operands of a text that can be read."""
        return [piece for kind, piece in self.tokens(text) if kind == "operand"]

    def problem(self, text: str) -> str | None:
        """Why a text can't be read, None where it can: operands and operators take turns, brackets are in pairs."""
        is_operand_next, before = True, ""
        open_brackets: list[str] = []
        for kind, piece in self.tokens(text):
            if kind == "wrong":
                return f"{piece!r} is not expected in {text!r:.200}"
            if kind == "operator" and piece in self.unary and is_operand_next:
                pass
            elif kind == "operator" and piece in self.binary and not is_operand_next:
                is_operand_next = True
            elif kind == "operand" and is_operand_next:
                is_operand_next = False
            elif kind == "bracket" and self._fits(piece, is_operand_next, open_brackets, before):
                is_operand_next = piece in "([,"
            else:
                return f"{piece!r} is not expected after {before!r} in {text!r:.200}"
            before = piece
        if open_brackets or is_operand_next:
            return f"{text!r:.200} is not complete"
        return None

    def _fits(self, piece: str, is_operand_next: bool, open_brackets: list[str], before: str) -> bool:
        if piece in "([":
            is_behind = not is_operand_next and (before[-1:].isalnum() or before[-1:] in tuple("_)]"))
            open_brackets.append(f"{piece} behind" if is_behind else piece)
            return (is_operand_next and piece == "(") or (self.has_calls and (is_operand_next or is_behind))
        if piece == ",":
            return self.has_calls and not is_operand_next and bool(open_brackets)
        opened = open_brackets.pop() if open_brackets else ""
        is_empty = before == opened[:1] and opened in ("[", "( behind")
        return opened[:1] + piece in ("()", "[]") and (is_empty or not is_operand_next)


TEXT = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
NUMBER = r"\d+(?:\.\d+)?"

DEPENDS = Language(r"[A-Za-z_0-9][-A-Za-z_0-9]*(?:\.[A-Za-z]+)?", frozenset({"&&", "||"}), frozenset({"!"}))
"""Tasks, or their results, by ``&&``, ``||`` and ``!``."""

WHEN = Language(
    rf"{TEXT}|{NUMBER}|[^\s()!=<>&|,'\"]+",
    frozenset({"==", "!=", "<", "<=", ">", ">=", "=~", "!~", "&&", "||", "in", "+", "-", "*", "/", "%"}),
    frozenset({"!", "-"}),
    has_calls=True,
)
"""Conditions of tasks, once values stand in place of the tags."""

EXPRESSION = Language(
    rf"{TEXT}|{NUMBER}|[A-Za-z_$][A-Za-z0-9_$]*(?:\??\.[A-Za-z_][A-Za-z0-9_]*)*",
    words("== != < <= > >= && || and or in matches contains startsWith endsWith + - * / % ** ^ ?? ? : | ..")
    | {"not in"},
    frozenset({"!", "not", "-", "+"}),
    has_calls=True,
)
"""Expressions of retries and of ``{{=…}}``."""
