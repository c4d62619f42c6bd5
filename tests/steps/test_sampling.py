"""A sample of the data, as a way to run: which rows, and what is kept apart."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
import pytest

import headrace
from headrace import RunOptions, RunResult
from headrace.core.errors import DataError, DefinitionError, ProjectError
from headrace.core.sample import Sample, read_sample, read_share
from headrace.engine.records import RunRecord
from headrace.formats.table import Table
from headrace.steps import AtRandom, ByKey, Registry, split
from headrace.steps.rooms import with_key_share
from headrace.steps.sampling import take


def place(key: str, seed: int | str = "sample 0") -> float:
    """As the docstring has it."""
    return int(sha256(f"{seed}:{key}".encode()).hexdigest()[:13], 16) / 16**13


VECTORS = [
    (0, "1", 0xEF134F2A180BA),
    (0, "customer-42", 0x71FD30A2DA1ED),
    (7, "", 0x70FB8417D44DF),
    (-3, "naïve ☃", 0x2B0652904E3BC),
]
"""Seeds, keys, and the first 13 hexadecimal digits of the SHA-256 of ``seed:key``."""


def test_the_vectors_of_the_hash() -> None:
    for seed, key, digits in VECTORS:
        assert place(key, seed) == digits / 16**13


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_both_engines_hash_alike(engine: Any) -> None:
    keys = ["a", "", None, "naïve ☃", "quo\"te's", "x" * 1000]
    text = Table.of(pl.DataFrame({"k": keys})).scan(engine)
    numbers = Table.of(pl.DataFrame({"k": [0, -5, 2**62, None]})).scan(engine)
    for frame, expected in ((text, keys), (numbers, ["0", "-5", str(2**62), None])):
        for seed in (0, -3):
            shares = nw.to_native(with_key_share(frame, "k", "place", seed=seed).collect("polars"))["place"].to_list()
            assert shares == [place(key or "", seed) for key in expected]


def rows(table: Table) -> list[tuple[Any, ...]]:
    return table.polars().collect().rows()


class TestRows:
    ORDERS = pl.DataFrame({"customer": [i % 500 for i in range(3000)], "n": range(3000)})
    CUSTOMERS = pl.DataFrame({"name": [f"N{i}" for i in range(500)], "customer": [str(i) for i in range(500)]})

    def test_the_same_customers_in_each_table_as_text_and_as_numbers(self) -> None:
        sample = Sample(0.1, key=("customer",))
        orders, customers = rows(take(self.ORDERS, sample)), rows(take(self.CUSTOMERS, sample))
        expected = {i for i in range(500) if place(str(i)) < 0.1}
        assert {customer for customer, _ in orders} == {int(customer) for _, customer in customers} == expected
        assert [n for _, n in orders] == sorted(n for _, n in orders)
        assert len(orders) == 6 * len(customers)

    def test_a_sample_has_nothing_to_do_with_a_split(self) -> None:
        sample = take(self.ORDERS, Sample(0.3, key=("customer",)))
        for how in (ByKey("customer"), AtRandom()):
            parts = split(sample, how, validation=0.3, test=0.3)
            assert all(part.n_rows > 0.15 * sample.n_rows for part in parts)
        parts = split(take(self.ORDERS, Sample(0.3)), AtRandom(), validation=0.3, test=0.3)
        assert all(part.n_rows > 100 for part in parts)

    def test_a_larger_sample_holds_a_smaller_one(self) -> None:
        small, large = (set(rows(take(self.ORDERS, Sample(share, key=("customer",))))) for share in (0.05, 0.2))
        assert small < large

    def test_another_seed_takes_others(self) -> None:
        one, two = (rows(take(self.ORDERS, Sample(0.1, ("customer",), seed=seed))) for seed in (0, 1))
        assert one != two

    def test_the_first_name_that_the_table_has_counts(self) -> None:
        renamed = self.ORDERS.rename({"customer": "id"})
        assert rows(take(renamed, Sample(0.1, key=("customer", "id")))) == rows(
            take(self.ORDERS, Sample(0.1, key=("customer",)))
        )

    def test_a_table_without_the_key_is_taken_whole(self) -> None:
        assert take(self.CUSTOMERS, Sample(0.1, key=("shop",))).n_rows == 500

    def test_without_a_key_each_row_is_for_itself(self) -> None:
        taken = rows(take(self.ORDERS, Sample(0.1)))
        assert taken == rows(take(self.ORDERS, Sample(0.1)))
        assert 230 < len(taken) < 370

    def test_stratified_each_value_keeps_its_share(self) -> None:
        frame = pl.DataFrame({"id": range(1000), "kind": ["a"] * 900 + ["b"] * 95 + [None] * 4 + ["c"]})
        for sample in (Sample(0.1, ("id",), "kind"), Sample(0.1, (), "kind")):
            counts = pl.DataFrame(rows(take(frame, sample)), ["id", "kind"], orient="row")["kind"].value_counts()
            assert dict(counts.rows()) == {"a": 90, "b": 10, None: 1, "c": 1}
        taken = [i for i, kind in rows(take(frame, Sample(0.1, ("id",), "kind"))) if kind == "b"]
        assert set(taken) == set(sorted(range(900, 995), key=lambda i: place(str(i)))[:10])

    def test_keys_without_a_value_go_together(self) -> None:
        frame = pl.DataFrame({"k": [None, None, "a"]})
        assert len(rows(take(frame, Sample(0.999, ("k",))))) in (1, 2, 3)
        assert {k for (k,) in rows(take(frame, Sample(0.999, ("k",))))} >= ({None} if place("") < 0.999 else set())

    @pytest.mark.parametrize("values", [[1.5], [True]])
    def test_a_key_that_is_none(self, values: list[Any]) -> None:
        with pytest.raises(DataError, match="no key to sample by"):
            take(pl.DataFrame({"k": values}), Sample(0.5, ("k",)))


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.01", 0.01), (" 12.5 % ", 0.125), (".5", 0.5), ("3%", 0.03)]
)
def test_shares(text: str, share: float) -> None:
    assert read_share(text) == share


@pytest.mark.parametrize("text", ["1", "100%", "0", "0%", "-1%", "one", "", "1%%", "nan"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(ProjectError):
        read_sample(text, None)


def test_settings_of_the_sample() -> None:
    table = {"key": "customer", "stratify": "region", "seed": 3}
    assert read_sample("1%", table) == Sample(0.01, ("customer",), "region", 3)
    assert read_sample("1%", table, key=("a", "b")) == Sample(0.01, ("a", "b"), "region", 3)
    assert read_sample(None, table) is None
    assert read_sample("1%", table).text == "1% by customer, each region in its share, seed 3"  # type: ignore[union-attr]
    with pytest.raises(
        ProjectError, match=r"no setting 'keys' in \[tool.headrace.sample\]\.\nHint: did you mean 'key'"
    ):
        read_sample("1%", {"keys": "a"})
    with pytest.raises(ProjectError, match="holds columns' names"):
        read_sample("1%", {"seed": "x"})


FLOW = """
from pathlib import Path
import polars as pl
from headrace import Table, pipeline, step
from headrace.steps import *

@step
def joined(people: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    return visits.join(people, on="id", how="left", maintain_order="left")

@step
def lookup() -> list[int]:
    return [1, 2, 3]

@pipeline
def flow():
    lookup()
    table = joined(ingest(Path("people.csv")), ingest(Path("visits.csv")))
    parts = split(table, ByKey("id"), validation=0.3, test=0.3)
    model = train(parts.train, parts.validation, target="left", positive="yes", estimator="linear", exclude=["id"])
    evaluation = evaluate(model, parts.test, n_bootstraps=20)
    verdict = gate(evaluation, model, parts.test, champion=Champion("m"))
    register.options(when=verdict.passed)(model, evaluation, verdict, name="m")
    return table
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.headrace.sample]\nkey = "id"\n')
    (tmp_path / "sampled_flow.py").write_text(FLOW)
    people = "".join(f"{i},{i * 7 % 90}\n" for i in range(600))
    visits = "".join(f"{i % 600},{i * 13 % 50},{'yes' if i * 7 % 90 > 44 else 'no'}\n" for i in range(1800))
    (tmp_path / "people.csv").write_text(f"id,age\n{people}")
    (tmp_path / "visits.csv").write_text(f"id,x,left\n{visits}")
    return tmp_path


@pytest.fixture
def run(project: Path) -> Callable[[Sample | None], RunResult]:
    return lambda sample: headrace.run(
        "sampled_flow.py:flow", folder=project, options=RunOptions(inline=True, sample=sample)
    )


def outcomes(result: RunResult) -> dict[str, str]:
    return {name: str(node.outcome) for name, node in result.nodes.items()}


SHARE = Sample(0.3, ("id",))


def test_a_sampled_run_and_a_full_one_share_nothing_wrongly(run: Callable[[Sample | None], RunResult]) -> None:
    sampled = run(SHARE)
    assert sampled.outcome == "succeeded", [node.failure for node in sampled.nodes.values()]
    table = sampled.load().collect() if hasattr(sampled.load(), "collect") else sampled.load()
    assert set(table["id"]) == {i for i in range(600) if place(str(i)) < 0.3}
    assert table["age"].null_count() == 0

    registry = Registry(sampled.store)
    assert registry.names() == ["m.sampled"]
    assert registry.champion("m.sampled") is None

    full = run(None)
    assert len(full.load()) == 1800
    assert outcomes(full)["lookup"] == "cached"
    assert [name for name, outcome in outcomes(full).items() if outcome == "cached"] == ["lookup"]
    assert registry.names() == ["m", "m.sampled"]
    champion = registry.champion("m")
    assert champion is not None

    again = run(SHARE)
    assert set(outcomes(again).values()) == {"cached"}
    assert registry.champion("m") == champion
    assert len(registry.versions("m.sampled")) == 1
    assert set(outcomes(run(None)).values()) == {"cached"}

    assert RunRecord(full.store, full.run_id).begin().get("sample") is None
    assert RunRecord(full.store, again.run_id).begin()["sample"]["share"] == 0.3


@pytest.mark.prove
def test_another_share_is_another_run(run: Callable[[Sample | None], RunResult]) -> None:
    run(SHARE)
    assert outcomes(run(Sample(0.5, ("id",))))["ingest"] == "succeeded"


def test_a_pipeline_that_takes_no_sample(project: Path) -> None:
    (project / "plain_flow.py").write_text(
        "from headrace import pipeline, step\n@step\ndef one() -> int:\n    return 1\n"
        "@pipeline\ndef flow():\n    return one()\n"
    )
    with pytest.raises(DefinitionError, match="has no step that takes a sample, so --sample would change nothing"):
        headrace.run("plain_flow.py:flow", folder=project, options=RunOptions(inline=True, sample=SHARE))
