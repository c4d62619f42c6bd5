"""Dagster: a definitions file with an asset for each artifact."""

from headrace.backends.dagster.backend import Dagster

__all__ = ["Dagster"]
