"""Small tables of every sort, with known answers."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl


def made(n: int = 300, seed: int = 0, **more: Any) -> pl.DataFrame:
    """Homes: a label and a price that follow from rooms and quarter."""
    random = np.random.default_rng(seed)
    rooms = random.integers(1, 9, n)
    quarter = random.choice(["old", "new", "port"], n)
    price = (40.0 * rooms + 60 * (quarter == "port") + random.normal(0, 15, n)).round(2)
    frame = pl.DataFrame(
        {"rooms": rooms, "quarter": quarter, "price": price, "sold": np.where(price > 250, "yes", "no")}
    )
    return frame.with_columns(**more)


def days(n: int) -> pl.Series:
    return pl.Series([date(2024, 1, 1) + timedelta(days=i) for i in range(n)])


def written(folder: Path, frame: pl.DataFrame, name: str = "homes.csv") -> Path:
    path = folder / name
    frame.write_csv(path)
    return path
