"""Arithmetic."""

from shop.constants import STEPS

_seen = {"n": 0}


def scaled(x, factor=2):
    """Multiply."""
    return x * factor


def shifted(x, by):
    """Add."""
    return x + by


def clamp(x, low=-10, high=50):
    """Keep within bounds."""
    return low if x < low else high if x > high else x


def mean(values):
    """The middle; 0 for nothing."""
    total, n = 0, 0
    for value in values:
        if value is None:
            continue
        total += value
        n += 1
    return total / n if n else 0.0


def ladder(n):
    """Climb while it is allowed."""
    found = []
    i = 0
    while i < n and len(found) <= 6:
        i += STEPS[i % len(STEPS)]
        found.append(i)
    return found


def ranks(values):
    """Give each value its rank."""
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    return [order.index(i) + 1 for i in range(len(values))]


def collatz(n):
    """Count the steps to one."""
    count = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


def pairs(values):
    """Give sums of pairs, in one expression."""
    return {f"{a}+{b}": a + b for a in values for b in values if a < b or a == 2}


def halves(values):
    """Give halves as they come."""
    for value in values:
        if (half := value / 2) >= 1:
            yield half


def safely(text):
    """Read a number; -1 for what is none."""
    try:
        return int(text)
    except ValueError:
        return -1
    finally:
        _seen["n"] += 1


def kind_of(value):
    """Sort a value by its shape."""
    match value:
        case {"kind": kind, **rest}:
            return [kind, len(rest)]
        case [first, *others] if first:
            return ["list", first, len(others)]
        case 0 | 1:
            return ["small"]
        case _:
            return ["other"]


def unused_cube(x):
    """Nobody calls this."""
    return x * x * x
