"""Materialising: online says what the offline join says, done again it changes nothing, and what was undone is done."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asof.histories import generate
from asof.play import ENGINES, play_online

import headrace
from headrace import RunResult
from headrace.core.errors import DataError, TransientError
from headrace.steps.feature_store import FeatureLookup, FeatureView, OnlineStore, materialize, open_online
from headrace.steps.feature_store.materializing import Written, write_online

T0 = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
VIEW = FeatureView("spend", "id", "at", {"spent": "number", "plan": "text"}, created="loaded")


def rows(*given: tuple[str, int, int, float | None]) -> pl.DataFrame:
    """Rows of an entity, an hour, the hour in which it was loaded, and what was spent."""
    return pl.DataFrame(
        {
            "id": [item[0] for item in given],
            "at": [T0 + item[1] * HOUR for item in given],
            "loaded": [T0 + item[2] * HOUR for item in given],
            "spent": pl.Series([item[3] for item in given], dtype=pl.Float64),
            "plan": ["x"] * len(given),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with open_online("sqlite:features.sqlite", root=tmp_path) as opened:
        yield opened


def put(store: OnlineStore, table: pl.DataFrame, hour: int, view: FeatureView = VIEW, **options: Any) -> Written:
    return write_online(view.on(table), store, at=T0 + hour * HOUR, **options)


def spent(store: OnlineStore, *keys: str, hour: int = 100) -> list[float | None]:
    with FeatureLookup(store, ["spend"]) as lookup:
        return [lookup.get({"id": key}, at=T0 + hour * HOUR)["spent"] for key in keys]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(100, 112))
def test_online_is_what_the_join_says(engine: str, seed: int, store: OnlineStore) -> None:
    if engine == "duckdb":
        pytest.importorskip("duckdb")
    play_online(generate(seed), store, engine, seed)


@pytest.mark.parametrize("seed", range(6))
def test_redis_is_what_the_join_says(seed: int, redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    now = datetime.now(UTC) + timedelta(minutes=1)
    with open_online(redis_url) as store:
        at = int(now.timestamp() * 1e6)
        play_online(generate(seed, around=now, with_zone=True), store, "polars", seed, at=at)


def test_what_is_not_known_yet_is_not_served(store: OnlineStore) -> None:
    table = rows(("a", 1, 1, 1.0), ("a", 2, 9, 2.0), ("b", 8, 8, 3.0))
    put(store, table, 5)
    assert spent(store, "a", "b", "c") == [1.0, None, None]
    put(store, table, 9)
    assert spent(store, "a", "b", "c") == [2.0, 3.0, None]


def test_again_changes_nothing(store: OnlineStore, tmp_path: Path) -> None:
    table = rows(("a", 1, 1, 1.0), ("b", 2, 2, 2.0))
    first = put(store, table, 5)
    assert (first.n_read, first.n_written, first.why_anew) == (2, 2, "it wasn't there")
    again = put(store, table, 5)
    assert (again.n_written, again.why_anew, again.state) == (0, None, first.state)


def test_only_what_is_newer_is_read(store: OnlineStore) -> None:
    table = rows(*(("a", hour, hour, float(hour)) for hour in range(10)), ("b", 1, 1, 1.0))
    put(store, table, 5, overlap_seconds=0)
    later = put(store, table, 7, overlap_seconds=0)
    assert (later.n_read, later.n_written) == (1, 1)
    assert spent(store, "a", "b") == [7.0, 1.0]


def test_late_rows_come_within_the_overlap(store: OnlineStore) -> None:
    put(store, rows(("a", 1, 1, 1.0)), 10)
    late = rows(("a", 1, 1, 1.0), ("a", 7, 7, 7.0), ("b", 2, 2, 2.0))
    assert put(store, late, 11, overlap_seconds=4 * 3600).n_read == 1
    assert spent(store, "a", "b") == [7.0, None]
    put(store, late, 12, overlap_seconds=24 * 3600)
    assert spent(store, "a", "b") == [7.0, 2.0]


def test_an_earlier_moment_takes_nothing_away(store: OnlineStore) -> None:
    table = rows(*(("a", hour, hour, float(hour)) for hour in range(10)))
    last = put(store, table, 9)
    earlier = put(store, table, 3)
    assert earlier.state == last.state and earlier.n_written == 0
    assert spent(store, "a") == [9.0]


def test_another_declaration_is_written_anew(store: OnlineStore) -> None:
    table = rows(("a", 1, 1, 1.0))
    first = put(store, table, 5)
    with FeatureLookup(store, ["spend"], refresh_seconds=3600) as lookup:
        assert lookup.get({"id": "a"}) == {"spent": 1.0, "plan": "x"}
        other = replace(VIEW, features={"plan": "text"})
        written = put(store, table, 5, other)
        assert written.why_anew == "the view's declaration has changed"
        assert written.state.space != first.state.space
        assert store.get(first.state.space, ['["a"]']) == [None]
        # The rows have moved under a lookup that relies on what it knows.
        assert lookup.get({"id": "a"}) == {"plan": "x"}


def test_a_past_that_was_rewritten(store: OnlineStore) -> None:
    put(store, rows(("a", 5, 5, 5.0), ("b", 1, 1, 1.0)), 6)
    rewritten = rows(("a", 4, 4, 4.0))
    put(store, rewritten, 7)
    assert spent(store, "a", "b") == [5.0, 1.0]
    assert put(store, rewritten, 7, full=True).why_anew == "asked for"
    assert spent(store, "a", "b") == [4.0, None]


def test_a_damaged_store_is_made_whole(store: OnlineStore, tmp_path: Path) -> None:
    table = rows(*((f"k{key}", 1, 1, float(key)) for key in range(200)))
    put(store, table, 5)
    with sqlite3.connect(tmp_path / "features.sqlite", isolation_level=None) as other:
        other.execute("DELETE FROM entities WHERE key = '[\"k7\"]'")
    other.close()
    assert spent(store, "k7") == [None]
    assert put(store, table, 5).why_anew == "it has 199 rows in place of 200"
    assert spent(store, "k7", "k8") == [7.0, 8.0]


def test_two_that_write_anew_at_once(store: OnlineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows(("a", 1, 1, 1.0))
    put(store, table, 5)
    found = store.state("spend")
    put(store, table, 5, full=True)
    monkeypatch.setattr(store, "state", lambda view: found)
    with pytest.raises(
        TransientError, match=r"Feature view 'spend' was written anew by somebody else at the same time"
    ):
        put(store, table, 5, full=True)
    monkeypatch.undo()
    assert spent(store, "a") == [1.0]


def test_the_time_to_live(store: OnlineStore) -> None:
    view = replace(VIEW, ttl=2 * HOUR)
    put(store, rows(("a", 1, 1, 1.0), ("b", 5, 5, 5.0)), 6, view)
    with FeatureLookup(store) as lookup:
        at = T0 + 7 * HOUR
        assert lookup.get({"id": "b"}, at=at) == {"spent": 5.0, "plan": "x"}
        late = at + timedelta(microseconds=1)
        assert lookup.get({"id": "b"}, at=late) == {"spent": None, "plan": None}
        found = lookup.look({"id": "b"}, at=late)["spend"]
        assert (found.status, found.timestamp, found.age_seconds) == ("expired", T0 + 5 * HOUR, 7200.000001)
        assert lookup.look({"id": "b"}, at=at)["spend"].status == "known"
        unknown = lookup.look({"id": "z"})["spend"]
        assert (unknown.status, unknown.timestamp, unknown.age_seconds) == ("unknown", None, None)
        assert lookup.until() == {"spend": T0 + 6 * HOUR}


def test_the_clock_says_what_has_expired(store: OnlineStore) -> None:
    put(store, rows(("a", 1, 1, 1.0)), 6, replace(VIEW, ttl=10 * HOUR))
    for hour, expected in ((11, 1.0), (12, None)):
        with FeatureLookup(store, now=(T0 + hour * HOUR).timestamp) as lookup:
            assert lookup.get({"id": "a"})["spent"] == expected


def test_several_views(store: OnlineStore) -> None:
    put(store, rows(("a", 1, 1, 1.0)), 5)
    put(store, rows(("a", 1, 1, 2.0)), 5, replace(VIEW, name="other", prefix="other_"))
    with FeatureLookup(store) as lookup:
        assert lookup.views == ("other", "spend")
        assert lookup.get({"id": "a"}) == {"other_spent": 2.0, "other_plan": "x", "spent": 1.0, "plan": "x"}
        assert [found["spent"] for found in lookup.get_many([{"id": "b"}, {"id": "a"}])] == [None, 1.0]
    put(store, rows(("a", 1, 1, 2.0)), 5, replace(VIEW, name="third"))
    with pytest.raises(DataError, match=r"Feature 'spent' is in the views 'spend' and 'third'"):
        FeatureLookup(store)
    with pytest.raises(DataError, match=r"has no view 'spent'.\nHint: did you mean 'spend'"):
        FeatureLookup(store, ["spent"])


def test_threads_share_a_lookup(store: OnlineStore) -> None:
    put(store, rows(*((f"k{key}", 1, 1, float(key)) for key in range(50))), 5)
    wrong: list[object] = []

    def read() -> None:
        for key in range(50):
            found = lookup.get({"id": f"k{key}"})
            if found["spent"] != float(key):
                wrong.append(found)

    with FeatureLookup(store, refresh_seconds=0) as lookup:
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_kinds_come_back(store: OnlineStore) -> None:
    table = pl.DataFrame(
        {
            "id": [1],
            "at": [date(2024, 1, 1)],
            "day": [date(2024, 2, 29)],
            "moment": [datetime(2024, 1, 1, 12, 30, 0, 5)],
            "whole": pl.Series([2**53 + 1], dtype=pl.Int64),
            "number": [float("inf")],
            "flag": [True],
            "text": ["é\n\0"],
        }
    )
    view = FeatureView(
        "kinds",
        "id",
        "at",
        {
            "day": "date",
            "moment": "datetime",
            "whole": "integer",
            "number": "number",
            "flag": "boolean",
            "text": "text",
        },
    )
    write_online(view.on(table), store, at=date(2024, 1, 1))
    with FeatureLookup(store) as lookup:
        assert lookup.get({"id": 1}) == table.drop("id", "at").row(0, named=True)


def test_lookups_import_little(store: OnlineStore, tmp_path: Path) -> None:
    put(store, rows(("a", 1, 1, 1.0)), 5)
    code = (
        "import sys; from headrace.steps.feature_store.lookup import FeatureLookup; "
        "print(FeatureLookup('sqlite:features.sqlite').get({'id': 'a'})); "
        "heavy = {'polars', 'narwhals', 'numpy', 'pyarrow', 'sklearn', 'duckdb', 'rich', 'redis'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{'spent': 1.0, 'plan': 'x'}\n", "")


FLOW = """
from datetime import UTC, datetime, timedelta

import polars as pl

from headrace import Table, pipeline, step
from headrace.steps.feature_store import FeatureView, Materialized, materialize, point_in_time

SPEND = FeatureView("spend", "id", "at", {"spent": "number"}, created="loaded", ttl=timedelta(days=30))
T0 = datetime(2024, 5, 1, tzinfo=UTC)


@step
def orders(n: int) -> Table:
    times = [T0 + timedelta(hours=number) for number in range(n)]
    spent = [float(number) for number in range(n)]
    return Table.of(pl.DataFrame({"id": ["a"] * n, "at": times, "loaded": times, "spent": spent}))


@step
def labels() -> pl.DataFrame:
    return pl.DataFrame({"id": ["a", "b"], "when": [T0 + timedelta(hours=3)] * 2})


@pipeline
def training(n: int = 10) -> Table:
    return point_in_time(labels(), [SPEND.on(orders(n))], at="when")


@pipeline
def serving(n: int = 10, day: datetime = datetime(2024, 5, 1, 5, tzinfo=UTC)) -> Materialized:
    return materialize(SPEND.on(orders(n)), at=day)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "serving"\n[tool.headrace.feature_store]\nonline = "sqlite:served/f.sqlite"\n'
    )
    (tmp_path / "flows.py").write_text(FLOW)
    return tmp_path


def run(project: Path, pipeline: str, **parameters: Any) -> RunResult:
    result = headrace.run(f"flows.py:{pipeline}", parameters, folder=project)
    assert result.outcome == "succeeded", [node.failure for node in result.nodes.values()]
    return result


def test_a_join_in_a_pipeline(project: Path) -> None:
    first = run(project, "training")
    table = first.load("point_in_time")
    assert table.polars().collect()["spent"].to_list() == [3.0, None]
    assert str(run(project, "training").nodes["point_in_time"].outcome) == "cached"


@pytest.mark.prove
def test_materialized_in_a_pipeline(project: Path) -> None:
    def outcome(**parameters: Any) -> str | None:
        node = run(project, "serving", **parameters).nodes["materialize"]
        return "cached" if node.outcome == "cached" else node.reason

    def served() -> dict[str, Any]:
        with FeatureLookup("sqlite:served/f.sqlite", root=project) as lookup:
            return lookup.get({"id": "a"}, at=T0 + 10 * HOUR)

    assert outcome() == "nothing was made from these inputs yet"
    assert served() == {"spent": 5.0}
    assert outcome(day="2024-05-01T07:00:00Z") == "nothing was made from these inputs yet"
    assert served() == {"spent": 7.0}
    # What is known up to a later moment is in: there is nothing to do for the earlier.
    assert outcome() == "cached"
    for damage in (
        lambda: [path.unlink() for path in (project / "served").iterdir()],
        lambda: _change(project / "served/f.sqlite", "DELETE FROM entities"),
    ):
        damage()
        assert outcome() == "its effect is not in place any more"
        assert served() == {"spent": 5.0}


def _change(file: Path, query: str) -> None:
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute(query)
    other.close()


def test_in_a_plain_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = materialize(VIEW.on(rows(("a", 1, 2, 1.0))), to="sqlite:here.sqlite")
    assert (done.view, done.online, done.until) == ("spend", "sqlite:here.sqlite", T0 + 2 * HOUR)
    assert Path("here.sqlite").exists()
    with pytest.raises(DataError, match=r"Feature view 'spend' has no table"):
        materialize(VIEW)
    with pytest.raises(DataError, match=r"overlap_seconds >= 0 must hold, but got overlap_seconds=-1"):
        materialize(VIEW.on(rows()), to="sqlite:here.sqlite", overlap_seconds=-1)


def test_an_empty_table(store: OnlineStore) -> None:
    written = write_online(VIEW.on(rows(("a", 1, 1, 1.0)).clear()), store)
    assert (written.n_read, written.state.n_rows) == (0, 0)
    assert spent(store, "a") == [None]
