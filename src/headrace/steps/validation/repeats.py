"""Values that stand more than once, found by hashes of 64 bits: eight bytes a row, whatever the key is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SORTED_AT_ONCE = 1 << 22
FILTER_BITS = 20


@dataclass(slots=True)
class Hashes:
    """The rows' hashes in their order, batch by batch."""

    chunks: list[Array] = field(default_factory=list)
    passed_over: list[Array | None] = field(default_factory=list)
    """Which rows of a chunk have no hash; None if all have."""
    is_rising: bool = True
    """Whether each is more than the one before: then none stands twice."""

    def add(self, chunk: Array, passed_over: Array | None) -> None:
        """Take the next rows. ``chunk`` holds a hash for each row, also for those that are passed over."""
        if len(chunk) == 0:
            return
        last = self.chunks[-1][-1] if self.chunks else None
        if self.is_rising:
            starts_higher = last is None or last < chunk[0]
            self.is_rising = passed_over is None and bool(starts_higher and (chunk[1:] > chunk[:-1]).all())
        self.chunks.append(chunk)
        self.passed_over.append(passed_over)

    def repeated(self) -> tuple[Array, Array]:
        """Give the rows whose hash stands more than once, in their order, and their hashes."""
        import numpy as np

        if self.is_rising or not self.chunks:
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        doubled = self._doubled()
        rows: list[Array] = []
        hashes: list[Array] = []
        for start, chunk, over in self._walk():
            found = _standing_in(chunk, doubled) if len(doubled) else np.empty(0, np.int64)
            if over is not None:
                found = found[~over[found]]
            rows.append(found + start)
            hashes.append(chunk[found])
        return np.concatenate(rows), np.concatenate(hashes)

    def _walk(self) -> Iterator[tuple[int, Array, Array | None]]:
        import numpy as np

        start = 0
        for chunk, over in zip(self.chunks, self.passed_over, strict=True):
            yield start, chunk.view(np.uint64), over
            start += len(chunk)

    def _doubled(self) -> Array:
        """The hashes that stand more than once, sorted. They are sorted by parts, so that little is held beside."""
        import numpy as np

        n_parts = 1 << max(0, (sum(map(len, self.chunks)) // SORTED_AT_ONCE)).bit_length()
        found = []
        for number in range(n_parts):
            part = np.concatenate([_part(chunk, over, number, n_parts) for _, chunk, over in self._walk()])
            part.sort()
            found.append(np.unique(part[1:][part[1:] == part[:-1]]))
        return np.sort(np.concatenate(found))


def _part(chunk: Array, over: Array | None, number: int, n_parts: int) -> Array:
    import numpy as np

    kept = chunk if over is None else chunk[~over]
    if n_parts == 1:
        return kept
    # By bits in the middle: numbers that are their own hashes differ there or below, hashes anywhere.
    of_part: Array = kept[(kept >> np.uint64(4)) % np.uint64(n_parts) == np.uint64(number)]
    return of_part


def _standing_in(chunk: Array, doubled: Array) -> Array:
    """Give the places in a chunk of hashes that stand in a sorted array: first by some bits, then exactly."""
    import numpy as np

    low = np.uint64((1 << FILTER_BITS) - 1)
    marked = np.zeros(1 << FILTER_BITS, bool)
    marked[doubled & low] = True
    likely = np.flatnonzero(marked[chunk & low])
    places = np.searchsorted(doubled, chunk[likely])
    places[places == len(doubled)] = 0
    found: Array = likely[doubled[places] == chunk[likely]]
    return found


def later_ones(hashes: Array) -> Array:
    """Say which of the hashes, in the rows' order, stood before."""
    import numpy as np

    order = np.argsort(hashes, kind="stable")
    again = np.zeros(len(hashes), bool)
    again[order[1:]] = hashes[order][1:] == hashes[order][:-1]
    return again
