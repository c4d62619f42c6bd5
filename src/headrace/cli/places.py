"""Which project, store and pipeline a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import ProjectError, RunError

if TYPE_CHECKING:
    from headrace.engine.target import Target
    from headrace.stores.protocol import Store


def find_pipeline(named: str | None) -> Target:
    """The pipeline that was named, else the default of the environment or of the project.

    Raises `ProjectError` when there is none.
    """
    from headrace.core.project import Project
    from headrace.engine.settings import read_settings, setting
    from headrace.engine.target import locate

    here = Path.cwd()
    if named is not None:
        return locate(named, here)
    root = Project.find(here).root
    chosen = setting("pipeline", None, read_settings(root))
    if chosen is None:
        raise ProjectError(
            "No pipeline was named, and the project has no default",
            where=str(root),
            hint='name one, as in headrace run pipeline.py, or set pipeline = "module:name" in [tool.headrace]',
        )
    return locate(str(chosen), root)


def open_existing_store(named: str | None) -> Store:
    """The store that was named, else that of the environment or project. Raises `RunError` when there is none yet."""
    from headrace.core.project import Project
    from headrace.engine.settings import read_settings, store_place
    from headrace.stores.open import find_store

    root = Project.find(Path.cwd()).root
    chosen = store_place(named, root, read_settings(root))
    store = find_store(chosen)
    if store is None:
        raise RunError(
            f"There is no store at {chosen!r}", hint="run a pipeline first, or name its store: --store PLACE"
        )
    return store
