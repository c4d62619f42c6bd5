"""The one Parquet writer: equal tables give equal bytes.

Everything that could differ is fixed: how many rows a part and a row group hold (by the schema alone), one contiguous
array a column and row group (pages break where arrays do), the codec and its level, the format's version. Threads
don't enter: one writes.

What remains in the bytes is the version of pyarrow, which names itself in the footer and may encode otherwise after
an upgrade: equal bytes hold within one version of pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_CELLS = 1 << 24
MAX_GROUP_ROWS = 1 << 17
MIN_GROUP_ROWS = 1 << 10
GROUPS_PER_PART = 8
ZSTD_LEVEL = 1
DICTIONARY_BYTES = 1 << 17
"""Past this a column is written plainly: with pyarrow's 1 MiB floats took five times as long, and more room."""


def part_name(number: int) -> str:
    """Give the name of a part, whose sorted order is the order of rows."""
    return f"part-{number:05}.parquet"


def row_group_rows(schema: pa.Schema) -> int:
    """Give how many rows a row group holds: 2^17, or fewer for a table of more than 128 columns."""
    rows = ROW_GROUP_CELLS // max(len(schema), 1)
    return max(MIN_GROUP_ROWS, min(MAX_GROUP_ROWS, 1 << (rows.bit_length() - 1)))


def write_parts(schema: pa.Schema, batches: Iterator[pa.Table], folder: Path) -> int:
    """Write the batches as parts and give the number of rows. At most one row group and one batch are held."""
    group_rows = row_group_rows(schema)
    n_rows = n_groups = 0
    writer: Any = None
    try:
        for group in _regroup(schema, batches, group_rows):
            if n_groups % GROUPS_PER_PART == 0:
                if writer is not None:
                    writer.close()
                writer = _open(folder / part_name(n_groups // GROUPS_PER_PART), schema)
            writer.write_table(group, row_group_size=group_rows)
            n_rows += group.num_rows
            n_groups += 1
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        _open(folder / part_name(0), schema).close()
    return n_rows


def write_part(schema: pa.Schema, batches: Iterator[pa.Table], path: Path) -> None:
    """Write the batches as one part, however many they are."""
    group_rows = row_group_rows(schema)
    with _open(path, schema) as writer:
        for group in _regroup(schema, batches, group_rows):
            writer.write_table(group, row_group_size=group_rows)


def _open(path: Path, schema: pa.Schema) -> Any:
    from pyarrow import parquet

    return parquet.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=True,
        dictionary_pagesize_limit=DICTIONARY_BYTES,
        data_page_version="1.0",
        write_statistics=True,
        store_schema=True,
        use_compliant_nested_type=True,
    )


def _regroup(schema: pa.Schema, batches: Iterator[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    """Cut and join batches to exactly ``n_rows`` each, the last one excepted."""
    import pyarrow as pa

    held: list[pa.Table] = []
    n_held = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, n_rows - n_held)
            held.append(piece)
            n_held += piece.num_rows
            start += piece.num_rows
            if n_held == n_rows:
                yield pa.concat_tables(held).combine_chunks()
                held, n_held = [], 0
    if n_held:
        yield pa.concat_tables(held).combine_chunks()
