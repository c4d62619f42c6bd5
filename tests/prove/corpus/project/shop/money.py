"""Amounts of money."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import total_ordering


@total_ordering
@dataclass(frozen=True, eq=True)
class Money:
    """An amount in cents."""

    cents: int = 0
    currency: str = field(default="EUR")

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read ``12.30``."""
        whole, _, rest = text.partition(".")
        return cls(int(whole) * 100 + int((rest + "00")[:2]))

    @property
    def euros(self) -> float:
        """The amount in euros."""
        return self.cents / 100

    @staticmethod
    def rounded(value: float, places: int = 1) -> float:
        """Round half up."""
        scale = 10**places
        return int(value * scale + 0.5) / scale

    def __add__(self, other: Money) -> Money:
        return Money(self.cents + other.cents, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.cents < other.cents

    def taxed(self, rate: float) -> Money:
        """Add a tax."""
        return Money(round(self.cents * (1 + rate)), self.currency)

    def unused_halved(self) -> Money:
        """Nobody calls this."""
        return Money(self.cents // 2)
