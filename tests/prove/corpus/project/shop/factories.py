"""Functions that make functions."""

from functools import wraps

from shop.constants import SECOND


def times(n):
    """A decorator with an argument."""

    def decorate(function):
        @wraps(function)
        def repeated(*values, **words):
            result = function(*values, **words)
            for _ in range(n - 1):
                result = function(result, **words)
            return result

        return repeated

    return decorate


def counted(function):
    """A decorator that adds one."""

    def inner(*values):
        return function(*values) + 1

    return inner


def make_scorer(weight, offset=SECOND):
    """A closure over two values."""
    base = weight * 2

    def score(value, extra=offset):
        return value * base + extra

    return score


def make_chain(*functions):
    """A closure over functions."""

    def chained(value):
        for function in functions:
            value = function(value)
        return value

    return chained


@times(3)
def grow(value, by=2):
    """Grow thrice."""
    return value + by


@counted
def total(a, b):
    """Add, and one more."""
    return a + b


def minus_one(value):
    """One less."""
    return value - 1


score_low = make_scorer(2)
score_high = make_scorer(7, offset=1)
chain = make_chain(minus_one, score_low, abs)
