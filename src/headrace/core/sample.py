"""The sample of its data that a run takes, where it doesn't take all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from headrace.core.context import current_run
from headrace.core.errors import ProjectError, RunError, near_miss
from headrace.core.external import External
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

_SHARE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*")
_SIGNIFICANT = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """Which rows are taken where data enters a run.

    Attributes
    ----------
    share
        The share of the keys, or of the rows where no key is named: more than 0 and less than 1.
    key
        Columns that name the same things in several tables, such as customers. Of each table the first that it has
        counts, so that the same customers are taken everywhere; a table that has none is taken whole. Without any key
        each row of each table is for itself.
    stratify
        A column of whose values each keeps its share, in tables that have it.
    seed
        Another seed takes others.
    """

    share: float
    key: tuple[str, ...] = ()
    stratify: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ProjectError(
                f"0 < sample < 1 must hold, but got {self.share:g}",
                hint="give a share, such as 1% or 0.01; leave --sample out to take all",
            )

    @property
    def text(self) -> str:
        """As people read it: ``1% by customer_id``."""
        by = f" by {' or '.join(self.key)}" if self.key else ""
        strata = f", each {self.stratify} in its share" if self.stratify else ""
        return f"{self.share * 100:.10g}%{by}{strata}" + (f", seed {self.seed}" if self.seed else "")

    def to_json(self) -> dict[str, Json]:
        """The form that a run's record keeps."""
        return {"share": self.share, "key": list(self.key), "stratify": self.stratify, "seed": self.seed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        """Read that form."""
        return cls(data["share"], tuple(data["key"]), data["stratify"], data["seed"])


def read_share(text: str) -> float:
    """Read ``1%`` or ``0.01``. Raises `ProjectError` for other text."""
    found = _SHARE.fullmatch(text)
    if found is None:
        raise ProjectError(f"{text!r} is no share to sample", hint="give one such as 1% or 0.01")
    return float(f"{float(found[1]) / (100 if found[2] else 1):.{_SIGNIFICANT}g}")


def read_sample(
    share: str | None, settings: object, *, key: tuple[str, ...] = (), stratify: str | None = None
) -> Sample | None:
    """Make the sample of the share that was asked for; None where none was.

    ``settings`` is the table ``[tool.headrace.sample]``: key, stratify, seed. What is given beside it goes before it.
    Raises `ProjectError` for a share or a setting that is none.
    """
    if share is None:
        return None
    table = {} if settings is None else settings
    names = [item.name for item in fields(Sample) if item.name != "share"]
    if not isinstance(table, Mapping):
        raise ProjectError("[tool.headrace.sample] is a table", hint=f"with {', '.join(names)}")
    for name in table:
        if name not in names:
            raise ProjectError(f"There is no setting {name!r} in [tool.headrace.sample]", hint=near_miss(name, names))
    named = table.get("key", ())
    seed = table.get("seed", 0)
    strata = stratify or table.get("stratify")
    keys = key or ((named,) if isinstance(named, str) else tuple(named))
    texts = [*keys, *([strata] if strata is not None else [])]
    if not all(isinstance(name, str) for name in texts) or type(seed) is not int:
        raise ProjectError(
            "[tool.headrace.sample] holds columns' names, and a whole number as the seed",
            hint='such as key = "customer_id", stratify = "region", seed = 1',
        )
    return Sample(read_share(share), keys, strata, seed)


@dataclass(frozen=True)
class Sampling(External):
    """An argument of steps that take in data, or act on the world: what the run samples is part of their key.

    A step of your own that reads data takes ``sampling: Sampling = SAMPLING`` and gives what it read to
    `headrace.steps.sampled`. In a run of all data it stands for nothing.
    """

    def pin(self, store: Store) -> Json:
        """What the run that begins was told to sample."""
        run = current_run()
        return run.sample.to_json() if run is not None and run.sample is not None else None

    @property
    def sample(self) -> Sample | None:
        """The sample that the run under way takes; None where it takes all, and in plain calls."""
        run = current_run()
        if run is None:
            return None
        try:
            pin = run.pin_of(self)
        except RunError:  # asked beside a run's steps
            return run.sample
        return None if pin is None else Sample.from_json(pin)


SAMPLING = Sampling()
"""As a default argument."""

SAMPLED = ".sampled"
"""What the names end with of all that such a run leaves outside its store's cache."""
