"""Texts in which neither Argo nor Kubernetes sees anything to put a value in place of."""

from __future__ import annotations

import json

from headrace.backends.deployment import BackendError

_ESCAPED = {"{{": "\\u007b\\u007b", "$": "\\u0024", "\x7f": "\\u007f"}


def json_text(value: object) -> str:
    """A value as JSON of plain letters, in which no ``{{`` and no ``$`` is left.

    Argo puts values in place of ``{{…}}`` anywhere, again in what it has put in, and quotes what it puts in with
    escapes that JSON doesn't have for some characters. Kubernetes does so for ``$(…)`` in the variable that hands the
    template to the pod, and makes one of two ``$``. A brace is only ever doubled inside a string: JSON's own braces
    have a quote behind them.

    >>> json_text({"say": "{{workflow.name}} costs $(PRICE)"})
    '{"say": "\\\\u007b\\\\u007bworkflow.name}} costs \\\\u0024(PRICE)"}'
    """
    text = json.dumps(value)
    for found, escaped in _ESCAPED.items():
        text = text.replace(found, escaped)
    return text


def word(text: str, what: str) -> str:
    """A text as a word of a command, or as a variable's value: ``$`` is doubled, as Kubernetes has it.

    Raises `BackendError` for ``{{``, for which Argo has no escape, and for what is no text.
    """
    if "{{" in text or "\0" in text:
        raise BackendError(
            f"{what} is {text!r:.120}, and Argo would put a value in place of '{{{{'", hint="name it without '{{'"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BackendError(f"{what} is {text!r:.120}, which is not text in UTF-8", hint="rename it") from None
    return text.replace("$", "$$")


def shown(text: str) -> str:
    """A text that is only shown: braces are apart, so that Argo sees no tag."""
    return text.replace("{{", "{ {").replace("{{", "{ {").replace("$(", "$ (").replace("\x7f", "?")
