"""State outside the project that a step reads: what it was when the run began is part of the step's key."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from headrace.core.names import name_of
from headrace.core.values import TAG, Json, canonical, encode

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


class External:
    """The base of frozen dataclasses that stand for state outside the project, such as a registry's champion.

    An instance is an argument of a step. Its *pin*, a JSON value, is read once when a run begins and kept with the run,
    so that a retry and each task of an orchestrator see the same. Inside the step ``current_run().pin_of(external)``
    gives it.
    """

    def pin(self, store: Store) -> Json:
        """Read the state now: a JSON value, or None when there is none. Called once a run, in any process."""
        raise NotImplementedError(f"{type(self).__qualname__} must say what pins it")

    def key_part(self, pin: Json, inputs: frozenset[str]) -> Json:
        """What of the pin enters the key, given the digests of the node's input artifacts. The pin by default."""
        return pin


def external_tree(value: External) -> Json:
    """The tree that stands for an external in a plan."""
    return {
        TAG: "external",
        "type": name_of(type(value)),
        "fields": {item.name: encode(getattr(value, item.name)) for item in fields(value)},  # type: ignore[arg-type]
    }


def external_id(value: Any) -> str:
    """The name under which a run keeps the pin of an external."""
    return canonical(value if isinstance(value, dict) else external_tree(value))
