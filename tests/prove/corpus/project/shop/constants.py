"""Numbers and words that several modules share."""

LIMIT = 40
BASE_RATE = 0.19
REDUCED_RATE = BASE_RATE / 2 - 0.01
RATES = {"food": REDUCED_RATE, "tool": BASE_RATE, "book": 0.05}
STEPS = (1, 2, 4)
SUFFIXES = ["Ltd", "Inc"]
SUFFIXES.append("GmbH")
FIRST, SECOND = 3, 5
FIRST += 1
UNUSED_LIMIT = 99
STOP_WORDS = frozenset({"the", "of"})
SEPARATOR = "-"
