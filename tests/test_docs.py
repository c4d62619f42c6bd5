"""The code in README.md and docs/ runs, and the small tools that look after the pages do what they say."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import check_house
import check_links
import docs_code
import project_files
import pytest

from headrace.engine import settings
from headrace.formats.known import KNOWN_FORMATS

LONG = ("own-table.md",)
"""Pages whose commands train for half a minute: `make prove` runs these."""


def marks(page: Path) -> list[pytest.MarkDecorator]:
    """The README runs with the other tests; the other pages, some minutes of work, have a command of their own."""
    if page.name == "README.md" and page.parent == docs_code.ROOT:
        return []
    return [pytest.mark.prove if page.name in LONG else pytest.mark.pages]


PAGES = [pytest.param(page, marks=marks(page)) for page in docs_code.pages()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(docs_code.ROOT).as_posix())
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    n_blocks = sum(block.is_run for block in docs_code.blocks_of(page))

    assert docs_code.run_page(page, tmp_path) == n_blocks


def written(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_a_page_is_files_then_commands_then_one_script(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        "# Page\n```python\n# shop/sums.py\ndef double(x: int) -> int:\n    return 2 * x\n```\n"
        "```console\n$ python -c 'from shop.sums import double; print(double(4))' > out.txt\nignored\n```\n"
        "```python\nfrom shop.sums import double\n\nsmall = double(2)\n```\n"
        "```python\nassert small == 4\nassert open('out.txt').read() == '8\\n'\n```\n"
        "```python no-run\nraise SystemExit(1)\n```\n",
    )
    project = tmp_path / "project"
    project.mkdir()

    assert docs_code.run_page(page, project) == 4


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("```python\nassert 1 == 2\n```\n", "AssertionError"),
        ("```python no-run\nassert 1 ==\n```\n", "page.md:3: invalid syntax"),
        ("```console\n$ false\n```\n", "'false' ended with 1"),
    ],
)
def test_a_page_that_does_not_hold(tmp_path: Path, block: str, words: str) -> None:
    with pytest.raises(docs_code.BlockError, match=words):
        docs_code.run_page(written(tmp_path, "# Page\n" + block), tmp_path)


def test_types_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    page = written(tmp_path, "```python\nx: int = 'one'\n```\n")

    with pytest.raises(docs_code.BlockError, match="Incompatible types in assignment"):
        docs_code.check_types(page, tmp_path / "project")


def test_the_settings_are_in_the_reference() -> None:
    page = (docs_code.ROOT / "docs/reference/cli.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page.split("## Settings")[1], re.MULTILINE)) == set(settings.KNOWN)


def test_the_words_of_the_command_line_are_in_the_reference() -> None:
    page = (docs_code.ROOT / "docs/reference/cli.md").read_text()
    help_text = subprocess.run(
        [sys.executable, "-m", "headrace.cli.main", "--help"], capture_output=True, text=True, check=True
    ).stdout

    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    words = re.findall(r"^  (\w+)  ", help_text, re.MULTILINE)

    assert len(words) > 5
    assert set(words) <= {word for heading in headings for word in heading.split(", ")}


def test_the_formats_are_in_the_reference() -> None:
    page = (docs_code.ROOT / "docs/reference/formats.md").read_text()
    named = {name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}

    assert named | {"svg"} == {known.name for known in KNOWN_FORMATS}


def test_every_dependency_is_explained_where_it_is_used() -> None:
    project = tomllib.loads((docs_code.ROOT / "pyproject.toml").read_text())["project"]
    stated = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[<>=!]", requirement)[0] for requirement in stated}
    page = (docs_code.ROOT / "docs/dependencies.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*\| `(src/[^`]+)` \|$", page, re.MULTILINE))

    assert set(rows) == names
    assert [place for place in rows.values() if not (docs_code.ROOT / place).exists()] == []


@pytest.mark.skipif(not shutil.which("git"), reason="git is not on this machine")
def test_project_files_are_what_git_would_add(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "a.py").write_text("")
    (tmp_path / "a.log").write_text("")

    assert [path.name for path in project_files.project_files(tmp_path)] == [".gitignore", "a.py"]


def test_project_files_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for name in ("src/a.py", ".ci/run", ".venv/b.py", "src/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    assert project_files.project_files(tmp_path) == [tmp_path / ".ci/run", tmp_path / "src/a.py"]


def test_dead_links(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two words, `code` here\n\n## Again\n\n## Again\n")
    written(
        tmp_path,
        "[a](other.md) [b](other.md#two-words-code-here) [c](other.md#again-1) [d](https://example.org/none)\n"
        "[e](missing.md) `[f](code.md)`\n\n```\n[g](fenced.md)\n```\n[h](other.md#again-2)\n",
    )

    assert list(check_links.dead_links(tmp_path)) == [
        "page.md:2: 'missing.md' leads to no file",
        "page.md:7: 'other.md#again-2' leads to no heading of other.md",
    ]


def test_house_rules(tmp_path: Path) -> None:
    # The forbidden texts are put together here, so that this file passes the rules itself.
    host, folder = "pypi" + ".org", "/" + "home/ann"
    body = "".join(f"    x{i} = {i}\n" for i in range(91))
    (tmp_path / "a.py").write_text(
        f"INDEX = 'https://{host}/simple'\nHERE = '{folder}'\n\ndef long():\n{body}\n"
        f"def wide({', '.join(f'a{i}' for i in range(11))}):\n    global HERE\n"
        f"@pipeline\ndef settings({', '.join(f'a{i}' for i in range(11))}):\n    return a1\n"
    )
    (tmp_path / "uv.lock").write_text("")
    files = project_files.project_files(tmp_path)
    found = [
        f"{path.name}:{line}: {what}" for path in files for line, what in check_house.file_findings(path, path.name)
    ]

    assert sorted(found) == sorted(
        [
            "a.py:1: names a package registry",
            "a.py:2: holds a path of one machine",
            "a.py:4: long has 91 lines, 90 at most",
            "a.py:97: wide takes 11 parameters, 10 at most",
            "a.py:98: module state: global HERE",
            "uv.lock:1: records registry hosts; pins live in the constraints files",
        ]
    )
