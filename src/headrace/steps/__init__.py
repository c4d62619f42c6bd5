"""Ready-made ML steps, behind stable signatures."""

from __future__ import annotations

from headrace.steps.ingestion import ingest
from headrace.steps.model import Model, ModelCard
from headrace.steps.preprocessing import features, preprocess
from headrace.steps.splitting import AtRandom, ByKey, ByTime, Split, split
from headrace.steps.training import train
from headrace.steps.validation import Validated, validate

__all__ = [
    "AtRandom",
    "ByKey",
    "ByTime",
    "Model",
    "ModelCard",
    "Split",
    "Validated",
    "features",
    "ingest",
    "preprocess",
    "split",
    "train",
    "validate",
]
