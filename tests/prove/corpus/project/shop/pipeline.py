"""The pipeline."""

from headrace import pipeline

from shop import steps


@pipeline
def flow(rows: int = 7, factor: float = 1.0, depth: int = 9, stem: str = "hidden"):
    """Run every step."""
    goods = steps.clean(steps.load(rows))
    priced = steps.price(goods, factor)
    checked = steps.check(goods)
    figures = steps.figure(goods, depth)
    steps.outside(factor)
    steps.leaks(stem)
    return steps.summarise(priced, checked, figures)


if __name__ == "__main__":
    print(flow)
