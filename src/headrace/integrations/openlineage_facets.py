"""Facets of our own, for what OpenLineage has none: an attempt, a verdict, a split, a model.

Their JSON schema is ``openlineage_facets.json`` beside this file; ``_schemaURL`` names it and the definition in it.
"""

from __future__ import annotations

from typing import Any

import attr
from openlineage.client.generated.base import DatasetFacet, RunFacet

import headrace

PRODUCER = f"urn:headrace:{headrace.__version__}"
SCHEMA = "urn:headrace:openlineage:facets:1"


@attr.define(kw_only=True)
class AttemptRunFacet(RunFacet):
    """An attempt of a node: which, how it ended, and why it was made or wasn't."""

    node: str
    attempt: int
    outcome: str
    seconds: float | None = None
    reason: str | None = None
    key: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMA}#/$defs/AttemptRunFacet"


@attr.define(kw_only=True)
class VerdictRunFacet(RunFacet):
    """What a gate said of a model, and what it looked at."""

    node: str
    passed: bool
    reasons: list[dict[str, Any]] = attr.field(factory=list)

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMA}#/$defs/VerdictRunFacet"


@attr.define(kw_only=True)
class SplitDatasetFacet(DatasetFacet):
    """Which part of a split a table is, and how the rows were split."""

    role: str
    parts: dict[str, int | None]
    how: dict[str, str] = attr.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMA}#/$defs/SplitDatasetFacet"


@attr.define(kw_only=True)
class ModelDatasetFacet(DatasetFacet):
    """A model, or a registered version of one."""

    digest: str
    format: str
    type: str
    name: str | None = None
    version: int | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMA}#/$defs/ModelDatasetFacet"
