"""Where a pipeline is: which project, which module, which name in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from headrace.core.errors import ProjectError, near_miss
from headrace.core.pipeline import Pipeline
from headrace.core.project import Project
from headrace.engine.listing import import_roots, named_pipelines, pipelines_in


@dataclass(frozen=True, slots=True)
class Target:
    """A pipeline by its module and name; ``paths`` go first on ``sys.path``. Without a name: the module's only one."""

    root: str
    paths: tuple[str, ...]
    module: str
    attribute: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Target:
        """Read what ``dataclasses.asdict`` wrote."""
        return cls(data["root"], tuple(data["paths"]), data["module"], data["attribute"])

    @property
    def text(self) -> str:
        """The form ``module:pipeline``."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module


def locate(text: str, folder: Path) -> Target:
    """Find what a user named: ``module:pipeline``, ``module``, a pipeline's name, ``path/to/file.py`` or
    ``path/to/file.py:pipeline``.

    Looks at files and imports nothing. A path is relative to ``folder``, and a module or pipeline is looked for in the
    project that ``folder`` is in. Raises `ProjectError` when there is no such file, or several such pipelines.
    """
    place, colon, attribute = text.partition(":")
    if place.endswith(".py") or "/" in place:
        return _target_of_file(Path(folder, place), attribute or None)
    root = Project.find(folder).root
    if not colon and (found := find_named(text, root)) is not None:
        return found
    return Target(str(root), import_roots(root), place, attribute or None)


def find_named(name: str, root: Path) -> Target | None:
    """Find a pipeline of the project by its name alone; None where a module of that name has one, or nothing has.

    Raises `ProjectError` when several modules have a pipeline of that name.
    """
    roots = import_roots(root)
    for place in roots:
        module = Path(place, *name.split("."))
        files = (module.with_suffix(".py"), module / "__init__.py")
        if any(pipelines_in(file) for file in files):
            return None
    found = sorted({f"{module}:{attribute}" for own, module, attribute in named_pipelines(root) if own == name})
    if len(found) > 1:
        raise ProjectError(
            f"{len(found)} modules have a pipeline {name!r}", hint=f"name one of {', '.join(map(repr, found))}"
        )
    if not found:
        return None
    module_name, _, attribute = found[0].partition(":")
    return Target(str(root), roots, module_name, attribute)


def target_of(pipeline: Pipeline[..., Any]) -> Target | None:
    """Where a live pipeline can be found by another process, or None when it cannot (it was made in a function)."""
    module_name = pipeline.function.__module__
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    attribute = next((name for name, value in vars(module).items() if value is pipeline), None) if module else None
    if file is None or attribute is None:
        return None
    path = Path(file).resolve()
    if module_name == "__main__":
        return _target_of_file(path, attribute)
    root = Project.find(path.parent).root
    import_root = path.parents[len(module_name.split(".")) - (0 if path.name == "__init__.py" else 1)]
    return Target(str(root), (str(import_root),), module_name, attribute)


def _target_of_file(path: Path, attribute: str | None) -> Target:
    if not path.is_file():
        there = path.parent.glob("*.py") if path.parent.is_dir() else ()
        raise ProjectError(f"There is no file {str(path)!r}", hint=near_miss(path.name, [item.name for item in there]))
    path = path.resolve()
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__":
        parts.pop()
    if parts and parts[0] in sys.stdlib_module_names:
        raise ProjectError(
            f"{parts[0]!r} is a module of Python's own, which {str(path)!r} would hide from all that need it",
            hint="rename the file or the folder, such as to "
            f"{f'{parts[0]}_pipeline.py' if len(parts) == 1 else f'{parts[0]}_project'}",
        )
    return Target(str(Project.find(path.parent).root), (str(folder),), ".".join(parts), attribute)


def enter(target: Target) -> None:
    """Make this process ready to import the target's modules."""
    for path in reversed(target.paths):
        if path in sys.path:
            sys.path.remove(path)
        sys.path.insert(0, path)
    os.chdir(target.root)


def import_target(target: Target) -> Pipeline[..., Any]:
    """Import the target's module and return the pipeline.

    Raises `ProjectError` when the module is not there or holds no such pipeline; what the module itself raises while it
    is imported goes through.
    """
    from importlib import import_module

    try:
        module = import_module(target.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{target.module}.".startswith(f"{error.name}."):
            raise
        hint = f"looked in {', '.join(target.paths)}; give a file, as in: headrace run path/to/pipeline.py"
        miss = near_miss(target.module, _modules_beside(target))
        if miss is not None and miss.startswith("did you mean"):
            hint = miss
        raise ProjectError(f"There is no module {target.module!r}", hint=hint) from None
    return _pipeline_in(module, target)


def _modules_beside(target: Target) -> Iterator[str]:
    """The modules that lie where the target's would."""
    *parents, _ = target.module.split(".")
    for path in target.paths:
        folder = Path(path, *parents)
        for item in folder.iterdir() if folder.is_dir() else ():
            if item.suffix == ".py" or (item / "__init__.py").is_file():
                yield ".".join([*parents, item.stem])


def _pipeline_in(module: ModuleType, target: Target) -> Pipeline[..., Any]:
    named = {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}
    if target.attribute is not None:
        if target.attribute in named:
            return named[target.attribute]
        by_own_name = {value.name: value for value in named.values()}
        if target.attribute in by_own_name:
            return by_own_name[target.attribute]
        raise ProjectError(
            f"Module {target.module!r} has no pipeline {target.attribute!r}",
            hint=near_miss(target.attribute, named) or "decorate a function with @pipeline",
        )
    own = {name: value for name, value in named.items() if value.function.__module__ == module.__name__}
    chosen = own or named
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    if not chosen:
        raise ProjectError(f"Module {target.module!r} has no pipeline", hint="decorate a function with @pipeline")
    names = ", ".join(repr(f"{target.module}:{name}") for name in sorted(chosen))
    raise ProjectError(f"Module {target.module!r} has {len(chosen)} pipelines", hint=f"name one of {names}")
