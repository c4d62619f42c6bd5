"""Ways to choose a function while running."""

from functools import partial, reduce, singledispatch
from operator import attrgetter, itemgetter, methodcaller

from shop import numbers_ as figures
from shop.shapes import Size


@singledispatch
def describe(value):
    """Say what a value is."""
    return "thing"


@describe.register
def _(value: int):
    return f"int {value + 1}"


@describe.register(str)
def _of_text(value):
    return "text " + value[:2]


def _of_list(value):
    return ["list", *map(describe, value)]


describe.register(list, _of_list)

scale = partial(figures.scaled, factor=3)
shift = partial(figures.shifted, by=4)
TABLE = {
    "scale": scale,
    "shift": shift,
    "square": lambda x: x * x - 1,
    "clamp": figures.clamp,
}


def apply(names, value):
    """Apply functions of the table, one after the other."""
    return reduce(lambda found, name: TABLE[name](found), names, value)


class Handler:
    """Finds its methods by name."""

    def handle(self, kind, value):
        """Call ``on_KIND``."""
        return getattr(self, f"on_{kind}")(value)

    def on_food(self, value):
        """Food is dear."""
        return value + 30

    def on_tool(self, value):
        """Tools are cheap."""
        return value - 5

    def on_book(self, value):
        """Books are rounded."""
        return round(value, -1)


def of_module(name, value):
    """Call a function of a module by its name."""
    return getattr(figures, name)(value)


def measures():
    """Call by attribute name."""
    size = Size(height=4)
    return [attrgetter("width")(size), methodcaller("area")(size), itemgetter(1)(size)]
