"""Columns under way: a block of rows at a time, whole columns at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headrace.steps.profiling.association import Association, TargetBlock, associated
from headrace.steps.profiling.buckets import MANTISSA, BucketCounter
from headrace.steps.profiling.column import MEASURED, ColumnKind, ColumnProfile
from headrace.steps.profiling.distinct import RegisterCounter
from headrace.steps.profiling.frequent import Value, ValueCounter, Values, tally
from headrace.steps.profiling.hashing import EXACT, hash_integers, hash_numbers, hash_texts, mixed
from headrace.steps.profiling.moments import Moments
from headrace.steps.profiling.texts import TextCounter, text_bytes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]


class Counter(Protocol):
    """One column under way."""

    def add(self, block: pa.Array, target: TargetBlock | None = None) -> None:
        """Take a block of rows in."""
        ...

    def freeze(self) -> ColumnProfile:
        """Give what is known."""
        ...


def arrow_kind(kind: pa.DataType) -> ColumnKind:
    """Give the kind of a column of an Arrow type."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return arrow_kind(kind.value_type)
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return "text"
    if types.is_date(kind):
        return "date"
    return "datetime" if types.is_timestamp(kind) else "other"


def counter_for(kind: ColumnKind, type_name: str) -> Counter:
    """Make what counts a column of that kind."""
    if kind == "text":
        return _TextColumn(type_name)
    if kind == "other":
        return _OtherColumn(type_name)
    return _NumberColumn(kind, type_name)


def numbers_in(array: pa.Array) -> Array:
    """Give the numbers of an array without missing values, as 64-bit integers or floats.

    Booleans as 0 and 1, days as days and moments as microseconds since 1970.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    kind = array.type
    if types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif types.is_date(kind):
        array = array.cast(pa.date32()).cast(pa.int32())
    elif types.is_timestamp(kind):
        # Nanoseconds are cut to microseconds.
        array = pc.cast(array, pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
    elif types.is_decimal(kind) or types.is_float16(kind) or types.is_float32(kind):
        array = array.cast(pa.float64())
    elif types.is_uint64(kind) and len(array) and pc.max(array).as_py() >= 1 << 63:
        array = array.cast(pa.float64(), safe=False)
    import numpy as np

    found: Array = array.to_numpy(zero_copy_only=False)
    return found if found.dtype in (np.float64, np.int64) else found.astype(np.int64)


def row_hashes(columns: Sequence[pa.Array]) -> Array:
    """Hash rows of several columns: equal rows have equal hashes. Missing values are equal."""
    import numpy as np

    hashes = np.zeros(len(columns[0]), np.uint64)
    for array in columns:
        own = np.full(len(array), 0x9E3779B97F4A7C15, np.uint64)
        is_there = array.is_valid().to_numpy(zero_copy_only=False)
        own[is_there] = _hashes_in(array.drop_null())
        hashes = mixed((hashes ^ own) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
    return hashes


def _hashes_in(array: pa.Array) -> Array:
    """Hash an array without missing values as its column does; NaN as one value."""
    import numpy as np
    import pyarrow as pa

    kind = arrow_kind(array.type)
    if kind == "other":
        array, kind = pa.array([repr(value) for value in array.to_pylist()], pa.string()), "text"
    if kind == "text":
        return hash_texts(*text_bytes(_plain_texts(array)))
    values = numbers_in(array)
    if values.dtype == np.float64:
        return hash_numbers(np.where(np.isnan(values), np.nan, values + 0.0))
    return hash_integers(values, values.astype(np.float64))


def _plain_texts(texts: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
        return texts
    return texts.cast(pa.large_string())


def hashes_of(kind: ColumnKind, values: Sequence[Value]) -> Array:
    """Hash stored values as columns hash theirs."""
    import numpy as np
    import pyarrow as pa

    if kind == "text":
        return hash_texts(*text_bytes(pa.array(values, pa.string())))
    if kind == "number":
        return hash_numbers(np.array(values, np.float64))
    ints = np.array(values, np.int64)
    return hash_integers(ints, ints.astype(np.float64))


def light_counter_for(kind: ColumnKind, type_name: str, reference: ColumnProfile | None = None) -> Counter:
    """Make what counts of a column only its distribution; with a reference, only what a comparison with it needs."""
    if kind in MEASURED and (reference is None or reference.kind in MEASURED):
        return _LightNumbers(kind, type_name, MANTISSA if reference is None else reference.buckets.bits)
    if kind == "text" and (reference is None or (reference.kind == "text" and reference.values.counts)):
        return _TextColumn(type_name, is_light=True)
    return counter_for("boolean", type_name) if kind == "boolean" else _OtherColumn(type_name, kind)


class _LightNumbers:
    """Numbers, days and moments, of which only the buckets are counted."""

    def __init__(self, kind: ColumnKind, type_name: str, bits: int) -> None:
        self._kind = kind
        self._type = type_name
        self._n = self._n_missing = self._n_infinite = 0
        self._low: Any = None
        self._high: Any = None
        self._buckets = BucketCounter(bits)

    def add(self, block: pa.Array, target: TargetBlock | None = None) -> None:
        """Take a block of rows in."""
        import numpy as np

        self._n += len(block)
        self._n_missing += block.null_count
        values = numbers_in(block.drop_null() if block.null_count else block)
        if values.dtype == np.float64:
            is_finite = np.isfinite(values)
            if not is_finite.all():
                n_infinite = int(np.isinf(values).sum())
                self._n_infinite += n_infinite
                self._n_missing += int((~is_finite).sum()) - n_infinite
                values = values[is_finite]
            values = values + 0.0
        if len(values):
            low, high = values.min().item(), values.max().item()
            self._low = low if self._low is None else min(self._low, low)
            self._high = high if self._high is None else max(self._high, high)
            self._buckets.add(values.astype(np.float64, copy=False))

    def freeze(self) -> ColumnProfile:
        """Give what is known."""
        return ColumnProfile(
            self._kind,
            self._type,
            self._n,
            self._n_missing,
            n_infinite=self._n_infinite,
            low=self._low,
            high=self._high,
            buckets=self._buckets.freeze(),
            values=Values({}, False, self._n),
        )


class _NumberColumn:
    """Numbers, booleans, days and moments."""

    def __init__(self, kind: ColumnKind, type_name: str) -> None:
        self._kind = kind
        self._type = type_name
        self._n = self._n_missing = self._n_zero = self._n_infinite = self._n_negative = 0
        self._low: Any = None
        self._high: Any = None
        self._moments = Moments()
        self._buckets = BucketCounter()
        self._values = ValueCounter()
        self._registers = RegisterCounter()
        self._association: Association | None = None

    def add(self, block: pa.Array, target: TargetBlock | None = None) -> None:
        """Take a block of rows in."""
        import numpy as np

        self._n += len(block)
        is_there: Array | None = None
        if block.null_count:
            is_there = block.is_valid().to_numpy(zero_copy_only=False)
            self._n_missing += block.null_count
            block = block.drop_null()
        values = numbers_in(block)
        if values.dtype == np.float64:
            is_finite = np.isfinite(values)
            if not is_finite.all():
                self._count_infinite(values)
                is_there = _narrowed(is_there, is_finite)
                values = values[is_finite]
            floats = values = _without_negative_zero(values)
        else:
            floats = values.astype(np.float64)
        if len(values):
            self._count(values, floats)
        if target is not None:
            found = associated(floats, is_there, target)
            self._association = found if self._association is None else self._association.merge(found)

    def _count_infinite(self, values: Array) -> None:
        import numpy as np

        n_infinite = int(np.isinf(values).sum())
        self._n_infinite += n_infinite
        self._n_negative += int((values == -np.inf).sum())
        self._n_missing += int(np.isnan(values).sum())

    def _count(self, values: Array, floats: Array) -> None:
        import numpy as np

        low, high = values.min().item(), values.max().item()
        self._low = low if self._low is None else min(self._low, low)
        self._high = high if self._high is None else max(self._high, high)
        if low <= 0 <= high:
            self._n_zero += len(values) - int(np.count_nonzero(values))
        if low < 0:
            self._n_negative += int(np.count_nonzero(values < 0))
        hashes = hash_numbers(floats) if values is floats else hash_integers(values, floats)
        few = tally(hashes, self._values, lambda rows: self._stored(values[rows]))
        weights = None
        if few is not None:
            rows, weights = few
            hashes, values, floats = hashes[rows], values[rows], floats[rows]
        self._registers.add(hashes)
        self._moments = self._moments.merge(_moments(values, floats, weights))
        self._buckets.add(floats, weights)

    def _stored(self, values: Array) -> list[Value]:
        found: list[Value] = values.astype(bool).tolist() if self._kind == "boolean" else values.tolist()
        return found

    def freeze(self) -> ColumnProfile:
        """Give what is known."""
        values = self._values.freeze()
        return ColumnProfile(
            self._kind,
            self._type,
            self._n,
            self._n_missing,
            self._n_zero,
            self._n_infinite,
            self._n_negative,
            self._low,
            self._high,
            self._moments,
            self._buckets.freeze(),
            values,
            None if values.is_exact else self._registers.freeze(),
            association=self._association,
        )


def _moments(values: Array, floats: Array, weights: Array | None) -> Moments:
    """Add up numbers; whole ones that a float doesn't hold exactly are counted from the smallest of them."""
    low, high = values.min().item(), values.max().item()
    if isinstance(low, float) or (low >= -EXACT and high <= EXACT) or high - low > EXACT:
        return Moments.of(floats, weights)
    return Moments.of((values - low).astype(floats.dtype), weights).shifted(low)


def _narrowed(is_there: Array | None, is_kept: Array) -> Array:
    """Say which rows are left of those that are there."""
    if is_there is None:
        return is_kept
    is_there = is_there.copy()
    is_there[is_there] = is_kept
    return is_there


def _without_negative_zero(values: Array) -> Array:
    import numpy as np

    return values + 0.0 if np.signbit(values[values == 0]).any() else values


class _TextColumn:
    """Texts."""

    def __init__(self, type_name: str, *, is_light: bool = False) -> None:
        self._type = type_name
        self._is_light = is_light
        self._n = self._n_missing = 0
        self._values = ValueCounter()
        self._registers = RegisterCounter()
        self._texts = TextCounter()

    def add(self, block: pa.Array, target: TargetBlock | None = None) -> None:
        """Take a block of rows in."""
        import pyarrow as pa

        self._n += len(block)
        self._n_missing += block.null_count
        texts = block.drop_null()
        if pa.types.is_null(texts.type) or not len(texts):
            return
        texts = _plain_texts(texts)
        hashes = hash_texts(*text_bytes(texts))
        few = tally(hashes, self._values, lambda rows: texts.take(pa.array(rows)).to_pylist())
        if self._is_light:
            return
        if few is None:
            self._registers.add(hashes)
            self._texts.add(texts)
        else:
            rows, counts = few
            self._registers.add(hashes[rows])
            self._texts.add(texts.take(pa.array(rows)), counts)

    def freeze(self) -> ColumnProfile:
        """Give what is known."""
        values = self._values.freeze()
        return ColumnProfile(
            "text",
            self._type,
            self._n,
            self._n_missing,
            values=values,
            registers=None if values.is_exact or self._is_light else self._registers.freeze(),
            texts=None if self._is_light else self._texts.freeze(),
        )


class _OtherColumn:
    """What is only looked at for missing values."""

    def __init__(self, type_name: str, kind: ColumnKind = "other") -> None:
        self._type = type_name
        self._kind = kind
        self._n = self._n_missing = 0

    def add(self, block: pa.Array, target: TargetBlock | None = None) -> None:
        """Take a block of rows in."""
        self._n += len(block)
        self._n_missing += block.null_count

    def freeze(self) -> ColumnProfile:
        """Give what is known."""
        # A value that isn't looked at isn't known not to be there.
        return ColumnProfile(self._kind, self._type, self._n, self._n_missing, values=Values({}, False, self._n))
