"""Changes other modules when it is imported."""

from shop import money, text


def _ending(name):
    found = text.words_of(name)
    return found[-1] + "*" if found else ""


def _describe(self):
    return f"{self.cents + 1}c"


text.ending = _ending
money.Money.describe = _describe
setattr(text, "BONUS", 11)
