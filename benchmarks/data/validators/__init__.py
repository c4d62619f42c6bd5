"""The same twelve checks by each contender. ``warm`` imports; ``run`` looks, writes what is bad, and says:

``n_rows``, ``mean`` (of income), ``bad`` (rows that break each of the nine rules about rows) and ``n_quarantined``; the
peers that give verdicts only say which rules don't hold.
"""

NAMES = ("missing", "repeated", "age", "fee", "contract", "gender", "email", "plan", "order")
"""The nine rules about rows, in the checks' order."""
EMAIL = r"[^@ ]+@[^@ ]+\.[a-z]+"
CONTRACTS = ("monthly", "one_year", "two_year")
GENDERS = ("f", "m", "x")
