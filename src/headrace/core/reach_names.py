"""What a piece of code names: global names with their attributes, attributes of unknown receivers, imports, strings.

Scopes are followed as the compiler does, so that a local variable that happens to be called as a function of the
module isn't taken for it. Everything is a loop over an explicit stack: code may be nested deeper than Python recurses.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.core.reach_normal import DEFINITIONS, FUNCTIONS, Drops, is_text

Ref = tuple[str, str, tuple[str, ...]]
"""``(module, name, attributes)``. Module ``""``: a global name of the module itself. Name ``""``: the module object."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ATTRIBUTE_CALLS = frozenset({"getattr", "hasattr", "setattr", "delattr"})
_GETTERS = frozenset({"attrgetter", "methodcaller"})
_OPENERS = frozenset({"vars", "dir", "getmembers", "getmembers_static"})
_MAX_TEXT = 4_000
_WRITERS = frozenset(
    {"dump", "touch", "mkdir", "makedirs", "unlink", "remove", "rmdir", "to_csv", "to_parquet", "to_json", "to_excel"}
)
_WRITING_STARTS = ("write", "save", "sink_")


@dataclass
class Refs:
    """What a piece of code names.

    ``soft`` names may be unknown without harm (names in string annotations). ``attributes`` are looked up on receivers
    that can't be followed. ``patterns`` are computed attribute names, as ``(prefix, suffix)``. ``opened`` things have
    attributes looked up by computed names. ``flags``: ``members`` (every class in the closure counts), ``own class``
    (the class around the code counts, with its heirs), ``docs`` (docstrings count).
    """

    names: set[Ref] = field(default_factory=set)
    soft: set[Ref] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    patterns: set[tuple[str, str]] = field(default_factory=set)
    opened: set[Ref] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Home:
    """The module that code stands in, for relative imports."""

    name: str
    is_package: bool

    def absolute(self, module: str | None, level: int) -> str:
        """Give the absolute name of what ``from ..module import`` names."""
        if level == 0:
            return module or ""
        parts = self.name.split(".")
        keep = len(parts) - level + (1 if self.is_package else 0)
        base = parts[: max(keep, 0)]
        return ".".join([*base, module] if module else base)


class _Scope:
    __slots__ = ("bound", "choices", "global_names", "imports", "is_class", "own", "parent")

    def __init__(self, parent: _Scope | None, *, is_class: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.bound: set[str] = set()
        self.global_names: set[str] = set()
        self.imports: dict[str, list[tuple[str, str]]] = {}
        self.choices: dict[str, set[str]] = {}
        """The texts that a loop's variable takes one after the other, where it is bound by nothing else."""
        self.own = ""
        """The name of a method's first parameter: an object of its class, or the class."""


def import_targets(node: ast.Import | ast.ImportFrom, home: Home) -> Iterator[tuple[str, str, str]]:
    """Yield ``(bound name, module, name in it)`` of an import; a star binds ``*``, ``import a.b`` binds a."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, alias.name, ""
            else:
                yield alias.name.partition(".")[0], alias.name.partition(".")[0], ""
        return
    module = home.absolute(node.module, node.level)
    for alias in node.names:
        yield alias.asname or alias.name, module, alias.name


def imported_modules(node: ast.Import | ast.ImportFrom, home: Home) -> Iterator[str]:
    """Yield the modules that an import executes; ``from a import b`` may name the module ``a.b``, written ``a:b``."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
        return
    module = home.absolute(node.module, node.level)
    yield module
    for alias in node.names:
        if alias.name != "*":
            yield f"{module}:{alias.name}"


def refs_of(nodes: Iterable[ast.AST], home: Home, drops: Drops) -> Refs:
    """Collect what pieces of code at a module's top level name."""
    collector = _Collector(home, drops)
    collector.run([(node, None, False) for node in nodes])
    return collector.refs


def refs_of_statement(node: ast.AST, home: Home, drops: Drops) -> Refs:
    """Collect what a statement at a module's top level names."""
    return refs_of([node], home, drops)


def refs_of_member(node: ast.AST, home: Home, drops: Drops) -> Refs:
    """Collect what a statement of a class body names, apart from the class."""
    collector = _Collector(home, drops)
    collector.run([(node, _Scope(None, is_class=True), False)])
    return collector.refs


class _Collector:
    def __init__(self, home: Home, drops: Drops) -> None:
        self.refs = Refs()
        self._home = home
        self._drops = drops
        self._outputs: set[ast.Constant] = set()
        self._stack: list[tuple[ast.AST, _Scope | None, bool]] = []

    def run(self, work: Sequence[tuple[ast.AST, _Scope | None, bool]]) -> None:
        self._stack = list(work)
        while self._stack:
            node, scope, in_annotation = self._stack.pop()
            self._visit(node, scope, in_annotation)

    def _visit(self, node: ast.AST, scope: _Scope | None, in_annotation: bool) -> None:
        if isinstance(node, (ast.Name, ast.Attribute)):
            self._chain(node, scope, in_annotation)
        elif isinstance(node, ast.Constant):
            self._constant(node, scope, in_annotation)
        elif isinstance(node, FUNCTIONS):
            self._function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._class(node, scope)
        elif isinstance(node, ast.Lambda):
            self._lambda(node, scope)
        elif isinstance(node, COMPREHENSIONS):
            self._comprehension(node, scope)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.refs.imports.update(imported_modules(node, self._home))
        elif isinstance(node, ast.Call):
            self._call(node, scope, in_annotation)
        elif isinstance(node, ast.AnnAssign):
            self._push(node.target, scope)
            self._push(node.value, scope)
            self._push(node.annotation, scope, in_annotation=True)
        elif isinstance(node, ast.MatchClass):
            self.refs.attributes.update(node.kwd_attrs)
            self._children(node, scope, in_annotation)
        elif isinstance(node, ast.stmt) and is_text(node):
            return
        else:
            self._children(node, scope, in_annotation)

    def _push(self, node: ast.AST | None, scope: _Scope | None, *, in_annotation: bool = False) -> None:
        if node is not None:
            self._stack.append((node, scope, in_annotation))

    def _children(self, node: ast.AST, scope: _Scope | None, in_annotation: bool) -> None:
        self._stack.extend((child, scope, in_annotation) for child in ast.iter_child_nodes(node))

    # names

    def _chain(self, node: ast.expr, scope: _Scope | None, in_annotation: bool) -> None:
        if (
            isinstance(node, ast.Name)
            and not isinstance(node.ctx, ast.Load)
            and not _is_declared_global(node.id, scope)
        ):
            return
        base, path = _unroll(node)
        if "__doc__" in path:
            self.refs.flags.add("docs")
        if "__subclasses__" in path:
            self.refs.flags.add("members")
        if "__dict__" in path:
            index = path.index("__dict__")
            self._open(base, path[:index], scope)
        for ref in self._targets(base, path, scope):
            (self.refs.soft if in_annotation else self.refs.names).add(ref)

    def _targets(self, base: ast.expr, path: tuple[str, ...], scope: _Scope | None) -> list[Ref]:
        """Give what ``base.path`` may be; a receiver that can't be followed leaves its attributes."""
        if not isinstance(base, ast.Name):
            self.refs.attributes.update(path)
            self._push(base, scope)
            return []
        targets, is_local = _lookup(base.id, scope)
        if is_local and not targets:
            self.refs.attributes.update(path)
            return []
        if is_local:
            return [(module, name, path) for module, name in targets]
        found = _lookup_class(base.id, scope)
        if found is not None:  # a class body reads its own name, or the module's of that name before it is bound
            self.refs.attributes.update(path)
            self.refs.soft.add(("", base.id, ()))
            return [(module, name, path) for module, name in found]
        return [("", base.id, path)]

    def _open(self, base: ast.expr, path: tuple[str, ...], scope: _Scope | None) -> None:
        refs = self._targets(base, path, scope)
        if refs:
            self.refs.opened.update(refs)
        elif not path and isinstance(base, ast.Name) and _is_own(base.id, scope):
            self.refs.flags.add("own class")
        else:
            self.refs.flags.add("members")

    def _constant(self, node: ast.Constant, scope: _Scope | None, in_annotation: bool) -> None:
        if not isinstance(node.value, str):
            return
        if not in_annotation:
            if node not in self._outputs:
                self.refs.strings.add(node.value)
            return
        if len(node.value) > _MAX_TEXT:
            return
        try:
            expression = ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        if not isinstance(expression, ast.Constant):
            self._push(expression, scope, in_annotation=True)

    # scopes

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope | None) -> None:
        for decorator in node.decorator_list:
            if not self._drops(decorator):
                self._push(decorator, scope)
        typed = _with_type_params(node, scope)
        for annotation in _annotations(node):
            self._push(annotation, typed, in_annotation=True)
        for parameter in getattr(node, "type_params", []):
            self._children(parameter, typed, True)
        inner = self._body(node.args, node.body, typed, scope)
        positional = [*node.args.posonlyargs, *node.args.args]
        is_static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
        if scope is not None and scope.is_class and positional and not is_static:
            rebound = _Scope(None)
            _bind(node.body, rebound, self._home)
            inner.own = positional[0].arg if positional[0].arg not in rebound.bound else ""

    def _lambda(self, node: ast.Lambda, scope: _Scope | None) -> None:
        self._body(node.args, [node.body], scope, scope)

    def _body(
        self, arguments: ast.arguments, body: Sequence[ast.AST], outer: _Scope | None, evaluated_in: _Scope | None
    ) -> _Scope:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            self._push(default, evaluated_in)
        inner = _Scope(outer)
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
        names = {argument.arg for argument in every if argument is not None}
        inner.bound.update(names)
        _bind(body, inner, self._home)
        for name in names:
            inner.choices.pop(name, None)
        self._stack.extend((statement, inner, False) for statement in body)
        return inner

    def _class(self, node: ast.ClassDef, scope: _Scope | None) -> None:
        for decorator in node.decorator_list:
            if not self._drops(decorator):
                self._push(decorator, scope)
        typed = _with_type_params(node, scope)
        for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
            self._push(base, typed)
        inner = _Scope(typed, is_class=True)
        _bind(node.body, inner, self._home)
        self._stack.extend((statement, inner, False) for statement in node.body)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: _Scope | None
    ) -> None:
        inner = _Scope(scope)
        for generator in node.generators:
            for child in ast.walk(generator.target):
                if isinstance(child, ast.Name):
                    inner.bound.add(child.id)
        loops = [(generator.target, generator.iter) for generator in node.generators]
        _choose(loops, inner, Counter(target.id for target, _ in loops if isinstance(target, ast.Name)))
        for index, generator in enumerate(node.generators):
            self._push(generator.iter, scope if index == 0 else inner)
            self._push(generator.target, inner)
            self._stack.extend((condition, inner, False) for condition in generator.ifs)
        results = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        self._stack.extend((result, inner, False) for result in results)

    # calls that look names up

    def _call(self, node: ast.Call, scope: _Scope | None, in_annotation: bool) -> None:
        name = _called(node.func, scope)
        if _writes(node, name):
            self._outputs.update(_named_texts(node))
        first = node.args[0] if node.args else None
        if name in _ATTRIBUTE_CALLS and len(node.args) >= 2 and first is not None:
            self._attribute_call(first, node.args[1], scope, looks_up=name in ("getattr", "hasattr"))
            self._stack.extend((argument, scope, False) for argument in node.args[2:])
            return
        if name in _GETTERS:
            self._getter(node)
        elif name in _OPENERS and first is not None:
            base, path = _unroll(first)
            self._open(base, path, scope)
            return
        elif name in ("vars", "locals") and not node.args and scope is not None:
            return  # the names of the function itself
        elif name in ("import_module", "__import__") and isinstance(first, ast.Constant):
            if isinstance(first.value, str):
                dots = len(first.value) - len(first.value.lstrip("."))
                self.refs.imports.add(self._home.absolute(first.value.lstrip(".") or None, dots))
                self.refs.names.add((self._home.absolute(first.value.lstrip(".") or None, dots), "", ()))
            self._stack.extend((argument, scope, False) for argument in node.args[1:])
            return
        self._children(node, scope, in_annotation)

    def _attribute_call(self, receiver: ast.expr, name: ast.expr, scope: _Scope | None, *, looks_up: bool) -> None:
        base, path = _unroll(receiver)
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self._chain_of(base, (*path, name.value), scope)
            return
        if isinstance(name, ast.Name) and (choices := _choices(name.id, scope)):
            for choice in sorted(choices):
                self._chain_of(base, (*path, choice), scope)
            return
        self._push(name, scope)
        if not looks_up:
            self._chain_of(base, path, scope)
            return
        pattern = _pattern(name)
        if pattern is not None and not (isinstance(base, ast.Name) and not _lookup(base.id, scope)[1]):
            self.refs.patterns.add(pattern)
            self._chain_of(base, path, scope)
            return
        self._open(base, path, scope)

    def _chain_of(self, base: ast.expr, path: tuple[str, ...], scope: _Scope | None) -> None:
        self.refs.names.update(self._targets(base, path, scope))

    def _getter(self, node: ast.Call) -> None:
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                self.refs.attributes.update(argument.value.split("."))
            else:
                self.refs.flags.add("members")


def _unroll(node: ast.expr) -> tuple[ast.expr, tuple[str, ...]]:
    """Take ``a.b.c`` apart: ``a`` and ``("b", "c")``."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    return node, tuple(reversed(path))


def _called(func: ast.expr, scope: _Scope | None) -> str:
    """Name the function that is called: its last word, unless it is a local variable's."""
    if isinstance(func, ast.Name):
        targets, is_local = _lookup(func.id, scope)
        if is_local:
            return targets[0][1] if targets else ""
        return func.id
    return func.attr if isinstance(func, ast.Attribute) else ""


def _writes(node: ast.Call, name: str) -> bool:
    """Say whether a call writes the file that it names: what a step makes is no input of it."""
    if name != "open":
        return name in _WRITERS or name.startswith(_WRITING_STARTS)
    given = [word.value for word in node.keywords if word.arg == "mode"] + node.args[:2]
    modes = [value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return any(set(mode) <= set("wxabt") and set(mode) & set("wxa") for mode in modes if len(mode) <= 3)


def _named_texts(node: ast.Call) -> Iterator[ast.Constant]:
    """Yield the texts by which a call names its file: its arguments, or ``Path("a") / "b"`` before the dot."""
    stack: list[ast.expr] = [*node.args, *(word.value for word in node.keywords)]
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, (ast.BinOp, ast.Call)):
        stack.append(node.func.value)
    while stack:
        child = stack.pop()
        if isinstance(child, ast.Constant):
            yield child
        elif isinstance(child, ast.BinOp) and isinstance(child.op, ast.Div):
            stack += [child.left, child.right]
        elif isinstance(child, ast.Call) and _is_path(child.func):
            stack += child.args


def _is_path(func: ast.expr) -> bool:
    base, path = _unroll(func)
    return path[-1:] == ("Path",) or (not path and isinstance(base, ast.Name) and base.id == "Path")


def _pattern(name: ast.expr) -> tuple[str, str] | None:
    """Give the constant start and end of a computed name, where it has any."""
    pieces: list[ast.expr] = []
    if isinstance(name, ast.JoinedStr):
        pieces = list(name.values)
    elif isinstance(name, ast.BinOp) and isinstance(name.op, ast.Add):
        pieces = [name.left, name.right]
    if not pieces:
        return None
    first, last = pieces[0], pieces[-1]
    prefix = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    suffix = last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else ""
    return (prefix, suffix) if prefix or suffix else None


def _annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    for argument in every:
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns


def _with_type_params(node: ast.AST, scope: _Scope | None) -> _Scope | None:
    """Bind ``T`` of ``def f[T]`` (Python 3.12) around a definition."""
    parameters = getattr(node, "type_params", [])
    if not parameters:
        return scope
    typed = _Scope(scope)
    typed.bound.update(parameter.name for parameter in parameters)
    return typed


def _lookup(name: str, scope: _Scope | None) -> tuple[list[tuple[str, str]], bool]:
    """Find a name in the function scopes: ``(import targets, is local)``. Class scopes are seen by nobody inside."""
    while scope is not None:
        if not scope.is_class:
            if name in scope.global_names:
                return [], False
            if name in scope.bound:
                return scope.imports.get(name, []), True
        scope = scope.parent
    return [], False


def _binder(name: str, scope: _Scope | None) -> _Scope | None:
    """Find the function scope that a name is a local of."""
    while scope is not None:
        if not scope.is_class and (name in scope.bound or name in scope.global_names):
            return scope if name in scope.bound else None
        scope = scope.parent
    return None


def _choices(name: str, scope: _Scope | None) -> set[str]:
    binder = _binder(name, scope)
    return binder.choices.get(name, set()) if binder is not None else set()


def _is_own(name: str, scope: _Scope | None) -> bool:
    binder = _binder(name, scope)
    return binder is not None and binder.own == name


def _choose(loops: Iterable[tuple[ast.expr, ast.expr]], scope: _Scope, n_bindings: Mapping[str, int]) -> None:
    """Note the texts that loops such as ``for name in ("a", "b")`` give their variables."""
    for target, source in loops:
        if isinstance(target, ast.Name) and n_bindings.get(target.id) == 1:
            texts = source.elts if isinstance(source, (ast.Tuple, ast.List, ast.Set)) else []
            values = [text.value for text in texts if isinstance(text, ast.Constant)]
            if texts and len(values) == len(texts) and all(isinstance(value, str) for value in values):
                scope.choices[target.id] = {str(value) for value in values}


def _is_declared_global(name: str, scope: _Scope | None) -> bool:
    return scope is not None and name in scope.global_names


def _lookup_class(name: str, scope: _Scope | None) -> list[tuple[str, str]] | None:
    if scope is not None and scope.is_class and name in scope.bound:
        return scope.imports.get(name, [])
    return None


def _bind(body: Sequence[ast.AST], scope: _Scope, home: Home) -> None:
    """Collect the names that a body binds in its own scope."""
    elsewhere: set[str] = set()
    loops: list[tuple[ast.expr, ast.expr]] = []
    n_bindings: Counter[str] = Counter()
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.For, ast.AsyncFor)):
            loops.append((node.target, node.iter))
        if isinstance(node, DEFINITIONS):
            scope.bound.add(node.name)
            n_bindings[node.name] += 2
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.bound.add(node.id)
                n_bindings[node.id] += 1
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for name, module, target in import_targets(node, home):
                scope.bound.add(name)
                scope.imports.setdefault(name, []).append((module, target))
        elif isinstance(node, ast.Global):
            scope.global_names.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            elsewhere.update(node.names)
        elif isinstance(node, (*COMPREHENSIONS, ast.Lambda)):
            walruses = list(_walruses(node))
            scope.bound.update(walruses)
            n_bindings.update(walruses)
        else:
            captured = _captured(node)
            if captured is not None:
                scope.bound.add(captured)
                n_bindings[captured] += 1
            stack.extend(ast.iter_child_nodes(node))
    scope.bound -= elsewhere | scope.global_names
    n_bindings.update(scope.imports.keys())
    _choose(loops, scope, n_bindings)


def _captured(node: ast.AST) -> str | None:
    """Give the name that an ``except ... as`` or a pattern binds."""
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return node.name
    return node.rest if isinstance(node, ast.MatchMapping) else None


def _walruses(node: ast.AST) -> Iterator[str]:
    """A walrus in a comprehension binds in the function around it."""
    if isinstance(node, ast.Lambda):
        return
    for child in ast.walk(node):
        if isinstance(child, ast.NamedExpr) and isinstance(child.target, ast.Name):
            yield child.target.id
