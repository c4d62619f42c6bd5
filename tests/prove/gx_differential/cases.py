"""Tables and expectations about them, made up from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Columns = dict[str, dict[str, Any]]
Written = dict[str, Any]

TEXTS = ["a", "b", "ab", "abc", "A", "", " ", "a b", "12", "7", "x1", "Ä", "ä", "straße", "日本", "😀", "é", "e\u0301"]
TEXTS += ["a\n", "\na", "a.b", "(a)", "%", "_", "null", "NaN", "O'Neil", 'say "a"', "٣", "İ", "a\tb", "\u00a0"]
DAYS = ["2024-02-29", "2024-2-9", "2023-02-29", "2024-12-31", "2024-13-01", "31.12.2024", "1.2.2024", "30.02.2024", "x"]
DAYS += ["2024-01-01 10:00:00", "2024-01-01 25:00:00", "1 Feb 2024", "29 feb 2023", "2024-01-01T00:00:00.5", ""]
MOMENTS = [
    f"20{year:02d}-{month:02d}-{day:02d}T{hour:02d}:00:00"
    for year in (19, 24)
    for month in (1, 2, 12)
    for day in (1, 28)
    for hour in (0, 13)
]
REGEXES = [
    r"^a",
    r"a$",
    r"^\w+$",
    r"\d",
    r"[a-c]+b",
    r"^$",
    r"\s",
    r"^.{2}$",
    r"(a|b)",
    r"(?i)^a",
    r"^[^a]",
    r"\.",
    "日",
    r"\W",
    r"^\D*$",
    r"a.b",
    r"[äÄ]",
    r"\S+\s\S+",
]
LIKES = ["a%", "%a", "_", "%", "a_c", "", "%b%", "日%"]


class Maker:
    """Makes one table and expectations about it."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.n_rows = self.random.choice([0, 1, 2, 3, *range(5, 60)] + [40] * 10)
        self.columns = self._columns()

    def pick(self, *options: Any) -> Any:
        return self.random.choice(options)

    def some(self, pool: list[Any], least: int = 1, most: int = 6) -> list[Any]:
        return [self.random.choice(pool) for _ in range(self.random.randint(least, most))]

    def _column(self, kind: str, make: Callable[[], Any], missing: float) -> dict[str, Any]:
        values = [None if self.random.random() < missing else make() for _ in range(self.n_rows)]
        return {"kind": kind, "values": values}

    def _columns(self) -> Columns:
        share = lambda: self.pick(0.0, 0.0, 0.05, 0.2, 0.5, self.pick(0.1, 1.0))  # noqa: E731
        few = self.some(TEXTS, 2, 5)
        spread = self.pick(3, 10, 1000)
        rising = sorted(self.random.randint(-9, 99) for _ in range(self.n_rows))
        if self.random.random() < 0.6:
            self._disturb(rising)
        odd = self.pick(0.0, 0.05, 0.3)
        columns = {
            "i": self._column("integer", lambda: self.random.randint(-spread, spread), 0.0),
            "j": self._column("integer", lambda: self.random.randint(-5, 5), share()),
            "k": {"kind": "integer", "values": rising},
            "x": self._column("number", lambda: self._float(odd), share()),
            "y": self._column("number", lambda: self._float(0.02), share()),
            "s": self._column("text", lambda: self.random.choice(TEXTS), share()),
            "t": self._column("text", lambda: self.random.choice(few), share()),
            "day": self._column("text", lambda: self.random.choice(DAYS), share()),
            "b": self._column("boolean", lambda: self.random.random() < 0.7, 0.0),
            "d": self._column("datetime", lambda: self.random.choice(MOMENTS), share()),
            "e": self._column("datetime", lambda: self.random.choice(MOMENTS), share()),
        }
        names = list(columns)
        self.random.shuffle(names)
        return {name: columns[name] for name in names}

    def _disturb(self, values: list[int]) -> None:
        for _ in range(max(1, len(values) // 15)):
            if values:
                values[self.random.randrange(len(values))] = self.random.randint(-9, 99)

    def _float(self, odd: float) -> Any:
        if self.random.random() < odd:
            return self.pick("nan", "inf", "-inf", -0.0, 1e300)
        return self.pick(
            round(self.random.uniform(-3, 3), 2), float(self.random.randint(-3, 3)), self.random.gauss(0, 1)
        )

    # --- arguments ------------------------------------------------------------------------------------------------

    def mostly(self) -> dict[str, Any]:
        if self.random.random() < 0.5:
            return {}
        of = max(self.n_rows, 1)
        return {"mostly": self.pick(0.5, 0.8, 0.9, 0.95, 1.0, 0.0, self.random.randint(0, of) / of)}

    def condition(self) -> dict[str, Any]:
        if self.random.random() < 0.75:
            return {}
        return self.pick(self._query, self._query, self._tree)()

    def _query(self) -> dict[str, Any]:
        simple = [
            f"i > {self.random.randint(-3, 3)}",
            f"j != {self.random.randint(-3, 3)}",
            f"x <= {round(self.random.uniform(-1, 1), 1)}",
            f"t == {self.random.choice(['a', 'b', 'ab'])!r}",
            "b",
            "j == j",
            "i < k",
            "s in ['a', 'b', '日本']",
            "t not in ['a', 'abc']",
            "j.notnull()",
            "x.isnull()",
            "-1 < i <= 2",
            "d >= '2020-01-01'",
        ]
        one, other = self.random.sample(simple, 2)
        text = self.pick(one, f"{one} and {other}", f"({one}) | ({other})", f"~({one})", f"not ({one} or {other})")
        return {"row_condition": text, "condition_parser": "pandas"}

    def _tree(self) -> dict[str, Any]:
        def leaf() -> dict[str, Any]:
            name, value = self.pick(("i", self.random.randint(-3, 3)), ("x", 0.5), ("t", "a"))
            operator = self.pick("==", "!=") if name == "t" else self.pick("==", "!=", "<", "<=", ">", ">=")
            return self.pick(
                {"type": "comparison", "column": {"name": name}, "operator": operator, "parameter": value},
                {"type": "nullity", "column": {"name": self.pick("j", "x", "s")}, "is_null": self.pick(True, False)},
                {
                    "type": "comparison",
                    "column": {"name": "t"},
                    "operator": self.pick("IN", "NOT_IN"),
                    "parameter": ["a", "ab"],
                },
            )

        tree = (
            leaf() if self.random.random() < 0.5 else {"type": self.pick("and", "or"), "conditions": [leaf(), leaf()]}
        )
        return {"row_condition": tree}

    def bounds(self, low: float, high: float, digits: int = 1) -> dict[str, Any]:
        one, other = sorted(round(self.random.uniform(low, high), digits) for _ in range(2))
        if digits == 0:
            one, other = int(one), int(other)
        both = {"min_value": one, "max_value": other}
        given = self.pick(both, both, {"min_value": one}, {"max_value": other})
        for name in ("strict_min", "strict_max"):
            if self.random.random() < 0.25:
                given = {**given, name: True}
        return given

    def some_of(self, column: str) -> list[Any]:
        """Some values, most of which the column has."""
        kind, values = self.columns[column]["kind"], self.columns[column]["values"]
        there = sorted(
            {value for value in values if value is not None and value not in ("nan", "inf", "-inf")}, key=str
        )
        others: list[Any] = {"integer": [0, 1, 77], "number": [0.5, 1, -2.25], "boolean": [True, False]}.get(
            kind, ["a", "zz", "日本"]
        )
        kept = [value for value in there if self.random.random() < self.pick(0.5, 0.9)]
        return kept + self.some(others, 0 if kept else 1, 2)


# --- one maker for each expectation -------------------------------------------------------------------------------

MAKERS: dict[str, Callable[[Maker], dict[str, Any]]] = {}


def _makes(name: str) -> Callable[[Callable[[Maker], dict[str, Any]]], Callable[[Maker], dict[str, Any]]]:
    def put(make: Callable[[Maker], dict[str, Any]]) -> Callable[[Maker], dict[str, Any]]:
        MAKERS[f"expect_{name}"] = make
        return make

    return put


def _map(make: Maker) -> dict[str, Any]:
    return {**make.mostly(), **make.condition()}


for _name in ("column_values_to_not_be_null", "column_values_to_be_null"):
    _makes(_name)(lambda make: {"column": make.pick(*make.columns), **_map(make)})


@_makes("column_values_to_be_unique")
def _unique(make: Maker) -> dict[str, Any]:
    return {"column": make.pick("i", "j", "k", "x", "y", "s", "t", "d"), **_map(make)}


@_makes("column_values_to_be_between")
def _between(make: Maker) -> dict[str, Any]:
    column = make.pick("i", "j", "x", "x", "y", "d")
    if column == "d":
        low, high = sorted(make.some([moment for moment in MOMENTS if moment > "2019-02"], 2, 2))
        given = make.pick(
            {"min_value": low, "max_value": high}, {"min_value": low, "strict_min": True}, {"max_value": high}
        )
    else:
        given = make.bounds(-4, 4, make.pick(0, 1))
    return {"column": column, **given, **_map(make)}


for _name in ("column_values_to_be_in_set", "column_values_to_not_be_in_set"):

    @_makes(_name)
    def _in_set(make: Maker) -> dict[str, Any]:
        column = make.pick("i", "j", "x", "s", "t", "b")
        return {"column": column, "value_set": make.some_of(column), **_map(make)}


@_makes("column_values_to_be_of_type")
def _of_type(make: Maker) -> dict[str, Any]:
    names = ["int64", "float64", "str", "bool", "datetime64[ns]", "object", "int", "float"]
    return {"column": make.pick("i", "x", "s", "b", "d"), "type_": make.pick(*names), **make.mostly()}


@_makes("column_values_to_be_in_type_list")
def _in_type_list(make: Maker) -> dict[str, Any]:
    names = ["int64", "float64", "str", "bool", "datetime64[ns]", "int", "float"]
    return {"column": make.pick("i", "x", "s", "b", "d"), "type_list": make.some(names, 1, 3), **make.mostly()}


for _name in ("column_values_to_be_increasing", "column_values_to_be_decreasing"):

    @_makes(_name)
    def _ordered(make: Maker) -> dict[str, Any]:
        strictly = make.pick({}, {}, {"strictly": True}, {"strictly": False})
        return {"column": make.pick("k", "k", "i", "j", "y", "d"), **strictly, **_map(make)}


@_makes("column_value_z_scores_to_be_less_than")
def _z_scores(make: Maker) -> dict[str, Any]:
    threshold = make.pick(0.53, 1.01, 1.57, 2.03, 3.01)
    return {
        "column": make.pick("i", "j", "x", "y"),
        "threshold": threshold,
        "double_sided": make.pick(True, False),
        **_map(make),
    }


@_makes("column_value_lengths_to_be_between")
def _lengths(make: Maker) -> dict[str, Any]:
    return {"column": make.pick("s", "t", "day", "i"), **make.bounds(0, 6, 0), **_map(make)}


@_makes("column_value_lengths_to_equal")
def _length(make: Maker) -> dict[str, Any]:
    return {"column": make.pick("s", "t", "day", "i"), "value": make.random.randint(0, 10), **_map(make)}


for _name in ("column_values_to_match_regex", "column_values_to_not_match_regex"):
    _makes(_name)(lambda make: {"column": make.pick("s", "t", "day", "i"), "regex": make.pick(*REGEXES), **_map(make)})


@_makes("column_values_to_match_regex_list")
def _regexes(make: Maker) -> dict[str, Any]:
    how = make.pick({}, {"match_on": "any"}, {"match_on": "all"})
    return {"column": make.pick("s", "t", "day"), "regex_list": make.some(REGEXES, 1, 3), **how, **_map(make)}


@_makes("column_values_to_not_match_regex_list")
def _not_regexes(make: Maker) -> dict[str, Any]:
    return {"column": make.pick("s", "t", "day"), "regex_list": make.some(REGEXES, 1, 3), **_map(make)}


@_makes("column_values_to_match_strftime_format")
def _strftime(make: Maker) -> dict[str, Any]:
    formats = ["%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%m/%d/%y", "%Y"]
    return {"column": make.pick("day", "day", "day", "s"), "strftime_format": make.pick(*formats), **_map(make)}


for _name in ("match_like_pattern", "not_match_like_pattern"):
    _makes(f"column_values_to_{_name}")(
        lambda make: {"column": make.pick("s", "t", "day"), "like_pattern": make.pick(*LIKES), **make.mostly()}
    )

for _name in ("match_like_pattern_list", "not_match_like_pattern_list"):

    @_makes(f"column_values_to_{_name}")
    def _likes(make: Maker, name: str = _name) -> dict[str, Any]:
        how = make.pick({}, {"match_on": "any"}, {"match_on": "all"}) if name.startswith("match") else {}
        return {
            "column": make.pick("s", "t", "day"),
            "like_pattern_list": make.some(LIKES, 1, 3),
            **how,
            **make.mostly(),
        }


def _pair_ignore(make: Maker) -> dict[str, Any]:
    words = ("both_values_are_missing", "either_value_is_missing", "neither")
    return make.pick({}, *({"ignore_row_if": word} for word in words))


@_makes("column_pair_values_a_to_be_greater_than_b")
def _greater(make: Maker) -> dict[str, Any]:
    one, other = make.pick(("i", "j"), ("x", "y"), ("y", "j"), ("d", "e"), ("k", "i"), ("x", "i"))
    equal = make.pick({}, {"or_equal": True}, {"or_equal": False})
    return {"column_A": one, "column_B": other, **equal, **_pair_ignore(make), **_map(make)}


@_makes("column_pair_values_to_be_equal")
def _equal(make: Maker) -> dict[str, Any]:
    one, other = make.pick(("i", "j"), ("x", "y"), ("s", "t"), ("d", "e"), ("t", "t"), ("j", "k"))
    return {"column_A": one, "column_B": other, **_pair_ignore(make), **_map(make)}


@_makes("column_pair_values_to_be_in_set")
def _pairs(make: Maker) -> dict[str, Any]:
    one, other = make.pick(("t", "j"), ("t", "s"), ("j", "i"))
    pairs = [
        [make.pick(*make.some_of(one), None), make.pick(*make.some_of(other), None)] for _ in range(make.pick(1, 4, 12))
    ]
    return {"column_A": one, "column_B": other, "value_pairs_set": pairs, **_pair_ignore(make), **make.mostly()}


def _multi_ignore(make: Maker) -> dict[str, Any]:
    words = ("all_values_are_missing", "any_value_is_missing", "never")
    return make.pick({}, *({"ignore_row_if": word} for word in words))


@_makes("multicolumn_sum_to_equal")
def _sum_is(make: Maker) -> dict[str, Any]:
    names = make.pick(["i", "j"], ["j", "k"], ["i", "j", "k"], ["x", "j"])
    return {"column_list": names, "sum_total": make.random.randint(-3, 5), **_multi_ignore(make), **_map(make)}


@_makes("select_column_values_to_be_unique_within_record")
def _differ(make: Maker) -> dict[str, Any]:
    names = make.pick(["i", "j"], ["s", "t"], ["i", "j", "k"], ["x", "y"], ["d", "e"])
    return {"column_list": names, **_multi_ignore(make), **_map(make)}


@_makes("multicolumn_values_to_be_equal")
def _equal_in_row(make: Maker) -> dict[str, Any]:
    names = make.pick(["i", "j"], ["s", "t"], ["i", "j", "k"], ["x", "y"], ["d", "e"], ["t", "s", "day"], ["j", "k"])
    return {"column_list": names, **_multi_ignore(make), **_map(make)}


@_makes("compound_columns_to_be_unique")
def _compound(make: Maker) -> dict[str, Any]:
    names = make.pick(["i", "j"], ["s", "t"], ["t", "b"], ["j", "t"], ["d", "t"], ["i", "x"])
    return {"column_list": names, **_multi_ignore(make), **_map(make)}


_STATISTICS = {"max": (-4, 12), "min": (-12, 4), "mean": (-2, 2), "median": (-2, 2), "stdev": (0, 4), "sum": (-40, 40)}
for _name, (_low, _high) in _STATISTICS.items():

    @_makes(f"column_{_name}_to_be_between")
    def _statistic(make: Maker, low: float = _low, high: float = _high) -> dict[str, Any]:
        # Bounds no value hits: how a sum is rounded isn't what is compared.
        given = make.bounds(low, high, 5)
        return {"column": make.pick("i", "j", "x", "y", "k"), **given, **make.condition()}


@_makes("column_unique_value_count_to_be_between")
def _n_distinct(make: Maker) -> dict[str, Any]:
    return {"column": make.pick("i", "j", "x", "s", "t", "b", "d"), **make.bounds(0, 20, 0), **make.condition()}


for _name in ("column_proportion_of_unique_values_to_be_between", "column_proportion_of_non_null_values_to_be_between"):
    _makes(_name)(
        lambda make: {"column": make.pick("i", "j", "x", "s", "t"), **make.bounds(0, 1, 2), **make.condition()}
    )


for _name in ("in", "contain", "equal"):

    @_makes(f"column_distinct_values_to_{'be_in' if _name == 'in' else _name}_set")
    def _distinct(make: Maker) -> dict[str, Any]:
        column = make.pick("i", "j", "s", "t", "t", "y")
        values = make.some_of(column)
        if make.random.random() < 0.5:
            found = {value for value in make.columns[column]["values"] if value not in (None, "nan", "inf", "-inf")}
            values = sorted(found, key=str) or values
        return {"column": column, "value_set": values, **make.condition()}


@_makes("column_most_common_value_to_be_in_set")
def _most_common(make: Maker) -> dict[str, Any]:
    column = make.pick("j", "t", "t", "s")
    return {
        "column": column,
        "value_set": make.some_of(column),
        "ties_okay": make.pick(True, False),
        **make.condition(),
    }


@_makes("column_quantile_values_to_be_between")
def _quantiles(make: Maker) -> dict[str, Any]:
    quantiles = sorted(make.random.sample([0.0, 0.05, 0.25, 0.33, 0.5, 0.75, 0.9, 1.0], make.pick(1, 2, 3)))
    ranges = [sorted(round(make.random.uniform(-9, 9), 3) for _ in range(2)) for _ in quantiles]
    open_ended = [[make.pick(low, low, None), high] for low, high in ranges]
    how = make.pick({}, {}, {"allow_relative_error": make.pick("linear", "lower", "higher", "midpoint", "nearest")})
    given = {"quantiles": quantiles, "value_ranges": open_ended}
    return {"column": make.pick("i", "j", "k", "y"), "quantile_ranges": given, **how, **make.condition()}


@_makes("column_to_exist")
def _exists(make: Maker) -> dict[str, Any]:
    place = make.pick({}, {"column_index": make.random.randint(0, 14)})
    name = make.pick(*make.columns, "none")
    if place and make.random.random() < 0.5 and name in make.columns:
        place = {"column_index": list(make.columns).index(name)}
    return {"column": name, **place}


@_makes("table_columns_to_match_ordered_list")
def _ordered_list(make: Maker) -> dict[str, Any]:
    names = list(make.columns)
    change = make.pick("none", "none", "swap", "less", "more")
    if change == "swap":
        names[0], names[1] = names[1], names[0]
    return {"column_list": names[:-1] if change == "less" else [*names, "z"] if change == "more" else names}


@_makes("table_columns_to_match_set")
def _column_set(make: Maker) -> dict[str, Any]:
    names = list(make.columns)
    make.random.shuffle(names)
    names = make.pick(names, names, names[:-2], [*names, "z"], [*names[:-1], "z"])
    return {"column_set": names, **make.pick({}, {"exact_match": True}, {"exact_match": False})}


@_makes("table_column_count_to_be_between")
def _column_count(make: Maker) -> dict[str, Any]:
    low, high = sorted(make.some(list(range(6, 16)), 2, 2))
    return make.pick({"min_value": low, "max_value": high}, {"min_value": low}, {"max_value": high})


@_makes("table_column_count_to_equal")
def _columns_equal(make: Maker) -> dict[str, Any]:
    return {"value": make.pick(10, 11, 11, 12)}


@_makes("table_row_count_to_be_between")
def _row_count(make: Maker) -> dict[str, Any]:
    low, high = sorted(make.some(list(range(60)), 2, 2))
    return {
        **make.pick({"min_value": low, "max_value": high}, {"min_value": low}, {"max_value": high}),
        **make.condition(),
    }


@_makes("table_row_count_to_equal")
def _rows_equal(make: Maker) -> dict[str, Any]:
    return {"value": make.pick(make.n_rows, make.n_rows, 40, 0), **make.condition()}


def table_cases(seed: int, number: int, names: list[str]) -> tuple[Columns, list[Written]]:
    """Make a table and an expectation of each of these names about it."""
    make = Maker(f"{seed}:{number}")
    return make.columns, [{"type": name, "kwargs": MAKERS[name](make)} for name in names]
