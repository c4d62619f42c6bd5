"""Values as errors show them: short, and without passwords."""

from __future__ import annotations

LONGEST = 120
"""Characters of a value that an error shows."""


def show_value(value: object, longest: int = LONGEST) -> str:
    """A value as ``repr`` gives it, cut after ``longest`` characters, passwords in URLs masked.

    A value whose ``repr`` fails is shown as its type.
    """
    from headrace.core.values import PASSWORD_IN_URL

    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever a user's __repr__ raises: the error at hand matters more
        return f"<{type(value).__qualname__}>"
    if ":/" in text:
        text = PASSWORD_IN_URL.sub("***@", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
