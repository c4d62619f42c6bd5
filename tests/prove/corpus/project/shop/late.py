"""Imported by a function."""

from shop.late_words import *  # noqa: F403


def headline(n):
    """Write a headline."""
    return f"{GREETING}: {n} {plural('figure', n)}"  # noqa: F405
