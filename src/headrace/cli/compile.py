"""``headrace compile``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.parameters import add_date, add_parameters, read_parameters
from headrace.cli.parser import Parser, UsageError, add_json, add_store

if TYPE_CHECKING:
    from headrace.engine.target import Target

DESCRIPTION = """\
Write the files by which an orchestrator carries out a pipeline: one task of its own for each step.

BACKEND is airflow, argo, dagster, kubeflow, prefect, or one of another package; or image, which writes a Dockerfile of
the project and of what is installed here. PIPELINE is as for headrace run. Parameters given here are the defaults of
the runs. Tasks run in the project's own environment, never in the orchestrator's: in place, by its interpreter, or in a
container image."""

IMAGE = "image"


def main(given: Sequence[str]) -> int:
    """Compile a pipeline and return the exit code."""
    arguments = _read(given)
    from headrace.cli.places import find_pipeline

    target = find_pipeline(arguments.pipeline)
    folder = Path(arguments.output)
    made = _image(target, folder) if arguments.backend == IMAGE else _compiled(target, folder, arguments, given)
    if arguments.json:
        sys.stdout.write(json.dumps({"folder": str(folder.resolve()), **made}, indent=2) + "\n")
        return 0
    for name, how in made["files"].items():
        sys.stdout.write(f"{folder / name}: {how}\n")
    for line in made["submitted"]:
        sys.stdout.write(f"{line}\n")
    return 0


def _read(given: Sequence[str]) -> argparse.Namespace:
    parser = Parser("compile", DESCRIPTION)
    parser.add_argument("backend", metavar="BACKEND", help="the orchestrator")
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="what to compile")
    parser.add_argument("-o", dest="output", required=True, metavar="DIR", help="where the files go")
    add_parameters(parser)
    add_date(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--python", metavar="PATH", help="the interpreter that steps run by (else this one)")
    where.add_argument("--image", metavar="NAME@sha256:…", help="the container image that steps run in")
    add_store(parser)
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the backend, before those in [tool.headrace.backends.BACKEND] (may be given again)",
    )
    parser.add_argument(
        "--submit", action="store_true", help="also put the files where the orchestrator looks for them"
    )
    parser.add_argument("--to", metavar="PLACE", help="with --submit: its folder, or the address of its API")
    add_json(parser)
    arguments = parser.read(given)
    if arguments.to is not None and not arguments.submit:
        raise UsageError("headrace compile: --to says where --submit puts the files", hint="add --submit")
    return arguments


def _compiled(target: Target, folder: Path, arguments: argparse.Namespace, given: Sequence[str]) -> dict[str, Any]:
    from headrace.backends.compiling import Wishes, command_line, compile_into, deployment_of, find_backend

    backend = find_backend(arguments.backend)
    wishes = Wishes(
        parameters=read_parameters(arguments.parameters, arguments.params, arguments.date),
        python=arguments.python,
        image=arguments.image,
        store=arguments.store,
        settings=dict(_pair(text) for text in arguments.settings),
        made_by=command_line(["headrace", "compile", *given]),
    )
    deployment = deployment_of(target, backend.name, wishes)
    files = dict(compile_into(backend, deployment, folder, Path(target.root)))
    submitted = list(backend.submit(deployment, folder, arguments.to)) if arguments.submit else []
    nodes = [node.id for node in deployment.plan.nodes]
    return {"files": files, "submitted": submitted, "shape": deployment.shape, "nodes": nodes}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set takes KEY=VALUE, but got {text!r}", hint="as in --set pool=default_pool")
    return name, value


def _image(target: Target, folder: Path) -> dict[str, Any]:
    from headrace.backends.compiling import write_files
    from headrace.backends.image import image_files

    return {"files": dict(write_files(image_files(Path(target.root), folder), folder)), "submitted": []}
