"""Mapping a step over a list: its options, which arguments are mapped, and what lists hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Iterable as AnyIterable
from dataclasses import dataclass
from typing import Any, get_args

from headrace.core.errors import DefinitionError, near_miss
from headrace.core.fit import MISSING, class_of, members, plain_type
from headrace.core.plan import MAX_TASKS, MapSpec
from headrace.core.shown import show_value

ON_FAILURE = ("stop", "continue")
_WHOLE = (list, Sequence)
"""Types whose values are lists, as far as an annotation tells."""


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How ``step.map(…)`` is to be done; None is the default. See `headrace.core.step.Step.options`."""

    over: str | Iterable[str] | None = None
    max_tasks: int | None = None
    on_failure: str | None = None

    def __post_init__(self) -> None:
        if self.max_tasks is not None and (type(self.max_tasks) is not int or self.max_tasks < 1):
            raise DefinitionError(
                f"max_tasks >= 1 must hold, but got max_tasks={show_value(self.max_tasks)}",
                hint="give the most tasks that the items may become, such as 50",
            )
        if self.on_failure is not None and self.on_failure not in ON_FAILURE:
            raise DefinitionError(
                f"on_failure is 'stop' or 'continue', but got on_failure={show_value(self.on_failure)}",
                hint="'continue' leaves failing items out of the list",
            )

    def given(self) -> list[str]:
        """The names of those that are not left to the default."""
        return [name for name in ("over", "max_tasks", "on_failure") if getattr(self, name) is not None]

    def spec(self, over: tuple[str, ...]) -> MapSpec:
        """The plan's form."""
        return MapSpec(over, self.max_tasks or MAX_TASKS, self.on_failure or ON_FAILURE[0])


def mapped_names(
    title: str, signature: inspect.Signature, bound: Mapping[str, Any], options: MapOptions, where: str
) -> tuple[str, ...]:
    """The parameters that get an item each: the first, or those that ``over`` names. ``bound``: what was given.

    Raises `DefinitionError` for a name that is no parameter, takes several arguments, or was given nothing.
    """
    over = options.over
    names = next(iter(signature.parameters), None) if over is None else over
    chosen = (names,) if isinstance(names, str) else tuple(names or ())
    if not chosen:
        raise DefinitionError(f"{title} takes nothing that could be mapped over", where=where, hint="call it")
    for name in chosen:
        parameter = signature.parameters.get(name)
        if parameter is None:
            raise DefinitionError(
                f"{title} has no parameter {name!r} to map over",
                where=where,
                hint=near_miss(name, signature.parameters),
            )
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(
                f"{title} cannot be mapped over '{parameter}', which takes any number of arguments",
                where=where,
                hint="name another parameter: step.options(over='…').map(…)",
            )
        if name not in bound:
            raise DefinitionError(
                f"{title} maps over {name!r}, which is not given",
                where=where,
                hint="give a list for it, or name the mapped parameter: step.options(over='…').map(…)",
            )
    return tuple(dict.fromkeys(chosen))


def item_type(declared: Any) -> Any:
    """What a list declared so holds: MISSING where it does not say, None where it is no list."""
    found: list[Any] = []
    for part in members(declared):
        plain = plain_type(part)
        kind = class_of(plain)
        parts = get_args(plain)
        if plain is MISSING or plain is Any or plain is object:
            found.append(MISSING)
        elif kind is tuple:
            if not parts or len(set(parts) - {Ellipsis}) > 1:
                found.append(MISSING)
            else:
                found.append(parts[0])
        elif kind in _WHOLE:
            found.append(parts[0] if parts else MISSING)
        else:
            return None
    return found[0] if len(found) == 1 else MISSING


def taken_item(declared: Any) -> Any:
    """What one who takes a list item by item wants each to be: also of an iterator. None where it takes no list."""
    parts = [part for part in members(declared) if _takes_items(class_of(plain_type(part)))]
    if not parts:
        return None
    arguments = get_args(plain_type(parts[0]))
    return arguments[0] if arguments else MISSING


def _takes_items(kind: type | None) -> bool:
    if kind in (list, tuple):
        return True
    return kind is not None and kind.__module__ == "collections.abc" and issubclass(kind, AnyIterable)


def map_plainly(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: MapOptions
) -> Any:
    """Map outside a pipeline: one call after the other, with what a failing item raises going through.

    With ``on_failure="continue"`` failing items are left out, unless all fail.
    """
    signature = inspect.signature(function)
    name = getattr(function, "__name__", "?")
    bound = signature.bind(*args, **kwargs)
    over = mapped_names(f"Step {name!r}", signature, bound.arguments, options, "a plain call")
    lists = {item: list(bound.arguments[item]) for item in over}
    check_lengths(f"Step {name!r}", {item: len(values) for item, values in lists.items()}, "a plain call")
    results, problem = [], None
    for index in range(len(lists[over[0]])):
        bound.arguments.update({item: values[index] for item, values in lists.items()})
        try:
            results.append(function(*bound.args, **bound.kwargs))
        except Exception as error:
            if options.on_failure != "continue":
                raise
            problem = error
    if problem is not None and not results:
        raise problem
    return results


def check_lengths(title: str, lengths: Mapping[str, int], where: str | None) -> int:
    """The one length of all mapped lists. Raises `DefinitionError` where they differ."""
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DefinitionError(
            f"{title} maps over lists of different lengths: {shown}",
            where=where,
            hint="one item of each makes a call: give lists of one length",
        )
    return next(iter(lengths.values()))
