"""Settings: an option, else the environment, else ``[tool.headrace]`` in the project's file, else a default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import ProjectError, near_miss

KNOWN = {
    "store": "a folder or URL; .headrace in the project by default",
    "pipeline": "what `headrace run` runs when none is named",
    "backends": "a table for each backend of `headrace compile`, with its own settings",
    "workers": "how many steps run at once; the number of processors by default",
    "table_engine": "polars or duckdb",
    "feature_store": "where features are served from: online, a URL, and password, the variable that holds it",
    "sample": "a table: what `headrace run --sample` goes by (key, stratify, seed)",
    "preload": "modules that the fork server imports before the first step",
    "mlflow_tracking_uri": "where finished runs are mirrored to",
    "mlflow_experiment": "the experiment that they are mirrored into",
    "prometheus_directory": "where a file of metrics is written for node_exporter's textfile collector",
    "notify": "whom to tell of failures, retries, rejections and recoveries, and how",
    "listeners": "listeners of other packages that are told of runs, by name",
    "listener_seconds": "how long a run waits for its listeners at its end; 10 by default",
}


def read_settings(root: Path) -> Mapping[str, Any]:
    """The table ``[tool.headrace]`` of the project's ``pyproject.toml``; empty when there is none.

    Raises `ProjectError` when the file is not TOML, or names a setting that there is not.
    """
    file = root / "pyproject.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return {}
    if "headrace" not in text:
        return {}
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("headrace", {})
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{str(file)!r} is not TOML: {error}", hint="mend the file") from error
    for name in table:
        if name not in KNOWN:
            raise ProjectError(
                f"There is no setting {name!r} in [tool.headrace]", where=str(file), hint=near_miss(name, KNOWN)
            )
    return dict(table)


def setting(name: str, option: Any, settings: Mapping[str, Any], default: Any = None) -> Any:
    """One setting, in the order in which they are looked for."""
    if option is not None:
        return option
    from_environment = os.environ.get(f"HEADRACE_{name.upper()}")
    if from_environment:
        return from_environment
    return settings.get(name, default)


def store_place(option: str | None, root: Path, settings: Mapping[str, Any]) -> str:
    """Where the store is: as an option relative to where one stands, else relative to the project."""
    place = str(setting("store", option, settings, ".headrace"))
    if "://" in place:
        return place
    base = Path.cwd() if option is not None else root
    return str((base / place).resolve())


def worker_count(option: int | None, settings: Mapping[str, Any]) -> int:
    """How many steps may run at once. Raises `ProjectError` for less than one."""
    given = setting("workers", option, settings)
    if given is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        count = int(given)
    except ValueError:
        count = 0
    if count < 1:
        raise ProjectError(f"workers >= 1 must hold, but got workers={given!r}", hint="give a whole number")
    return count
