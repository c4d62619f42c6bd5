"""A secret: a reference to an environment variable, resolved in the worker, never stored, hashed or shown."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from headrace.core.errors import ParameterError

MASK = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by the name of the environment variable that holds it, as a step's argument.

    Only the name is in plans, keys and records. `reveal` gives the value, in the process that executes the step. What
    the step then prints or raises is scrubbed of it, in its plain, URL-encoded and base64 forms; what it stores or
    sends elsewhere is the step's own responsibility.
    """

    name: str

    def reveal(self) -> str:
        """The value. Raises `ParameterError` when the environment does not hold it."""
        value = dict.get(os.environ._data, os.environ.encodekey(self.name))  # type: ignore[attr-defined]
        if value is None:
            raise ParameterError(
                f"Secret {self.name!r} is not in the environment of the process that executes the step",
                hint=f"set the variable {self.name} before you run",
            )
        return os.fsdecode(value)

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def scrub(text: bytes, secrets: Iterable[Secret]) -> bytes:
    """Put ``***`` in place of the secrets' values, and of their URL-encoded and base64 forms.

    A secret that the environment does not hold, or of fewer than four characters, is left: it would blot out words.
    """
    for secret in secrets:
        value = os.environ.get(secret.name, "")
        if len(value) < 4:
            continue
        encoded = b64encode(value.encode()).decode()
        forms = {value, quote(value), quote(value, safe=""), quote_plus(value), encoded, encoded.rstrip("=")}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form.encode(), MASK.encode())
    return text
