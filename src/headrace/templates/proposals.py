"""What is proposed for a table: task, key, time, split, and what must not be a feature; each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError, near_miss
from headrace.steps.targets import Task, as_labels
from headrace.templates.leaks import Suspicion, find_leaks
from headrace.templates.survey import MOSTLY, Column, Survey, refuse_tiny

if TYPE_CHECKING:
    import polars as pl

Template = Literal["classification", "regression", "empty"]
"""The kinds of project that there are."""

Splitting = Literal["time", "key", "random"]
"""How rows are split."""

LEAST_ROWS = 30
MOST_LABELS = 50
FEW_NUMBERS = 10
"""A target of so many different whole numbers, at most, is taken for labels."""

NEARLY = 0.95
"""A column with so many different values, as a share of its values, is meant to have one for each row."""

ID_NAME = re.compile(r"(?i:^|[_\W])(?i:id|uuid|guid|key|no|nr|index|idx|instant|row|rownum)$|[a-z](ID|Id|Key|No|Nr)$")
TIME_NAME = re.compile(r"(?i)date|time|day|month|stamp|snapshot|period|week|_at$|_on$")
NO_SPLIT_TIME = re.compile(r"(?i)birth|dob|born")
POSITIVE = ("yes", "true", "1", "y", "t", "positive", "pos", "churned", "fraud", "default", "bad")
UNIX_SECONDS = (631_152_000, 4_102_444_800)
"""1990 to 2100."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A column and why it was chosen; or no column, and why not."""

    column: str | None
    why: str


@dataclass(frozen=True)
class Proposal:
    """What a project is made of."""

    table: Survey
    template: Template
    task: Task
    target: str
    why_task: str
    labels: tuple[str, ...]
    """The labels as the project spells them, the positive one of two last; none for a number."""
    positive: str | None
    folds_labels: bool
    """Whether labels must be spelled alike first: without blanks around, in small letters."""
    key: Chosen
    is_key_unique: bool
    time: Chosen
    split: Splitting
    why_split: str
    suspicions: tuple[Suspicion, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def left_out(self) -> dict[str, str]:
        """The columns that aren't features, each with its reason."""
        found = {item.column: item.why for item in self.suspicions}
        chosen = ((self.key.column, "names a row"), (self.time.column, "a moment, and none comes again"))
        return {**{name: why for name, why in chosen if name}, **found}

    @property
    def features(self) -> list[Column]:
        """The columns that are left as features."""
        out = {self.target, *self.left_out}
        return [column for column in self.table.columns if column.name not in out and column.kind is not None]


def propose(
    table: Survey, target: str, *, template: Template | None = None, key: str | None = None, time: str | None = None
) -> Proposal:
    """Propose a project for a table and a target.

    ``key`` and ``time`` name columns; an empty name says that there is none. Raises DataError where the target can't be
    predicted: it isn't there, has no value or one only, or is another one in nearly each row; and where the table has
    too few rows, or a column that was named isn't there.
    """
    for option, name in (("--target", target), ("--key", key), ("--time", time)):
        if name and name not in table.names:
            raise DataError(
                f"{option} names column {name!r}, which {table.path.name!r} doesn't have",
                hint=near_miss(name, table.names),
            )
    column = table[target]
    _refuse_target(table, column)
    refuse_tiny(table, LEAST_ROWS)
    counts, folds = _labels(table, column)
    labels = tuple(counts)
    task, why_task = _task(column, labels, template)
    if task != "regression":
        _refuse_labels(column, labels)
    key_chosen = _key(table, target, key)
    time_chosen = _time(table, target, key_chosen.column, time)
    positive = _positive(counts) if task == "binary" else None
    answers = tuple(sorted(labels, key=lambda label: (label == positive, label)) if task != "regression" else ())
    known = {name for name in (target, key_chosen.column, time_chosen.column) if name}
    suspicions = tuple(find_leaks(table, target, is_number=task == "regression", known=known))
    is_key_unique = key_chosen.column is not None and _share_unique(table[key_chosen.column]) >= NEARLY
    split, why_split, notes = _split(table, task, target, key_chosen, time_chosen, is_key_unique)
    proposal = Proposal(
        table=table,
        template="regression" if task == "regression" else "classification",
        task=task,
        target=target,
        why_task=why_task,
        labels=answers,
        positive=positive,
        folds_labels=folds and task != "regression",
        key=key_chosen,
        is_key_unique=is_key_unique,
        time=time_chosen,
        split=split,
        why_split=why_split,
        suspicions=suspicions,
        notes=(*notes, *_notes(table, target)),
    )
    if not proposal.features:
        raise DataError(
            f"{table.path.name!r} has no column left to predict {target!r} from",
            hint="; ".join(f"{name!r}: {why}" for name, why in proposal.left_out.items()) or "add columns",
        )
    return proposal


def _refuse_target(table: Survey, column: Column) -> None:
    if column.kind is None:
        raise DataError(f"Column {column.name!r} holds lists or structures, which can't be predicted")
    if not column.n_present:
        raise DataError(f"Column {column.name!r} has no value in any row, so nothing can be learned")
    if column.n_unique == 1 and table.n_rows > 1:
        shown = column.values[0] if column.values else column.low
        raise DataError(f"Column {column.name!r} has one value only, {shown!r}, so there is nothing to predict")
    if column.read_as in ("date", "datetime"):
        raise DataError(
            f"Column {column.name!r} holds dates, which can't be predicted as they are",
            hint="make a column of days until then, or of whether it came to pass",
        )


def _labels(table: Survey, column: Column) -> tuple[dict[str, int], bool]:
    """Count a column's labels, sorted, and say whether some differ only in case or blanks: these count as one."""
    values = as_labels(table.rows[column.name]).drop_nulls().alias("label")
    folded = values.str.strip_chars().str.to_lowercase()
    folds = column.kind == "text" and folded.n_unique() < values.n_unique()
    counts = (folded if folds else values).value_counts().sort("label")
    return dict(counts.iter_rows()), folds


def _task(column: Column, labels: tuple[str, ...], template: Template | None) -> tuple[Task, str]:
    kind = column.read_as
    is_whole = kind == "integer" or (kind == "number" and all(float(value).is_integer() for value in column.values))
    is_numbers = kind in ("integer", "number") and not (is_whole and column.n_unique <= FEW_NUMBERS)
    task: Task = "regression" if is_numbers else "binary" if len(labels) == 2 else "multiclass"
    words = {
        "regression": f"numbers from {column.low:g} to {column.high:g}" if is_numbers else "",
        "binary": "two labels",
        "multiclass": f"{len(labels)} {'different whole numbers' if kind in ('integer', 'number') else 'labels'}",
    }
    if template == "regression" and not is_numbers:
        if kind not in ("integer", "number"):
            raise DataError(f"Column {column.name!r} holds {kind}, not numbers", hint="use --template classification")
        return "regression", "numbers, as --template says"
    if template == "classification" and is_numbers:
        return "binary" if len(labels) == 2 else "multiclass", f"{len(labels)} labels, as --template says"
    return task, words[task]


def _refuse_labels(column: Column, labels: tuple[str, ...]) -> None:
    if len(labels) > MOST_LABELS or len(labels) > column.n_present / 3:
        is_number = column.read_as in ("integer", "number")
        raise DataError(
            f"Column {column.name!r} has {len(labels)} different labels in {column.n_present} rows: a name or key, "
            "not something to predict",
            hint="use --template regression" if is_number else "name another column",
        )
    if len(labels) < 2:
        raise DataError(f"Column {column.name!r} has one label only, {labels[0]!r}, so there is nothing to predict")


def _positive(counts: dict[str, int]) -> str:
    """Choose the label that a model is asked for: by its name, else the rarer one."""
    named = [label for label in counts if label.lower() in POSITIVE]
    return named[0] if len(named) == 1 else min(counts, key=lambda label: (counts[label], label))


def _share_unique(column: Column) -> float:
    return column.n_unique / column.n_present if column.n_present else 0.0


def _key(table: Survey, target: str, given: str | None) -> Chosen:
    if given is not None:
        return Chosen(given, "as --key says") if given else Chosen(None, "none, as --key says")
    candidates = [column for column in table.columns if column.name != target and _may_be_key(table, column)]
    for column in candidates:
        if ID_NAME.search(column.name):
            each = "in every row" if column.n_unique == column.n_present else f"in {_share_unique(column):.1%} of rows"
            return Chosen(column.name, f"a different value {each}, and a name like an identifier's")
    by_name = [
        column
        for column in table.columns
        if column.name != target
        and ID_NAME.search(column.name)
        and column.kind in ("text", "integer")
        and 0.02 < _share_unique(column) < NEARLY
        and column.n_unique > MOST_LABELS
    ]
    if by_name:
        column = by_name[0]
        return Chosen(
            column.name, f"a name like an identifier's; {column.n_present / column.n_unique:.1f} rows for each"
        )
    whole = [column for column in candidates if column.kind == "text" and column.n_unique == column.n_present]
    if whole:
        return Chosen(whole[0].name, "a different text in every row")
    return Chosen(None, "no column tells the rows apart")


def _may_be_key(table: Survey, column: Column) -> bool:
    if column.kind not in ("text", "integer") or column.meant or _share_unique(column) < NEARLY:
        return False
    return column.n_present >= NEARLY * len(table.rows)


def _time(table: Survey, target: str, key: str | None, given: str | None) -> Chosen:
    if given is not None:
        return Chosen(given, "as --time says") if given else Chosen(None, "none, as --time says")
    found = [
        column
        for column in table.columns
        if column.name not in (target, key) and column.n_unique > 3 and column.n_present >= 0.8 * len(table.rows)
        if not NO_SPLIT_TIME.search(column.name) and _is_time(column)
    ]
    if not found:
        return Chosen(None, "no column holds dates")
    best = max(found, key=lambda column: (column.n_present, bool(TIME_NAME.search(column.name)), column.n_unique))
    kind = best.read_as
    what = "seconds since 1970" if kind == "integer" else "dates" if kind == "date" else "moments"
    return Chosen(best.name, f"{what} from {_shown_time(best.low)} to {_shown_time(best.high)}")


def _is_time(column: Column) -> bool:
    if column.read_as in ("date", "datetime"):
        return True
    low, high = UNIX_SECONDS
    is_named = bool(re.search(r"(?i)time|stamp|date|_at$|epoch", column.name))
    return column.kind == "integer" and is_named and low <= column.low and column.high <= high


def _shown_time(value: Any) -> str:
    from datetime import UTC, datetime

    if isinstance(value, int):
        value = datetime.fromtimestamp(value, UTC)
    return (
        value.date().isoformat()
        if isinstance(value, datetime)
        else value.isoformat()
        if isinstance(value, date)
        else ""
    )


def _split(
    table: Survey, task: Task, target: str, key: Chosen, time: Chosen, is_key_unique: bool
) -> tuple[Splitting, str, list[str]]:
    """Choose how rows are split, by trying it: each part must have what is to be told apart."""
    notes: list[str] = []
    if time.column:
        if not (lacking := _lacking(table, task, target, "time", time.column)):
            return "time", "the latest rows for the test: what the model will be up against", notes
        notes.append(f"not split by {time.column}: {lacking}")
    if key.column and (not is_key_unique or table.n_rows >= 1000):
        if not (lacking := _lacking(table, task, target, "key", key.column)):
            why = "a row stays on its side when others are added" if is_key_unique else "no key is on two sides"
            return "key", why, notes
        notes.append(f"not split by {key.column}: {lacking}")
    why = "at random, each label in the same shares" if task != "regression" else "at random"
    return "random", why, notes


def _lacking(table: Survey, task: Task, target: str, how: Splitting, column: str) -> str:
    """Say what one of the parts lacks; nothing where all is there."""
    import polars as pl

    from headrace.steps.splitting import ByKey, ByTime, split

    rows = table.rows.filter(pl.col(target).is_not_null())
    try:
        parts = split(rows, ByTime(column) if how == "time" else ByKey(column))
    except DataError as error:
        return error.message
    answers = {name: set(_answers(part, target)) for name, part in zip(parts._fields, parts, strict=True)}
    for name, found in answers.items():
        if len(found) < 2:
            return f"all rows for {name} would have one {target}"
        if task != "regression" and found - answers["train"]:
            return f"rows for {name} would have a label that no row for training has"
        if task != "regression" and answers["train"] - found and len(answers["train"]) <= 5:
            return f"no row for {name} would have the label {min(answers['train'] - found)}"
    return ""


def _answers(part: Any, target: str) -> list[Any]:
    column: pl.DataFrame = part.polars().select(target).collect()
    return as_labels(column[target]).unique().to_list()


def _notes(table: Survey, target: str) -> list[str]:
    """Say what a user should know of single columns."""
    n_missing = len(table.rows) - table[target].n_present - table[target].n_odd
    notes = [f"{n_missing / len(table.rows):.0%} of rows have no {target}: they are set aside"] if n_missing else []
    for column in table.columns:
        if column.kind is None:
            notes.append(f"{column.name} holds lists or structures, which no model takes: it is left out")
        elif not column.n_present and column.name != target:
            notes.append(f"{column.name} has no value: it is left out")
        elif column.meant and column.kind == "text":
            notes.append(f"{column.name} is {column.meant} but for a few values: those rows are set aside")
        elif column.kind == "text" and column.n_unique > MOST_LABELS:
            notes += [f"{column.name} {why}" for why in _other_writings(table.rows[column.name])]
    return notes


def _other_writings(values: pl.Series) -> list[str]:
    """Say that text is dates or numbers in a writing that isn't read as such."""
    present = values.drop_nulls()
    patterns = {
        r"^\d{1,2}[./]\d{1,2}[./]\d{2,4}": "holds dates that aren't written as 2026-01-31: they are taken for text",
        r"^[+-]?\d{1,3}(\.?\d{3})*,\d+$": "holds numbers with a decimal comma: they are taken for text",
    }
    return [why for pattern, why in patterns.items() if present.str.contains(pattern).sum() > MOSTLY * len(present)]
