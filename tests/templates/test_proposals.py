"""What is proposed for a table, and why."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from templates_tables import days, made, written

from headrace.core.errors import DataError
from headrace.templates import survey as surveys
from headrace.templates.proposals import Proposal, propose
from headrace.templates.survey import survey


def proposed(folder: Path, frame: pl.DataFrame, target: str = "sold", **options: Any) -> Proposal:
    return propose(survey(written(folder, frame)), target, **options)


@pytest.mark.parametrize(
    ("target", "task", "positive", "labels"),
    [
        (pl.col("sold"), "binary", "yes", ("no", "yes")),
        (pl.col("sold") == "yes", "binary", "true", ("false", "true")),
        ((pl.col("sold") == "yes").cast(pl.Int8), "binary", "1", ("0", "1")),
        (pl.when(pl.col("price") > 380).then(pl.lit("A")).otherwise(pl.lit("B")), "binary", "A", ("B", "A")),
        (pl.col("price"), "regression", None, ()),
        (pl.col("price").round(0).cast(pl.Int64), "regression", None, ()),
        (pl.col("quarter"), "multiclass", None, ("new", "old", "port")),
        ((pl.col("price") // 100).cast(pl.Int64), "multiclass", None, ("0", "1", "2", "3", "4")),
    ],
)
def test_the_task_follows_from_the_target(
    tmp_path: Path, target: pl.Expr, task: str, positive: str | None, labels: tuple[str, ...]
) -> None:
    found = proposed(tmp_path, made().with_columns(answer=target), "answer")
    assert (found.task, found.positive) == (task, positive)
    assert found.labels[: len(labels)] == labels
    assert found.template == ("regression" if task == "regression" else "classification")


def test_the_template_goes_before_the_targets_looks(tmp_path: Path) -> None:
    frame = made().with_columns(grade=(pl.col("price") // 100).cast(pl.Int64))
    assert proposed(tmp_path, frame, "grade", template="regression").task == "regression"
    assert proposed(tmp_path, frame, "grade", template="classification").task == "multiclass"
    with pytest.raises(DataError, match="Column 'sold' holds text, not numbers"):
        proposed(tmp_path, frame, template="regression")


@pytest.mark.parametrize(
    ("columns", "key", "split"),
    [
        ({"customerID": pl.int_range(300).map_elements(lambda i: f"C{i:04}", pl.String)}, "customerID", "random"),
        ({"row": pl.int_range(300) * 7}, "row", "random"),
        ({"name": pl.int_range(300).map_elements(lambda i: f"N{i:04}", pl.String)}, "name", "random"),
        ({"household_id": pl.int_range(300) // 3 + 1000}, "household_id", "key"),
        ({"floor": pl.int_range(300) % 5}, None, "random"),
    ],
)
def test_the_key_is_found_by_its_values_and_name(
    tmp_path: Path, columns: dict[str, Any], key: str | None, split: str
) -> None:
    found = proposed(tmp_path, made(**columns))
    assert (found.key.column, found.split) == (key, split)
    assert found.key.why
    assert (key in found.left_out) == (key is not None)
    assert not key or found.is_key_unique == (key != "household_id")


def test_a_long_table_is_split_by_its_key_so_that_rows_stay_where_they_are(tmp_path: Path) -> None:
    assert proposed(tmp_path, made(1500, id=pl.int_range(1500))).split == "key"


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        ({"seen": days(300)}, "seen"),
        ({"born": days(300)}, None),
        ({"seen": pl.int_range(300) * 3600 + 1_400_000_000, "day": days(300)}, "day"),
        ({"timestamp": pl.int_range(300) * 3600 + 1_400_000_000}, "timestamp"),
        ({"amount": pl.int_range(300) * 3600 + 1_400_000_000}, None),
        ({"first": days(300), "snapshot_date": days(300)}, "snapshot_date"),
    ],
)
def test_the_time_is_found_by_its_values_and_name(tmp_path: Path, columns: dict[str, Any], time: str | None) -> None:
    found = proposed(tmp_path, made(**columns))
    assert found.time.column == time
    assert found.split == ("time" if time else "random")


def test_a_split_by_time_that_leaves_a_part_without_a_label_is_not_proposed(tmp_path: Path) -> None:
    frame = made(day=days(300)).with_columns(
        sold=pl.when(pl.col("day") < days(200)[-1]).then("sold").otherwise(pl.lit("no"))
    )
    found = proposed(tmp_path, frame)
    assert (found.split, found.time.column) == ("random", "day")
    assert found.notes == ("not split by day: all rows for validation would have one sold",)


def test_what_is_given_goes_before_what_is_found(tmp_path: Path) -> None:
    frame = made(id=pl.int_range(300), day=days(300))
    found = proposed(tmp_path, frame, key="", time="")
    assert (found.key.column, found.time.column, found.split) == (None, None, "random")
    found = proposed(tmp_path, frame.with_columns(half=pl.int_range(300) % 2), key="half", time="")
    assert (found.key.column, found.split, found.is_key_unique) == ("half", "random", False)
    assert found.notes[0].startswith("not split by half: Splitting 300 rows with ByKey")
    assert "day" not in proposed(tmp_path, frame, time="").left_out


def test_leaks_are_found(tmp_path: Path) -> None:
    frame = made().with_columns(
        same=pl.col("sold"),
        code=pl.col("sold").replace({"yes": "Y", "no": "N"}),
        number=pl.int_range(300),
        near=pl.col("price") * 2 + 7,
    )
    found = {item.column: item.why for item in proposed(tmp_path, frame).suspicions}
    assert found == {
        "price": "tells no from yes by itself",
        "same": "equals sold in every row",
        "code": "each of its values goes with one sold",
        "number": "counts the rows",
        "near": "tells no from yes by itself",
    }
    found = {item.column: item.why for item in proposed(tmp_path, frame, "price").suspicions}
    assert found["near"].startswith("orders the rows as price does (rank correlation 1.0000")
    assert "rooms" not in found


def test_summands_are_found(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    frame = made(300, one=random.integers(0, 50, 300), other=random.integers(0, 900, 300))
    total = frame.with_columns(total=pl.col("one") + pl.col("other"))
    found = {item.column: item.why for item in proposed(tmp_path, total, "total").suspicions}
    assert found["one"] == "one + other = total"
    less = frame.with_columns(total=pl.col("one") - pl.col("other"))
    found = {item.column: item.why for item in proposed(tmp_path, less, "total").suspicions}
    assert {"one", "other"} & set(found)


def test_missing_values_are_found_by_their_spelling(tmp_path: Path) -> None:
    frame = made().with_columns(
        rooms=pl.when(pl.int_range(300) % 9 == 0).then(pl.lit("unknown")).otherwise(pl.col("rooms").cast(pl.String)),
        quarter=pl.when(pl.int_range(300) % 7 == 0).then(pl.lit("?")).otherwise("quarter"),
    )
    table = survey(written(tmp_path, frame))
    assert set(table.missing) == {"unknown", "?"}
    assert (table["rooms"].kind, table["rooms"].n_present, table["quarter"].values) == (
        "integer",
        300 - 34,
        ("new", "old", "port"),
    )


def test_columns_that_are_numbers_but_for_a_few_are_meant_to_be_numbers(tmp_path: Path) -> None:
    odd = pl.when(pl.int_range(300) < 5).then(pl.lit("free") + pl.int_range(300).cast(pl.String))
    frame = made(fee=odd.otherwise(pl.lit("12.5")), zip=pl.lit("0050") + (pl.int_range(300) % 9).cast(pl.String))
    table = survey(written(tmp_path, frame))
    assert (table["fee"].kind, table["fee"].meant) == ("text", "number")
    assert (table["zip"].kind, table["zip"].meant) == ("text", None)
    odd = pl.when(pl.int_range(300) < 5).then(pl.lit("00.00.0000")).otherwise(days(300).cast(pl.String))
    assert survey(written(tmp_path, made(day=odd)))["day"].meant == "date"
    assert "fee is number but for a few values: those rows are set aside" in propose(table, "sold").notes


def test_what_is_written_otherwise_is_said(tmp_path: Path) -> None:
    frame = made(when=days(300).dt.strftime("%d.%m.%Y"), fee=(pl.int_range(300).cast(pl.String) + pl.lit(",5")))
    notes = proposed(tmp_path, frame).notes
    assert [note.partition(" ")[0] for note in notes] == ["when", "fee"]


def test_labels_that_differ_in_case_alone_are_spelled_alike(tmp_path: Path) -> None:
    frame = made().with_columns(
        sold=pl.when(pl.int_range(300) % 5 == 0).then(pl.col("sold").str.to_uppercase()).otherwise("sold")
    )
    found = proposed(tmp_path, frame)
    assert (found.labels, found.positive, found.folds_labels) == (("no", "yes"), "yes", True)


def test_other_encodings_and_separators_are_found(tmp_path: Path) -> None:
    frame = made(town=pl.lit("Köln"))
    text = frame.write_csv(separator=";")
    for encoding, found in (("cp1252", "cp1252"), ("utf-8", "utf-8"), ("utf-8-sig", "utf-8")):
        (tmp_path / "towns.csv").write_bytes(text.encode(encoding))
        table = survey(tmp_path / "towns.csv")
        assert (table.encoding, table["town"].values) == (found, ("Köln",))
    (tmp_path / "odd.csv").write_bytes(text.encode("cp1252").replace(b"\xf6", b"\x81"))
    assert survey(tmp_path / "odd.csv").encoding == "latin-1"
    (tmp_path / "towns.csv.gz").write_bytes(gzip.compress(text.encode("cp1252")))
    assert survey(tmp_path / "towns.csv.gz").encoding == "cp1252"


def test_all_kinds_of_file(tmp_path: Path) -> None:
    frame = made(day=days(300))
    frame.write_parquet(tmp_path / "homes.parquet")
    frame.write_ndjson(tmp_path / "homes.jsonl")
    frame.write_csv(tmp_path / "homes.tsv", separator="\t")
    for name in ("homes.parquet", "homes.tsv"):
        assert propose(survey(tmp_path / name), "sold").time.column == "day"
    assert propose(survey(tmp_path / "homes.jsonl"), "sold").task == "binary"


def test_of_a_long_table_some_rows_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "MOST_ROWS", 100)
    table = survey(written(tmp_path, made(950, id=pl.int_range(950))))
    assert (table.n_rows, len(table.rows)) == (950, 95)
    assert table.rows["id"].to_list() == list(range(0, 950, 10))


@pytest.mark.parametrize(
    ("frame", "target", "message"),
    [
        (made(), "sld", r"--target names column 'sld', which 'homes.csv' doesn't have.\nHint: did you mean 'sold'\?"),
        (made(same=pl.lit("x")), "same", "Column 'same' has one value only, 'x', so there is nothing to predict"),
        (made(none=pl.lit(None, pl.String)), "none", "Column 'none' has no value in any row"),
        (made(1), "sold", "'homes.csv' has 1 row, and a model needs at least 30"),
        (made(29), "sold", "'homes.csv' has 29 rows, and a model needs at least 30"),
        (
            made(key=pl.int_range(300).cast(pl.String) + "x"),
            "key",
            "'key' has 300 different labels in 300 rows",
        ),
        (made(day=days(300)), "day", "Column 'day' holds dates"),
        (
            made().select("sold", same=pl.col("sold")),
            "sold",
            "no column left to predict 'sold' from.\nHint: 'same'",
        ),
        (made().with_columns(sold=pl.Series(["yes", "YES"] * 150)), "sold", "has one label only, .yes."),
    ],
)
def test_what_cannot_be_predicted(tmp_path: Path, frame: pl.DataFrame, target: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        proposed(tmp_path, frame, target)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    for option in ("key", "time"):
        with pytest.raises(DataError, match=f"--{option} names column 'qarter'.*\nHint: did you mean 'quarter'"):
            proposed(tmp_path, made(), **{option: "qarter"})


@pytest.mark.parametrize("name", ["count", "answers", "label", "value"])
def test_columns_may_have_any_name(tmp_path: Path, name: str) -> None:
    frame = made().with_columns(kind=pl.when(pl.col("sold") == "yes").then(pl.lit("dear")).otherwise(pl.lit("cheap")))
    assert proposed(tmp_path, frame.rename({"sold": name}), name).positive == "yes"
    assert name in {suspicion.column for suspicion in proposed(tmp_path, frame.rename({"kind": name})).suspicions}


def test_a_table_is_read_again_only_for_other_spellings_of_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(options["missing"])
        return ingest(*arguments, **options)

    ingest = surveys.ingest
    monkeypatch.setattr(surveys, "ingest", counted)
    path = written(tmp_path, made())
    survey(path)
    assert asked == [surveys.MISSING]
    path.write_text(path.read_text().replace(",port,", ",?,"))
    assert survey(path).missing == ("?",)
    assert asked[1:] == [surveys.MISSING, (*surveys.MISSING, "?")]
