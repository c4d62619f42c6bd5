"""A table's profile: what is known of each column after one pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from headrace.core.errors import DataError, FormatError
from headrace.steps.profiling.column import ColumnProfile

VERSION = 1


class Profile:
    """What is known of a table's columns, as an artifact of its own.

    Profiles of parts add up (`merge`): counts exactly, moments to 1e-12, the rest within its stated error. Two profiles
    are equal when their rows, target and columns are.
    """

    __headrace_one_value__: ClassVar[bool] = True
    __slots__ = ("columns", "n_rows", "slices", "target")

    def __init__(
        self,
        n_rows: int,
        columns: Mapping[str, ColumnProfile],
        target: str | None = None,
        slices: Mapping[str, Mapping[str, Profile]] | None = None,
    ) -> None:
        self.n_rows = n_rows
        self.columns = dict(columns)
        self.target = target
        self.slices = {name: dict(parts) for name, parts in (slices or {}).items()}
        """By column and by value as text: the profile of the rows that have it."""

    def __getitem__(self, name: str) -> ColumnProfile:
        """Give a column's profile. Raises DataError, with the nearest name, where there is none."""
        from headrace.core.errors import near_miss

        if name not in self.columns:
            raise DataError(f"The profile has no column {name!r}", hint=near_miss(name, self.columns))
        return self.columns[name]

    def merge(self, other: Profile) -> Profile:
        """Give the profile of both tables' rows together.

        Raises DataError where columns, their kinds or the target differ.
        """
        if list(self.columns) != list(other.columns) and set(self.columns) != set(other.columns):
            odd = sorted(set(self.columns) ^ set(other.columns))
            raise DataError(
                f"Profiles of different columns can't be merged: {', '.join(map(repr, odd[:5]))}",
                hint="profile the same columns of both parts",
            )
        if self.target != other.target:
            raise DataError(f"Profiles by the targets {self.target!r} and {other.target!r} can't be merged")
        if set(self.slices) != set(other.slices):
            raise DataError("Profiles with different slices can't be merged", hint="profile both parts alike")
        columns = {name: column.merge(other.columns[name]) for name, column in self.columns.items()}
        slices = {name: _merged_slices(parts, other.slices[name]) for name, parts in self.slices.items()}
        return Profile(self.n_rows + other.n_rows, columns, self.target, slices)

    def to_json(self) -> str:
        """Give the profile as JSON: equal profiles give equal text."""
        plain = {"format": "headrace.profile", "version": VERSION, "target": self.target, **_plain(self)}
        return json.dumps(plain, separators=(",", ":"), allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Profile:
        """Make a profile of what `to_json` gave, now or in an earlier version.

        Raises FormatError where it is something else, damaged, or of a later version.
        """
        try:
            plain = json.loads(text)
            is_profile = plain["format"] == "headrace.profile"
            version = int(plain["version"])
        except (ValueError, TypeError, KeyError):
            is_profile, version, plain = False, 0, {}
        if not is_profile:
            raise FormatError(
                "This is no profile", hint="make one with `headrace data profile DATA -o FILE`, or the step `profile`"
            )
        if version > VERSION:
            raise FormatError(
                f"This profile is of version {version}, and this Headrace reads up to {VERSION}",
                hint="read it with the Headrace that wrote it, or profile the table again",
            )
        try:
            return _from_plain(plain, plain["target"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(f"The profile is damaged ({type(error).__name__}: {error})") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.n_rows, self.target, tuple(self.columns)))

    def __repr__(self) -> str:
        return f"Profile({self.n_rows} rows, {len(self.columns)} columns)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def _plain(profile: Profile) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "n_rows": profile.n_rows,
        "columns": {name: column.to_plain() for name, column in profile.columns.items()},
    }
    if profile.slices:
        plain["slices"] = {
            name: {value: _plain(part) for value, part in parts.items()} for name, parts in profile.slices.items()
        }
    return plain


def _from_plain(plain: Mapping[str, Any], target: str | None) -> Profile:
    columns = {name: ColumnProfile.from_plain(column) for name, column in plain["columns"].items()}
    slices = {
        name: {value: _from_plain(part, target) for value, part in parts.items()}
        for name, parts in plain.get("slices", {}).items()
    }
    return Profile(int(plain["n_rows"]), columns, target, slices)


def _merged_slices(ours: Mapping[str, Profile], others: Mapping[str, Profile]) -> dict[str, Profile]:
    made = dict(ours)
    for value, part in others.items():
        made[value] = made[value].merge(part) if value in made else part
    return dict(sorted(made.items()))
