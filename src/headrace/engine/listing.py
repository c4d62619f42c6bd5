"""Which pipelines a project has, by its source alone: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from headrace.core.project import Project


def import_roots(root: Path) -> tuple[str, ...]:
    """Give the folders in which a project's modules are looked for."""
    source = root / "src"
    return (str(source), str(root)) if source.is_dir() else (str(root),)


def named_pipelines(root: Path) -> Iterator[tuple[str, str, str]]:
    """Give the project's pipelines, tests' left out: each one's own name, its module, and what it is called there."""
    places = [Path(place).relative_to(root).as_posix().rstrip(".") for place in import_roots(root)]
    for name in Project(root).files(suffix=".py"):
        if name.partition("/")[0] in ("tests", "test"):
            continue
        place = next(place for place in places if not place or name.startswith(f"{place}/"))
        parts = name.removeprefix(f"{place}/" if place else "").removesuffix(".py").split("/")
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield from ((own, module, attribute) for own, attribute in pipelines_in(root / name))


def pipelines_in(file: Path) -> list[tuple[str, str]]:
    """Give the pipelines that a module defines at its top: each one's own name, and what it is called there.

    A file that isn't there, or isn't Python, has none.
    """
    try:
        source = file.read_text(encoding="utf-8")
        if "pipeline" not in source:
            return []
        tree = ast.parse(source)
    except (OSError, ValueError, SyntaxError):
        return []
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return [(name, node.name) for node in functions if (name := _pipeline_name(node)) is not None]


def _pipeline_name(function: ast.FunctionDef) -> str | None:
    """Give the name of the pipeline that a function is; None where it is none."""
    for marked in function.decorator_list:
        called = marked.func if isinstance(marked, ast.Call) else marked
        what = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        if what != "pipeline":
            continue
        keywords = marked.keywords if isinstance(marked, ast.Call) else []
        given = [word.value.value for word in keywords if word.arg == "name" and isinstance(word.value, ast.Constant)]
        return str(given[0]) if given and given[0] is not None else function.name
    return None


def parameters_of(paths: Iterable[str], module: str) -> list[tuple[str, str]]:
    """Give the parameters of the pipelines in a module, each with its annotation as it is written."""
    places = [Path(path, *module.split(".")) for path in paths]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return []
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _pipeline_name(node) is not None]
    return [
        (parameter.arg, ast.unparse(parameter.annotation) if parameter.annotation else "")
        for function in functions
        for parameter in (*function.args.args, *function.args.kwonlyargs)
    ]
