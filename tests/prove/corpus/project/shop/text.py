"""Names and words."""

from shop import chars
from shop.chars import squeeze
from shop.constants import LIMIT, SEPARATOR, STOP_WORDS


def clean_name(name, limit=LIMIT):
    """Tidy a name."""
    folded = chars.fold(name.lower())
    kept = [letter for letter in folded if not chars.is_mark(letter)]
    return squeeze("".join(kept))[:limit]


def words_of(name):
    """Split a name into its words."""
    found = []
    for word in clean_name(name).split(" "):
        if word and word not in STOP_WORDS:
            found.append(word)
    return found


def slug(name, joiner=SEPARATOR):
    """Write a name for an address."""
    parts = words_of(name)
    if len(parts) > 3:
        parts = parts[:2] + parts[-1:]
    return joiner.join(parts)


def ending(name):
    """Give the last word; replaced in ``shop.patches``."""
    return words_of(name)[-1]


def unused_initials(name):
    """Nobody calls this."""
    return "".join(word[0] for word in words_of(name))
