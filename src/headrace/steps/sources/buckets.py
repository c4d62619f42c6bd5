"""An object of a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError, StoreError, TransientError
from headrace.steps.sources.source import Source, safe_name

if TYPE_CHECKING:
    from headrace.stores.bucket_client import BucketClient
    from headrace.stores.bucket_fault import BucketFault

_HINT = "give a bucket and a key, such as 's3://bucket/data/customers.csv'"


@dataclass(frozen=True)
class BucketFile(Source):
    """An object of a bucket: ``s3://bucket/key`` (tested), ``gs://…`` and ``az://…`` (untested).

    Its fingerprint is its ETag and size: one that was put again with other bytes has another. It is fetched in parts
    of some megabytes, each under the condition that the ETag is still that. Credentials come from the environment, as
    for a store in a bucket; a server other than Amazon's is named by ``AWS_ENDPOINT_URL``.

    Raises DataError for a URL that names no bucket and key.
    """

    url: str

    def __post_init__(self) -> None:
        if not self._key or self._key.endswith("/"):
            raise DataError(f"{self.url!r} names no object in a bucket", hint=_HINT)

    @property
    def _key(self) -> str:
        return self.url.partition("://")[2].partition("/")[2]

    def look(self) -> dict[str, Any]:
        """Give its ETag and size. Raises DataError where it isn't there or may not be read."""
        from headrace.stores.bucket_fault import BucketFault

        try:
            meta = self._client().look(self._key)
        except BucketFault as fault:
            raise self._problem(fault) from fault
        if meta is None:
            raise DataError(
                f"There is no object {self.url!r}",
                hint="look at the bucket's and the key's spelling; without the right to list, all else is absent",
            )
        return {"etag": meta.etag, "n_bytes": meta.n_bytes}

    def fetch(self, pin: Any, folder: Path) -> Path:
        """See `Source.fetch`."""
        from headrace.stores.bucket_fault import BucketFault

        path = folder / safe_name(self._key, "object")
        try:
            n_bytes = self._client().fetch(self._key, str(path), pin["etag"])
        except BucketFault as fault:
            raise self._problem(fault) from fault
        if n_bytes is None:
            raise TransientError(
                f"{self.url!r} changed since the run began", hint="nothing was stored; run again once it is complete"
            )
        return path

    def _client(self) -> BucketClient:
        return client_of(self.url.removesuffix(self._key))

    def _problem(self, fault: BucketFault) -> DataError | TransientError:
        return problem_of(self.url, fault)


def bucket_files(folder: str) -> dict[str, tuple[str, int]]:
    """Give the ETag and size of each object below a bucket's prefix, by its name within it."""
    from headrace.stores.bucket_fault import BucketFault

    scheme, _, rest = folder.rstrip("/").partition("://")
    bucket, _, prefix = rest.partition("/")
    try:
        found = client_of(f"{scheme}://{bucket}").etags(f"{prefix}/" if prefix else "")
    except BucketFault as fault:
        raise problem_of(folder, fault) from fault
    start = f"{prefix}/" if prefix else ""
    return {name.removeprefix(start): known for name, known in found.items() if name.startswith(start)}


def client_of(url: str) -> BucketClient:
    """Open a bucket. Raises DataError for a URL that names none."""
    from headrace.stores.bucket_client import BucketClient, BucketSettings
    from headrace.stores.bucket_place import BucketPlace

    try:
        return BucketClient(BucketPlace.parse(url), BucketSettings())
    except StoreError as error:
        raise DataError(error.message.replace("The store's URL", "The URL"), hint=error.hint) from error


def problem_of(url: str, fault: BucketFault) -> DataError | TransientError:
    """Make an error of a fault: of one that may pass, a TransientError."""
    from headrace.stores.bucket_fault import hint_of

    text = f"{url!r} can't be read: {fault.text}"
    if fault.kind in ("network", "torn", "conflict"):
        return TransientError(text, hint=hint_of(fault))
    return DataError(text, hint=hint_of(fault))
