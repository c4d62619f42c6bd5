"""Count, mean, spread and skew that merge: parts give what the whole gives, to 1e-12."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums about the mean: ``m2 = Σ(x - mean)²``, ``m3 = Σ(x - mean)³``.

    The mean is ``mean + mean_rest``, to about 32 digits, so that merging doesn't lose what numbers far from 0 have of
    spread. Numbers beyond about 1e100 overflow: what they overflow is infinite or NaN.
    """

    n: int = 0
    mean: float = 0.0
    mean_rest: float = 0.0
    m2: float = 0.0
    m3: float = 0.0

    @classmethod
    def of(cls, values: Array, weights: Array | None = None) -> Moments:
        """Add up finite numbers, each once or as often as ``weights`` says, in their order."""
        import numpy as np

        n = len(values) if weights is None else int(weights.sum())
        if not n:
            return cls()
        with np.errstate(over="ignore", invalid="ignore"):
            weighed = values if weights is None else values * weights
            mean = float(np.add.reduce(weighed)) / n
            if not math.isfinite(mean):
                return cls(n, mean, 0.0, math.inf, math.nan)
            off = values - mean
            squares = off * off
            cubes = squares * off
            sums = [float(np.add.reduce(part if weights is None else part * weights)) for part in (off, squares, cubes)]
        return cls._about(n, mean, *sums)

    @classmethod
    def _about(cls, n: int, mean: float, off: float, squares: float, cubes: float) -> Moments:
        """Move sums about a number near the mean to the mean itself."""
        if not math.isfinite(cubes) or not math.isfinite(squares):
            return cls(n, mean, 0.0, squares, math.nan)
        rest = off / n
        m2 = squares - off * rest
        m3 = cubes - 3 * rest * squares + 2 * n * rest**3
        whole = mean + rest
        return cls(n, whole, rest - (whole - mean), max(m2, 0.0), m3)

    def shifted(self, by: int) -> Moments:
        """Give the moments of numbers that are larger by ``by``, however large that is."""
        with localcontext(_EXACT):
            mean = Decimal(self.mean) + Decimal(self.mean_rest) + by
            whole = float(mean)
            return Moments(self.n, whole, float(mean - Decimal(whole)), self.m2, self.m3)

    def merge(self, other: Moments) -> Moments:
        """Give the moments of both together. Pébay (2008), in 80 digits."""
        if not self.n or not other.n:
            return self if self.n else other
        if not all(math.isfinite(x) for x in (self.mean, other.mean, self.m3, other.m3)):
            return self._merge_overflown(other)
        with localcontext(_EXACT):
            n_a, n_b = Decimal(self.n), Decimal(other.n)
            n = n_a + n_b
            mean_a = Decimal(self.mean) + Decimal(self.mean_rest)
            off = Decimal(other.mean) + Decimal(other.mean_rest) - mean_a
            mean = mean_a + off * n_b / n
            a2, b2 = Decimal(self.m2), Decimal(other.m2)
            m2 = a2 + b2 + off * off * n_a * n_b / n
            m3 = Decimal(self.m3) + Decimal(other.m3)
            m3 += off**3 * n_a * n_b * (n_a - n_b) / (n * n) + 3 * off * (n_a * b2 - n_b * a2) / n
            whole = float(mean)
            return Moments(self.n + other.n, whole, float(mean - Decimal(whole)), float(m2), float(m3))

    def _merge_overflown(self, other: Moments) -> Moments:
        n = self.n + other.n
        mean = self.mean * (self.n / n) + other.mean * (other.n / n)
        return Moments(n, mean, 0.0, self.m2 + other.m2 + (other.mean - self.mean) ** 2 * self.n, math.nan)

    @property
    def variance(self) -> float:
        """The variance of a sample, with n - 1; NaN for fewer than two numbers."""
        return self.m2 / (self.n - 1) if self.n > 1 else math.nan

    @property
    def std(self) -> float:
        """The standard deviation of a sample, with n - 1; NaN for fewer than two numbers."""
        return math.sqrt(self.variance) if self.n > 1 else math.nan

    @property
    def skew(self) -> float:
        """The third standardised moment, ``(m3 / n) / (m2 / n)^1.5``; NaN where all numbers are equal."""
        if not self.n or not self.m2 > 0:
            return math.nan
        spread = math.sqrt(self.m2 / self.n)
        return self.m3 / self.n / spread / spread / spread

    def to_plain(self) -> dict[str, Any]:
        """Give plain data; what isn't finite as None."""
        named = {"mean": self.mean, "mean_rest": self.mean_rest, "m2": self.m2, "m3": self.m3}
        return {"n": self.n, **{name: x if math.isfinite(x) else None for name, x in named.items()}}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Moments:
        """Make moments of what `to_plain` gave."""
        found = (plain[name] for name in ("mean", "mean_rest", "m2", "m3"))
        return cls(int(plain["n"]), *(math.nan if x is None else float(x) for x in found))
