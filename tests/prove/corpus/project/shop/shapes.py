"""Kinds of goods: bases, an enumeration, a named tuple, a metaclass, classes that sign up."""

from abc import ABC, abstractmethod
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a thing is."""

    FOOD = "food"
    TOOL = "tool"
    BOOK = "book"

    @property
    def is_taxed(self):
        """Books are not."""
        return self is not Kind.BOOK


class Size(NamedTuple):
    """How large a thing is."""

    width: int = 2
    height: int = 3

    def area(self):
        """Width by height."""
        return self.width * self.height


class Tagged(type):
    """Gives its classes a tag."""

    def __new__(mcs, name, bases, space):
        """Make a class."""
        made = super().__new__(mcs, name, bases, space)
        made.tag = name.lower()[:4] + "1"
        return made


class Good(ABC):
    """Something to be sold."""

    factor = 2

    def __init__(self, kind, weight):
        self.kind = kind
        self.weight = weight

    def price(self):
        """What it costs: a base that heirs fill in."""
        return self.base_price() * self.factor + self.extra()

    @abstractmethod
    def base_price(self):
        """What it costs before the factor."""

    def extra(self):
        """What is added."""
        return 1


class Cheap(Good):
    """A good by weight."""

    def base_price(self):
        return self.weight * 3


class Dear(Cheap):
    """A good that costs more."""

    factor = 5

    def extra(self):
        return super().extra() + 10


class Labelled(metaclass=Tagged):
    """A thing with a tag."""

    def label(self):
        """Give its tag."""
        return f"<{self.tag}>"


class Gauge:
    """Measures: a descriptor, a call, an index, a length."""

    def __init__(self, scale=4):
        self.scale = scale
        self._level = 0

    @property
    def level(self):
        """The level."""
        return self._level

    @level.setter
    def level(self, value):
        self._level = min(max(value, 0), 90)

    def __call__(self, value):
        return value * self.scale - 1

    def __getitem__(self, index):
        return index + self.scale

    def __len__(self):
        return self.scale // 2

    def __enter__(self):
        self.level = self.level + 7
        return self

    def __exit__(self, *problem):
        self.level = self.level - 2
