"""When to strike, and whom: drawn from a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

VICTIMS_AT_A_POINT = ("the one who writes", "engine", "workers", "both")
VICTIMS_IN_TIME = ("engine", "a worker", "both", "server")


@dataclass(frozen=True)
class Instant:
    """Either the ``passage``-th time that any process passes ``point``, or ``seconds`` after the engine was started."""

    number: int
    victim: str
    point: str | None = None
    passage: int = 0
    seconds: float = 0.0
    inline: bool = False

    def to_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if value not in (None, 0, 0.0, False)}

    def __str__(self) -> str:
        when = f"passage {self.passage} of {self.point}" if self.point else f"{self.seconds:.4f} s"
        return f"#{self.number} {self.victim} at {when}{' (inline)' if self.inline else ''}"


def choose(seed: int, n_instants: int, passed: Sequence[str], seconds: float) -> list[Instant]:
    """Draw the instants, every other one at a fault point inside a store's write.

    ``passed`` are the points that an undisturbed run passes, in turn, and ``seconds`` is how long it takes. Each point
    is as likely as any other, however often it is passed, and so is each of its passages. One in eight is inline, where
    the engine and the worker are one process.
    """
    rng = random.Random(seed)
    counts = Counter(point for point in passed if point.startswith("store."))
    points = sorted(counts)
    instants = []
    for number in range(n_instants):
        inline = number % 8 in (6, 7)
        if number % 2 == 0:
            point = points[(number // 2) % len(points)] if number // 2 < len(points) else rng.choice(points)
            passage = rng.randint(1, counts[point])
            victim = "the one who writes" if inline else rng.choice(VICTIMS_AT_A_POINT)
            instants.append(Instant(number, victim, point, passage, inline=inline))
        else:
            victim = "engine" if inline else rng.choice(VICTIMS_IN_TIME)
            instants.append(
                Instant(number, victim, seconds=rng.uniform(0.0, seconds * (0.4 if inline else 1.0)), inline=inline)
            )
    return instants
