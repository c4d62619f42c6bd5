"""A tiny installed package."""


def measure(value):
    """Measure a value."""
    return value * 2 + 1
