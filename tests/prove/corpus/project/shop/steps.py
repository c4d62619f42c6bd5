"""The steps."""

from headrace import step

import shop.checks  # noqa: F401
import shop.patches
from shop import Money, dispatch, factories, files, native, tidy
from shop import numbers_ as figures
from shop.constants import RATES, SUFFIXES
from shop.registry import CHECKS, ORDER, Plugin
from shop.shapes import Cheap, Dear, Gauge, Kind, Labelled, Size
from shop.text import slug


@step
def load(rows: int) -> list[dict]:
    """Make the goods."""
    kinds = list(Kind)
    names = ["The Blue  Hämmer Ltd", "Éclair!", "Of Mice, and Men of Old", "Saw", "Apple pie? Inc", "a b c d e"]
    goods = []
    for i in range(rows):
        kind = kinds[i % len(kinds)]
        goods.append({"name": names[i % len(names)], "kind": kind.value, "price": f"{i * 3 + 1}.{i}5", "n": i})
    return goods


@step(retries=1)
def clean(goods: list[dict]) -> list[dict]:
    """Tidy names and prices."""
    found = []
    for good in goods:
        name = tidy(good["name"])
        for suffix in SUFFIXES:
            name = name.removesuffix(" " + suffix.lower())
        price = Money.parse(good["price"])
        found.append({**good, "name": name, "slug": slug(name), "cents": price.cents, "end": shop.text.ending(name)})
    return found


@step
def price(goods: list[dict], factor: float) -> dict[str, object]:
    """Price the goods."""
    total = Money()
    lines = []
    for good in goods:
        kind = Kind(good["kind"])
        money = Money(good["cents"])
        if kind.is_taxed:
            money = money.taxed(RATES[kind.value] * factor)
        total = total + money
        made = (Dear if good["n"] % 2 else Cheap)(kind, good["n"] + 2)
        lines.append([money.describe(), Money.rounded(money.euros), made.price(), money < Money(900), money.currency])
    return {"total": total.cents, "lines": lines, "label": Labelled().label(), "area": Size().area()}


@step
def check(goods: list[dict]) -> dict[str, object]:
    """Run what signed up."""
    found = {name: [weight * bool(test(good["name"])) for good in goods] for name, (weight, test) in CHECKS.items()}
    plugins = {name: [kind().run(goods[0]["name"]), kind.rank] for name, kind in Plugin.known.items()}
    return {"found": found, "plugins": plugins, "order": ORDER, "bonus": shop.text.BONUS}


@step
def figure(goods: list[dict], depth: int) -> dict[str, object]:
    """Work numbers out."""
    cents = [good["cents"] for good in goods]
    gauge = Gauge()
    gauge.level = len(goods) * 20
    with gauge as held:
        inside = held.level
    handler = dispatch.Handler()
    return {
        "describe": [dispatch.describe(value) for value in (3, "word", [1, "a"], 2.5)],
        "apply": dispatch.apply(["scale", "shift", "square", "clamp"], depth - 3),
        "handled": [handler.handle(good["kind"], good["n"]) for good in goods],
        "by_name": [dispatch.of_module(name, depth) for name in ("collatz", "scaled", "ladder")],
        "measures": dispatch.measures(),
        "scores": [factories.score_low(depth), factories.score_high(depth), factories.chain(depth)],
        "grown": [factories.grow(depth), factories.total(depth, 2)],
        "mean": figures.mean([*cents, None]),
        "ranks": figures.ranks(cents),
        "pairs": figures.pairs([1, 2, 3]),
        "halves": list(figures.halves([1, 2, 3])),
        "safely": [figures.safely("12"), figures.safely("x")],
        "kinds": [figures.kind_of(value) for value in ({"kind": "a", "b": 1}, [1, 2, 3], [0], 1, "x")],
        "gauge": [gauge(3), gauge[2], len(gauge), inside, gauge.level],
        "minmax": [figures.clamp(-40), figures.clamp(20), figures.clamp(90)],
    }


@step
def outside(factor: float) -> dict[str, object]:
    """Read files, the environment and a package."""
    return {
        "rates": files.rates(),
        "settings": files.settings(),
        "parts": files.parts(),
        "optional": files.optional(),
        "surroundings": files.surroundings(),
        "installed": files.installed(factor),
    }


@step
def leaks(stem: str) -> list[object]:
    """Read what nobody sees: the known leaks."""
    return [
        native.native_read(stem),
        native.size_of(stem),
        native.is_there(stem),
        native.child(stem),
        native.native_variable(),
    ]


def _worth(priced, checked):
    return priced["total"] + sum(map(sum, checked["found"].values()))


@step
def summarise(priced: dict[str, object], checked: dict[str, object], figures: dict[str, object]) -> dict[str, object]:
    """Put it together."""
    from shop.late import headline

    return {"worth": _worth(priced, checked), "title": headline(len(figures)), "edition": shop.EDITION}
