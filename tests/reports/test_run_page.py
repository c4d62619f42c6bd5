"""The page of a run: complete, self-contained, safe."""

from __future__ import annotations

import re
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import RunOptions
from headrace.engine.view import RunView
from headrace.reports.html import VOID
from headrace.reports.run_page import render_run_page, write_run_page

EVIL = "<script>alert(1)</script>\"'&\u202e"

SOURCE = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple
from headrace import Secret, pipeline, progress, step
from headrace.formats.text import Html, Text

@dataclass
class Verdict:
    __headrace_gate__: ClassVar[str] = "passed"
    passed: bool
    reasons: list[str]

class Made(NamedTuple):
    metrics: dict[str, float]
    page: Html
    notes: Text

@step
def ingest(data: str, key: Secret) -> list[str]:
    print("the key is", key.reveal())
    if data == "leak":
        raise ValueError(f"the key is {key.reveal()}")
    return [data]

@step
def make(rows: list[str]) -> Made:
    return Made(
        {"auc": 0.8125, "nothing": float("nan")},
        Html("<h1>own page</h1><script>bad()</script>"),
        Text("own notes </pre><script>bad()</script>"),
    )

@step
def judge(metrics: dict[str, float], least: float) -> Verdict:
    return Verdict(metrics["auc"] >= least, [f"auc must be {least}"])

@step
def register(metrics: dict[str, float], mood: str) -> int:
    print("the log", mood)
    if mood != "good":
        raise ValueError(f"mood is {mood}")
    return 1

@step
def last(version: int) -> int:
    return version

@pipeline(name="my-page")
def flow(data: str = "x", least: float = 0.5, mood: str = "good"):
    made = make(ingest(data, Secret("SMALL_TEST_KEY")))
    verdict = judge(made.metrics, least)
    return last(register.options(when=verdict.passed)(made.metrics, mood))
"""


class Pages:
    """A project whose pages are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pyproject.toml").write_text('[project]\nname = "small"\n')

    def write(self, source: str) -> None:
        (self.folder / "flow.py").write_text(textwrap.dedent(source))

    def view(self, parameters: dict[str, Any] | None = None, **options: Any) -> RunView:
        result = headrace.run("flow.py", parameters, folder=self.folder, options=RunOptions(**options))
        return RunView.read(result.store, result.run_id)

    def page(self, parameters: dict[str, Any] | None = None, **options: Any) -> str:
        return render_run_page(self.view(parameters, **options))


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setenv("SMALL_TEST_KEY", "the-secret-itself")
    folder = tmp_path / "project"
    folder.mkdir()
    made = Pages(folder)
    made.write(SOURCE)
    return made


class Outline(HTMLParser):
    """Checks that what is opened is closed, and collects what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_a_page_needs_nothing_else_and_runs_nothing(pages: Pages) -> None:
    page = pages.page()
    found = outline(page)

    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "link", "object", "embed", "base", "form"}
    for _, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action"):
            assert re.match(r"#|data:image/|\.\./|None", str(attributes.get(name))), attributes
    policy = next(attributes for tag, attributes in found.tags if attributes.get("http-equiv"))
    assert str(policy["content"]).startswith("default-src 'none';")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_every_part_is_there(pages: Pages) -> None:
    found = outline(pages.page())
    text = " ".join(found.text)

    ids = [str(attributes["id"]) for tag, attributes in found.tags if "id" in attributes]
    assert [name for name in ids if not name.startswith("step-")] == [
        "outputs",
        "graph",
        "timeline",
        "results",
        "steps",
        "parameters",
        "environment",
    ]
    assert [name for name in ids if name.startswith("step-")] == [
        "step-ingest",
        "step-make",
        "step-judge",
        "step-register",
        "step-last",
    ]
    links = {attributes["href"] for tag, attributes in found.tags if tag == "a"}
    assert {f"#{name}" for name in ids if name.startswith("step-")} <= links
    assert "my-page" in text
    assert "5 executed · 0 hits" in text
    assert "0.8125" in text
    assert "first time" in text
    assert "cpython 3." in text
    frame = next(attributes for tag, attributes in found.tags if tag == "iframe")
    assert frame["sandbox"] == ""
    assert frame["srcdoc"] == "<h1>own page</h1><script>bad()</script>"
    assert "own notes </pre><script>bad()</script>" in text


def test_a_failed_run_says_where_and_why(pages: Pages) -> None:
    page = pages.page({"mood": EVIL})
    text = "".join(outline(page).text)

    assert "register failed" in text
    assert "ValueError: mood is <script>alert(1)</script>\"'&�" in text
    assert re.search(r"flow\.py:\d+", text)
    assert "the log <script>" in text
    assert "1 failed · 1 not reached" in text
    assert "not made" in text
    assert "'register' failed" in text
    assert "<script" not in page
    assert "\u202e" not in page


def test_a_rejected_run_says_what_the_gate_said(pages: Pages) -> None:
    text = " ".join(outline(pages.page({"least": 0.9})).text)

    assert "Rejected by judge" in text
    assert "auc must be 0.9" in text
    assert "'judge.passed' is false" in text


def test_a_second_run_points_to_the_first(pages: Pages) -> None:
    first = pages.view()
    second = outline(pages.page())

    links = {attributes["href"] for tag, attributes in second.tags if tag == "a"}
    assert f"../{first.id}/report.html" in links
    assert "Nothing was executed." in second.text
    assert "made by run " in second.text


def test_a_changed_run_names_its_causes(pages: Pages) -> None:
    pages.view()
    text = " ".join(outline(pages.page({"least": 0.7})).text)

    assert "least changed: 0.5 → 0.7" in text


def test_no_secret_is_on_a_page(pages: Pages) -> None:
    page = pages.page({"data": "leak"})

    assert page.count("the key is ***") >= 2, "in the message and in the log"
    assert "the-secret-itself" not in page


def test_a_page_is_written_into_the_runs_folder_and_again(pages: Pages) -> None:
    view = pages.view()
    place = write_run_page(view)
    first = place.read_text()

    assert place == view.store.stream_path(f"runs/{view.id}/report.html")
    assert write_run_page(view).read_text() == first
    assert outline(first)


WIDE = """
from headrace import pipeline, step

@step
def one(number: int) -> int:
    return number

@step
def add(*numbers: int) -> int:
    return sum(numbers)

@pipeline
def flow(n: int = 70):
    return add(*[one(number) for number in range(n)])
"""


def test_a_large_graph_is_listed_and_not_drawn(pages: Pages) -> None:
    pages.write(WIDE)
    found = outline(pages.page(inline=True))

    assert "71 steps: too many to draw. They are listed below." in found.text
    assert not any(tag == "svg" and attributes.get("class") == "graph" for tag, attributes in found.tags)
    assert sum(1 for tag, attributes in found.tags if str(attributes.get("id")).startswith("step-")) == 71
    assert "What 11 more steps made is not shown here." in found.text


def test_a_run_under_way_has_a_page(pages: Pages) -> None:
    view = pages.view()
    for name in list(view.store.list_records(f"runs/{view.id}")):
        if "last" in name or name.endswith("end.json"):
            view.store.delete_record(name)
    text = " ".join(outline(render_run_page(RunView.read(view.store, view.id))).text)

    assert "ended without a word" in text
    assert "not ended" in text


def test_a_page_without_the_objects_that_it_would_show(pages: Pages) -> None:
    view = pages.view()
    for result in view.results.values():
        for artifact in result.outputs.values():
            for file in artifact.files:
                view.store.drop_object(file.digest)

    assert "Results" not in outline(render_run_page(RunView.read(view.store, view.id))).text
