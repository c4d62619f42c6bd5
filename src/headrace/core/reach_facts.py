"""The facts of one module: its top-level units, what they bind, name and may do. Made from the source alone."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from headrace.core.reach_names import (
    Home,
    Ref,
    Refs,
    import_targets,
    imported_modules,
    refs_of,
    refs_of_member,
    refs_of_statement,
)
from headrace.core.reach_normal import (
    DEFINITIONS,
    FUNCTIONS,
    Drops,
    docstrings_digest,
    is_text,
    normal_digest,
    sha256,
)
from headrace.core.reach_pure import Ask, Purity


class Piece:
    """A piece of code that can count. What is asked of it is worked out when it is asked: most pieces never are."""

    def __init__(self, label: str, node: ast.stmt, home: Home, purity: Purity, *, is_member: bool = False) -> None:
        self.label = label
        self.line = node.lineno
        self._node = node
        self._home = home
        self._purity = purity
        self._drops = purity.is_headrace
        self._is_member = is_member

    @cached_property
    def digest(self) -> str:
        """The digest of its normal form."""
        return normal_digest([self._node], self._drops)

    @cached_property
    def docs(self) -> str:
        """The digest of its docstrings."""
        return docstrings_digest(self._node)

    @cached_property
    def refs(self) -> Refs:
        """What it names."""
        collect = refs_of_member if self._is_member else refs_of_statement
        return collect(self._node, self._home, self._drops)

    def tame(self, kind: str) -> list[Ask] | None:
        """Give what must be tame for calling it to do nothing but make a value; None where it may do more."""
        return self._purity.tame(self._node, kind)

    @cached_property
    def signature(self) -> Refs:
        """What a function's annotations name."""
        nodes = [_signature(self._node)] if isinstance(self._node, FUNCTIONS) else []
        return refs_of(nodes, self._home, self._drops)


@dataclass
class Unit:
    """One top-level statement.

    ``is_effect``: running it may do more than bind its names, so it counts wherever the module is imported.
    ``bases``: a class's bases in the project, whose own ``__init_subclass__`` decides whether it is an effect.
    ``asks``: what must be tame for it to be none. ``evaluates``: its value may depend on the effects before it.
    """

    piece: Piece
    binds: frozenset[str]
    first_line: int
    last_line: int
    is_effect: bool
    is_class: bool = False
    bases: tuple[Ref, ...] = ()
    makes_subclass_effects: bool = False
    members: dict[str, list[Piece]] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()
    evaluates: bool = False


@dataclass
class ImportLine:
    """A top-level import that runs: the modules it executes, and how many units stand before it."""

    modules: tuple[str, ...]
    text: str
    place: int


@dataclass
class ModuleFacts:
    """What is known of a module from its source."""

    name: str
    label: str
    is_package: bool
    sha256: str
    units: list[Unit] = field(default_factory=list)
    unit_bindings: dict[str, list[int]] = field(default_factory=dict)
    import_bindings: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    global_writers: dict[str, list[int]] = field(default_factory=dict)
    stars: list[tuple[str, int]] = field(default_factory=list)
    """``from module import *``: the module, and the line."""
    imports: list[ImportLine] = field(default_factory=list)
    future: tuple[str, ...] = ()
    docs: str = ""

    @cached_property
    def member_index(self) -> dict[str, list[tuple[int, Piece]]]:
        """Attribute name -> the class members of that name, as ``(unit index, piece)``."""
        index: dict[str, list[tuple[int, Piece]]] = {}
        for position, unit in enumerate(self.units):
            for name, pieces in unit.members.items():
                index.setdefault(name, []).extend((position, piece) for piece in pieces)
        return index


def facts_of(source: bytes, digest: str, name: str, label: str, *, is_package: bool) -> ModuleFacts:
    """Read a module's facts. Raises SyntaxError where the source is no Python."""
    tree = ast.parse(source, type_comments=False)
    return _Reader(name, label, digest, is_package=is_package).read(tree)


def _never(decorator: ast.expr) -> bool:
    return False


class _Reader:
    def __init__(self, name: str, label: str, digest: str, *, is_package: bool) -> None:
        self.home = Home(name, is_package)
        self.facts = ModuleFacts(name, label, is_package, digest)
        self.purity = Purity({}, frozenset())
        self.drops: Drops = _never

    def read(self, tree: ast.Module) -> ModuleFacts:
        statements = [node for node in tree.body if not is_text(node) and not _is_main_block(node)]
        self._bindings(statements)
        rebound = self._rebound(statements)
        self.facts.docs = sha256(ast.get_docstring(tree, clean=False) or "")
        for node in statements:
            self._statement(node, rebound)
        return self.facts

    def _bindings(self, statements: list[ast.stmt]) -> None:
        defined: set[str] = set()
        for statement in statements:
            for node in _own_nodes(statement):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    self._bind_import(node)
                else:
                    defined.update(_bound_by(node))
        self.purity = Purity(self.facts.import_bindings, frozenset(defined))
        self.drops = self.purity.is_headrace

    def _bind_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            self.facts.future = tuple(sorted({*self.facts.future, *(alias.name for alias in node.names)}))
            return
        for name, module, target in import_targets(node, self.home):
            if name == "*":
                self.facts.stars.append((module, node.lineno))
            else:
                known = self.facts.import_bindings.setdefault(name, [])
                if (module, target) not in known:
                    known.append((module, target))

    def _rebound(self, statements: list[ast.stmt]) -> frozenset[str]:
        """Names that more than one statement binds: which comes last matters, so these count in order."""
        seen: set[str] = set()
        again: set[str] = set()
        for statement in statements:
            names = {name for node in _own_nodes(statement) for name in _bound_by(node)}
            if not _is_type_checking(statement):
                for node in _own_nodes(statement):
                    if isinstance(node, (ast.Import, ast.ImportFrom)) and not _is_plain_import(node):
                        names.update(name for name, _, _ in import_targets(node, self.home) if name != "*")
            again |= names & seen
            seen |= names
        return frozenset(again)

    def _statement(self, node: ast.stmt, rebound: frozenset[str]) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
            names = {name for name, _, _ in import_targets(node, self.home)}
            if names & rebound and not _is_plain_import(node):
                self._add(node, is_effect=True)
        elif _is_type_checking(node):
            names = {name for child in _own_nodes(node) for name in _bound_by(child)}
            if names:
                self._add(node, is_effect=False)
        elif isinstance(node, ast.ClassDef):
            self._class(node, node.name in rebound)
        elif isinstance(node, FUNCTIONS):
            asks: list[Ask] = []
            pure = self.purity.is_pure_function(node, asks) and node.name not in rebound
            self._add(node, is_effect=not pure, asks=asks)
        else:
            for child in _own_nodes(node):
                if isinstance(child, (ast.Import, ast.ImportFrom)):
                    self._import(child)
            rests: list[Ask] = []
            pure = self.purity.is_pure_assignment(node, rests) or isinstance(node, ast.Pass)
            names = {name for child in _own_nodes(node) for name in _bound_by(child)}
            self._add(node, is_effect=not pure or bool(names & rebound), asks=rests)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return
        modules = tuple(imported_modules(node, self.home))
        self.facts.imports.append(ImportLine(modules, ast.unparse(node), len(self.facts.units)))

    def _add(self, node: ast.stmt, *, is_effect: bool, asks: Iterable[Ask] = ()) -> Unit:
        binds = frozenset(name for child in _own_nodes(node) for name in _bound_by(child))
        label = ", ".join(sorted(binds)) if binds else "<top level>"
        piece = Piece(label, node, self.home, self.purity)
        unit = Unit(piece, binds, _first_line(node), node.end_lineno or node.lineno, is_effect)
        unit.evaluates = _evaluates(node)
        unit.asks = tuple(asks)
        index = len(self.facts.units)
        self.facts.units.append(unit)
        for name in binds:
            self.facts.unit_bindings.setdefault(name, []).append(index)
        for name in _declared_global(node):
            self.facts.global_writers.setdefault(name, []).append(index)
        for child in _own_nodes(node):
            if isinstance(child, ast.ClassDef):
                for name, member in self._members(child, child.name):
                    unit.members.setdefault(name, []).append(member)
        return unit

    def _class(self, node: ast.ClassDef, is_rebound: bool) -> None:
        foreign = [self.purity.is_pure_base(base) for base in node.bases]
        asks: list[Ask] = []
        pure = self.purity.is_pure_class(node, asks) and False not in foreign and not is_rebound
        unit = self._add(node, is_effect=not pure, asks=asks)
        unit.is_class = True
        names = {child.name for child in node.body if isinstance(child, FUNCTIONS)}
        has_metaclass = any(keyword.arg == "metaclass" for keyword in node.keywords)
        unit.makes_subclass_effects = "__init_subclass__" in names or (has_metaclass and not pure)
        is_metaclass = any(self.purity.dotted(base) == "builtins.type" for base in node.bases)
        unit.makes_subclass_effects |= is_metaclass or False in foreign
        own = [base for base, is_pure in zip(node.bases, foreign, strict=True) if is_pure is None]
        unit.bases = tuple(sorted(ref for ref in refs_of(own, self.home, self.drops).names))

    def _members(self, node: ast.ClassDef, prefix: str) -> Iterator[tuple[str, Piece]]:
        stack = [(node, prefix)]
        while stack:
            owner, path = stack.pop()
            for child in owner.body:
                if is_text(child):
                    continue
                if isinstance(child, ast.ClassDef):
                    stack.append((child, f"{path}.{child.name}"))
                for name in sorted({name for part in _own_nodes(child) for name in _bound_by(part)}):
                    yield name, Piece(f"{path}.{name}", child, self.home, self.purity, is_member=True)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef:
    """Give a function with the same annotations and nothing else, to ask what the annotations name."""
    bare = ast.FunctionDef(name=node.name, args=copy.copy(node.args), body=[], decorator_list=[], returns=node.returns)
    bare.args.defaults, bare.args.kw_defaults = [], []
    return bare


def _own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield a statement's nodes that run in the module's own scope, nested definitions unopened."""
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, (*DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        stack.extend(ast.iter_child_nodes(node))


def _declared_global(statement: ast.stmt) -> list[str]:
    if not isinstance(statement, DEFINITIONS):
        return []
    return [name for node in ast.walk(statement) if isinstance(node, ast.Global) for name in node.names]


def _bound_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, DEFINITIONS):
        yield node.name
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name


def _is_plain_import(node: ast.Import | ast.ImportFrom) -> bool:
    """``import a.b`` after ``import a.c`` binds a twice to the same module."""
    return isinstance(node, ast.Import) and all(alias.asname is None for alias in node.names)


def _evaluates(node: ast.stmt) -> bool:
    """Say whether a statement computes something when it runs, from what ran before it."""
    if isinstance(node, FUNCTIONS):
        values = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
        return bool(node.decorator_list) or not all(_is_literal(value) for value in values)
    if isinstance(node, ast.ClassDef):
        return any(
            isinstance(child, (ast.Assign, ast.AnnAssign)) and not _is_literal(child.value) for child in node.body
        )
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return not _is_literal(node.value)
    return True


def _is_literal(node: ast.expr | None) -> bool:
    return node is None or not any(isinstance(child, (ast.Name, ast.Call)) for child in ast.walk(node))


def _first_line(node: ast.stmt) -> int:
    """A function's code object starts at its first decorator."""
    decorators = node.decorator_list if isinstance(node, DEFINITIONS) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _is_type_checking(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or node.orelse:
        return False
    test = node.test
    if isinstance(test, ast.Attribute):
        return test.attr == "TYPE_CHECKING"
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_main_block(node: ast.stmt) -> bool:
    """Recognise ``if __name__ == "__main__":``, which doesn't run in a worker."""
    if not isinstance(node, ast.If) or node.orelse or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    if len(sides) != 2 or not isinstance(node.test.ops[0], ast.Eq):
        return False
    names = {side.id for side in sides if isinstance(side, ast.Name)}
    texts = {side.value for side in sides if isinstance(side, ast.Constant)}
    return names == {"__name__"} and texts == {"__main__"}
