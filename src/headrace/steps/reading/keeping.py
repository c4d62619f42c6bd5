"""Where rows stay that were read: in memory while they are few, else as stored parts in a temporary folder."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.formats.table import Table

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

MEMORY_BYTES = 64 << 20


def keep(frames: Iterable[pl.DataFrame]) -> Table:
    """Keep all rows of at least one frame, each of the same schema, as one table; what is held is bounded.

    Parts are written as they are stored, so that storing the table copies them. In a step's worker they are in its
    scratch space; in a plain call they are removed when the process ends.
    """
    import polars as pl

    coming = iter(frames)
    held: list[pl.DataFrame] = []
    n_bytes = 0
    for frame in coming:
        held.append(frame)
        n_bytes += int(frame.estimated_size())
        if n_bytes > MEMORY_BYTES:
            return _written(chain(_emptied(held), coming))
    return Table.of(pl.concat(held, rechunk=True))


def _emptied(held: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    while held:
        yield held.pop(0)


def _written(frames: Iterator[pl.DataFrame]) -> Table:
    from headrace.formats.arrow_types import canonical_batch
    from headrace.formats.parquet_writer import write_parts

    first = next(frames)
    schema = Table.of(first.clear()).schema

    def batches() -> Iterator[pa.Table]:
        for frame in chain([first], frames):
            yield canonical_batch(frame.to_arrow(), schema)

    folder = Path(tempfile.mkdtemp(prefix="headrace-rows-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_parts(schema, batches(), folder)
    return Table(sorted(folder.iterdir()))
