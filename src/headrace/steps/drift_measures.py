"""How far two distributions lie apart: sizes of effect, and how likely chance alone makes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LEAST_EXPECTED = 5.0
"""Cells of a chi-squared test that would hold fewer are put together (Cochran 1954)."""
_TINY = 1e-300


def psi(reference: Array, now: Array) -> float:
    """Give the population stability index, Σ (p - q) ln(p / q); each count gets half a row more, so that none is 0.

    0 is no change; 0.1 is often called a moderate and 0.25 a major one.
    """
    import numpy as np

    if not reference.sum() or not now.sum():
        return math.nan
    p = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    q = (now + 0.5) / (now.sum() + 0.5 * len(now))
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(reference: Array, now: Array) -> float:
    """Give the Jensen–Shannon distance with logarithms of base 2: 0 for equal shares, 1 for nothing in common."""
    import numpy as np

    if not reference.sum() or not now.sum():
        return math.nan
    p, q = reference / reference.sum(), now / now.sum()
    middle = (p + q) / 2
    divergence = 0.0
    for part in (p, q):
        held = part > 0
        divergence += float(np.sum(part[held] * np.log2(part[held] / middle[held]))) / 2
    return math.sqrt(min(1.0, max(0.0, divergence)))


def kolmogorov_smirnov(reference: Array, now: Array) -> tuple[float, float]:
    """Give the largest difference of the two cumulative shares over bins in order, and its p-value.

    The p-value is Kolmogorov's limit for two samples. Where values share a bin the difference can only be smaller, so
    the test errs towards no drift.
    """
    import numpy as np

    n, m = float(reference.sum()), float(now.sum())
    if not n or not m:
        return math.nan, 1.0
    largest = float(np.abs(np.cumsum(reference) / n - np.cumsum(now) / m).max())
    return largest, kolmogorov_tail(math.sqrt(n * m / (n + m)) * largest)


def kolmogorov_tail(x: float) -> float:
    """Give the chance that Kolmogorov's limit exceeds ``x``: 2 Σ (-1)^(k-1) exp(-2 k² x²)."""
    if x < 0.2:
        return 1.0
    if x < 1.0:
        # The other form of the same function (theta's), which converges fast for small x.
        terms = math.fsum(math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(1, 8))
        return min(1.0, max(0.0, 1 - math.sqrt(2 * math.pi) / x * terms))
    return min(1.0, max(0.0, 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 12))))


def chi_squared(reference: Array, now: Array) -> tuple[float, float]:
    """Give Pearson's statistic for the same shares in both, and its p-value; rare categories are put together."""
    import numpy as np

    n, m = float(reference.sum()), float(now.sum())
    if not n or not m:
        return math.nan, 1.0
    reference, now = _pooled(reference, now, min(n, m) / (n + m))
    both = reference + now
    if len(both) < 2:
        return 0.0, 1.0
    statistic = 0.0
    for part, total in ((reference, n), (now, m)):
        expected = both * (total / (n + m))
        statistic += float(np.sum((part - expected) ** 2 / expected))
    return statistic, chi_squared_tail(statistic, len(both) - 1)


def _pooled(reference: Array, now: Array, share: float) -> tuple[Array, Array]:
    """Put the rarest categories together, until each cell of the smaller sample expects enough."""
    import numpy as np

    both = reference + now
    order = np.argsort(-both, kind="stable")
    expected = both[order] * share
    n_kept = int((expected >= LEAST_EXPECTED).sum())
    if n_kept == len(order):
        return reference, now
    if n_kept and expected[n_kept:].sum() < LEAST_EXPECTED:
        n_kept -= 1
    kept, rest = order[:n_kept], order[n_kept:]
    return np.append(reference[kept], reference[rest].sum()), np.append(now[kept], now[rest].sum())


def shares_differ(n_reference: int, hits: int, n_now: int, hits_now: int) -> float:
    """Give the p-value for equal shares of hits in two samples: chi-squared with Yates' correction (1934)."""
    total, all_hits = n_reference + n_now, hits + hits_now
    if not n_reference or not n_now or not 0 < all_hits < total:
        return 1.0
    off = max(0.0, abs(hits * (n_now - hits_now) - hits_now * (n_reference - hits)) - total / 2)
    statistic = total * off * off / (float(n_reference) * n_now * all_hits * (total - all_hits))
    return chi_squared_tail(statistic, 1)


def chi_squared_tail(statistic: float, n_degrees: int) -> float:
    """Give the chance that chi-squared with so many degrees of freedom exceeds a statistic."""
    return gamma_tail(n_degrees / 2, statistic / 2)


def gamma_tail(a: float, x: float) -> float:
    """Give the regularised upper incomplete gamma function Q(a, x): its series, or Lentz's continued fraction."""
    if x <= 0:
        return 1.0
    front = math.exp(max(-745.0, a * math.log(x) - x - math.lgamma(a)))
    if x < a + 1:
        term = total = 1 / a
        above = a
        while abs(term) > abs(total) * 1e-16:
            above += 1
            term *= x / above
            total += term
        return max(0.0, 1 - front * total)
    b = float(x + 1 - a)
    c, d = 1 / _TINY, 1 / _nonzero(b)
    found = d
    for i in range(1, 10_000):
        step = -i * (i - a)
        b += 2.0
        d = 1 / (_nonzero(step * d + b))
        c = _nonzero(b + step / c)
        found *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return min(1.0, front * found)


def _nonzero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY


def total_variation(reference: Array, now: Array) -> float:
    """Give half the sum of the differences of shares: the share of rows that would have to change category."""
    import numpy as np

    if not reference.sum() or not now.sum():
        return math.nan
    return float(np.abs(reference / reference.sum() - now / now.sum()).sum() / 2)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of even one false alarm among all stays what is asked for. Holm (1979)."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [1.0] * len(p_values)
    most = 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = most
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the share of false ones among the alarms stays what is asked for (1995)."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place], reverse=True)
    adjusted = [1.0] * len(p_values)
    least = 1.0
    for rank, place in enumerate(order):
        least = min(least, p_values[place] * len(p_values) / (len(p_values) - rank))
        adjusted[place] = least
    return adjusted
