"""Nothing of a step's."""

LEVEL = 3


def helper(x):
    """Add."""
    return x + LEVEL


class Thing:
    """A class of nobody's."""

    size = 4

    def grow(self):
        """Grow."""
        self.size += 1
        return self.size
