"""Counts of numbers in buckets as fine as few buckets allow: quantiles with a stated relative error, mergeable.

A bucket holds the numbers that share sign, exponent and the first ``bits`` bits of the mantissa: a logarithmic scale,
each doubling cut in ``2**bits`` equal parts, as in DDSketch with linear interpolation (Masson, Rim and Lee, VLDB 2019).
No logarithm is computed, so buckets are the same on every machine. ``bits`` is the largest for which no more than
`MOST_BUCKETS` buckets are in use, at least `COARSEST`: it follows from the numbers alone, not from their order or
from how they came in parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MANTISSA = 52
COARSEST = 6
"""A bucket's middle is then within 1/129 (0.78 %) of each of its numbers."""
MOST_BUCKETS = 2048
FIRST = 1 << 13


def keys_of(values: Array, bits: int) -> Array:
    """Give each finite number's bucket: whole numbers in the numbers' order. There is no -0.0 among ``values``."""
    import numpy as np

    raw = values.view(np.int64)
    if not len(raw) or raw.min() >= 0:
        return raw >> (MANTISSA - bits)
    return ((raw & 0x7FFF_FFFF_FFFF_FFFF) >> (MANTISSA - bits)) ^ (raw >> 63)


def edges_of(keys: Array, bits: int) -> tuple[Array, Array]:
    """Give the least and the greatest end of each bucket."""
    import numpy as np

    size = np.where(keys < 0, ~keys, keys)
    shift = MANTISSA - bits
    near = (size << shift).view(np.float64)
    far = ((size + 1) << shift).view(np.float64)
    far = np.where(np.isfinite(far), far, np.finfo(np.float64).max)
    return np.where(keys < 0, -far, near), np.where(keys < 0, -near, far)


def counted(keys: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Give the buckets in use, in order, and how many numbers (or what weight) each holds."""
    import numpy as np

    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    least = int(keys.min())
    width = int(keys.max()) - least + 1
    if width <= max(4 * len(keys), 1 << 14):
        sums = np.bincount(keys - least, weights, minlength=width)
        used = np.flatnonzero(sums)
        return used + least, sums[used].astype(np.int64)
    signs = [keys < 0, keys == 0, keys > 0]
    if weights is None and width > 1 << 14 and sum(bool(sign.any()) for sign in signs) > 1:
        # Apart, the negative and the positive ones may lie close together.
        parts = [counted(keys[sign]) for sign in signs]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    if weights is None:
        return np.unique(keys, return_counts=True)
    found, places = np.unique(keys, return_inverse=True)
    return found, np.bincount(places, weights, minlength=len(found)).astype(np.int64)


def _from(weights: Array | None, start: int, end: int | None = None) -> Array | None:
    return None if weights is None else weights[start:end]


class BucketCounter:
    """Buckets under way."""

    def __init__(self, bits: int = MANTISSA) -> None:
        import numpy as np

        self.bits = bits
        self.keys: Array = np.empty(0, np.int64)
        self.counts: Array = np.empty(0, np.int64)

    def add(self, values: Array, weights: Array | None = None) -> None:
        """Count finite numbers, each once or as often as ``weights`` says."""
        start = 0
        if self.bits == MANTISSA and len(values) > FIRST:
            # The first numbers show how wide buckets have to be at least: what then follows needs no sorting.
            start = FIRST
            self._join(*counted(keys_of(values[:start], self.bits), _from(weights, 0, start)), self.bits)
        if len(values):
            self._join(*counted(keys_of(values[start:], self.bits), _from(weights, start)), self.bits)

    def add_buckets(self, buckets: Buckets) -> None:
        """Count what other buckets hold."""
        self._join(*buckets.arrays(), buckets.bits)

    def coarsen(self, bits: int) -> None:
        """Make buckets wider."""
        if bits < self.bits:
            self.keys, self.counts = counted(self.keys >> (self.bits - bits), self.counts)
            self.bits = bits

    def _join(self, keys: Array, counts: Array, bits: int) -> None:
        import numpy as np

        self.coarsen(bits)
        keys = keys >> (bits - self.bits)
        if len(self.keys) == len(keys) and np.array_equal(self.keys, keys):
            self.counts = self.counts + counts
        else:
            both = np.concatenate([self.keys, keys])
            self.keys, self.counts = counted(both, np.concatenate([self.counts, counts]))
        self.coarsen(self._fitting())

    def _fitting(self) -> int:
        """Find how fine buckets may be: the largest number of bits for which few enough are in use."""
        import numpy as np

        bits, keys = self.bits, self.keys
        while bits > COARSEST and len(keys) > MOST_BUCKETS:
            bits -= 1
            keys = keys >> 1
            keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        return bits

    def freeze(self) -> Buckets:
        """Give what was counted."""
        return Buckets(self.bits, tuple(self.keys.tolist()), tuple(self.counts.tolist()))


@dataclass(frozen=True, slots=True)
class Buckets:
    """How many finite numbers each bucket holds."""

    bits: int = MANTISSA
    at: tuple[int, ...] = ()
    """The buckets in use, in the order of their numbers."""
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: Array) -> Buckets:
        """Count numbers."""
        counter = BucketCounter()
        counter.add(values)
        return counter.freeze()

    @property
    def n(self) -> int:
        """How many numbers there are."""
        return sum(self.counts)

    @property
    def relative_error(self) -> float:
        """How far a quantile may be off, relative to itself."""
        return float(1 / (2 ** (self.bits + 1) + 1))

    def arrays(self) -> tuple[Array, Array]:
        """Give buckets and counts as arrays."""
        import numpy as np

        return np.array(self.at, np.int64), np.array(self.counts, np.int64)

    def at_bits(self, bits: int) -> tuple[Array, Array]:
        """Give buckets and counts, made as wide as ``bits`` says (no finer than they are)."""
        keys, counts = self.arrays()
        return counted(keys >> (self.bits - bits), counts) if bits < self.bits else (keys, counts)

    def merge(self, other: Buckets) -> Buckets:
        """Give the buckets of both together."""
        counter = BucketCounter(min(self.bits, other.bits))
        counter.add_buckets(self)
        counter.add_buckets(other)
        return counter.freeze()

    def middles(self) -> Array:
        """Give each bucket's middle."""
        low, high = edges_of(self.arrays()[0], self.bits)
        return low + (high - low) / 2

    def quantiles(self, shares: Iterable[float], low: float, high: float) -> list[float]:
        """Give the number below which a share of the numbers lies, each within `relative_error`; kept in low..high.

        The number at rank ``floor(share * (n - 1))``, counted from 0. NaN where there is no number.
        """
        import numpy as np

        wanted = np.asarray(list(shares), np.float64)
        if not self.counts:
            return [float("nan")] * len(wanted)
        ends = np.cumsum(self.arrays()[1])
        places = np.searchsorted(ends, np.floor(wanted * (ends[-1] - 1)), side="right")
        found: list[float] = np.clip(self.middles()[places], low, high).tolist()
        return [low if share <= 0 else high if share >= 1 else at for share, at in zip(wanted, found, strict=True)]

    def histogram(self, edges: Array) -> Array:
        """Give about how many numbers lie between neighbouring edges: a bucket's numbers are spread evenly over it.

        The first edge may be -inf, the last inf.
        """
        import numpy as np

        low, high = edges_of(self.arrays()[0], self.bits)
        ends = np.cumsum(self.arrays()[1])
        known = np.concatenate([[0.0], ends.astype(np.float64)])
        places = np.searchsorted(high, edges, side="left").clip(0, len(high) - 1)
        inside = ((edges - low[places]) / (high[places] - low[places])).clip(0.0, 1.0)
        below = known[places] + inside * (known[places + 1] - known[places])
        return np.diff(below)

    def to_plain(self) -> dict[str, Any]:
        """Give plain data: the first bucket, then steps from one to the next."""
        steps = [at - before for at, before in zip(self.at[1:], self.at, strict=False)]
        return {"bits": self.bits, "at": [*self.at[:1], *steps], "counts": list(self.counts)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Buckets:
        """Make buckets of what `to_plain` gave."""
        at, now = [], 0
        for step in plain["at"]:
            now += int(step)
            at.append(now)
        return cls(int(plain["bits"]), tuple(at), tuple(int(n) for n in plain["counts"]))
