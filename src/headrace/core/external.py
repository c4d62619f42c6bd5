"""State outside the project that a step reads: what it was when the run began is part of the step's key."""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from headrace.core.errors import ValueCodecError
from headrace.core.forms import TAG
from headrace.core.names import name_of
from headrace.core.values import Json, canonical, encode

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


class External:
    """The base of frozen dataclasses that stand for state outside the project, such as a registry's champion.

    An instance is an argument of a step. Its *pin*, a JSON value, is read once when a run begins and kept with the run,
    so that a retry and each task of an orchestrator see the same. Inside the step ``current_run().pin_of(external)``
    gives it.

    Both methods may be called in any process, more than once for a run that is killed, and change nothing. Two equal
    instances have one pin.
    """

    def pin(self, store: Store) -> Json:
        """Read the state now: a JSON value, or None when there is none.

        What it raises ends the run before its first step.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must say what pins it")

    def key_part(self, pin: Json, inputs: frozenset[str]) -> Json:
        """What of the pin enters the key; the whole pin by default.

        ``inputs`` are the digests of the artifacts that the node takes: a verdict on a candidate need not change when
        the candidate is the champion itself.
        """
        return pin


ONCE = "$once"


def unfingerprinted(**known: Json) -> dict[str, Json]:
    """A pin for what has no fingerprint, such as a query's result: no other is equal to it.

    A step that takes it is executed in each run, and what follows is cut off by content. Where a run is resumed, or
    executes other steps alone, the pin of the earlier run counts. ``known`` is what is to be kept with it.
    """
    return {ONCE: os.urandom(8).hex(), **known}


def is_unfingerprinted(pin: Json) -> bool:
    """Whether a pin was made by `unfingerprinted`."""
    return isinstance(pin, dict) and ONCE in pin


def external_tree(value: External) -> Json:
    """The tree that stands for an external in a plan. Raises `ValueCodecError` when its class is no dataclass."""
    kind = type(value)
    if not is_dataclass(value):
        raise ValueCodecError(
            f"{kind.__module__}.{kind.__qualname__} is an External, but no dataclass",
            hint="decorate it with @dataclass(frozen=True)",
        )
    return {
        TAG: "external",
        "type": name_of(kind),
        "fields": {item.name: encode(getattr(value, item.name)) for item in fields(value)},
    }


def external_id(value: Any) -> str:
    """The name under which a run keeps the pin of an external: the canonical text of its tree, given it or its tree."""
    return canonical(value if isinstance(value, dict) else external_tree(value))
