"""Predict with the packaged model: ``python predict.py rows.csv``, or ``-`` for JSON lines from standard input.

Stands alone: it needs what requirements.txt lists, and nothing of the framework that trained the model. Rows come as
CSV, as JSON lines, or as one JSON array of objects; further columns are ignored. One prediction a row is written, in
the rows' order: the label and the score (the chance of the positive label, or of several labels the likeliest one's),
or the number that is predicted. An empty value, or null, is a missing one.

From Python: ``Predictor(folder).predict([{"age": 41, "plan": "basic"}])``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any


class Predictor:
    """The model in a folder. Raises ValueError where its files aren't those that were packaged."""

    def __init__(self, folder: str | Path | None = None) -> None:
        import skops.io

        self.folder = Path(folder) if folder is not None else Path(__file__).resolve().parent
        self.card: dict[str, Any] = json.loads((self.folder / "model.json").read_text(encoding="utf-8"))
        archive = (self.folder / self.card["estimator"]["file"]).read_bytes()
        if hashlib.sha256(archive).hexdigest() != self.card["estimator"]["sha256"]:
            raise ValueError(
                "The estimator's file is not the one that was packaged: its sha256 differs from model.json's"
            )
        self.estimator = skops.io.loads(archive, trusted=self.card["estimator"]["trusted"])

    def scores(self, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Give each row's chance of the positive label; of several labels the chance of each; or the number.

        Raises ValueError for a missing column or a wrong value.
        """
        import polars as pl

        listed = list(rows)
        if not listed:
            return []
        columns: dict[str, pl.Series] = {}
        for feature in self.card["features"]:
            name, kind = feature["name"], feature["kind"]
            values = [_read(row, number, name, kind) for number, row in enumerate(listed, 1)]
            columns[name] = pl.Series(name, values, dtype=pl.String if kind == "text" else pl.Float64)
        matrix = pl.DataFrame(columns)
        if self.card["task"] == "regression":
            return [float(number) for number in self.estimator.predict(matrix)]
        chances = self.estimator.predict_proba(matrix)
        several = self.card["task"] == "multiclass"
        return [[float(chance) for chance in row] if several else float(row[1]) for row in chances]

    def predict(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Give each row's label and score, or its prediction."""
        scores = self.scores(rows)
        if self.card["task"] == "regression":
            return [{"prediction": number} for number in scores]
        if self.card["task"] == "multiclass":
            likeliest = [(max(chances), chances.index(max(chances))) for chances in scores]
            return [{"label": self.card["labels"][place], "score": score} for score, place in likeliest]
        labels = (self.card["negative"], self.card["positive"])
        return [{"label": labels[score >= self.card["threshold"]], "score": score} for score in scores]


def _read(row: Mapping[str, Any], number: int, name: str, kind: str) -> str | float | None:
    """Read one value as the model takes it."""
    if name not in row:
        raise ValueError(f"Row {number} has no column {name!r}")
    value = row[name]
    value = value.strip() if isinstance(value, str) else value
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        return str(value) if kind == "text" else _as_number(value, kind)
    except (ValueError, TypeError):
        raise ValueError(f"Row {number}: {value!r} in column {name!r} is no {kind}") from None


def _as_number(value: Any, kind: str) -> float:
    if kind in ("date", "datetime"):
        return _days(value)
    if kind == "boolean" and isinstance(value, str):
        return {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}.get(value.lower(), math.nan)
    number = float(value)
    if math.isinf(number):
        raise ValueError("infinite")
    return number


def _days(value: Any) -> float:
    """Count days since 1970; a moment's time of day is the fraction, and one with an offset is taken in UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        moment = datetime(value.year, value.month, value.day)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    days, rest = divmod((moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1), 86_400_000)
    return days + rest * (1 / 86_400_000)


def read_rows(text: str) -> list[dict[str, Any]]:
    """Read rows from CSV, JSON lines or a JSON array, whichever the text is."""
    start = text.lstrip("\ufeff \r\n\t")
    if start.startswith("["):
        found: list[dict[str, Any]] = json.loads(start)
        return found
    if start.startswith("{"):
        return [json.loads(line) for line in start.splitlines() if line.strip()]
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True)
    return list(reader)


def main(arguments: list[str] | None = None) -> int:
    """Predict for a file of rows."""
    parser = argparse.ArgumentParser(description="Predict with the packaged model.")
    parser.add_argument("rows", help="a CSV or JSON file, or - for standard input")
    parser.add_argument("--out", help="where predictions go as CSV (default: standard output)")
    options = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if options.rows == "-" else Path(options.rows).read_text(encoding="utf-8")
        predictor = Predictor()
        predictions = predictor.predict(read_rows(text))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    columns = ["prediction"] if predictor.card["task"] == "regression" else ["label", "score"]
    writer.writerow(columns)
    writer.writerows([value if isinstance(value, str) else repr(value) for value in p.values()] for p in predictions)
    if options.out:
        Path(options.out).write_text(written.getvalue(), encoding="utf-8")
    else:
        sys.stdout.write(written.getvalue())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
