"""What a function reaches: a walk over the facts of the project's modules until nothing new is found.

Lean to counting: a name that can't be followed counts its whole module, and a lookup by a computed name counts all
that it could find.
"""

from __future__ import annotations

import builtins
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from headrace.core.reach_facts import ModuleFacts, Piece
from headrace.core.reach_modules import STANDARD_LIBRARY, Modules
from headrace.core.reach_names import Ref, Refs
from headrace.core.reach_normal import sha256, words

MODULE_NAMES = words(
    """
    __name__ __file__ __path__ __spec__ __package__ __loader__ __cached__ __builtins__ __annotations__ __debug__
    __qualname__ __module__ __class__ __classcell__ __conditional_annotations__
    """
)
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_][\w.]*)?|[A-Za-z_]\w*:[A-Za-z_][\w.]*")
WHOLE_MODULE = frozenset({"globals", "eval", "exec", "compile", "vars", "locals", "dir"})
WHOLE_PROJECT = (
    "importlib.import_module",
    "importlib.__import__",
    "importlib.reload",
    "importlib.util",
    "importlib.machinery",
    "importlib.metadata.entry_points",
    "runpy",
    "pkgutil.iter_modules",
    "pkgutil.walk_packages",
    "pkgutil.resolve_name",
    "pkgutil.find_loader",
    "pkgutil.get_importer",
    "sys.modules",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "joblib.load",
    "cloudpickle.load",
    "cloudpickle.loads",
    "dill.load",
    "dill.loads",
    "shelve.open",
    "builtins.__import__",
)
SOURCE_READERS = (
    "inspect.getsource",
    "inspect.getsourcelines",
    "inspect.findsource",
    "inspect.getsourcefile",
    "linecache",
)
DOC_READERS = ("inspect.getdoc", "pydoc")


@dataclass
class Counted:
    """A piece that counts, in the module it stands in."""

    module: ModuleFacts
    piece: Piece
    n_effects_before: int


class Reach:
    """One walk. Add roots, then ``walk()``; the results are in the attributes."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self.closure: dict[str, ModuleFacts | None] = {}
        self.counted: dict[tuple[str, str, int], Counted] = {}
        self.bindings: dict[tuple[str, str], str] = {}
        self.foreign: set[str] = set()
        self.strings: set[tuple[str, str]] = set()
        self.named_by_text: set[str] = set()
        self.docs = False
        self.source = False
        self._attributes: set[str] = set()
        self._patterns: set[tuple[str, str]] = set()
        self._all_members = False
        self._escaped: set[str] = set()
        self._whole: set[str] = set()
        self._whole_project = False
        self._units: set[tuple[str, int]] = set()
        self._members: dict[tuple[str, int, str, int], Piece] = {}
        self._declared: set[tuple[str, int]] = set()
        self._followed: set[tuple[str, Ref, tuple[bool, bool, bool]]] = set()
        self._work: deque[tuple[str, Refs, int]] = deque()
        self._effects_seen: dict[str, bool] = {}

    # roots

    def enter(self, name: str) -> None:
        """Take a module into the import closure, its packages first: what its import runs counts."""
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            self._enter_one(".".join(parts[:length]))

    def reach_name(self, module: str, name: str, *, is_declared: bool = False) -> None:
        """Reach what a module's name stands for. ``is_declared``: a class's subclasses count too."""
        self.enter(module)
        self._resolve(module, ("", name, ()), soft=False, is_declared=is_declared)

    def reach_line(self, module: str, line: int) -> bool:
        """Reach the top-level statement around a line; False where there is none."""
        self.enter(module)
        facts = self.closure.get(module)
        for index, unit in enumerate(facts.units if facts is not None else ()):
            if unit.first_line <= line <= unit.last_line:
                self._reach_unit(module, index)
                return True
        return False

    def reach_whole(self, module: str) -> None:
        """Count all of a module."""
        self.enter(module)
        self._count_whole(module)

    def declare(self, module: str, name: str) -> None:
        """Take the classes that a step's signature names as declared: their subclasses count too."""
        facts = self.closure.get(module)
        pieces = [facts.units[index].piece for index in facts.unit_bindings.get(name, ())] if facts is not None else []
        for piece in pieces:
            for ref in sorted(piece.signature.names | piece.signature.soft):
                self._resolve(module, ref, soft=True, is_declared=True)

    def walk(self) -> None:
        """Follow everything until nothing new is found."""
        while True:
            while self._work:
                module, refs, index = self._work.popleft()
                self._follow(module, refs)
                if "own class" in refs.flags:
                    self._reach_unit(module, index)
                    self._declared.add((module, index))
            if not self._late_classes():
                return

    # following

    def _follow(self, module: str, refs: Refs) -> None:
        for name in sorted(refs.imports):
            self._run_import(name)
        for ref in sorted(refs.names):
            self._resolve(module, ref, soft=False)
        for ref in sorted(refs.soft):
            self._resolve(module, ref, soft=True)
        for ref in sorted(refs.opened):
            self._resolve(module, ref, soft=True, opened=True)
        self.strings.update((module, text) for text in refs.strings)
        for text in sorted(refs.strings):
            if DOTTED.fullmatch(text):
                self._follow_text(text)
        for name in sorted(refs.attributes - self._attributes):
            self._attributes.add(name)
            self._match_attribute(name)
        for pattern in sorted(refs.patterns - self._patterns):
            self._patterns.add(pattern)
            for known in list(self.closure):
                self._match_pattern(known, pattern)
            for known in list(self._escaped):
                self._match_names(known, pattern)
        if "members" in refs.flags:
            self._count_all_members()
        self.docs = self.docs or "docs" in refs.flags

    def _follow_text(self, text: str) -> None:
        """Follow a text such as ``app.models.Net``, by which a library may import what it names."""
        parts = text.replace(":", ".").split(".")
        if self.modules.place(parts[0]) is None:
            return
        length = 1
        while length < len(parts) and self.modules.place(".".join(parts[: length + 1])) is not None:
            length += 1
        module, rest = ".".join(parts[:length]), parts[length:]
        if rest:
            self._resolve(module, ("", rest[0], tuple(rest[1:])), soft=True)
        elif length > 1:
            self.reach_whole(module)
            self.named_by_text.add(module)

    def _run_import(self, name: str) -> None:
        module, _, member = name.partition(":")
        if not module:
            return
        self.enter(module)
        if member and self.modules.place(module) is not None:
            submodule = f"{module}.{member}"
            facts = self.closure.get(module)
            defined = facts is not None and (member in facts.unit_bindings or member in facts.import_bindings)
            if not defined and self.modules.place(submodule) is not None:
                self.enter(submodule)

    def _enter_one(self, name: str) -> None:
        if name in self.closure:
            return
        place = self.modules.place(name)
        if place is None:
            if name.partition(".")[0] not in STANDARD_LIBRARY:
                self.foreign.add(name)
            return
        facts = self.modules.facts(name)
        self.closure[name] = facts
        if facts is None:
            return
        for line in facts.imports:
            for module in line.modules:
                self._run_import(module)
        for index in sorted(self.modules.effects.of(name)):
            self._reach_unit(name, index)
        self._match_known(name, facts)

    def _match_known(self, name: str, facts: ModuleFacts) -> None:
        """Match what was asked of unknown receivers so far against a module that has come in."""
        if self._all_members:
            self._classes_of(name, facts)
        for attribute in sorted(self._attributes & facts.member_index.keys()):
            self._match_members(name, facts, attribute)
        for pattern in sorted(self._patterns):
            self._match_pattern(name, pattern)
        if self._whole_project:
            self._count_whole(name)

    # resolving

    def _resolve(self, module: str, ref: Ref, *, soft: bool, opened: bool = False, is_declared: bool = False) -> None:
        key = (module, ref, (soft, opened, is_declared))
        if key in self._followed:
            return
        self._followed.add(key)
        named, name, path = ref
        stack = [(named or module, name, path)]
        seen: set[tuple[str, str, tuple[str, ...]]] = set()
        while stack:
            step = stack.pop()
            if step in seen:
                continue
            seen.add(step)
            # Only a name that the code itself reads may be put into its module from outside unseen. An attribute that
            # a module doesn't define was put there by a statement that counts, or isn't there.
            is_soft = soft or bool(named) or len(seen) > 1
            stack.extend(self._look_up(*step, soft=is_soft, opened=opened, is_declared=is_declared))

    def _look_up(
        self, module: str, name: str, path: tuple[str, ...], *, soft: bool, opened: bool, is_declared: bool
    ) -> list[tuple[str, str, tuple[str, ...]]]:
        """Take one step from a name towards what it stands for; give the next steps."""
        self.enter(module)
        if self.modules.place(module) is None:
            self._foreign_use(module, name, path)
            return []
        if not name:
            if path:
                return [(module, path[0], path[1:])]
            self._escape(module, opened=opened)
            return []
        facts = self.closure.get(module)
        found = self._bound(module, facts, name, path, opened=opened, is_declared=is_declared)
        if found is not None:
            return found
        submodule = f"{module}.{name}"
        if self.modules.place(submodule) is not None:
            self.enter(submodule)
            return [(submodule, "", path)]
        return self._unbound(module, facts, name, path, soft=soft)

    def _bound(
        self,
        module: str,
        facts: ModuleFacts | None,
        name: str,
        path: tuple[str, ...],
        *,
        opened: bool,
        is_declared: bool,
    ) -> list[tuple[str, str, tuple[str, ...]]] | None:
        if facts is None:
            return None
        units = facts.unit_bindings.get(name, [])
        targets = facts.import_bindings.get(name, [])
        for index in units:
            self._reach_unit(module, index)
            unit = facts.units[index]
            rest = path[1:] if path and unit.is_class and path[0] in unit.members else path
            self._ask(rest)
            if is_declared and unit.is_class:
                self._declared.add((module, index))
            if opened and not unit.is_class:
                self._count_all_members()
        if not units and not targets:
            return None
        stars = [(star, line) for star, line in facts.stars if self._may_have(star, name)]
        if targets or stars:
            later = [f"{star} {line > facts.units[index].first_line}" for star, line in stars for index in units]
            self.bindings[module, name] = sha256(*(f"{source}:{target}" for source, target in targets), *later)
        for source, target in targets:
            self._run_import(f"{source}:{target}" if target else source)
        return [(source, target, path) for source, target in targets] + self._starred(stars, name, path)

    def _unbound(
        self, module: str, facts: ModuleFacts | None, name: str, path: tuple[str, ...], *, soft: bool
    ) -> list[tuple[str, str, tuple[str, ...]]]:
        """Look a name up where no statement of the module binds it: stars, builtins, ``global`` in a function."""
        if facts is None:
            return []
        stars = [star for star, _ in facts.stars if self._may_have(star, name)]
        if stars:
            self.bindings[module, name] = sha256(*stars)
            return self._starred([(star, 0) for star in stars], name, path)
        if name in facts.global_writers:
            for index in facts.global_writers[name]:
                self._reach_unit(module, index)
            self._ask(path)
            return []
        if "__getattr__" in facts.unit_bindings:
            for index in facts.unit_bindings["__getattr__"]:
                self._reach_unit(module, index)
        if name == "__doc__":
            self.docs = True
        elif name in MODULE_NAMES:
            pass
        elif hasattr(builtins, name):
            if name in WHOLE_MODULE:
                self._count_whole(module)
            elif name == "__import__":
                self._count_project()
        elif not soft:
            self._count_whole(module)
        return []

    def _starred(
        self, stars: Iterable[tuple[str, int]], name: str, path: tuple[str, ...]
    ) -> list[tuple[str, str, tuple[str, ...]]]:
        """Look a name up in modules that are imported with a star; ``__all__`` says what that brings."""
        found: list[tuple[str, str, tuple[str, ...]]] = []
        for star, _ in stars:
            found += [(star, name, path), (star, "__all__", ())]
        return found

    def _may_have(self, star: str, name: str) -> bool:
        """Say whether ``from star import *`` may bring a name; a foreign module may bring any but a builtin's."""
        stack, seen = [star], set()
        while stack:
            module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            if self.modules.place(module) is None:
                if not hasattr(builtins, name) and name not in MODULE_NAMES:
                    return True
                continue
            facts = self.modules.facts(module)
            if facts is None or name in facts.unit_bindings or name in facts.import_bindings:
                return True
            if self.modules.place(f"{module}.{name}") is not None:
                return True
            stack.extend(deeper for deeper, _ in facts.stars)
        return False

    def _foreign_use(self, module: str, name: str, path: tuple[str, ...]) -> None:
        dotted = ".".join(part for part in (module, name, *path) if part)
        if _matches(dotted, WHOLE_PROJECT):
            self._count_project()
        if _matches(dotted, SOURCE_READERS):
            self.source = True
        if _matches(dotted, DOC_READERS):
            self.docs = True
        if module.partition(".")[0] not in STANDARD_LIBRARY and name:
            self.foreign.add(f"{module}.{name}")

    # counting

    def _reach_unit(self, module: str, index: int) -> None:
        if (module, index) in self._units:
            return
        self._units.add((module, index))
        facts = self.closure[module]
        if facts is None:
            return
        unit = facts.units[index]
        self.counted[module, unit.piece.label, index] = Counted(
            facts, unit.piece, self._n_effects_before(module, index) if unit.evaluates else 0
        )
        self._work.append((module, unit.piece.refs, index))

    def _n_effects_before(self, module: str, index: int) -> int:
        return sum(effect < index for effect in self.modules.effects.of(module))

    def _ask(self, path: tuple[str, ...]) -> None:
        """Ask for attributes of something that is known only by where it was made."""
        if path:
            self._work.append(("", Refs(attributes=set(path)), -1))

    def _match_attribute(self, name: str) -> None:
        for module, facts in list(self.closure.items()):
            if facts is not None and name in facts.member_index:
                self._match_members(module, facts, name)
        for module in list(self._escaped):
            self._resolve(module, ("", name, ()), soft=True)

    def _match_members(self, module: str, facts: ModuleFacts, name: str) -> None:
        for number, (index, piece) in enumerate(facts.member_index[name]):
            key = (module, index, piece.label, number)
            if key not in self._members and (module, index) not in self._units:
                self._members[key] = piece
                self._work.append((module, piece.refs, index))

    def _match_pattern(self, module: str, pattern: tuple[str, str]) -> None:
        facts = self.closure.get(module)
        prefix, suffix = pattern
        for name in sorted(facts.member_index) if facts is not None else ():
            if facts is not None and name.startswith(prefix) and name.endswith(suffix):
                self._match_members(module, facts, name)

    def _match_names(self, module: str, pattern: tuple[str, str]) -> None:
        facts = self.closure.get(module)
        prefix, suffix = pattern
        for name in sorted({**facts.unit_bindings, **facts.import_bindings}) if facts is not None else ():
            if name.startswith(prefix) and name.endswith(suffix):
                self._resolve(module, ("", name, ()), soft=True)

    def _escape(self, module: str, *, opened: bool) -> None:
        """A module that is used as a value may be asked for anything."""
        if opened:
            self._count_whole(module)
        if module in self._escaped:
            return
        self._escaped.add(module)
        for name in sorted(self._attributes):
            self._resolve(module, ("", name, ()), soft=True)
        for pattern in sorted(self._patterns):
            self._match_names(module, pattern)
        if self._all_members:
            self._count_whole(module)

    def _count_whole(self, module: str) -> None:
        if module in self._whole or module not in self.closure:
            return
        self._whole.add(module)
        facts = self.closure[module]
        for index in range(len(facts.units) if facts is not None else 0):
            self._reach_unit(module, index)
        for name in sorted(facts.import_bindings) if facts is not None else ():
            self._resolve(module, ("", name, ()), soft=True)

    def _count_project(self) -> None:
        if self._whole_project:
            return
        self._whole_project = True
        for name in self.modules.every_module():
            self.enter(name)
        for name in list(self.closure):
            self._count_whole(name)

    def _count_all_members(self) -> None:
        if self._all_members:
            return
        self._all_members = True
        for module, facts in list(self.closure.items()):
            if facts is not None:
                self._classes_of(module, facts)
        for module in list(self._escaped):
            self._count_whole(module)

    def _classes_of(self, module: str, facts: ModuleFacts) -> None:
        for index, unit in enumerate(facts.units):
            if unit.is_class or unit.members:
                self._reach_unit(module, index)

    def _late_classes(self) -> bool:
        """Reach the heirs of declared classes."""
        before = len(self._units)
        for module, facts in list(self.closure.items()):
            for index, unit in enumerate(facts.units if facts is not None else ()):
                is_heir = bool(unit.bases) and (module, index) not in self._declared
                if is_heir and self.modules.effects.ancestors(module, unit) & self._declared:
                    self._declared.add((module, index))
                    self._reach_unit(module, index)
        return len(self._units) > before or bool(self._work)

    # results

    def members(self) -> list[tuple[ModuleFacts, Piece]]:
        """Give the class members that count though their classes don't."""
        found = []
        for (module, index, _, _), piece in self._members.items():
            facts = self.closure[module]
            if facts is not None and (module, index) not in self._units:
                found.append((facts, piece))
        return found

    def has_effects(self, name: str) -> bool:
        """Say whether importing a module may do more than define, itself or through what it imports."""
        stack, seen = [name], set()
        while stack:
            module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            facts = self.closure.get(module)
            if facts is None:
                continue
            if self.modules.effects.of(module):
                return True
            stack.extend(target.partition(":")[0] for line in facts.imports for target in line.modules)
            stack.extend(target.replace(":", ".") for line in facts.imports for target in line.modules)
        return False


def _matches(dotted: str, names: Iterable[str]) -> bool:
    return any(dotted == name or dotted.startswith(name + ".") for name in names)
