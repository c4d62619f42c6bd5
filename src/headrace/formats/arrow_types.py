"""The one form that a table's columns have in the store, whichever library made them.

=============================================  ==================================================================
column                                         stored as
=============================================  ==================================================================
string, large_string, string_view; JSON, UUID  string (offsets of 32 bits); binary in the same way
list, large_list, list_view                    list, its field named "item"
fixed-size list (Polars: Array)                list, and a mark on the column that gives it its size again; one inside a
                                               struct, map or list of another length stays a list
dictionary, categorical, enum                  its values, and a mark on the column that makes it categories again
timestamp in seconds                           in milliseconds, as Parquet has no seconds; other units stay
time zone                                      its name; all names of UTC are "UTC", and so is DuckDB's session zone
date64                                         date32
decimal of any width                           decimal128, or decimal256 beyond 38 digits
float NaN                                      one NaN; for pandas NaN is a missing value
run-end encoded                                its values
null                                           null
interval, union, other extensions              refused
=============================================  ==================================================================

Every column may hold missing values; metadata of the libraries is left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.core.errors import FormatError

if TYPE_CHECKING:
    import pyarrow as pa

MARK = b"headrace.categories"
SIZES = b"headrace.list_sizes"
UTC_NAMES = frozenset(
    {"utc", "etc/utc", "z", "zulu", "etc/zulu", "gmt", "etc/gmt", "+00:00", "-00:00", "universal", "etc/universal"}
)


@dataclass(frozen=True, slots=True)
class Categories:
    """What makes a column of values categories again.

    ``values`` is the declared list in its order (pandas categories, a Polars Enum); None where no list was declared
    and the values are all there is (a Polars Categorical, an Arrow dictionary, a DuckDB enum).
    """

    values: tuple[Any, ...] | None = None
    is_ordered: bool = False

    def to_metadata(self) -> dict[bytes, bytes]:
        """Give the mark as field metadata."""
        listed = None if self.values is None else list(self.values)
        return {MARK: json.dumps({"ordered": self.is_ordered, "values": listed}, separators=(",", ":")).encode()}

    @classmethod
    def of_field(cls, field: pa.Field) -> Categories | None:
        """Read the mark of a stored field."""
        raw = (field.metadata or {}).get(MARK)
        if raw is None:
            return None
        found = json.loads(raw)
        return cls(None if found["values"] is None else tuple(found["values"]), found["ordered"])


def canonical_schema(schema: pa.Schema, categories: dict[str, Categories]) -> pa.Schema:
    """Give the stored schema. Raises FormatError for duplicate names and for types that Parquet can't hold."""
    import pyarrow as pa

    _refuse_duplicates(schema.names)
    fields = []
    for field in schema:
        mark = categories.get(field.name)
        if mark is None and pa.types.is_dictionary(field.type):
            mark = Categories(None, field.type.ordered)
        stored = canonical_type(field.type, f"column {field.name!r}")
        sizes = _fixed_sizes(field.type)
        metadata = {SIZES: json.dumps(sizes).encode()} if sizes else mark.to_metadata() if mark else None
        fields.append(pa.field(field.name, stored, nullable=True, metadata=metadata))
    return pa.schema(fields)


def _fixed_sizes(kind: pa.DataType) -> list[int]:
    """Give the sizes of fixed-size lists, from the outermost in.

    Parquet doesn't know them, and pyarrow can't read back a missing one of its own (apache/arrow#35692).
    """
    import pyarrow as pa

    sizes = []
    while pa.types.is_fixed_size_list(kind):
        sizes.append(kind.list_size)
        kind = kind.value_type
    return sizes


def list_sizes(field: pa.Field) -> list[int]:
    """Read the sizes that a stored column of fixed-size lists had; empty for another column."""
    raw = (field.metadata or {}).get(SIZES)
    return [] if raw is None else [int(size) for size in json.loads(raw)]


def innermost(kind: pa.DataType, depth: int) -> pa.DataType:
    """Give what is inside so many lists."""
    for _ in range(depth):
        kind = kind.value_type
    return kind


def _refuse_duplicates(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        shown = ", ".join(repr(name) for name in twice[:5])
        raise FormatError(
            f"A table has more than one column named {shown}",
            hint="rename them: a stored table's column names are unique",
        )


def canonical_type(kind: pa.DataType, where: str) -> pa.DataType:
    """Give the stored type of a column or of what is nested in it."""
    import pyarrow as pa

    types = pa.types
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return canonical_type(kind.value_type, where)
    if types.is_temporal(kind):
        return _canonical_temporal(kind, where)
    if types.is_decimal(kind):
        return (
            pa.decimal128(kind.precision, kind.scale)
            if kind.precision <= 38
            else pa.decimal256(kind.precision, kind.scale)
        )
    if types.is_nested(kind):
        return _canonical_nested(kind, where)
    if isinstance(kind, pa.BaseExtensionType):
        return _canonical_extension(kind, where)
    return kind


def _canonical_temporal(kind: pa.DataType, where: str) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        zone = "UTC" if kind.tz is not None and kind.tz.lower() in UTC_NAMES else kind.tz
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, tz=zone)
    if pa.types.is_interval(kind):
        raise _refusal(where, kind, "turn it into a duration or a number")
    if pa.types.is_date64(kind):
        return pa.date32()
    return pa.time32("ms") if kind == pa.time32("s") else kind


def _canonical_nested(kind: pa.DataType, where: str) -> pa.DataType:
    import pyarrow as pa

    types = pa.types
    if types.is_map(kind):
        key, item = canonical_type(kind.key_type, where), canonical_type(kind.item_type, where)
        return pa.map_(key, item)
    if types.is_struct(kind):
        if kind.num_fields == 0:
            raise _refusal(where, kind, "leave out the column: a struct needs a field")
        _refuse_duplicates([field.name for field in kind])
        return pa.struct(
            [pa.field(field.name, canonical_type(field.type, f"{where}, field {field.name!r}")) for field in kind]
        )
    if types.is_union(kind):
        raise _refusal(where, kind, "split it into one column a type")
    return pa.list_(pa.field("item", canonical_type(kind.value_type, where)))


def _canonical_extension(kind: Any, where: str) -> pa.DataType:
    import pyarrow as pa

    if kind.extension_name == "arrow.bool8":
        return pa.bool_()
    if kind.extension_name == "arrow.json":
        return pa.string()
    raise _refusal(where, kind, "cast it to text, a number, a time or a list of these")


def _refusal(where: str, kind: object, hint: str) -> FormatError:
    return FormatError(f"The type {str(kind)!r} of {where} can't be stored in a table", hint=hint)


def canonical_batch(batch: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast a batch to the stored schema; each column becomes one contiguous chunk with one NaN."""
    import pyarrow as pa

    columns = []
    for field in schema:
        column = batch.column(field.name)
        try:
            whole = _plain(column).cast(field.type).combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise FormatError(
                f"Column {field.name!r} of type {str(column.type)!r} can't be stored as {str(field.type)!r}: {error}",
                hint="cast the column before returning the table",
            ) from error
        if isinstance(whole, pa.ChunkedArray):
            whole = (
                whole.chunk(0)
                if whole.num_chunks == 1
                else pa.concat_arrays(whole.chunks)
                if whole.num_chunks
                else pa.array([], field.type)
            )
        columns.append(_one_nan(whole))
    return pa.Table.from_arrays(columns, schema=schema)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_run_end_encoded(column.type):
        return pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    return column


def _one_nan(array: pa.Array) -> pa.Array:
    """Give every NaN the same bits, in nested columns too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_floating(kind):
        is_nan = pc.is_nan(array)
        return pc.if_else(is_nan, pa.scalar(float("nan"), kind), array) if pc.any(is_nan).as_py() else array
    if pa.types.is_struct(kind) and _holds_floats(kind):
        children = [_one_nan(child) for child in _children(array)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind) and _holds_floats(kind):
        values = _one_nan(array.values)
        return pa.Array.from_buffers(kind, len(array), array.buffers()[:2], array.null_count, array.offset, [values])
    return array


def _children(array: pa.Array) -> list[pa.Array]:
    return [array.field(index) for index in range(array.type.num_fields)]


def _holds_floats(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_floating(kind):
        return True
    return pa.types.is_nested(kind) and any(_holds_floats(kind.field(index).type) for index in range(kind.num_fields))
