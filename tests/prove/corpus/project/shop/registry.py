"""Where checks and plug-ins sign up."""

CHECKS = {}
ORDER = []


def check(name, weight=1):
    """Sign a check up."""

    def enter(function):
        CHECKS[name] = (weight, function)
        ORDER.append(name.upper())
        return function

    return enter


class Plugin:
    """Its heirs sign up by being defined."""

    known = {}

    def __init_subclass__(cls, rank=0, **words):
        super().__init_subclass__(**words)
        Plugin.known[cls.__name__] = cls
        cls.rank = rank + 10

    def run(self, value):
        """Do nothing."""
        return value
