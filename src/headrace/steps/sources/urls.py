"""Sources as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.steps.sources.source import Source


def source_of_url(text: str) -> Source | None:
    """Make a source of a URL, None of a text that is none. Raises DataError for a URL that names nothing."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        return None
    if scheme in ("s3", "gs", "az"):
        from headrace.steps.sources.buckets import BucketFile

        return BucketFile(text)
    if scheme in ("http", "https"):
        from headrace.steps.sources.web import Http

        return Http(text)
    if scheme == "dvc":
        from headrace.steps.sources.dvc import Dvc

        path, _, rev = rest.partition("@")
        return Dvc(path, rev=rev or None)
    return None
