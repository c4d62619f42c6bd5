"""Words, imported by a star."""

__all__ = ["GREETING", "plural"]
GREETING = "Summary"


def plural(word, n):
    """Add an s."""
    return word if n == 1 else word + "s"
