"""Other ways to key a step's code, held to the same corpus: each of them must fail it."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from tests.prove.corpus.edits import Edit
from tests.prove.corpus.harness import DEFAULTS, FLOW, Values

Key = Callable[[str, Path], str]
"""Give a step's key from its name and the project's folder."""


def always_hit(step: str, root: Path) -> str:
    """The name alone: existence is enough."""
    return step


def body_only(step: str, root: Path) -> str:
    """The step's own function, comments and layout left out."""
    try:
        tree = ast.parse((root / "shop" / "steps.py").read_bytes())
    except SyntaxError:
        return "none"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == step:
            return _sha(ast.dump(node).encode())
    return "none"


def whole_project(step: str, root: Path) -> str:
    """Every file of the project."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return _sha(*(part for path in files for part in (str(path.relative_to(root)).encode(), path.read_bytes())))


STRATEGIES: dict[str, Key] = {"always-hit": always_hit, "body-only": body_only, "whole-project": whole_project}


def keys_of(strategy: Key, root: Path) -> dict[str, str]:
    """Give all steps' keys as the project stands."""
    return {step: strategy(step, root) for step in FLOW}


def simulated(
    strategy: Key, edit: Edit, before: dict[str, str], now: dict[str, str], base: Values, truth: Values
) -> tuple[Values, set[str]]:
    """Give what a run with such keys gives on a store of the time before: ``(outputs, hits)``.

    A key is the strategy's, the parameters' values and the inputs' digests; always-hit has none of them.
    """
    parameters = {**DEFAULTS, **edit.parameters}
    values: Values = {}
    hits: set[str] = set()
    for step, (inputs, names) in FLOW.items():
        same_inputs = all(values[name] == base[name] for name in inputs)
        same_values = all(parameters[name] == DEFAULTS[name] for name in names)
        is_hit = before[step] == now[step] and (strategy is always_hit or (same_inputs and same_values))
        values[step] = base[step] if is_hit else truth[step]
        if is_hit:
            hits.add(step)
    return values, hits


def _sha(*parts: bytes) -> str:
    return hashlib.sha256(json.dumps([hashlib.sha256(part).hexdigest() for part in parts]).encode()).hexdigest()
