"""All edits of the project: source by operators at every site, data files, environment, parameters, packages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tests.prove.corpus.edits import Edit
from tests.prove.corpus.neutral import neutral_changes
from tests.prove.corpus.operators import Source, changes

UNREACHED = ("shop/unrelated.py",)


def counting_edits(root: Path) -> list[Edit]:
    """Edits that should change an output; whether each does is found by running."""
    found = [edit for path in sources(root) for edit in _source_edits(root, path)]
    return [*found, *_data_edits(root), *_environment_edits(), *_parameter_edits(), *_package_edits(root)]


def neutral_edits(root: Path) -> list[Edit]:
    """Edits that should change nothing."""
    found = []
    for path in sources(root):
        source = Source((root / path).read_bytes())
        for change in neutral_changes(source):
            place = f"{path}:{change[1]}"
            found.append(Edit("neutral", change[0], place, {path: source.applied(change)}))
    for change in changes(Source((root / UNREACHED[0]).read_bytes())):
        source = Source((root / UNREACHED[0]).read_bytes())
        place = f"{UNREACHED[0]}:{change[1]}"
        found.append(Edit("neutral", f"unrelated: {change[0]}", place, {UNREACHED[0]: source.applied(change)}))
    return [*found, *_neutral_files()]


def leak_edits() -> list[Edit]:
    """Edits that change an output and can't be seen: the documented boundary."""
    data = "shop/data/"
    return [
        Edit("leak", "native read by a computed path", data + "hidden.raw", {data + "hidden.raw": b"other words\n"}),
        Edit(
            "leak", "size of a file not opened", data + "hidden.sized", {data + "hidden.sized": b"longer than it was\n"}
        ),
        Edit("leak", "existence of a file not opened", data + "hidden.flag", {data + "hidden.flag": b""}),
        Edit("leak", "read by a child process", data + "hidden.child", {data + "hidden.child": b"other child\n"}),
        Edit("leak", "variable read by native code", "SHOP_NATIVE", environment={"SHOP_NATIVE": "set"}),
    ]


def sample(edits: list[Edit], seed: int, n: int) -> list[Edit]:
    """Take ``n`` edits (0: all) in turn from each operator, at random among an operator's sites."""
    chance = random.Random(seed)
    by_operator: dict[str, list[Edit]] = {}
    for edit in sorted(edits, key=lambda edit: (edit.operator, edit.place)):
        by_operator.setdefault(edit.operator, []).append(edit)
    operators = list(by_operator.values())
    chance.shuffle(operators)
    for sites in operators:
        chance.shuffle(sites)
    longest = max(map(len, operators), default=0)
    mixed = [sites[turn] for turn in range(longest) for sites in operators if turn < len(sites)]
    return mixed[:n] if n else mixed


def sources(root: Path) -> list[str]:
    """Name the project's Python files."""
    return sorted(path.relative_to(root).as_posix() for path in root.glob("shop/**/*.py"))


def _source_edits(root: Path, path: str) -> Iterator[Edit]:
    source = Source((root / path).read_bytes())
    if path in UNREACHED or path == "shop/native.py":
        return
    for change in changes(source):
        yield Edit("counting", change[0], f"{path}:{change[1]}", {path: source.applied(change)})


def _data_edits(root: Path) -> Iterator[Edit]:
    read = ["rates.csv", "settings.json", "parts/a.txt", "parts/b.txt"]
    for name in read:
        path = f"shop/data/{name}"
        text = (root / path).read_bytes()
        yield Edit("counting", "data: other digits", path, {path: text.replace(b"0", b"4").replace(b"3", b"8")})
        yield Edit("counting", "data: other words", path, {path: text.replace(b"o", b"u").replace(b"as", b"ir")})
        yield Edit("counting", "data: last line gone", path, {path: b"".join(text.splitlines(keepends=True)[:-1])})
        yield Edit("counting", "data: removed", path, {path: None})
    rates = "shop/data/rates.csv"
    yield Edit("counting", "data: one more line", rates, {rates: (root / rates).read_bytes() + b"toy,0.3\n"})
    yield Edit("counting", "data: new file in a folder", "shop/data/parts", {"shop/data/parts/c.txt": b"three\n"})
    moved = {"shop/data/parts/b.txt": None, "shop/data/parts/d.txt": b"two\n"}
    yield Edit("counting", "data: renamed file", "shop/data/parts", moved)
    yield Edit("counting", "data: file that was missing", "shop/data/extra.txt", {"shop/data/extra.txt": b"here\n"})


def _environment_edits() -> Iterator[Edit]:
    for name, values in {"SHOP_REGION": ["south", ""], "SHOP_DEBUG": ["1", ""], "SHOP_LEVEL": ["6", "5.0"]}.items():
        for value in values:
            yield Edit("counting", "environment", f"{name}={value}", environment={name: value})


def _parameter_edits() -> Iterator[Edit]:
    for name, values in {"rows": [8, 3, 1], "factor": [1.5, 0.0], "depth": [10, 27], "stem": ["nothing"]}.items():
        for value in values:
            yield Edit("counting", "parameter", f"{name}={value}", parameters={name: value})


def _package_edits(root: Path) -> Iterator[Edit]:
    source = (root / "site/tinylib.py").read_bytes()
    changed = source.replace(b"* 2 + 1", b"* 2 + 2")
    record = (root / "site/tinylib-1.0.dist-info/RECORD").read_bytes()
    old, new = "site/tinylib-1.0.dist-info/", "site/tinylib-1.1.dist-info/"
    yield Edit(
        "counting",
        "package: new version",
        "tinylib 1.1",
        {
            "site/tinylib.py": changed,
            old + "RECORD": None,
            old + "METADATA": None,
            new + "RECORD": record.replace(b"1.0", b"1.1").replace(b"ad3c", b"be4d"),
            new + "METADATA": b"Metadata-Version: 2.1\nName: tinylib\nVersion: 1.1\n",
        },
    )
    yield Edit(
        "counting",
        "package: same version, other files",
        "tinylib 1.0",
        {"site/tinylib.py": changed, old + "RECORD": record.replace(b"ad3c", b"be4d")},
    )


def _neutral_files() -> Iterator[Edit]:
    for path, text in {
        "README.md": b"# Said otherwise\n",
        "shop/data/unread.csv": b"other\n",
        "shop/data/new.csv": b"1\n",
        "shop/brand_new.py": b"print('never imported')\n",
        "tests/test_shop.py": b"def test():\n    assert True\n",
        "notes.txt": b"Remember.\n",
        ".editorconfig": b"root = true\n",
    }.items():
        yield Edit("neutral", "file of nobody", path, {path: text})
    for name in ("SHOP_OTHER", "EDITOR", "TERM"):
        yield Edit("neutral", "variable of nobody", name, environment={name: "x"})
