"""A type that Headrace doesn't know."""

from __future__ import annotations


class Box:
    """A box of numbers."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = tuple(map(float, numbers))
