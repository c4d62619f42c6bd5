"""``headrace init``."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.parser import Parser, UsageError, add_json

if TYPE_CHECKING:
    from headrace.templates.project import Project
    from headrace.templates.proposals import Proposal

DESCRIPTION = """\
Make a project: a pipeline, its tests, a README, CI. With a table of your own and the column to predict it goes from raw
rows to a registered model, and `headrace run` works at once; without, it is two steps to begin with.

PROJECT is a new folder's name or path, whose last part names the package too, or `.` for this folder. Nothing is
ever overwritten. Rows are copied into the project's data/, which git ignores; a file of more than 50 MB stays where it
is."""

EPILOG = "An empty name says that there is none, as in --key ''."


def parser() -> Parser:
    """What the command line takes."""
    made = Parser("init", DESCRIPTION, EPILOG)
    made.add_argument("project", metavar="PROJECT", help="the project's folder, or . for this one")
    made.add_argument("--data", metavar="FILE", help="your table: CSV, TSV (also gzipped), Parquet or JSON lines")
    made.add_argument("--target", metavar="COLUMN", help="the column to predict")
    made.add_argument(
        "--template",
        choices=("classification", "regression", "empty"),
        help="what kind of project (else by the target's values; without data, empty)",
    )
    made.add_argument("--key", metavar="COLUMN", help="the column that names a row or what it is about (else proposed)")
    made.add_argument("--time", metavar="COLUMN", help="the column that says when, to split by (else proposed)")
    made.add_argument("--in-place", action="store_true", help="don't copy the table, however small")
    add_json(made)
    return made


def main(given: Sequence[str]) -> int:
    """Make a project and return the exit code."""
    arguments = parser().read(given)
    _check(arguments)
    from headrace.templates.naming import package_name
    from headrace.templates.project import make_project

    folder = Path(arguments.project).resolve()
    package_name(folder.name)  # before a large table is read
    proposal = _proposal(arguments) if arguments.data is not None else None
    project = make_project(folder, proposal, in_place=arguments.in_place)
    if arguments.json:
        import json

        print(json.dumps(_as_json(project, proposal), indent=2))  # noqa: T201
    else:
        print("\n".join(_told(project, proposal)))  # noqa: T201
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that don't go together."""
    if arguments.data is None:
        needless = [name for name in ("target", "key", "time") if getattr(arguments, name) is not None]
        if arguments.template not in (None, "empty"):
            needless.append("template")
        if needless:
            raise UsageError(
                f"headrace init: --{needless[0]} goes with --data", hint="--data FILE --target COLUMN, or neither"
            )
    elif arguments.template == "empty":
        raise UsageError("headrace init: --template empty takes no --data", hint="leave one of them out")


def _proposal(arguments: argparse.Namespace) -> Proposal:
    from headrace.templates.proposals import propose
    from headrace.templates.survey import survey

    table = survey(Path(arguments.data))
    if arguments.target is None:
        listed = ", ".join(repr(name) for name in table.names[:20])
        more = f" and {len(table.names) - 20} more" if len(table.names) > 20 else ""
        raise UsageError(
            "headrace init: --data goes with --target, the column to predict", hint=f"one of {listed}{more}"
        )
    return propose(table, arguments.target, template=arguments.template, key=arguments.key, time=arguments.time)


def _told(project: Project, proposal: Proposal | None) -> Iterator[str]:
    from headrace.cli.columns import table

    if proposal is not None:
        rows = proposal.table
        yield f"{rows.path.name}: {rows.n_rows:,} rows, {len(rows.columns)} columns"
        yield from table(_chosen(proposal, project), indent="  ")
    yield f"made {_shown(project.folder)}: " + ", ".join(project.files)
    yield "Next:"
    yield from (f"  {command}" for command in _next(project))


def _chosen(proposal: Proposal, project: Project) -> Iterator[tuple[str, str, str]]:
    """What was chosen, which column, and why."""
    found = proposal
    positive = f"; a model gives the chance of {found.positive!r}" if found.positive is not None else ""
    yield "target", found.target, f"{found.why_task}: {found.template}{positive}"
    yield "key", found.key.column or "-", found.key.why
    yield "time", found.time.column or "-", found.time.why
    yield "split", found.split, found.why_split
    for item in found.suspicions:
        yield (
            "left out",
            item.column,
            f"{item.why}; if it is known before, see {project.package}/columns.py",
        )
    if found.table.missing:
        yield "missing", "-", f"also spelled {', '.join(map(repr, found.table.missing))}"
    if found.table.encoding != "utf-8":
        yield "encoding", "-", found.table.encoding
    for note in found.notes:
        yield "note", "-", note
    assert project.data is not None
    yield (
        "data",
        project.data.written,
        project.data.why + ("" if Path(project.data.written).is_absolute() else "; git ignores it"),
    )


def _next(project: Project) -> list[str]:
    here = Path.cwd()
    go = [] if project.folder == here else [f"cd {shlex.quote(_shown(project.folder))}"]
    return [*go, "headrace run"]


def _shown(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def _as_json(project: Project, proposal: Proposal | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "project": str(project.folder),
        "package": project.package,
        "template": proposal.template if proposal else "empty",
        "files": list(project.files),
        "next": _next(project),
    }
    if proposal is None:
        return found
    data = project.data
    assert data is not None
    return found | {
        "data": {"path": data.written, "copied": data.copied_from is not None, "why": data.why},
        "rows": proposal.table.n_rows,
        "columns": {column.name: column.read_as for column in proposal.table.columns},
        "target": {"column": proposal.target, "task": proposal.task, "why": proposal.why_task},
        "positive": proposal.positive,
        "labels": list(proposal.labels),
        "key": {"column": proposal.key.column, "why": proposal.key.why},
        "time": {"column": proposal.time.column, "why": proposal.time.why},
        "split": {"by": proposal.split, "why": proposal.why_split},
        "left_out": proposal.left_out,
        "missing": list(proposal.table.missing),
        "encoding": proposal.table.encoding,
        "notes": list(proposal.notes),
    }
