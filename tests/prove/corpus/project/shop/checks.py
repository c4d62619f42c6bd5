"""Checks, which sign up when this is imported."""

from shop.constants import FIRST, SECOND
from shop.registry import CHECKS, Plugin, check


def _long(value, least):
    return len(value) > least


@check("long")
def is_long(value):
    """A name of some length."""
    return _long(value, FIRST)


@check("short", weight=3)
def is_short(value):
    """A short name."""
    return not _long(value, SECOND + 1)


@check("spaced", weight=2)
def has_space(value):
    """A name of two words."""
    return " " in value


CHECKS["always"] = (4, lambda value: True)


class Doubling(Plugin, rank=2):
    """Twice."""

    def run(self, value):
        return value * 2


class Reversing(Plugin, rank=1):
    """Backwards."""

    def run(self, value):
        return value[::-1] + "~"
