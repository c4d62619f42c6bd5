"""Characters: the far end of a chain of helpers."""

import re

FOLDS = {"ä": "ae", "ö": "oe", "é": "e"}
SPACES = re.compile(r"\s+")
MARKS = "!?.,"


def fold(text):
    """Write letters with marks as plain ones."""
    return "".join(FOLDS.get(letter, letter) for letter in text)


def squeeze(text, *, filler=" "):
    """Make one space of many."""
    return SPACES.sub(filler, text).strip()


def unused_shout(text):
    """Nobody calls this."""
    return text.upper() + "!"


def is_mark(letter):
    """Say whether a letter is a mark."""
    return letter in MARKS
