"""What a top-level statement may do besides binding a name.

A statement that only makes a value and binds it counts when the name is reached. One that may do more (a call, a
changed attribute, a decorator that may register) counts for every step whose import closure holds the module. Only
what is known to do nothing else is taken as harmless: when in doubt, it counts.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from typing import NamedTuple

from headrace.core.reach_names import Ref
from headrace.core.reach_normal import FUNCTIONS, is_text, words
from headrace.core.reach_tame import CONSTRUCTORS, is_tame, nested_functions

Bound = Mapping[str, list[tuple[str, str]]]
"""The names a module imports: name -> (module, name in it)."""


class Ask(NamedTuple):
    """What a judgement rests on: that calling something of the project does nothing but make a value.

    ``kind``: ``call``, ``decorator`` or ``made decorator`` (what a call gives is called in turn).
    """

    kind: str
    ref: Ref


Asks = list[Ask]

_PURE_BUILTINS = words(
    """
    abs bool bytes chr complex dict divmod enumerate float frozenset hash int isinstance issubclass len list object
    ord pow property range repr reversed round set slice staticmethod classmethod str sum tuple zip
    """
)
_CALLING_BUILTINS = words("max min sorted")
"""These call what ``key=`` gives them."""

_PURE_CALLS = words(
    """
    re.compile pathlib.Path pathlib.PurePath pathlib.PurePosixPath functools.partial functools.partialmethod
    functools.cmp_to_key typing.TypeVar typing.ParamSpec typing.NewType typing.cast typing.NamedTuple
    typing.TypedDict typing_extensions.TypeVar collections.namedtuple collections.defaultdict
    collections.OrderedDict collections.Counter collections.deque collections.ChainMap datetime.datetime
    datetime.date datetime.timedelta datetime.time datetime.timezone zoneinfo.ZoneInfo decimal.Decimal
    fractions.Fraction operator.itemgetter operator.attrgetter operator.methodcaller types.MappingProxyType
    types.SimpleNamespace logging.getLogger enum.auto dataclasses.field math.sqrt math.log math.exp math.log2
    math.log10 math.radians uuid.UUID string.Template os.path.join os.path.dirname os.path.abspath
    os.path.realpath os.getenv os.environ.get struct.Struct threading.Lock threading.RLock
    contextvars.ContextVar abc.ABC pydantic.Field textwrap.dedent
    """
)
_PURE_METHODS = words(
    """
    resolve absolute joinpath with_suffix with_name relative_to expanduser format join split strip lower upper
    replace encode decode keys values items get copy union intersection difference fromkeys removeprefix
    removesuffix title startswith endswith splitlines lstrip rstrip
    """
)
_PURE_DECORATORS = words(
    """
    dataclasses.dataclass functools.lru_cache functools.cache functools.cached_property functools.wraps
    functools.total_ordering contextlib.contextmanager contextlib.asynccontextmanager typing.overload
    typing.final typing.override typing.runtime_checkable typing.no_type_check enum.unique abc.abstractmethod
    typing_extensions.final typing_extensions.override typing_extensions.overload typing_extensions.deprecated
    warnings.deprecated
    """
)
_PURE_BASES = words(
    """
    pydantic.BaseModel pydantic.main.BaseModel sklearn.base.BaseEstimator sklearn.base.TransformerMixin
    sklearn.base.ClassifierMixin sklearn.base.RegressorMixin typing_extensions.TypedDict
    typing_extensions.Protocol typing_extensions.NamedTuple
    """
)
_PURE_METACLASSES = frozenset({"abc.ABCMeta", "enum.EnumMeta", "enum.EnumType"})


def dotted(node: ast.expr, imports: Bound) -> str:
    """Write what an expression names as ``module.attribute``; a builtin as ``builtins.x``; else ``""``."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    path.reverse()
    targets = imports.get(node.id)
    if targets is None:
        return ".".join(["builtins", node.id, *path]) if hasattr(builtins, node.id) else ""
    if len(targets) != 1:
        return ""
    module, name = targets[0]
    return ".".join(part for part in (module, name, *path) if part)


class Purity:
    """Judges statements of one module; ``imports`` and ``defined`` say what its names mean."""

    def __init__(self, imports: Bound, defined: frozenset[str]) -> None:
        self._imports = imports
        self._defined = defined

    def dotted(self, node: ast.expr) -> str:
        """Name a foreign thing; ``""`` where the module defines the name itself."""
        base = node
        while isinstance(base, ast.Attribute):
            base = base.value
        if isinstance(base, ast.Name) and base.id in self._defined:
            return ""
        return dotted(node, self._imports)

    def is_headrace(self, decorator: ast.expr) -> bool:
        """Say whether a decorator is one of Headrace's own: it marks a function and does nothing else to it."""
        name = self.dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
        return name.startswith("headrace.") and not name.startswith("headrace.steps.")

    def is_pure(self, expression: ast.expr | None, asks: Asks) -> bool:
        """Say whether evaluating an expression only makes a value, if what is put into ``asks`` does."""
        stack: list[ast.AST] = [expression] if expression is not None else []
        while stack:
            node = stack.pop()
            if isinstance(node, ast.Lambda):
                stack.extend(default for default in (*node.args.defaults, *node.args.kw_defaults) if default)
                continue
            if isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)):
                return False
            if isinstance(node, ast.Call) and not self.is_pure_call(node, asks):
                return False
            stack.extend(ast.iter_child_nodes(node))
        return True

    def is_plain_method(self, name: str) -> bool:
        """Say whether a method of that name changes nothing, as those of texts."""
        return name in _PURE_METHODS

    def is_pure_call(self, node: ast.Call, asks: Asks) -> bool:
        """Say whether a call only makes a value; its arguments are judged apart."""
        func = node.func
        name = self.dotted(func)
        if name.startswith("builtins."):
            builtin = name.removeprefix("builtins.")
            is_plain = builtin in _CALLING_BUILTINS and not node.keywords
            return is_plain or builtin in _PURE_BUILTINS or (builtin == "type" and len(node.args) == 1)
        if name in _PURE_CALLS or name in _PURE_DECORATORS:
            return True
        if isinstance(func, ast.Attribute) and func.attr in _PURE_METHODS:
            base = func.value
            if isinstance(base, ast.Constant) or (isinstance(base, ast.Call) and self.is_pure_call(base, asks)):
                return True
        return self._rests_on("call", func, asks)

    def _rests_on(self, kind: str, func: ast.expr, asks: Asks) -> bool:
        """Leave the judgement on something that the project may define to those who know all its modules."""
        path: list[str] = []
        base = func
        while isinstance(base, ast.Attribute):
            path.append(base.attr)
            base = base.value
        if not isinstance(base, ast.Name) or (base.id not in self._defined and base.id not in self._imports):
            return False
        asks.append(Ask(kind, ("", base.id, tuple(reversed(path)))))
        return True

    def is_pure_decorator(self, decorator: ast.expr, asks: Asks) -> bool:
        """Say whether a decorator is known to return what it was given, or a wrapper, and to do nothing else."""
        if isinstance(decorator, ast.Call) and not all(
            self.is_pure(argument, asks) for argument in (*decorator.args, *(word.value for word in decorator.keywords))
        ):
            return False
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = self.dotted(func)
        if name in _PURE_DECORATORS or self.is_headrace(decorator):
            return True
        if name in ("builtins.property", "builtins.staticmethod", "builtins.classmethod"):
            return True
        return self._rests_on("made decorator" if isinstance(decorator, ast.Call) else "decorator", func, asks)

    def is_pure_function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, asks: Asks, own: frozenset[str] = frozenset()
    ) -> bool:
        """Say whether defining a function only binds it; ``own``: properties of the class around it."""
        defaults = (*node.args.defaults, *node.args.kw_defaults)
        return all(self.is_pure(default, asks) for default in defaults) and all(
            _is_accessor(decorator, own) or self.is_pure_decorator(decorator, asks) for decorator in node.decorator_list
        )

    def tame(self, node: ast.stmt, kind: str) -> Asks | None:
        """Say whether a definition does nothing but make a value when it is called as ``kind`` says.

        ``constructor``: of a class. Gives what that rests on; None where it may do more.
        """
        asks: Asks = []
        if isinstance(node, ast.ClassDef):
            made = [child for child in node.body if isinstance(child, FUNCTIONS) and child.name in CONSTRUCTORS]
            good = all(is_tame(child, self, asks, in_class=True) for child in made)
            return asks if good and not _has_factories(node) else None
        if not isinstance(node, FUNCTIONS):
            return None
        called = [node, *nested_functions(node)] if kind == "made decorator" else [node]
        return asks if all(is_tame(child, self, asks, in_class=False) for child in called) else None

    def is_pure_class(self, node: ast.ClassDef, asks: Asks) -> bool:
        """Say whether a class body only defines. The bases are judged apart: that takes other modules."""
        if not all(self.is_pure_decorator(decorator, asks) for decorator in node.decorator_list):
            return False
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and self.dotted(keyword.value) in _PURE_METACLASSES:
                continue
            if keyword.arg in ("total", "frozen") and isinstance(keyword.value, ast.Constant):
                continue
            return False
        own = frozenset(child.name for child in node.body if isinstance(child, FUNCTIONS))
        return all(self._is_pure_member(child, asks, own) for child in node.body)

    def _is_pure_member(self, node: ast.stmt, asks: Asks, own: frozenset[str]) -> bool:
        if isinstance(node, FUNCTIONS):
            return self.is_pure_function(node, asks, own)
        if isinstance(node, ast.ClassDef):
            return not node.bases and self.is_pure_class(node, asks)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            return self.is_pure_assignment(node, asks)
        return isinstance(node, ast.Pass) or is_text(node) or _is_ellipsis(node)

    def is_pure_assignment(self, node: ast.stmt, asks: Asks) -> bool:
        """Say whether a statement binds plain names to a value that is only made."""
        if isinstance(node, ast.Assign):
            return all(_is_plain(target) for target in node.targets) and self.is_pure(node.value, asks)
        if isinstance(node, ast.AnnAssign):
            return isinstance(node.target, ast.Name) and self.is_pure(node.value, asks)
        return type(node).__name__ == "TypeAlias"

    def is_pure_base(self, node: ast.expr) -> bool | None:
        """Say whether subclassing a foreign base does nothing more; None where the base is the project's."""
        while isinstance(node, ast.Subscript):
            node = node.value
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return False
        name = self.dotted(node)
        if not name:
            return None
        return name.partition(".")[0] in sys.stdlib_module_names or name in _PURE_BASES


def _has_factories(node: ast.ClassDef) -> bool:
    """Say whether making an object calls functions that the class body names: ``field(default_factory=make)``."""
    words = [word for child in node.body for part in ast.walk(child) for word in getattr(part, "keywords", [])]
    factories = [word.value for word in words if word.arg == "default_factory"]
    return not all(isinstance(made, ast.Name) and made.id in _PURE_BUILTINS for made in factories)


def _is_accessor(decorator: ast.expr, own: frozenset[str]) -> bool:
    """Recognise ``@total.setter`` of a property of the same class."""
    return (
        isinstance(decorator, ast.Attribute)
        and decorator.attr in ("setter", "getter", "deleter")
        and isinstance(decorator.value, ast.Name)
        and decorator.value.id in own
    )


def _is_plain(target: ast.expr) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(_is_plain(element) for element in target.elts)
    if isinstance(target, ast.Starred):
        return _is_plain(target.value)
    return isinstance(target, ast.Name)


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
