"""Ready-made ML steps, behind stable signatures.

``ingest → validate → preprocess → features → split → train → evaluate → gate → register → package → publish``:
each is a step, and in a plain call a function. So are ``profile``, ``drift`` and ``find_leaks``, which
only look at tables. Checks are in `headrace.steps.checks`, rules in `headrace.steps.rules`.
"""

from __future__ import annotations

from headrace.steps.drifting import Drift, Limits, drift
from headrace.steps.evaluation import Evaluation, evaluate
from headrace.steps.gating import Champion, Fairness, Threshold, Verdict, gate
from headrace.steps.incremental import ingest_new
from headrace.steps.ingestion import Ingested, ingest, ingest_rows
from headrace.steps.leaks import Leak, LeakLimits, Leaks, find_leaks
from headrace.steps.merging import latest, merge
from headrace.steps.model import Model, ModelCard
from headrace.steps.packaging import package
from headrace.steps.preprocessing import features, preprocess
from headrace.steps.profiling import ColumnProfile, Profile, profile
from headrace.steps.publishing import Publication, publish
from headrace.steps.registering import register
from headrace.steps.registry import ModelVersion, Registry
from headrace.steps.sampling import sampled
from headrace.steps.sources import BucketFile, Dvc, Http, NewFiles, NewRows, Query, Source
from headrace.steps.splitting import AtRandom, ByKey, ByTime, Split, split
from headrace.steps.training import train
from headrace.steps.validation import Validated, validate

__all__ = [
    "AtRandom",
    "BucketFile",
    "ByKey",
    "ByTime",
    "Champion",
    "ColumnProfile",
    "Drift",
    "Dvc",
    "Evaluation",
    "Fairness",
    "Http",
    "Ingested",
    "Leak",
    "LeakLimits",
    "Leaks",
    "Limits",
    "Model",
    "ModelCard",
    "ModelVersion",
    "NewFiles",
    "NewRows",
    "Profile",
    "Publication",
    "Query",
    "Registry",
    "Source",
    "Split",
    "Threshold",
    "Validated",
    "Verdict",
    "drift",
    "evaluate",
    "features",
    "find_leaks",
    "gate",
    "ingest",
    "ingest_new",
    "ingest_rows",
    "latest",
    "merge",
    "package",
    "preprocess",
    "profile",
    "publish",
    "register",
    "sampled",
    "split",
    "train",
    "validate",
]
