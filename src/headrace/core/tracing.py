"""Tracing: calling a pipeline's function once, with handles in place of values, to get its plan."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DefinitionError, HeadraceError, ValueCodecError, near_miss
from headrace.core.external import External, external_tree
from headrace.core.fit import MISSING, conforms, fits, members, plain_type, show_type
from headrace.core.handles import LIST_FORMAT, Handle, Listed, Nothing, Output, Outputs
from headrace.core.hints import declared_types
from headrace.core.mapping import MapOptions, check_lengths, item_type, mapped_names, taken_item
from headrace.core.names import LONGEST_ID, checked_name, is_name
from headrace.core.places import caller, caller_place, shown_file
from headrace.core.plan import Node, Ref
from headrace.core.reading import read_by_class
from headrace.core.shown import show_value
from headrace.core.traced_step import Formats, TracedStep, describe
from headrace.core.values import Json, check_importable, encode

if TYPE_CHECKING:
    from headrace.core.step import Configured, Step

Dependency = object
"""What ``after=`` takes: outputs and nodes' names, one or several. (To a type checker an output is what it will be.)"""

DEEPEST_PIPELINE = 20
"""How deep pipelines may stand in one another: one that calls itself would not end."""

_CALL_FOLLOWS = ".options(…) is followed by the call itself: step.options(…)(argument)"

_TRACER: ContextVar[Tracer | None] = ContextVar("headrace_tracer", default=None)


def current_tracer() -> Tracer | None:
    """The tracer at work in this context, if any."""
    return _TRACER.get()


@dataclass
class Tracer:
    """Collects the nodes while the pipeline's function runs."""

    pipeline: str
    formats: Formats
    root: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    steps: dict[str, TracedStep] = field(default_factory=dict)
    _ids: dict[int, TracedStep] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _awaited: list[tuple[str, str, tuple[str, int]]] = field(default_factory=list)
    _expected: list[tuple[Configured[..., Any], tuple[str, int]]] = field(default_factory=list)
    _prefix: str = ""

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the tracer that steps report to; at the end, see to it that what was promised is there."""
        token = _TRACER.set(self)
        try:
            yield
        finally:
            _TRACER.reset(token)
        self._check_promises()

    def expect_call(self, configured: Configured[..., Any]) -> None:
        """Take note of options that were given: without the call that follows, there would silently be no node."""
        self._expected.append((configured, caller(self.root)))

    def _check_promises(self) -> None:
        for configured, (file, line) in self._expected:
            if not configured.is_called:
                raise DefinitionError(
                    f"{configured!r} is not called, so pipeline {self.pipeline!r} has no such node",
                    where=f"{shown_file(file, self.root)}:{line}",
                    hint=_CALL_FOLLOWS,
                )
        for name, node_id, (file, line) in self._awaited:
            if name not in self.nodes:
                raise DefinitionError(
                    f"after= of node {node_id!r} names {name!r}, which is not in pipeline {self.pipeline!r}",
                    where=f"{shown_file(file, self.root)}:{line}",
                    hint=near_miss(name, self.nodes),
                )

    @contextmanager
    def namespace(self, name: str) -> Iterator[None]:
        """Put what is added meanwhile under a name: nodes of a pipeline inside another."""
        if self._prefix.count(".") >= DEEPEST_PIPELINE:
            raise DefinitionError(
                f"Pipeline {name!r} stands in {DEEPEST_PIPELINE} others",
                where=caller_place(self.root),
                hint="does a pipeline call itself?",
            )
        outer = self._prefix
        self._prefix = self._free_id(name) + "."
        try:
            yield
        finally:
            self._prefix = outer

    def add_node(
        self,
        step: Step[..., Any],
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        when: object = None,
        after: Dependency = (),
        name: str | None = None,
        mapping: MapOptions | None = None,
    ) -> object:
        """Add a call of a step, or with ``mapping`` one for each item of a list, and return handles on its outputs."""
        traced = self._ids.get(id(step)) or self._traced(step)
        node_id = self._free_id(step.settings.name) if name is None else self._explicit_id(name)
        title = f"Step {traced.spec.name!r} of pipeline {self.pipeline!r}"
        over = self._mapped(title, traced, args, kwargs, mapping) if mapping is not None else ()
        bound = self.bind(title, traced.signature, traced.declared, args, kwargs, over)
        self.nodes[node_id] = Node(
            id=node_id,
            step=traced.spec.id,
            arguments={name: self._encode(node_id, name, value) for name, value in bound.items()},
            when=self._condition(when, node_id),
            after=self._dependencies(after, node_id),
            map=mapping.spec(over) if mapping is not None else None,
        )
        return self._handles(traced, node_id, is_mapped=mapping is not None)

    def _mapped(
        self, title: str, traced: TracedStep, args: Sequence[object], kwargs: Mapping[str, object], options: MapOptions
    ) -> tuple[str, ...]:
        """The parameters that get an item of a list each."""
        if traced.spec.gate is not None:
            raise DefinitionError(
                f"{title} is a gate, which decides once for a run and cannot be mapped",
                where=caller_place(self.root),
                hint="map a step that judges each item, and give its list to the gate",
            )
        given = self._bound(title, traced.signature, args, kwargs).arguments
        over = mapped_names(title, traced.signature, given, options, caller_place(self.root))
        known = {name: len(given[name]) for name in over if isinstance(given[name], list | tuple)}
        if known:
            check_lengths(title, known, caller_place(self.root))
        return over

    def ref_of(self, value: object) -> Ref | None:
        """The reference that a handle of this tracer stands for, or None for any other value."""
        return value._ref if isinstance(value, Output) and value._owner is self else None

    def _explicit_id(self, name: str) -> str:
        if not is_name(name):
            checked_name("node", name, caller_place(self.root))
        node_id = self._checked_id(self._prefix + name)
        if node_id in self.nodes:
            raise DefinitionError(
                f"Pipeline {self.pipeline!r} has two nodes named {node_id!r}",
                where=caller_place(self.root),
                hint="rename one",
            )
        return node_id

    def _free_id(self, name: str) -> str:
        full = self._checked_id(self._prefix + name)
        while True:
            count = self._counts.get(full, 0) + 1
            self._counts[full] = count
            candidate = full if count == 1 else f"{full}-{count}"
            if candidate not in self.nodes:
                return candidate

    def _checked_id(self, node_id: str) -> str:
        if len(node_id) > LONGEST_ID:
            raise DefinitionError(
                f"Node {node_id!r:.60} has a name of {len(node_id)} characters, and the most is {LONGEST_ID}",
                where=caller_place(self.root),
                hint="give shorter names to the pipelines that it stands in, or see that none calls itself",
            )
        return node_id

    def _traced(self, step: Step[..., Any]) -> TracedStep:
        """Look at a step when it is first called. Several of one function and its options are one step of the plan."""
        first = traced = describe(step, self.formats, self.root)
        number = 1
        while (other := self.steps.get(traced.spec.id)) is not None:
            if other.step.function is step.function and other.spec == traced.spec:
                break
            number += 1
            traced = first.numbered(number)
        self.steps[traced.spec.id] = self._ids[id(step)] = traced
        return traced

    def bind(
        self,
        title: str,
        signature: inspect.Signature,
        declared: Mapping[str, Any],
        args: Sequence[object],
        kwargs: Mapping[str, object],
        over: Sequence[str] = (),
    ) -> dict[str, Any]:
        """All arguments by name, defaults included. Raises `DefinitionError` for a call that does not fit.

        ``over``: the parameters for which a list is given, of items that are as declared.
        """
        bound = self._bound(title, signature, args, kwargs)
        bound.apply_defaults()
        for name, given in bound.arguments.items():
            kind = signature.parameters[name].kind
            expected = declared.get(name, MISSING)
            value = bound.arguments[name] = _read(given, expected, is_list=name in over)
            if name in over:
                self._check_items(title, name, value, expected)
            elif kind is inspect.Parameter.VAR_POSITIONAL:
                for index, item in enumerate(value):
                    self._check_type(title, f"*{name}[{index}]", item, expected)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                for key, item in value.items():
                    self._check_type(title, key, item, expected)
            else:
                self._check_type(title, name, value, expected)
        return bound.arguments

    def _bound(
        self, title: str, signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> inspect.BoundArguments:
        try:
            return signature.bind(*args, **kwargs)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in signature.parameters]
            names = ", ".join(map(_bare, signature.parameters.values()))
            raise DefinitionError(
                f"{title} cannot be called like this: {error}",
                where=caller_place(self.root),
                hint=near_miss(unknown[0], signature.parameters) if unknown and names else f"it takes ({names})",
            ) from None

    def _check_items(self, title: str, name: str, value: object, declared: Any) -> None:
        """Hold what is mapped over to being a list, and its items to what the step declares."""
        if isinstance(value, Handle):
            self._refuse_foreign(value)
        if type(value) in (list, tuple):
            given: Any = value
            for index, item in enumerate(given):
                self._check_type(title, f"{name}[{index}]", item, declared)
            return
        items = item_type(value._declared) if isinstance(value, Output) else None
        if isinstance(value, Listed):
            fine = self.output_fits(value._item, declared)
        else:
            fine = items is not None and (items is MISSING or fits(items, declared))
        if fine and isinstance(value, Output) and value._format in ("json", LIST_FORMAT):
            return
        if items is None:
            is_output = isinstance(value, Output)
            shown = f"{value!r}, which is {show_type(value._declared)}" if is_output else show_value(value)  # type: ignore[attr-defined]
            problem = f"maps over {name!r}, which takes a list, but got {shown}"
            hint = "give a list, or the output of a step that returns one" + _as_list(value)
        else:
            problem = (
                f"maps over {name!r}, whose items are to be {show_type(declared)}, but got {value!r}, which is "
                f"{show_type(value._declared)}"  # type: ignore[attr-defined]
            )
            hint = "each item is given to the step by itself: declare what one item is"
        raise DefinitionError(f"{title} {problem}", where=caller_place(self.root), hint=hint)

    def _check_type(self, title: str, name: str, value: object, declared: Any) -> None:
        judge = _Judge(self)
        if conforms(value, declared, judge.judge):
            return
        raise DefinitionError(
            f"{title} takes {name!r} as {show_type(declared)}, but got {judge.given(value)}",
            where=caller_place(self.root),
            hint=_misfit_hint(value, judge.misfit),
        )

    def output_fits(self, value: Output, declared: Any) -> bool:
        """Whether an output may go where a type is declared: by its own type, or as what its format loads."""
        if value._declared is declared:
            return True
        if plain_type(declared) is MISSING or any(part is Path for part in members(declared)):
            return True
        if fits(value._declared, declared):
            return True
        if isinstance(value, Listed):
            item = taken_item(declared)
            return item is not None and self.output_fits(value._item, item)
        if value._format == LIST_FORMAT:
            made, taken = item_type(value._declared), taken_item(declared)
            return taken is not None and (taken is MISSING or made is MISSING or self._stored_fits(made, taken))
        return value._format != "json" and self.formats.loads_as(value._format, declared)

    def _stored_fits(self, made: Any, taken: Any) -> bool:
        if fits(made, taken):
            return True
        format_name = self.formats.name_for(made)
        return format_name != "json" and self.formats.loads_as(format_name, taken)

    def encode(self, value: object) -> Json:
        """The tree of a value in which handles may stand. Raises `ValueCodecError` when it has none."""
        tree = encode(value, self._encode_handle)
        if isinstance(tree, list | dict):
            check_importable(tree)
        return tree

    def _encode(self, node_id: str, name: str, value: object) -> Json:
        try:
            return self.encode(value)
        except HeadraceError as error:
            raise DefinitionError(
                f"Argument {name!r} of node {node_id!r}: {error.message}",
                where=error.where or caller_place(self.root),
                hint=error.hint,
            ) from error

    def _encode_handle(self, value: object) -> Json | None:
        if isinstance(value, Handle):
            self._refuse_foreign(value)
            if isinstance(value, Output):
                return value._ref.to_json()
            if isinstance(value, Outputs):
                return value._tree()
            raise ValueCodecError(f"{value!r}, cannot be an argument", hint="use .options(after=…)")
        if isinstance(value, External):
            return external_tree(value)
        if isinstance(value, PurePath) and (tree := encode(value)) is not None:
            return {**tree, "value": self._path_text(value)}
        return None

    def _refuse_foreign(self, handle: Handle) -> None:
        if handle._owner is not self:
            raise DefinitionError(
                f"{handle!r} is of another pipeline, or of an earlier trace",
                where=caller_place(self.root),
                hint="call that step, or that pipeline, inside this one",
            )

    def _path_text(self, path: PurePath) -> str:
        absolute = Path(self.root, path)
        return (absolute.relative_to(self.root) if absolute.is_relative_to(self.root) else absolute).as_posix()

    def _condition(self, when: object, node_id: str) -> Ref | None:
        if when is None:
            return None
        if isinstance(when, Handle):
            self._refuse_foreign(when)
        if isinstance(when, Output) and fits(when._declared, bool):
            return when._ref
        given = f"{when!r}, which is {show_type(when._declared)}" if isinstance(when, Output) else show_value(when)
        hint = "return a bool from a step and give that output"
        if isinstance(when, Outputs) and when._bools():
            hint = f"give one of its outputs: {', '.join(when._bools())}"
        elif isinstance(when, bool):
            hint = "a value that is known now needs no condition: write `if`"
        raise DefinitionError(
            f"when= of node {node_id!r} takes a step's output that is a bool, but got {given}",
            where=caller_place(self.root),
            hint=hint,
        )

    def _dependencies(self, after: Any, node_id: str) -> tuple[str, ...]:
        items = (after,) if isinstance(after, Handle | str) or not isinstance(after, Iterable) else after
        return tuple(dict.fromkeys(self._dependency(item, node_id) for item in items))

    def _dependency(self, item: Dependency, node_id: str) -> str:
        if isinstance(item, Handle):
            self._refuse_foreign(item)
        if isinstance(item, Output):
            return item._ref.node
        if isinstance(item, Outputs | Nothing):
            return item._node
        if isinstance(item, str):
            name = self._prefix + item
            self._awaited.append((name, node_id, caller(self.root)))
            return name
        raise DefinitionError(
            f"after= of node {node_id!r} takes outputs or nodes' names, but got {show_value(item)}",
            where=caller_place(self.root),
            hint="as in after=[model, 'report']",
        )

    def _handles(self, traced: TracedStep, node_id: str, *, is_mapped: bool = False) -> object:
        if traced.spec.returns == "nothing":
            return Nothing(self, node_id)
        parts = {
            spec.name: Output(self, Ref(node_id, spec.name), traced.outputs[spec.name], spec.format)
            for spec in traced.spec.outputs
        }
        if is_mapped:
            parts = {name: Listed(part) for name, part in parts.items()}
            if traced.spec.returns != "value":
                return Outputs(self, node_id, parts, traced.kind, is_mapped=True)
        if traced.spec.returns == "value":
            return next(iter(parts.values()))
        return Outputs(self, node_id, parts, traced.kind)


class _Judge:
    """Says of the handles in a value whether they fit, and keeps the first that does not."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.misfit: Handle | None = None

    def judge(self, value: object, declared: object) -> bool | None:
        if isinstance(value, Handle):
            self._tracer._refuse_foreign(value)
            is_fine = self._handle_fits(value, declared)
            if not is_fine and self.misfit is None:
                self.misfit = value
            return is_fine
        if is_dataclass(value) and not isinstance(value, type):
            names = [item.name for item in fields(value)]
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            names = list(value._fields)
        else:
            return None
        return self._fields_fit(value, [name for name in names if isinstance(getattr(value, name, None), Handle)])

    def _handle_fits(self, value: Handle, declared: object) -> bool:
        if isinstance(value, Output):
            return self._tracer.output_fits(value, declared)
        return isinstance(value, Outputs) and fits(value._declared, declared)

    def _fields_fit(self, value: object, names: Sequence[str]) -> bool | None:
        """False when a field holds a handle that does not fit it; else the value's own type decides."""
        declared = declared_types(type(value), None) if names else {}
        fine = all(self.judge(getattr(value, name), declared.get(name, MISSING)) for name in names)
        return None if fine else False

    def given(self, value: object) -> str:
        """What was given, as an error says it."""
        culprit = self.misfit
        shown = repr(value) if isinstance(value, Handle) else show_value(value)
        if culprit is None:
            return f"{shown}, which is {show_type(type(value))}"
        kind = "" if isinstance(culprit, Nothing) else f"which is {show_type(culprit._declared)}"  # type: ignore[attr-defined]
        if culprit is value:
            return f"{shown}, {kind}" if kind else shown
        return f"{shown}, in which stands {culprit!r}" + (f", {kind}" if kind else "")


def _read(value: Any, declared: Any, *, is_list: bool) -> Any:
    """A text that a declared class knows how to read (a URL as a source), or a list of such; all else as it is."""
    if is_list and type(value) in (list, tuple):
        return type(value)(_read(item, declared, is_list=False) for item in value)
    made = read_by_class(value, declared) if type(value) is str else None
    return value if made is None else made


def _as_list(value: object) -> str:
    """What to add for a value that could be made a list."""
    if isinstance(value, set | frozenset | range | dict) or hasattr(value, "__next__"):
        return ": list(…)"
    return ": [this]" if isinstance(value, str) else ""


def _misfit_hint(value: object, misfit: Handle | None) -> str | None:
    if isinstance(misfit, Nothing):
        return "return something from that step, or use .options(after=…)"
    if isinstance(misfit, Outputs):
        return f"pass one of its outputs: {', '.join(misfit._parts)}"
    if hasattr(value, "__headrace_step__") or hasattr(value, "__headrace_pipeline__"):
        return "call it, and pass what it gives"
    if hasattr(value, "__headrace_options__"):
        return _CALL_FOLLOWS
    return None


def _bare(parameter: inspect.Parameter) -> str:
    """A parameter as a caller needs it: no type, and its default where it is short."""
    bare = str(parameter.replace(annotation=parameter.empty))
    return bare if len(bare) <= 40 else f"{parameter.name}=…"
