"""What a fingerprint is made of, how it is written down, and how it says what changed."""

# Sources of test modules stand on one line each.
# ruff: noqa: E501

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.distributions import Distributions
from headrace.core.fingerprint import Fingerprinter, fingerprint, fingerprint_many
from headrace.core.stamps import Stamps
from headrace.core.step_code import Part, StepCode

APP = {
    "app/__init__.py": "",
    "app/text.py": "LIMIT = 3\n\n\ndef clean_names(x):\n    return x[:LIMIT]\n",
    "app/steps.py": "from app.text import clean_names\n\n\ndef work(x):\n    return clean_names(x), open('data/rates.csv')\n",
    "data/rates.csv": "1",
}

names = st.text("ab/:<é", min_size=1, max_size=5)
codes = st.builds(
    StepCode,
    st.dictionaries(names, st.builds(Part, st.text("01", max_size=3), st.integers(0, 99)), max_size=4),
    st.dictionaries(names, st.tuples(names, names), max_size=3),
    st.dictionaries(names, names, max_size=3),
    st.dictionaries(names, names, max_size=3),
)


@given(codes)
def test_json_both_ways(code):
    again = StepCode.from_json(json.loads(json.dumps(code.to_json())))
    assert again == code
    assert again.digest == code.digest


@given(codes, codes)
def test_differences_are_said_exactly_when_digests_differ(one, two):
    assert (one.differences(two) == []) == (one.digest == two.digest)
    assert len(one.differences(two)) == len(two.differences(one))


@given(codes)
def test_lines_and_whole_modules_are_no_part_of_the_digest(code):
    moved = StepCode(
        {label: Part(part.digest, part.line + 7) for label, part in code.parts.items()},
        {**code.modules, "more": ("more.py", "0")},
        code.distributions,
        code.files,
    )
    assert moved.digest == code.digest


def test_parts_are_named_by_file_and_definition(sandbox):
    sandbox.write(APP)
    code = sandbox.code("app.steps:work")
    assert set(code.parts) == {
        "app/steps.py::work",
        "app/steps.py::clean_names",
        "app/text.py::clean_names",
        "app/text.py::LIMIT",
    }
    assert code.parts["app/text.py::clean_names"].line == 4
    assert set(code.files) == {"data/rates.csv"}
    assert code.distributions == {}


def test_names_in_ready_made_steps_are_no_files_of_the_project(sandbox):
    names = ["README.md", "sample_input.csv", "out/estimator.skops", "out/model.json"]
    sandbox.write(APP | dict.fromkeys(names, ""))
    assert sandbox.code("headrace.steps:package").files == {}


def test_the_modules_to_verify_are_the_import_closures(sandbox):
    sandbox.write(APP)
    code = sandbox.code("app.steps:work")
    assert {name: path for name, (path, _) in code.modules.items()} == {
        "app": "app/__init__.py",
        "app.steps": "app/steps.py",
        "app.text": "app/text.py",
    }
    digest = Stamps().digest_file(sandbox.root / "app/text.py")
    assert code.modules["app.text"][1] == digest


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([("app/text.py", "[:LIMIT]", "[LIMIT:]")], ["clean_names in app/text.py:4 changed"]),
        ([("app/text.py", "LIMIT = 3", "LIMIT = 4")], ["LIMIT in app/text.py:1 changed"]),
        ([("data/rates.csv", "1", "2")], ["data/rates.csv changed"]),
        (
            [("app/text.py", "x[:LIMIT]", "more(x)"), ("app/text.py", "LIMIT = 3", "def more(x): return x")],
            ["LIMIT in app/text.py:1 was removed", "clean_names in app/text.py:4 changed", "more in app/text.py:1 was added"],
        ),
        ([("app/text.py", "LIMIT = 3", "import app.extra\nLIMIT = 3")], ["top-level code in app/extra.py:1 was added", ]),
    ],
)  # fmt: skip
def test_a_change_is_said_by_name_and_line(sandbox, edits, said):
    sandbox.write({**APP, "app/extra.py": "print(end='')\n"})
    before = sandbox.code("app.steps:work")
    for edit in edits:
        sandbox.edit(*edit)
    assert before.differences(sandbox.code("app.steps:work")) == said


def test_versions_are_said():
    def code(**distributions):
        return StepCode({}, {}, distributions, {})

    before = code(polars="2.0@aa", numpy="1.0@bb", gone="1@c")
    after = code(polars="2.1@dd", numpy="1.0@ee", new="3@f")
    assert before.differences(after) == [
        "gone 1 was removed",
        "new 3 was added",
        "the installed files of numpy 1.0 changed",
        "polars was 2.0, is 2.1",
    ]


def test_a_closures_change_is_said(sandbox):
    sandbox.write(
        {"steps.py": "def make(rate):\n    def inner(x):\n        return x * rate\n    return inner\nwork = make(3)\n"}
    )
    before = sandbox.code("steps:work")
    assert "closure of make.<locals>.inner: rate" in before.parts
    sandbox.edit("steps.py", "make(3)", "make(4)")
    assert "closure of make.<locals>.inner: rate changed" in before.differences(sandbox.code("steps:work"))


def test_what_a_step_imports_from_libraries_counts_with_what_they_require(sandbox):
    sandbox.write({"steps.py": "def work(x):\n    import sklearn.linear_model\n    return sklearn\n"})
    code = sandbox.code("steps:work")
    assert {"scikit-learn", "scipy", "numpy", "joblib"} <= set(code.distributions)
    assert "headrace" not in code.distributions
    sandbox.edit("steps.py", "import sklearn.linear_model", "sklearn = 1")
    assert sandbox.code("steps:work").distributions == {}


def test_an_upgraded_library_counts(sandbox, tmp_path, monkeypatch):
    site = tmp_path / "lib" / "site-packages"
    for version in ("1.0", "1.1"):
        info = site / f"tinylib-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: tinylib\nVersion: {version}\n")
        (info / "RECORD").write_text(f"tinylib.py,sha256={version},1\n")
    (site / "tinylib.py").write_text("def f(x): return x\n")
    monkeypatch.syspath_prepend(str(site))
    sandbox.write({"steps.py": "import tinylib\ndef work(x):\n    return tinylib.f(x)\n"})
    function = sandbox.load("steps:work")

    def look(version):
        hidden = site / f"tinylib-{'1.1' if version == '1.0' else '1.0'}.dist-info"
        hidden.rename(site / "hidden")
        try:
            return fingerprint(function, sandbox.project, str, Stamps(), distributions=Distributions(None, [str(site)]))
        finally:
            (site / "hidden").rename(hidden)

    assert look("1.0").differences(look("1.1")) == ["tinylib was 1.0, is 1.1"]


def test_the_codec_decides_what_a_captured_value_is(sandbox):
    """A value that the codec refuses counts by what it holds, its class and its class's module."""
    sandbox.write(
        {
            "kinds.py": "class K:\n    def __init__(self, n): self.n = n\n\n\ndef beside(): return 1\n",
            "steps.py": "from kinds import K\ndef make(k):\n    def inner(x):\n        return k\n    return inner\nwork = make(K(1))\n",
        }
    )
    refused = sandbox.code("steps:work")
    assert "kinds.py::beside" in refused.parts
    taken = sandbox.code("steps:work", encode=lambda value: getattr(value, "n", 0))
    assert "kinds.py::K" in taken.parts
    assert "kinds.py::beside" not in taken.parts
    sandbox.edit("steps.py", "K(1)", "K(2)")
    assert sandbox.code("steps:work").digest != refused.digest
    assert sandbox.code("steps:work", encode=lambda value: getattr(value, "n", 0)).digest != taken.digest


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("re.compile('a')", "re.compile('b')"),
        ("re.compile('a')", "re.compile('a', re.I)"),
        ("'-'.join", "'+'.join"),
        ("str.lower", "str.upper"),
        ("numpy.array([1, 2])", "numpy.array([1, 3])"),
        ("[1, {'a': (2, None)}]", "[1, {'a': (2, 0)}]"),
        ("{1, 2}", "{1, 3}"),
        ("datetime.timedelta(1)", "datetime.timedelta(2)"),
        ("Listed([1], 1)", "Listed([1], 2)"),
        ("Listed([1], 1)", "Listed([2], 1)"),
        ("functools.lru_cache(helper)", "functools.lru_cache(other)"),
        ("print", "len"),
        ("int", "float"),
        ("json", "csv"),
    ],
)
def test_captured_values_count_by_what_they_hold(sandbox, one, two):
    """The value alone is told apart: what the source says of it is left out of the comparison."""
    source = (
        "import csv, datetime, functools, json, re, numpy\n"
        "class Listed(list):\n"
        "    def __init__(self, items, n):\n        super().__init__(items)\n        self.n = n\n"
        "def helper(x): return 1\n"
        "def other(x): return 2\n"
        "def make(v):\n    def inner(x): return v\n    return inner\n"
        "work = make(VALUE)\n"
    )
    codes = []
    for value in (one, two, one):
        sandbox.write({"steps.py": source.replace("VALUE", value)})
        parts = sandbox.code("steps:work").parts
        codes.append(
            {label: part.digest for label, part in parts.items() if label.startswith(("closure", "receiver", "["))}
        )
        codes[-1].update({label: part.digest for label, part in parts.items() if " of closure" in label})
        codes[-1].update(
            {label: part.digest for label, part in parts.items() if label.endswith(("::helper", "::other"))}
        )
    assert codes[0] != codes[1]
    assert codes[0] == codes[2]


def test_which_object_is_held_twice_counts(sandbox):
    source = "a, b = [1], [2]\ndef make(p, q, r, s):\n    def inner(x): return p, q, r, s\n    return inner\nwork = make(ORDER)\n"
    found = set()
    for order in ("a, b, a, b", "b, a, a, b", "a, a, a, b", "b, b, a, b"):
        sandbox.write({"steps.py": source.replace("ORDER", order)})
        parts = sandbox.code("steps:work").parts
        found.add(tuple(sorted((label, part.digest) for label, part in parts.items() if "closure" in label)))
    assert len(found) == 4


def test_what_holds_too_much_to_follow_is_a_hit_for_nobody(sandbox):
    sandbox.write(
        {
            "steps.py": "def make(v):\n    def inner(x): return v\n    return inner\nwork = make([[[n]] for n in range(9000)])\n"
        }
    )
    assert sandbox.code("steps:work").digest != sandbox.code("steps:work").digest


def test_a_dispatchers_cache_does_not_count(sandbox):
    sandbox.write(
        {
            "steps.py": "from functools import singledispatch\n@singledispatch\ndef show(x): return 0\n"
            "def make(v):\n    def inner(x): return v(x)\n    return inner\nwork = make(show)\n"
        }
    )
    work = sandbox.load("steps:work")
    before = fingerprint(work, sandbox.project, str, Stamps())
    assert work(1) == 0
    assert before.differences(fingerprint(work, sandbox.project, str, Stamps())) == []


def test_values_in_a_circle_end(sandbox):
    sandbox.write(
        {
            "steps.py": "def make(t):\n    t['self'] = t\n    def inner(x):\n        return t\n    return inner\nwork = make({'a': 1})\n"
        }
    )
    before = sandbox.code("steps:work")
    sandbox.edit("steps.py", "'a': 1", "'a': 2")
    assert sandbox.code("steps:work").digest != before.digest


def test_a_function_of_a_notebook_counts_by_its_code_and_globals(sandbox):
    def cell(text):
        space = {"__name__": "__main__", "rate": 3}
        exec(compile(text, "<cell>", "exec"), space)
        return space

    def digest(text, name="work"):
        return fingerprint(cell(text)[name], sandbox.project, str, Stamps()).digest

    base = "def helper(x): return x\ndef work(x): return helper(x) * rate\n"
    assert digest(base) == digest("# note\n" + base)
    assert digest(base) != digest(base.replace("* rate", "+ rate"))
    assert digest(base) != digest(base.replace("return x\n", "return -x\n"))
    assert digest(base) != digest(base + "rate = 4\n")


def test_a_new_file_that_a_pattern_finds_counts_and_its_folder_is_named(sandbox):
    sandbox.write({"steps.py": "def work(x):\n    return x.scan('data/*.csv')\n", "data/a.csv": "1"})
    before = sandbox.code("steps:work")
    assert set(before.files) == {"data", "data/a.csv"}
    sandbox.write({"data/b.csv": "1"})
    assert before.differences(sandbox.code("steps:work")) == ["data changed", "data/b.csv was added"]


def test_many_nodes_of_one_function_cost_one(sandbox, monkeypatch):
    sandbox.write(APP)
    work = sandbox.load("app.steps:work")
    made = []
    real = Fingerprinter._make
    monkeypatch.setattr(Fingerprinter, "_make", lambda self, function: made.append(1) or real(self, function))
    codes = fingerprint_many([work] * 5_000, sandbox.project, str, Stamps())
    assert len(codes) == 5_000
    assert len(made) == 1
    assert codes[0] is codes[-1]


def test_fingerprints_do_not_follow_the_hash_seed(sandbox):
    import os
    import subprocess
    import sys

    sandbox.write(
        {**APP, "app/steps.py": APP["app/steps.py"] + "S = {'a', 'b', 'c'}\ndef more(x): return S, x.go, x.run\n"}
    )
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from headrace.core.fingerprint import fingerprint\n"
        "from headrace.core.project import Project\n"
        "from headrace.core.stamps import Stamps\n"
        "import app.steps\n"
        "print(fingerprint(app.steps.more, Project(Path.cwd()), repr, Stamps()).digest)\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=sandbox.root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(found) == 1
