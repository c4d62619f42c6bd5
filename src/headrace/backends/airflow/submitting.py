"""Puts a DAG file into Airflow's DAG folder."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from headrace.backends.deployment import BackendError

MARK = "# Pipeline "
"""How a file begins that was compiled."""


def dag_folder(place: str | None) -> Path:
    """The DAG folder: the one that is named, else that of Airflow's own settings in the environment."""
    if place is not None:
        folder = Path(place)
    elif named := os.environ.get("AIRFLOW__CORE__DAGS_FOLDER"):
        folder = Path(named)
    elif home := os.environ.get("AIRFLOW_HOME"):
        folder = Path(home, "dags")
    else:
        raise BackendError(
            "It isn't known where Airflow's DAG folder is",
            hint="name it: --submit --to FOLDER; or set AIRFLOW_HOME",
        )
    if not folder.is_dir():
        raise BackendError(
            f"There is no DAG folder at {str(folder)!r}", hint="`airflow config get-value core dags_folder` prints it"
        )
    return folder


def put(source: Path, folder: Path) -> Iterator[str]:
    """Copy a file whole at once, unless it is there. Raises `BackendError` where another hand's file has its name."""
    target = folder / source.name
    text = source.read_text(encoding="utf-8")
    before = target.read_text(encoding="utf-8") if target.exists() else None
    if before == text:
        yield f"{target}: is there already"
        return
    if before is not None and not before.startswith(MARK):
        raise BackendError(
            f"{str(target)!r} was not made by headrace compile, and is left as it is",
            hint="rename it, or give this DAG another name: --set dag_id=NAME",
        )
    # Airflow looks for files that end in .py, so it doesn't see this one.
    aside = folder / f".{source.name}.{os.getpid()}"
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise BackendError(f"{str(target)!r} cannot be written: {error.strerror}") from error
    yield f"{target}: new" if before is None else f"{target}: replaced, {_differences(before, text)}"


def _differences(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    n_gone, n_new = (sum(line.startswith(sign) for line in lines) for sign in "-+")
    return f"{n_new} lines new and {n_gone} gone"
