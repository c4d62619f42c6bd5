"""How a number goes with the target: Pearson's correlation, or how far the labels' means lie apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from headrace.steps.profiling.moments import Moments

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MOST_LABELS = 20
_EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Association:
    """What is needed to say how a column goes with the target, over rows where both are there."""

    x: Moments = field(default_factory=Moments)
    y: Moments = field(default_factory=Moments)
    cross: float = 0.0
    """Σ(x - mean)(y - mean), for a target of numbers."""
    labels: dict[str, Moments] = field(default_factory=dict)
    """The column's moments by label, for a target of labels."""
    is_too_many: bool = False
    """Whether there are more than twenty labels, so that nothing is said."""

    def merge(self, other: Association) -> Association:
        """Give what is known of both together."""
        if self.labels or other.labels or self.is_too_many or other.is_too_many:
            labels = dict(self.labels)
            for name, moments in other.labels.items():
                labels[name] = labels.get(name, Moments()).merge(moments)
            is_too_many = self.is_too_many or other.is_too_many or len(labels) > MOST_LABELS
            return Association(labels={} if is_too_many else dict(sorted(labels.items())), is_too_many=is_too_many)
        return Association(self.x.merge(other.x), self.y.merge(other.y), self._merged_cross(other))

    def _merged_cross(self, other: Association) -> float:
        n_a, n_b = self.x.n, other.x.n
        if not n_a or not n_b:
            return self.cross if n_a else other.cross
        if not all(math.isfinite(m.mean) for m in (self.x, self.y, other.x, other.y)):
            return math.nan
        with localcontext(_EXACT):
            off = [
                Decimal(b.mean) + Decimal(b.mean_rest) - Decimal(a.mean) - Decimal(a.mean_rest)
                for a, b in ((self.x, other.x), (self.y, other.y))
            ]
            return float(Decimal(self.cross) + Decimal(other.cross) + off[0] * off[1] * n_a * n_b / (n_a + n_b))

    @property
    def correlation(self) -> float:
        """Pearson's r with a target of numbers; with two labels, of which the second in order counts as 1.

        With more labels the correlation ratio η = sqrt(variance between labels / variance), from 0 to 1. NaN where the
        column or the target is constant.
        """
        if not self.labels:
            spread = math.sqrt(self.x.m2) * math.sqrt(self.y.m2)
            return max(-1.0, min(1.0, self.cross / spread)) if spread > 0 else math.nan
        whole = Moments()
        for moments in self.labels.values():
            whole = whole.merge(moments)
        if not whole.m2 > 0 or len(self.labels) < 2:
            return math.nan
        inside = math.fsum(moments.m2 for moments in self.labels.values())
        ratio = math.sqrt(max(0.0, 1 - inside / whole.m2))
        first, *others = self.labels.values()
        return -ratio if len(others) == 1 and others[0].mean < first.mean else ratio

    def to_plain(self) -> dict[str, Any]:
        """Give plain data."""
        if self.labels or self.is_too_many:
            labels = {name: moments.to_plain() for name, moments in self.labels.items()}
            return {"labels": labels, "is_too_many": self.is_too_many}
        return {"x": self.x.to_plain(), "y": self.y.to_plain(), "cross": self.cross}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Association:
        """Make an association of what `to_plain` gave."""
        if "labels" in plain:
            labels = {name: Moments.from_plain(moments) for name, moments in plain["labels"].items()}
            return cls(labels=labels, is_too_many=bool(plain["is_too_many"]))
        return cls(Moments.from_plain(plain["x"]), Moments.from_plain(plain["y"]), float(plain["cross"]))


@dataclass(frozen=True, slots=True)
class TargetBlock:
    """A block of the target: numbers with NaN where missing; or labels, and which one each row has (-1: none)."""

    numbers: Array | None
    labels: tuple[str, ...] = ()
    codes: Array | None = None


def associated(values: Array, is_there: Array | None, target: TargetBlock) -> Association:
    """Relate a block's finite numbers to the target; ``is_there`` says which rows they stand in."""
    import numpy as np

    if target.numbers is not None:
        y = target.numbers if is_there is None else target.numbers[is_there]
        both = np.isfinite(y)
        x, y = (values, y) if both.all() else (values[both], y[both])
        moments_x, moments_y = Moments.of(x), Moments.of(y)
        if not len(x):
            return Association()
        with np.errstate(over="ignore", invalid="ignore"):
            cross = float(np.add.reduce((x - moments_x.mean) * (y - moments_y.mean)))
        return Association(moments_x, moments_y, cross)
    assert target.codes is not None
    codes = target.codes if is_there is None else target.codes[is_there]
    if len(target.labels) > MOST_LABELS:
        return Association(is_too_many=True)
    labels = {name: Moments.of(values[codes == code]) for code, name in enumerate(target.labels)}
    return Association(labels={name: moments for name, moments in sorted(labels.items()) if moments.n})
