"""Runs that read a stream: each message is in one snapshot, and each snapshot is taken by one run that ends well."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import pipeline
from headrace.core.context import RunContext, entered
from headrace.core.errors import DataError, HeadraceError, TransientError
from headrace.core.external import external_id
from headrace.core.values import encode
from headrace.engine.gc import Collector, Policy
from headrace.engine.run import new_run_id
from headrace.formats.table import Table
from headrace.steps.streams import Kafka, RedisStream, Streamed, ingest_stream, ingestion
from headrace.steps.streams.chain import Chain, Landed
from headrace.steps.streams.protocol import Stream
from headrace.stores.local import LocalStore
from headrace.testing.brokers import RedisBench, RedisServer, missing_redis, redis_server
from headrace.testing.streams import LineBench, LineStream


@dataclass(frozen=True)
class Ran:
    """A run that a test carried out without an engine, but with the records that one leaves."""

    id: str
    streamed: Streamed | None
    error: HeadraceError | None

    @property
    def rows(self) -> list[str]:
        assert self.streamed is not None, self.error
        return list(self.streamed.table.arrow()["value"].to_pylist())


def begun(store: LocalStore, stream: Stream, run_id: str | None = None) -> RunContext:
    """Begin a run: what `headrace exec --begin` does."""
    run_id = run_id or new_run_id()
    pins = json.loads(json.dumps({external_id(stream): stream.pin(store)}))
    store.create_record(f"runs/{run_id}/run.json", json.dumps({"process": 1, "pins": pins}).encode())
    return RunContext(run_id, "read", 1, 0, store, Path(), pins, lambda *_: None)


def read(context: RunContext, stream: Stream, **settings: Any) -> Streamed:
    """The step, in a run that has begun."""
    with entered(context):
        return ingest_stream(stream, **{"decode": "text", **settings})


def ended(store: LocalStore, run_id: str, outcome: str = "succeeded") -> None:
    store.write_record(f"runs/{run_id}/end.json", json.dumps({"outcome": outcome}).encode())


def run(store: LocalStore, stream: Stream, *, outcome: str = "succeeded", **settings: Any) -> Ran:
    context = begun(store, stream)
    try:
        streamed = read(context, stream, **settings)
    except HeadraceError as error:
        ended(store, context.run_id, "failed")
        return Ran(context.run_id, None, error)
    ended(store, context.run_id, outcome)
    return Ran(context.run_id, streamed, None)


def rows(ran: Ran) -> list[str]:
    return ran.rows


def failure(ran: Ran) -> str:
    assert ran.error is not None
    return str(ran.error)


def bad_run(store: LocalStore, stream: Stream, **settings: Any) -> Ran:
    """One whose later steps fail."""
    return run(store, stream, outcome="failed", **settings)


def test_each_run_takes_what_has_come_since(bench: Any, store: LocalStore) -> None:
    bench.send([b"1", b"2"])
    first = run(store, bench.stream())
    bench.send([b"3"], bench.n_partitions - 1)
    bench.send([b"4"])
    second, nothing = run(store, bench.stream()), run(store, bench.stream())
    others = run(store, bench.stream(group="others"))

    assert [sorted(rows(one)) for one in (first, second, nothing, others)] == [
        ["1", "2"],
        ["3", "4"],
        [],
        ["1", "2", "3", "4"],
    ]
    assert first.streamed is not None and first.streamed.has_rows
    assert nothing.streamed is not None and not nothing.streamed.has_rows
    assert [landed.snapshot for landed in Chain(store, bench.stream()).snapshots()] == [1, 2]
    with bench.stream().open() as connection:
        assert connection.committed() == Chain(store, bench.stream()).last().end  # type: ignore[union-attr]


def test_a_snapshot_of_a_failed_run_is_taken_by_the_next(bench: Any, store: LocalStore) -> None:
    bench.send([b"1", b"2"])
    bad_run(store, bench.stream())
    bench.send([b"3"])
    second = run(store, bench.stream())
    third = run(store, bench.stream())

    assert rows(second) == ["1", "2"]
    assert rows(third) == ["3"]
    assert [(one.snapshot, one.delivery) for one in Chain(store, bench.stream()).snapshots()] == [(1, 2), (2, 1)]


@pytest.mark.parametrize("point", ["streams.before_landing", "streams.landed", "streams.committed"])
def test_a_run_that_ends_anywhere_loses_nothing(
    lines: LineBench, store: LocalStore, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(name: str) -> None:
        if name == point:
            raise TransientError(name)

    lines.send([b"1", b"2"])
    with monkeypatch.context() as patch:
        patch.setattr(ingestion, "fault_point", strike)
        assert "streams" in failure(run(store, lines.stream()))
    lines.send([b"3"])
    seen = [rows(run(store, lines.stream())) for _ in range(3)]

    assert seen == ([["1", "2", "3"], [], []] if point == "streams.before_landing" else [["1", "2"], ["3"], []])


def test_a_retry_reads_the_same_although_more_has_come(
    lines: LineBench, store: LocalStore, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the engine, inline: three tries of one step, which ends before it has landed and after."""
    points: list[str] = []

    def strike(name: str) -> None:
        points.append(name)
        if len(points) in (1, 3):
            lines.send([b"late"])
            raise TransientError("once more")

    monkeypatch.setattr(ingestion, "fault_point", strike)
    monkeypatch.setattr("headrace.engine.attempts.backoff_pause", lambda *_: 0.0)
    (in_folder / "pyproject.toml").write_text('[project]\nname = "small"\n')
    lines.send([b"1", b"2"])
    stream = lines.stream()

    @pipeline
    def flow() -> Any:
        return ingest_stream(stream, decode="text").table

    result = headrace.run(flow, store=store.url, inline=True)

    assert result.load("output", Table).arrow()["value"].to_pylist() == ["1", "2"]
    assert points == [
        "streams.before_landing", "streams.before_landing", "streams.landed", "streams.landed", "streams.committed",
    ]  # fmt: skip
    assert [result.load(f"ingest_stream.{name}") for name in ("has_rows",)] == [True]
    assert rows(run(store, lines.stream())) == ["late", "late"]


def test_bounds_leave_the_rest_to_the_next_run(bench: Any, store: LocalStore) -> None:
    sent = [b"%02d" % number for number in range(25)]
    bench.send(sent)
    seen = [rows(run(store, bench.stream(), max_messages=10)) for _ in range(4)]

    assert [len(one) for one in seen] == [10, 10, 5, 0]
    assert [row.encode() for one in seen for row in one] == sent


def test_what_cannot_be_read_is_set_aside(bench: Any, store: LocalStore) -> None:
    bench.send([b'{"id": "a", "n": 1}', b"oops", b'{"id": "b", "n": "x"}'])
    columns = {"id": "text", "n": "integer"}
    ran = run(store, bench.stream(), decode="json", columns=columns, positions=True)
    assert ran.streamed is not None
    table, aside, _ = ran.streamed

    assert table.arrow().select(["id", "n"]).to_pylist() == [{"id": "a", "n": 1}]
    assert table.columns[2:] == ["_partition", "_offset", "_timestamp", "_key"]
    assert [row["raw"] for row in aside.arrow().to_pylist()] == ["oops", '{"id": "b", "n": "x"}']
    (landed,) = Chain(store, bench.stream()).snapshots()
    assert (landed.n_messages, landed.n_rows, landed.n_quarantined) == (3, 1, 2)


def test_too_many_that_cannot_be_read(lines: LineBench, store: LocalStore) -> None:
    lines.send([b'{"n": 1}', b"oops", b"no"])
    columns: Any = {"n": "integer"}
    refused = run(store, lines.stream(), decode="json", columns=columns, max_bad_rows=0.5)

    assert failure(refused).startswith(
        "2 of 3 messages can't be read, more than max_bad_rows=0.5 allows, such as isn't JSON: Expecting value"
    )
    assert Chain(store, lines.stream()).last() is None
    assert "a share below 1" in failure(run(store, lines.stream(), decode="json", columns=columns, max_bad_rows=1.5))
    allowed = run(store, lines.stream(), decode="json", columns=columns, max_bad_rows=2)
    assert allowed.streamed is not None and allowed.streamed.quarantine.n_rows == 2


def test_deleted_messages_are_an_error_before_the_first_step(bench: Any, store: LocalStore) -> None:
    bench.send([b"1", b"2"])
    run(store, bench.stream(), max_messages=1)
    bench.lose()
    bench.send([b"3"])
    with pytest.raises(DataError, match=r"has deleted messages of .* before they were read") as caught:
        run(store, bench.stream())
    assert "skip_deleted=True" in str(caught.value)

    went_on = run(store, bench.stream(skip_deleted=True))
    assert rows(went_on)[-1:] == ["3"]
    last = Chain(store, bench.stream()).last()
    assert last is not None and len(last.gaps) == 1
    assert rows(run(store, bench.stream())) == []


def test_messages_deleted_after_the_run_began(
    lines: LineBench, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines.send([b"1"])
    before = ingestion.read_range

    def late(*args: Any, **options: Any) -> Any:
        lines.lose()
        return before(*args, **options)

    monkeypatch.setattr(ingestion, "read_range", late)
    assert "has deleted messages" in failure(run(store, lines.stream()))
    assert Chain(store, lines.stream()).last() is None


def test_partitions_that_come_are_read_from_their_begin(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    run(store, lines.stream(start="latest"))
    lines.send([b"2"], 7)
    assert rows(run(store, lines.stream(start="latest"))) == ["2"]


def test_a_partition_that_came_and_lost_its_begin(lines: LineBench, store: LocalStore) -> None:
    run(store, lines.stream())
    lines.send([b"1", b"2"], 7)
    lines.lose(7)
    with pytest.raises(DataError, match="lines 0 to 1 of partition '7'"):
        run(store, lines.stream())


def test_a_topic_that_was_made_anew(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1", b"2"])
    run(store, lines.stream())
    (lines.folder / "0.txt").write_text("other\n")
    with pytest.raises(DataError, match=r"is not what this group has read so far: line 2 .* ends at 1") as caught:
        run(store, lines.stream())
    assert "read it with another group=" in str(caught.value)
    (lines.folder / "0.txt").unlink()
    with pytest.raises(DataError, match="partition '0' is gone"):
        run(store, lines.stream())
    (lines.folder / "incarnation").write_text("2")
    with pytest.raises(DataError, match="it was '', and is '2'"):
        run(store, lines.stream())
    assert rows(run(store, lines.stream(group="new"))) == []


def test_a_topic_made_anew_after_the_run_began(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    context = begun(store, lines.stream())
    (lines.folder / "incarnation").write_text("2")
    with pytest.raises(DataError, match="it was '', and is '2'"):
        read(context, lines.stream())


def test_of_two_runs_at_once_one_takes_what_has_come(bench: Any, store: LocalStore) -> None:
    bench.send([b"1"])
    first = begun(store, bench.stream())
    bench.send([b"2"])
    second = begun(store, bench.stream())
    bench.send([b"3"])

    assert read(second, bench.stream()).table.n_rows == 2
    with pytest.raises(DataError, match=f"Snapshot 1 of .* has been taken by run {second.run_id!r}") as caught:
        read(first, bench.stream())
    assert "max_active_runs=1" in str(caught.value)
    assert read(second, bench.stream()).table.n_rows == 2, "whoever has it can have it again"
    ended(store, first.run_id, "failed")
    ended(store, second.run_id)
    assert rows(run(store, bench.stream())) == ["3"]


def test_of_two_runs_one_takes_what_a_failed_one_left(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    bad_run(store, lines.stream())
    first, second = begun(store, lines.stream()), begun(store, lines.stream())
    assert read(first, lines.stream()).table.n_rows == 1
    with pytest.raises(DataError, match="has been taken by run"):
        read(second, lines.stream())


def test_a_start_behind_all_is_kept(bench: Any, store: LocalStore) -> None:
    bench.send([b"1"])
    assert rows(run(store, bench.stream(start="latest"))) == []
    bench.send([b"2"])
    assert rows(run(store, bench.stream(start="latest"))) == ["2"]


def test_a_group_goes_on_where_another_consumer_stood(bench: Any, store: LocalStore) -> None:
    bench.send([b"1", b"2", b"3"])
    with bench.stream().open() as connection:
        ends = connection.partitions()
        first = next(iter(connection.read("0", ends["0"].first, ends["0"].end)))[0]
        connection.commit({"0": first.after})
    assert rows(run(store, bench.stream(start="committed"))) == ["2", "3"]


def test_a_broker_that_moved_its_mark_changes_nothing(bench: Any, store: LocalStore) -> None:
    bench.send([b"1", b"2"])
    run(store, bench.stream(), max_messages=1)
    with bench.stream().open() as connection:
        connection.commit({name: ends.end for name, ends in connection.partitions().items()})
    assert rows(run(store, bench.stream())) == ["2"]


def test_the_broker_need_not_take_the_mark(
    lines: LineBench, store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: Any, positions: Any) -> None:
        raise DataError("somebody else consumes in this group")

    monkeypatch.setattr("headrace.testing.streams.LineConnection.commit", refuse)
    lines.send([b"1"])
    assert rows(run(store, lines.stream())) == ["1"]
    assert "which changes nothing for the next run: somebody else consumes in this group" in capsys.readouterr().err
    assert rows(run(store, lines.stream())) == []


def test_a_mended_step_reads_the_same_range_again(bench: Any, store: LocalStore) -> None:
    bench.send([b'{"n": 1}', b'{"n": "x"}'])
    bad_run(store, bench.stream())
    bench.send([b'{"n": 3}'])
    for expected in (["1", "x"], ["3"]):
        mended = run(store, bench.stream(), decode="json", columns={"n": "text"}).streamed
        assert mended is not None and mended.table.arrow()["n"].to_pylist() == expected


def test_a_damaged_snapshot_is_read_again(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1", b"2"])
    bad_run(store, lines.stream())
    (landed,) = Chain(store, lines.stream()).snapshots()
    for file in landed.table.files:
        store.drop_object(file.digest)
    lines.send([b"3"])
    assert rows(run(store, lines.stream())) == ["1", "2"]
    (again,) = Chain(store, lines.stream()).snapshots()
    assert (again.delivery, again.table.digest) == (2, landed.table.digest)


def test_two_steps_of_a_run_cannot_read_as_one_group(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    context = begun(store, lines.stream())
    read(context, lines.stream())
    with pytest.raises(DataError, match=r"has been taken by run .* \(step 'read'\)") as caught:
        read(replace(context, node="other"), lines.stream())
    assert "another group=" in str(caught.value)


def test_a_run_under_way_keeps_its_snapshot(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    context = begun(store, lines.stream())
    read(context, lines.stream())
    lines.send([b"2"])
    with store.lease(f"run-{context.run_id}"):
        assert rows(run(store, lines.stream())) == ["2"]
    assert rows(run(store, lines.stream())) == ["1"], "its engine has been killed"
    assert rows(run(store, lines.stream())) == []


def test_a_run_of_an_orchestrator_is_under_way_till_it_says_how_it_ended(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    store.create_record("runs/of-airflow/run.json", b'{"process": null}')
    read(begun(store, lines.stream(), "of-airflow"), lines.stream())
    lines.send([b"2"])
    assert rows(run(store, lines.stream())) == ["2"]
    ended(store, "of-airflow", "failed")
    assert rows(run(store, lines.stream())) == ["1"]
    ended(store, "of-airflow", "succeeded")
    assert rows(run(store, lines.stream())) == []


def test_a_run_that_a_gate_rejected_is_done(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    run(store, lines.stream(), outcome="rejected")
    assert rows(run(store, lines.stream())) == []


def test_cleaning_up_in_between_keeps_what_has_landed(bench: Any, store: LocalStore) -> None:
    seen: list[str] = []
    for number in range(4):
        bench.send([b"%d" % number])
        if number % 2:
            bad_run(store, bench.stream())
        seen += rows(run(store, bench.stream()))
        Collector(store, Policy(n_newest=0, age_seconds=0, grace_seconds=0), wait_seconds=0).collect()
    seen += rows(run(store, bench.stream()))
    assert seen == ["0", "1", "2", "3"]
    landed = [read_back(store, one) for one in Chain(store, bench.stream()).snapshots()]
    assert [row for one in landed for row in one] == seen


def read_back(store: LocalStore, landed: Landed) -> list[str]:
    from headrace.engine.exchange import load_artifact

    found: Any = load_artifact(landed.table, Table, store)
    return list(found.arrow()["value"].to_pylist())


def test_a_plain_call_looks_and_leaves_nothing(bench: Any, in_folder: Path) -> None:
    bench.send([b"1", b"2"])
    for _ in range(2):
        found = ingest_stream(bench.stream(), decode="text", max_messages=1)
        assert found.table.arrow()["value"].to_pylist() == ["1"]
        assert found.has_rows
    assert not ingest_stream(bench.stream(start="latest"), decode="text").has_rows
    with bench.stream().open() as connection:
        assert connection.committed().get("0") is None
    assert list(in_folder.glob(".headrace*")) == []


def test_a_record_that_is_none(lines: LineBench, store: LocalStore) -> None:
    lines.send([b"1"])
    run(store, lines.stream())
    (name,) = store.list_records("streams")
    store.write_record(name, b"{}")
    with pytest.raises(HeadraceError, match="of what was read of a stream can't be read: KeyError"):
        run(store, lines.stream())


def test_a_run_without_a_broker_ends_before_its_first_step(lines: LineBench, store: LocalStore) -> None:
    with pytest.raises(TransientError, match="is not there now"):
        run(store, lines.unreachable())
    with pytest.raises(DataError, match="There is nothing called 'topics' to read as lines"):
        run(store, lines.misnamed())


@pytest.mark.skipif(missing_redis() is not None, reason=str(missing_redis()))
def test_passwords_are_in_no_file(tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    word = "correct-horse-battery"
    monkeypatch.setenv("REDIS_WORD", word)
    monkeypatch.setenv("WRONG_WORD", "wrong-horse-battery")
    with redis_server("--requirepass", word) as server:
        monkeypatch.setattr(RedisServer, "client", _with_password(RedisServer.client, word))
        bench = RedisBench(server)
        bench.send([b"1"])
        assert rows(run(store, bench.stream(password=headrace.Secret("REDIS_WORD")))) == ["1"]
        with pytest.raises(DataError, match="Redis refuses") as caught:
            run(store, bench.stream(password=headrace.Secret("WRONG_WORD")))
        assert "wrong-horse" not in str(caught.value)
        with pytest.raises(DataError, match="Redis refuses"):
            run(store, bench.stream())
    found = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and word.encode() in path.read_bytes()]
    assert found == []


def _with_password(client: Callable[..., Any], word: str) -> Callable[..., Any]:
    return lambda self, **options: client(self, password=word, **options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Kafka("t", "b:1", group="g", settings={"enable.auto.commit": True}), "is not to be set"),
        (lambda: Kafka("t", "b:1", group="g", settings={"sasl.password": "x"}), "was not given as one"),
        (lambda: Kafka("t", "b:1", group="g", start="first"), "can't be started at 'first'"),  # type: ignore[arg-type]
        (lambda: RedisStream("k", "http://b", group="g"), "isn't found by 'http://b'"),
        (lambda: RedisStream("k", "redis://b", group="g", password="x"), "not given as a secret"),  # type: ignore[arg-type]
    ],
)
def test_streams_that_are_wrong(make: Callable[[], object], words: str) -> None:
    with pytest.raises(HeadraceError, match=words) as caught:
        make()
    assert "'x'" not in str(caught.value)


def test_a_url_with_a_password_is_refused() -> None:
    stream = RedisStream("k", "redis://me:pass@host:6379/0", group="g")
    with pytest.raises(HeadraceError, match="A URL with a password in it"):
        encode(stream)


def test_chains_have_names_of_their_own() -> None:
    names = {
        LineStream("a-b", "c").chain_name,
        LineStream("a", "b-c").chain_name,
        Kafka("a", "b:1", group="g").chain_name,
        RedisStream("a", "redis://b", group="g").chain_name,
        RedisStream("ż/ ..\n" * 100, "redis://b", group="g").chain_name,
    }
    assert len(names) == 5
    assert Kafka("a", "b:1", group="g").chain_name == Kafka("a", "c:2", group="g").chain_name
