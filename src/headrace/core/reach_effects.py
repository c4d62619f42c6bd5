"""Which top-level statements count wherever their module is imported: a judgement that takes other modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.core.reach_facts import Unit
from headrace.core.reach_names import Ref
from headrace.core.reach_pure import Ask

if TYPE_CHECKING:
    from headrace.core.reach_modules import Modules

Found = tuple[str, int, tuple[str, ...]]
"""``(module, unit, attributes left)``."""


class Effects:
    """Judges each module once."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._known: dict[str, frozenset[int]] = {}
        self._ancestors: dict[int, set[tuple[str, int]]] = {}  # by unit: facts live as long as this

    def of(self, module: str) -> frozenset[int]:
        """Give the indices of a module's units that may do more than bind their names."""
        if module not in self._known:
            facts = self._modules.facts(module)
            units = facts.units if facts is not None else []
            self._known[module] = frozenset(index for index, unit in enumerate(units) if self._is_effect(module, unit))
        return self._known[module]

    def _is_effect(self, module: str, unit: Unit) -> bool:
        if unit.is_effect or (unit.bases and self._registers(module, unit)):
            return True
        return bool(unit.asks) and not self._are_harmless(module, unit.asks)

    def _registers(self, module: str, unit: Unit) -> bool:
        """Say whether a class's bases do something when it is defined, or can't be found."""
        for name, index in self.ancestors(module, unit):
            facts = self._modules.facts(name)
            if facts is not None and facts.units[index].makes_subclass_effects:
                return True
        return any(not self.find(module, ref) for ref in unit.bases)

    def ancestors(self, module: str, unit: Unit) -> set[tuple[str, int]]:
        """Give the units of a class's bases in the project, and of theirs."""
        known = self._ancestors.get(id(unit))
        if known is not None:
            return known
        found: set[tuple[str, int]] = set()
        stack = [(module, ref) for ref in unit.bases]
        while stack:
            where, ref = stack.pop()
            for name, index, _ in self.find(where, ref):
                if (name, index) not in found:
                    found.add((name, index))
                    facts = self._modules.facts(name)
                    if facts is not None:
                        stack.extend((name, base) for base in facts.units[index].bases)
        self._ancestors[id(unit)] = found
        return found

    def find(self, module: str, ref: Ref) -> list[Found]:
        """Find the units that a name stands for, without reaching them; empty where there is none in the project."""
        named, name, path = ref
        stack = [(named or module, name, path)]
        found: list[Found] = []
        seen: set[tuple[str, str, tuple[str, ...]]] = set()
        while stack:
            where, what, rest = stack.pop()
            if (where, what, rest) in seen or self._modules.place(where) is None:
                continue
            seen.add((where, what, rest))
            facts = self._modules.facts(where)
            if not what:
                if rest:
                    stack.append((where, rest[0], rest[1:]))
                continue
            if facts is not None:
                found.extend((where, index, rest) for index in facts.unit_bindings.get(what, ()))
                stack.extend((source, target, rest) for source, target in facts.import_bindings.get(what, ()))
                stack.extend((star, what, rest) for star, _ in facts.stars)
            if self._modules.place(f"{where}.{what}") is not None:
                stack.append((f"{where}.{what}", "", rest))
        return found

    def _are_harmless(self, module: str, asks: tuple[Ask, ...]) -> bool:
        """Say whether all that a statement calls is tame, and all that this calls in turn."""
        stack = [(module, ask) for ask in asks]
        seen: set[tuple[str, Ask]] = set()
        while stack:
            where, ask = stack.pop()
            if (where, ask) in seen:
                continue
            seen.add((where, ask))
            found = self.find(where, ask.ref)
            if not found:
                return False
            for name, index, rest in found:
                facts = self._modules.facts(name)
                more = self._called(name, facts.units[index], ask) if facts is not None and not rest else None
                if more is None:
                    return False
                stack.extend(more)
        return True

    def _called(self, module: str, unit: Unit, ask: Ask) -> list[tuple[str, Ask]] | None:
        """Give what a call rests on in turn; None where it may do more than make a value."""
        if unit.is_effect:
            return None
        if not unit.is_class:
            more = unit.piece.tame(ask.kind)
            return None if more is None else [(module, item) for item in more]
        if ask.kind == "made decorator":
            return None
        rests: list[tuple[str, Ask]] = []
        if any(not self.find(module, ref) for ref in unit.bases):
            return None
        for name, index in [*self.ancestors(module, unit), (module, -1)]:
            facts = self._modules.facts(name)
            kin = unit if index < 0 else facts.units[index] if facts is not None else None
            more = kin.piece.tame("constructor") if kin is not None and not kin.makes_subclass_effects else None
            if kin is None or kin.is_effect or more is None:
                return None
            rests.extend((name, item) for item in more)
        return rests
