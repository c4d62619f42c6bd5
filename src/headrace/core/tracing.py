"""Tracing: calling a pipeline's function once, with handles in place of values, to get its plan."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol, get_args, get_origin

from headrace.core.errors import DefinitionError, HeadraceError, near_miss
from headrace.core.external import External, external_tree
from headrace.core.fit import MISSING, conforms, fits, show_type
from headrace.core.forms import TAG
from headrace.core.hints import declared_types
from headrace.core.names import is_importable, name_of
from headrace.core.plan import Node, OutputSpec, Ref, StepSpec
from headrace.core.values import Json, check_importable, encode

if TYPE_CHECKING:
    from headrace.core.step import Step

Dependency = object
"""What ``after=`` takes: an output, a node's outputs, or a node's name."""
Condition = object
"""What ``when=`` takes: an output that is a bool; None for always. (Typed widely: at trace time it is a handle.)"""

_TRACER: ContextVar[Tracer | None] = ContextVar("headrace_tracer", default=None)


class Formats(Protocol):
    """What tracing asks of the formats, without importing any."""

    def name_for(self, declared: object) -> str:
        """The format that stores a declared type. Raises `FormatError` when there is none."""

    def loads_as(self, format_name: str, declared: object) -> bool:
        """Whether what this format stored can arrive as the declared type."""

    def is_table(self, declared: object) -> bool:
        """Whether the declared type is a table that opens on the configured engine."""


def current_tracer() -> Tracer | None:
    """The tracer at work in this context, if any."""
    return _TRACER.get()


class _Handle:
    """Stands for what a step will make. It has no value yet, so nothing may be asked of it."""

    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise DefinitionError(
            f"{self!r} has no value while the pipeline is traced, so it cannot stand in an `if`, a loop or an operator",
            hint="for a condition write step.options(when=output)(…); for the rest, move it into a step",
            where=_caller(),
        )

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = _refuse
    __mul__ = __rmul__ = __truediv__ = __contains__ = __int__ = __float__ = __index__ = __neg__ = __invert__ = _refuse
    __and__ = __or__ = __mod__ = __floordiv__ = __pow__ = __call__ = __format__ = _refuse
    __eq__ = __ne__ = _refuse

    def __hash__(self) -> int:
        return id(self)


class Output(_Handle):
    """One output of a node."""

    __slots__ = ("_declared", "_format", "_ref")

    def __init__(self, ref: Ref, declared: object, format_name: str) -> None:
        self._ref = ref
        self._declared = declared
        self._format = format_name

    def __repr__(self) -> str:
        return f"output {str(self._ref)!r}"

    def __iter__(self) -> NoReturn:
        self._refuse()

    def __len__(self) -> NoReturn:
        self._refuse()

    def __getitem__(self, key: object) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise DefinitionError(
            f"{self!r} has no output {name!r}: it is one {show_type(self._declared)}",
            where=_caller(),
            hint="return a NamedTuple from the step to get separate outputs, or take the part out in a step",
        )


class Outputs(_Handle):
    """The outputs of a node whose step returns several: by name, by position, or unpacked."""

    __slots__ = ("_kind", "_node", "_parts")

    def __init__(self, node: str, parts: Mapping[str, Output], kind: type | None) -> None:
        self._node = node
        self._parts = parts
        self._kind = kind

    def __repr__(self) -> str:
        return f"outputs of {self._node!r}"

    def __iter__(self) -> Iterator[Output]:
        return iter(self._parts.values())

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> Output:
        return list(self._parts.values())[index]

    def __getattr__(self, name: str) -> Output:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._parts[name]
        except KeyError:
            raise DefinitionError(
                f"Node {self._node!r} has no output {name!r}",
                where=_caller(),
                hint=near_miss(name, self._parts),
            ) from None

    def _tree(self) -> Json:
        trees = {name: part._ref.to_json() for name, part in self._parts.items()}
        if self._kind is None:
            return {TAG: "tuple", "items": list(trees.values())}
        how = "dataclass" if is_dataclass(self._kind) else "namedtuple"
        return {TAG: how, "type": name_of(self._kind), "fields": trees}


class _Nothing(_Handle):
    """What a node gives whose step returns nothing: good for ``after=`` alone."""

    __slots__ = ("_node",)

    def __init__(self, node: str) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"node {self._node!r}, which has no output"


@dataclass(frozen=True)
class TracedStep:
    """A step, its plan entry and what its signature declares."""

    step: Step[..., Any]
    spec: StepSpec
    signature: inspect.Signature
    declared: Mapping[str, Any]
    outputs: Mapping[str, Any]
    kind: type | None


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
    _prefix: str = ""

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the tracer that steps report to."""
        token = _TRACER.set(self)
        try:
            yield
        finally:
            _TRACER.reset(token)

    @contextmanager
    def namespace(self, name: str) -> Iterator[None]:
        """Put what is added meanwhile under a name: nodes of a pipeline inside another."""
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
        when: Condition = None,
        after: Sequence[Dependency] = (),
        name: str | None = None,
    ) -> object:
        """Add a call of a step, and return handles on its outputs."""
        traced = self._ids.get(id(step)) or self._trace_step(step)
        node_id = self._explicit_id(name) if name else self._free_id(step.settings.name)
        arguments = self._bind(traced, node_id, args, kwargs)
        self.nodes[node_id] = Node(
            id=node_id,
            step=traced.spec.id,
            arguments=arguments,
            when=self._condition(when, node_id),
            after=tuple(self._dependency(item, node_id) for item in after),
        )
        return self._handles(traced, node_id)

    def ref_of(self, value: object) -> Ref | None:
        """The reference that a handle stands for, or None for any other value."""
        return value._ref if isinstance(value, Output) else None

    def _explicit_id(self, name: str) -> str:
        node_id = self._prefix + name
        if node_id in self.nodes:
            raise DefinitionError(
                f"Pipeline {self.pipeline!r} has two nodes named {node_id!r}",
                where=_caller(),
                hint="rename one",
            )
        return node_id

    def _free_id(self, name: str) -> str:
        full = self._prefix + name
        while True:
            count = self._counts.get(full, 0) + 1
            self._counts[full] = count
            candidate = full if count == 1 else f"{full}-{count}"
            if candidate not in self.nodes:
                return candidate

    def _trace_step(self, step: Step[..., Any]) -> TracedStep:
        traced = _describe(step, self.formats, self.root)
        spec_id = traced.spec.id
        other = self.steps.get(spec_id)
        if other is not None and other.step.function is not step.function:
            traced = _renumbered(traced, spec_id, self.steps)
        self.steps[traced.spec.id] = traced
        self._ids[id(step)] = traced
        return traced

    def _bind(
        self, traced: TracedStep, node_id: str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> dict[str, Json]:
        try:
            bound = traced.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise self._wrong_call(traced, kwargs, error) from None
        bound.apply_defaults()
        arguments: dict[str, Json] = {}
        for name, value in bound.arguments.items():
            self._check_type(traced, node_id, name, value)
            arguments[name] = self._encode(traced, node_id, name, value)
        return arguments

    def _wrong_call(self, traced: TracedStep, kwargs: Mapping[str, object], error: TypeError) -> DefinitionError:
        unknown = [name for name in kwargs if name not in traced.signature.parameters]
        hint = near_miss(unknown[0], traced.signature.parameters) if unknown else f"it takes {traced.signature}"
        return DefinitionError(
            f"Step {traced.spec.name!r} of pipeline {self.pipeline!r} cannot be called like this: {error}",
            where=_caller(),
            hint=hint,
        )

    def _check_type(self, traced: TracedStep, node_id: str, name: str, value: object) -> None:
        declared = traced.declared.get(name, MISSING)
        kind = traced.signature.parameters[name].kind
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            return
        if isinstance(value, Output):
            fine = self._output_fits(value, declared)
            given = f"output {str(value._ref)!r}, which is {show_type(value._declared)}"
        elif isinstance(value, _Nothing):
            raise DefinitionError(
                f"Step {traced.spec.name!r} takes {name!r} from {value!r}",
                where=_caller(),
                hint="return something from that step, or use .options(after=…)",
            )
        elif isinstance(value, Outputs):
            fine = value._kind is None or fits(value._kind, declared)
            given = f"{value!r}, which are {show_type(value._kind or tuple)}"
        else:
            fine = _has_handles(value) or conforms(value, declared)
            given = f"{value!r}, which is {show_type(type(value))}"
        if not fine:
            raise DefinitionError(
                f"Step {traced.spec.name!r} of pipeline {self.pipeline!r} takes {name!r} as {show_type(declared)}, "
                f"but got {given}",
                where=_caller(),
            )

    def _output_fits(self, value: Output, declared: Any) -> bool:
        plain = get_args(declared)[0] if get_origin(declared) is Annotated else declared
        if plain in (MISSING, Any, object) or plain is Path:
            return True
        if value._format == "json":
            return fits(value._declared, declared)
        return fits(value._declared, declared) or self.formats.loads_as(value._format, declared)

    def _encode(self, traced: TracedStep, node_id: str, name: str, value: object) -> Json:
        try:
            tree = encode(value, self._encode_handle)
            check_importable(tree)
        except HeadraceError as error:
            raise DefinitionError(
                f"Argument {name!r} of node {node_id!r}: {error.message}",
                where=error.where or _caller(),
                hint=error.hint,
            ) from error
        return tree

    def _encode_handle(self, value: object) -> Json | None:
        if isinstance(value, Output):
            if value._ref.node not in self.nodes:
                raise DefinitionError(
                    f"{value!r} is of another pipeline", hint="pass it into this one as a step's argument"
                )
            return value._ref.to_json()
        if isinstance(value, Outputs):
            return value._tree()
        if isinstance(value, _Nothing):
            raise DefinitionError(f"{value!r}, cannot be an argument", hint="use .options(after=…)")
        if isinstance(value, External):
            return external_tree(value)
        if isinstance(value, PurePath):
            return {TAG: "path", "value": self._path_text(value)}
        return None

    def _path_text(self, path: PurePath) -> str:
        absolute = Path(self.root, path)
        try:
            return absolute.relative_to(self.root).as_posix()
        except ValueError:
            return absolute.as_posix()

    def _condition(self, when: Condition, node_id: str) -> Ref | None:
        if when is None:
            return None
        if isinstance(when, Output) and fits(when._declared, bool):
            return when._ref
        given = f"{when!r}, which is {show_type(when._declared)}" if isinstance(when, Output) else repr(when)
        raise DefinitionError(
            f"when= of node {node_id!r} takes a step's output that is a bool, but got {given}",
            where=_caller(),
        )

    def _dependency(self, item: Dependency, node_id: str) -> str:
        if isinstance(item, Output):
            return item._ref.node
        if isinstance(item, Outputs | _Nothing):
            return item._node
        if isinstance(item, str):
            return self._prefix + item
        raise DefinitionError(
            f"after= of node {node_id!r} takes outputs or nodes' names, but got {item!r}", where=_caller()
        )

    def _handles(self, traced: TracedStep, node_id: str) -> object:
        if traced.spec.returns == "nothing":
            return _Nothing(node_id)
        parts = {
            spec.name: Output(Ref(node_id, spec.name), traced.outputs[spec.name], spec.format)
            for spec in traced.spec.outputs
        }
        if traced.spec.returns == "value":
            return next(iter(parts.values()))
        return Outputs(node_id, parts, traced.kind)


def _has_handles(value: object) -> bool:
    waiting, n_seen = [value], 0
    while waiting and n_seen < 10_000:
        item = waiting.pop()
        n_seen += 1
        if isinstance(item, _Handle):
            return True
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            waiting.extend(item)
    return False


def _renumbered(traced: TracedStep, spec_id: str, taken: Mapping[str, TracedStep]) -> TracedStep:
    """Two functions made in one place, as in a loop: tell them apart by the order in which they are called."""
    from dataclasses import replace

    number = 2
    while f"{spec_id}#{number}" in taken:
        number += 1
    return replace(traced, spec=replace(traced.spec, id=f"{spec_id}#{number}"))


def _describe(step: Step[..., Any], formats: Formats, root: Path) -> TracedStep:
    function, settings = step.function, step.settings
    file, line = place_of(function, root)
    where = f"{file}:{line}"
    declared = declared_types(inspect.unwrap(function), where)
    returns, kind, outputs = _output_types(step, declared.get("return", MISSING), where)
    named = dict(settings.outputs) if isinstance(settings.outputs, Mapping) else {}
    specs = []
    for name, output_type in outputs.items():
        try:
            format_name = named.get(name) or formats.name_for(output_type)
        except HeadraceError as error:
            raise DefinitionError(
                f"Output {name!r} of step {settings.name!r}: {error.message}", where=where, hint=error.hint
            ) from error
        specs.append(OutputSpec(name, show_type(output_type), format_name, name in named))
    if unknown := [name for name in named if name not in outputs]:
        raise DefinitionError(
            f"Step {settings.name!r} has no output {unknown[0]!r}",
            where=where,
            hint=near_miss(unknown[0], outputs),
        )
    spec = StepSpec(
        id=f"{function.__module__}:{getattr(function, '__qualname__', settings.name)}",
        name=settings.name,
        target=name_of(step) if is_importable(step) else None,
        module=function.__module__,
        file=file,
        line=line,
        outputs=tuple(specs),
        returns=returns,
        retries=settings.retries,
        retry_on=tuple(name_of(kind) for kind in settings.retry_on),
        backoff_seconds=settings.backoff_seconds,
        timeout_seconds=settings.timeout_seconds,
        cache=settings.cache,
        expires_after_seconds=settings.expires_after_seconds,
        cpus=settings.resources.cpus,
        memory_bytes=settings.resources.memory_bytes,
        effect=name_of(settings.effect) if settings.effect is not None else None,
        gate=getattr(kind, "__headrace_gate__", None),
        takes_table=any(formats.is_table(item) for name, item in declared.items() if name != "return"),
    )
    return TracedStep(step, spec, inspect.signature(function), declared, outputs, kind)


def _output_types(step: Step[..., Any], declared: Any, where: str) -> tuple[str, type | None, dict[str, Any]]:
    """How the outputs come back ("nothing", "value", "tuple", "fields"), in which class, and what each is."""
    settings = step.settings
    if declared is MISSING:
        raise DefinitionError(
            f"Step {settings.name!r} does not say what it returns",
            where=where,
            hint="annotate it, as in `-> polars.DataFrame` or `-> None`: the type decides how the result is stored",
        )
    if declared in (None, type(None)):
        return "nothing", None, {}
    origin = get_origin(declared) or declared
    if isinstance(origin, type) and (hasattr(origin, "_fields") or is_dataclass(origin)) and not _is_one_value(origin):
        return "fields", origin, _field_types(origin, where)
    if isinstance(settings.outputs, tuple):
        parts = get_args(declared)
        if origin is not tuple or len(parts) != len(settings.outputs) or Ellipsis in parts:
            raise DefinitionError(
                f"Step {settings.name!r} names {len(settings.outputs)} outputs, but returns {show_type(declared)}",
                where=where,
                hint="return a tuple with one type an output, as in `-> tuple[Table, Table]`",
            )
        if len(set(settings.outputs)) != len(settings.outputs):
            raise DefinitionError(f"Step {settings.name!r} names one output twice: {settings.outputs}", where=where)
        return "tuple", None, dict(zip(settings.outputs, parts, strict=True))
    return "value", None, {"output": declared}


def _is_one_value(kind: type) -> bool:
    """A class that a format stores whole, though it has fields, says so itself."""
    return bool(getattr(kind, "__headrace_one_value__", False))


def _field_types(kind: type, where: str) -> dict[str, Any]:
    types_by_name = declared_types(kind, where)
    names = [item.name for item in fields(kind)] if is_dataclass(kind) else list(kind._fields)  # type: ignore[attr-defined]
    return {name: types_by_name.get(name, MISSING) for name in names}


def place_of(function: Callable[..., Any], root: Path) -> tuple[str, int]:
    """The file, relative to the project where it is inside, and the line of a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return getattr(function, "__module__", "?"), 1
    path = Path(code.co_filename)
    try:
        return path.relative_to(root).as_posix(), code.co_firstlineno
    except ValueError:
        return path.as_posix(), code.co_firstlineno


def _caller() -> str:
    """The place in the user's code from which the tracer was called."""
    frame = sys._getframe(1)
    here = str(Path(__file__).parent)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
