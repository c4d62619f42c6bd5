"""The code in README.md and docs/: find it, check its types, run it.

Rules for a page's code blocks:

* ```` ```python ```` whose first line is a comment with a file name (``# churn/pipeline.py``) is that file of the
  page's project, written when the page reaches it. The same name again replaces the file.
* Other ```` ```python ```` blocks of a page are one script, run in the project at the end.
* In ```` ```console ```` blocks the lines that start with ``$ `` are run in the project when the page reaches them, and
  must succeed; ``cd FOLDER`` holds for those that follow on the page. The output printed below them is an illustration.
* ``no-run`` after the language leaves a block out. A ``python no-run`` block must still parse.

Usage: docs_code.py types | run [PAGE ...]
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(?P<language>\w+)(?P<options>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"^# (?P<name>[\w./-]+\.\w+)$")
SCRIPT = "_page.py"


class BlockError(Exception):
    """A code block of the docs doesn't hold."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page. `line` is where its text starts."""

    page: Path
    line: int
    language: str
    is_run: bool
    text: str

    @property
    def file_name(self) -> str | None:
        """The file that this block is, if it says so."""
        found = FILE_NAME.match(self.text.split("\n", 1)[0])
        return found["name"] if found else None

    @property
    def commands(self) -> list[str]:
        """The shell commands of a console block."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page whose code must hold."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if "decisions" not in page.parts]


def blocks_of(page: Path) -> list[Block]:
    """The Python and console blocks of one page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, match.start("text")) + 1,
            language=match["language"],
            is_run="no-run" not in match["options"].split(),
            text=match["text"],
        )
        for match in FENCE.finditer(text)
        if match["language"] in {"python", "console"}
    ]


def check_syntax(block: Block) -> None:
    """Raise BlockError where a Python block isn't Python."""
    try:
        ast.parse(block.text)
    except SyntaxError as error:
        raise BlockError(f"{block}: {error.msg} in its line {error.lineno}") from error


def write_file(block: Block, project: Path) -> None:
    """Write a named block into the project, with the packages that its path goes through."""
    target = project / (block.file_name or "")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(block.text, encoding="utf-8")


def write_script(blocks: list[Block], project: Path) -> Path | None:
    """The page's unnamed Python blocks as one script; None if there is none."""
    texts = [block.text for block in blocks if block.language == "python" and block.is_run and not block.file_name]
    if not texts:
        return None
    script = project / SCRIPT
    script.write_text("\n\n".join(texts), encoding="utf-8")
    return script


def run_command(command: str, project: Path, where: object) -> None:
    """Run one command in the project, with this environment's scripts first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise BlockError(f"{where}: {command!r} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def run_page(page: Path, project: Path) -> int:
    """Carry out a page's blocks in an empty project folder. Returns how many blocks were run."""
    blocks = blocks_of(page)
    folder = project
    for block in blocks:
        if block.language == "python":
            check_syntax(block)
        if not block.is_run:
            continue
        if block.language == "console":
            for command in block.commands:
                if command.startswith("cd "):
                    folder = folder / command.removeprefix("cd ")
                else:
                    run_command(command, folder, block)
        elif block.file_name:
            write_file(block, project)
    if write_script(blocks, project):
        run_command(f"python {SCRIPT}", project, page)
    return sum(block.is_run for block in blocks)


def check_types(page: Path, project: Path) -> None:
    """Raise BlockError unless mypy --strict is content with the page's files and script."""
    blocks = [block for block in blocks_of(page) if block.language == "python" and block.is_run]
    for block in blocks:
        check_syntax(block)
        if block.file_name:
            write_file(block, project)
    write_script(blocks, project)
    if not blocks:
        return
    cache = ROOT / ".mypy_cache"
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(cache),
        ".",
    ]
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BlockError(f"{page}: types\n{done.stdout}{done.stderr}")


def failures(action: str, chosen: list[Path]) -> Iterator[str]:
    """What doesn't hold, page by page."""
    for page in chosen:
        with tempfile.TemporaryDirectory(prefix="headrace-docs-") as folder:
            try:
                check_types(page, Path(folder)) if action == "types" else run_page(page, Path(folder))
            except BlockError as error:
                yield str(error)


def main(arguments: list[str]) -> int:
    """Check or run the pages; 1 if any fails."""
    action, *names = arguments or ["run"]
    if action not in {"types", "run"}:
        raise SystemExit(__doc__)
    chosen = [Path(name).resolve() for name in names] or pages()
    found = list(failures(action, chosen))
    print("\n".join(found) or f"docs: {len(chosen)} pages hold ({action})")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
