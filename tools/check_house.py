"""The house rules that no linter knows: no registry host, no path of one machine, files and functions kept small.

Usage: check_house.py [FOLDER]
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from project_files import ROOT, project_files

MOST_LINES_OF_A_FUNCTION = 90
MOST_LINES_OF_A_FILE = 600
MOST_PARAMETERS = 10
MOST_BYTES = 1 << 20

# Alternatives in groups, so that this file doesn't hold what it looks for.
REGISTRY = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|yarnpkg)\.(?:org|com|io|dev)\b"
    r"|index-url\s*=|\"resolved\":|https?://\S+\.(?:whl|tgz|tar\.gz)\b",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:work/|root/|home/(?!me\b))[\w.]")  # /home/me is nobody's
WRITTEN = "tests/backends/golden/"
"""What a backend wrote: as long as the pipeline is."""
LOCK_FILES = {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"}


def text_findings(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Registry hosts and machine paths, with their lines."""
    for number, line in enumerate(lines, 1):
        if REGISTRY.search(line):
            yield number, "names a package registry"
        if MACHINE_PATH.search(line):
            yield number, "holds a path of one machine"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its first statement after the docstring to its end."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or first.lineno) - first.lineno + 1


def is_pipeline(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Is it a pipeline, whose parameters are what a run can be given?"""
    return any(re.match(r"(?:headrace\.)?pipeline\b", ast.unparse(marked)) for marked in function.decorator_list)


def code_findings(source: str) -> Iterator[tuple[int, str]]:
    """Long functions, long signatures and module state."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Global):
            yield node.lineno, f"module state: global {', '.join(node.names)}"
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        n_lines = body_lines(node)
        n_parameters = len(node.args.posonlyargs) + len(node.args.args) + len(node.args.kwonlyargs)
        if n_lines > MOST_LINES_OF_A_FUNCTION:
            yield node.lineno, f"{node.name} has {n_lines} lines, {MOST_LINES_OF_A_FUNCTION} at most"
        if n_parameters > MOST_PARAMETERS and not is_pipeline(node):
            yield node.lineno, f"{node.name} takes {n_parameters} parameters, {MOST_PARAMETERS} at most"


def file_findings(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """What is to be said of one file."""
    if path.name in LOCK_FILES:
        yield 1, "records registry hosts; pins live in the constraints files"
    elif path.stat().st_size > MOST_BYTES:
        yield 1, f"has {path.stat().st_size} bytes, {MOST_BYTES} at most"
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return
        yield from text_findings(text.splitlines())
        if path.suffix == ".py" and not name.startswith(WRITTEN):
            n_lines = text.count("\n")
            if n_lines > MOST_LINES_OF_A_FILE and not name.startswith("tests/"):
                yield 1, f"has {n_lines} lines, {MOST_LINES_OF_A_FILE} at most"
            yield from code_findings(text)


def main(arguments: list[str]) -> int:
    """Print the findings; 1 if there is any."""
    folder = Path(arguments[0]).resolve() if arguments else ROOT
    files = [(path, path.relative_to(folder).as_posix()) for path in project_files(folder)]
    found = [f"{name}:{line}: {what}" for path, name in files for line, what in file_findings(path, name)]
    print("\n".join(found) or f"house rules: {len(files)} files hold")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
