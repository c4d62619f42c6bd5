"""Functions that do nothing to what is around them: they only make a value of what they are given.

A top-level ``CHECKS = [Check("age")]`` calls the project's own code, which may register what it makes. Where that code
is tame, making the value changes nothing else, and the statement counts only if its name is reached.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from headrace.core.reach_normal import FUNCTIONS

if TYPE_CHECKING:
    from headrace.core.reach_pure import Asks, Purity

CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__", "__set_name__", "__call__"})
_NESTED = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
_WILD = (
    ast.Global,
    ast.Nonlocal,
    ast.Delete,
    ast.Import,
    ast.ImportFrom,
    ast.With,
    ast.AsyncWith,
    ast.AsyncFor,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.ClassDef,
)
_DISPLAYS = (
    ast.List,
    ast.Dict,
    ast.Set,
    ast.Tuple,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.Constant,
    ast.JoinedStr,
)
_MAKERS = frozenset({"list", "dict", "set", "str", "int", "float", "sorted", "tuple", "frozenset", "bytearray"})


def is_tame(node: ast.FunctionDef | ast.AsyncFunctionDef, purity: Purity, asks: Asks, *, in_class: bool) -> bool:
    """Say whether calling a function only makes a value; ``asks`` takes what that rests on.

    ``in_class``: the first parameter is a new object, whose attributes may be set.
    """
    first = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)][:1] if in_class else []
    locals_ = _Locals(node, own=first[0] if first else "")
    return all(_is_tame_node(child, locals_, purity, asks) for child in _own(node.body))


def nested_functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield the functions that a function defines: what a decorator with arguments gives back is one of them."""
    for child in ast.walk(node):
        if isinstance(child, ast.FunctionDef) and child is not node:
            yield child


class _Locals:
    """The names of a function, and which of them can only hold what the function made itself."""

    def __init__(self, node: ast.FunctionDef | ast.AsyncFunctionDef, *, own: str) -> None:
        self.own = own
        arguments = node.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
        given = {argument.arg for argument in every if argument is not None}
        made: dict[str, bool] = {}
        self.bound = set(given)
        for child in _own(node.body):
            if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
                self.bound.add(child.id)
                made.setdefault(child.id, False)
            if isinstance(child, _NESTED) and not isinstance(child, ast.Lambda):
                self.bound.add(child.name)
        for name in made:
            made[name] = all(_makes(value) for value in _values_of(name, node.body))
        self.fresh = {name for name, is_fresh in made.items() if is_fresh and name not in given}


def _values_of(name: str, body: Iterable[ast.stmt]) -> Iterator[ast.expr | None]:
    """Yield what a name is bound to; None for a way that isn't a plain assignment."""
    n_plain, n_all = 0, 0
    for child in _own(body):
        if isinstance(child, ast.Name) and child.id == name and not isinstance(child.ctx, ast.Load):
            n_all += 1
        if isinstance(child, ast.Assign) and any(_is_name(target, name) for target in child.targets):
            n_plain += sum(_is_name(target, name) for target in child.targets)
            yield child.value
        elif isinstance(child, (ast.AnnAssign, ast.AugAssign)) and _is_name(child.target, name):
            n_plain += 1
            if isinstance(child, ast.AnnAssign):
                yield child.value
    if n_plain != n_all:
        yield None


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _makes(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _MAKERS
    return isinstance(value, _DISPLAYS)


def _own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes that run when the function does; of nested definitions, their decorators and defaults."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, FUNCTIONS):
            stack += [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.Lambda):
            stack += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.AnnAssign):
            stack += [node.target, *([node.value] if node.value is not None else [])]
        else:
            stack.extend(ast.iter_child_nodes(node))


def _is_tame_node(node: ast.AST, locals_: _Locals, purity: Purity, asks: Asks) -> bool:
    if isinstance(node, _WILD):
        return False
    if isinstance(node, FUNCTIONS):
        return all(_is_tame_decorator(decorator, locals_, purity, asks) for decorator in node.decorator_list)
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        return _is_ours(node.value, locals_) or (isinstance(node, ast.Attribute) and _is_name(node.value, locals_.own))
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target.id in locals_.fresh
    if isinstance(node, ast.Call):
        return _is_tame_call(node, locals_, purity, asks)
    return True


def _is_tame_decorator(decorator: ast.expr, locals_: _Locals, purity: Purity, asks: Asks) -> bool:
    base = decorator.func if isinstance(decorator, ast.Call) else decorator
    while isinstance(base, ast.Attribute):
        base = base.value
    is_local = isinstance(base, ast.Name) and base.id in locals_.bound
    return not is_local and purity.is_pure_decorator(decorator, asks)


def _is_ours(node: ast.expr, locals_: _Locals) -> bool:
    return isinstance(node, ast.Name) and node.id in locals_.fresh


def _is_tame_call(node: ast.Call, locals_: _Locals, purity: Purity, asks: Asks) -> bool:
    func = node.func
    base = func
    while isinstance(base, ast.Attribute):
        base = base.value
    if isinstance(func, ast.Attribute) and _is_ours(func.value, locals_):
        return True
    if _is_setting_own(node, locals_) or _is_super_constructor(func):
        return True
    if isinstance(base, ast.Name) and base.id in locals_.bound:
        return isinstance(func, ast.Attribute) and purity.is_plain_method(func.attr)
    if isinstance(func, ast.Name) and _is_exception(func.id):
        return True
    if isinstance(func, ast.Attribute) and not isinstance(base, ast.Name):
        return purity.is_plain_method(func.attr)
    return purity.is_pure_call(node, asks)


def _is_setting_own(node: ast.Call, locals_: _Locals) -> bool:
    """Recognise ``object.__setattr__(self, ...)``, as frozen classes have to write it."""
    text = node.func
    return (
        isinstance(text, ast.Attribute)
        and text.attr == "__setattr__"
        and _is_name(text.value, "object")
        and bool(locals_.own)
        and bool(node.args)
        and _is_name(node.args[0], locals_.own)
    )


def _is_super_constructor(func: ast.expr) -> bool:
    """``super().__init__()``: the bases' constructors are looked at too."""
    return (
        isinstance(func, ast.Attribute)
        and func.attr in CONSTRUCTORS
        and isinstance(func.value, ast.Call)
        and _is_name(func.value.func, "super")
    )


def _is_exception(name: str) -> bool:
    kind = getattr(builtins, name, None)
    return name == "super" or (isinstance(kind, type) and issubclass(kind, BaseException))
