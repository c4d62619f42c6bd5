"""Where data is taken in from besides files: buckets, web servers, databases, DVC; and what is new of what grows.

Each is a small frozen value that stands in a plan and pins itself when a run begins: by its fingerprint where there is
one, else it is read in each run.
"""

from __future__ import annotations

from headrace.steps.sources.buckets import BucketFile
from headrace.steps.sources.databases import Query
from headrace.steps.sources.dvc import Dvc
from headrace.steps.sources.growing import NewFiles, NewRows
from headrace.steps.sources.source import Source
from headrace.steps.sources.web import Http

__all__ = ["BucketFile", "Dvc", "Http", "NewFiles", "NewRows", "Query", "Source"]
