"""A secret: a reference to an environment variable, resolved in the worker, never stored, hashed or shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headrace.core.errors import DefinitionError, ParameterError

MASK = b"***"
SHORTEST_MASKED = 4
"""A shorter value, or piece of one, is left in a text: masking it would blot out words."""
SHORTEST_LINE = 16
"""A line of a secret of several lines (a private key) is masked alone from this many characters on."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by the name of the environment variable that holds it, as a step's argument.

    Only the name is in plans, keys and records. `reveal` gives the value, in the process that executes the step. What
    the step then prints or raises is scrubbed of it (see `scrub`); what it stores or sends elsewhere is the step's own
    responsibility. A changed value does not make a step run again: what counts is which secret it is.

    Raises `DefinitionError` when the name cannot be a variable's.

    >>> Secret("DATABASE_PASSWORD")
    Secret('DATABASE_PASSWORD')
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or "=" in self.name or "\0" in self.name:
            raise DefinitionError(
                "A secret is named by an environment variable, and this is no name of one",
                hint="give the variable's name, as in Secret('DATABASE_PASSWORD'), never the value",
            )

    def reveal(self) -> str:
        """The value. Raises `ParameterError` when the environment does not hold it."""
        value = _value(self.name)
        if value is None:
            raise ParameterError(
                f"Secret {self.name!r} is not in the environment of the process that executes the step",
                hint=f"set the variable {self.name} before you run",
            )
        return os.fsdecode(value)

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def _value(name: str) -> bytes | None:
    """What the environment holds, read past the recording ``os.environ``: a secret's value must not become a record."""
    held: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
    return dict.get(held, os.fsencode(name))


def scrub(text: bytes, secrets: Iterable[Secret]) -> bytes:
    """Put ``***`` in place of the secrets' values and of the forms that they take on their way.

    These are: the value; URL-encoded; in base64, also as part of a longer value (``user:password``); as Python and
    JSON quote it; each long line of a value of several lines. A secret that the environment does not hold, or of fewer
    than four characters, is left.
    """
    forms = {form for secret in secrets for form in _forms(_value(secret.name) or b"")}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def _forms(value: bytes) -> Iterator[bytes]:
    if len(value) < SHORTEST_MASKED:
        return
    for piece in {value, *(line for line in value.splitlines() if len(line) >= SHORTEST_LINE)}:
        yield piece
        yield from _quoted(piece)
        yield from _in_base64(piece)


def _quoted(value: bytes) -> Iterator[bytes]:
    from json import dumps
    from urllib.parse import quote, quote_plus

    for form in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield form.encode()
        yield _with_small_hex(form).encode()
    text = os.fsdecode(value)
    yield repr(value)[2:-1].encode()
    for form in (repr(text)[1:-1], ascii(text)[1:-1], dumps(text)[1:-1], dumps(text, ensure_ascii=False)[1:-1]):
        yield form.encode("utf-8", "surrogateescape")


def _with_small_hex(form: str) -> str:
    import re

    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)


def _in_base64(value: bytes) -> Iterator[bytes]:
    """What base64 makes of the value at each of the three places that it can have in a longer one.

    Only the letters that hold nothing but the value: the first two or three, and the last, may be shared.
    """
    from base64 import b64encode, urlsafe_b64encode

    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            groups, rest = divmod(before + len(value), 3)
            yield encode(bytes(before) + value)[(0, 2, 3)[before] : groups * 4 + rest]
        yield encode(value).rstrip(b"=")
        yield encode(value)
