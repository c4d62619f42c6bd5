"""How many distinct values there are, from a few thousand small registers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

INDEX_BITS = 12
N_REGISTERS = 1 << INDEX_BITS
REST = 64 - INDEX_BITS
ERROR = 1.04 / math.sqrt(N_REGISTERS)
"""The relative standard error of the estimate, 1.6 %."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"


class RegisterCounter:
    """Registers under way."""

    def __init__(self) -> None:
        import numpy as np

        self.ranks: Array = np.zeros(N_REGISTERS, np.uint8)
        self._least = 0

    def add(self, hashes: Array) -> None:
        """Take hashes in: a register keeps the largest rank that it sees."""
        import numpy as np

        rest = hashes & np.uint64((1 << REST) - 1)
        if self._least:
            # Only a rank above the least of all registers can change one.
            rows = np.flatnonzero(rest < np.uint64(1 << (REST - self._least)))
            rest, hashes = rest[rows], hashes[rows]
        exponent = (rest.astype(np.float64).view(np.int64) >> 52) - 1023
        ranks = np.where(rest == 0, REST + 1, REST - exponent).astype(np.uint8)
        np.maximum.at(self.ranks, (hashes >> np.uint64(REST)).astype(np.int64), ranks)
        self._least = int(self.ranks.min())

    def freeze(self) -> Registers:
        """Give what was taken in."""
        return Registers(self.ranks.tobytes())


@dataclass(frozen=True, slots=True)
class Registers:
    """HyperLogLog's registers (Flajolet and others 2007), 4096 of them; merged by taking the larger."""

    ranks: bytes

    @classmethod
    def of(cls, hashes: Array) -> Registers:
        """Take hashes in."""
        counter = RegisterCounter()
        counter.add(hashes)
        return counter.freeze()

    def merge(self, other: Registers) -> Registers:
        """Give the registers of both together."""
        return Registers(bytes(map(max, self.ranks, other.ranks)))

    def estimate(self) -> float:
        """Estimate the number of distinct hashes, by Ertl's improved estimator (2017, algorithm 6)."""
        import numpy as np

        counts = np.bincount(np.frombuffer(self.ranks, np.uint8), minlength=REST + 2)
        z = N_REGISTERS * _tau(1 - float(counts[REST + 1]) / N_REGISTERS)
        for rank in range(REST, 0, -1):
            z = 0.5 * (z + float(counts[rank]))
        z += N_REGISTERS * _sigma(float(counts[0]) / N_REGISTERS)
        return N_REGISTERS * N_REGISTERS / (2 * math.log(2) * z)

    def to_plain(self) -> str:
        """Give the registers as text, a character each."""
        return "".join(_DIGITS[rank] for rank in self.ranks)

    @classmethod
    def from_plain(cls, plain: str) -> Registers:
        """Make registers of what `to_plain` gave."""
        return cls(bytes(_DIGITS.index(digit) for digit in plain))


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    total, y, before = x, 1.0, -1.0
    while total != before:
        before = total
        x *= x
        total += x * y
        y += y
    return total


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    total, y, before = 1 - x, 1.0, -1.0
    while total != before:
        before = total
        x = math.sqrt(x)
        y *= 0.5
        total -= (1 - x) ** 2 * y
    return total / 3
