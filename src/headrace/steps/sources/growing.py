"""Data that grows: files that are added to a folder, rows that are added to a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.context import current_run
from headrace.core.discovery import unseen
from headrace.core.errors import DataError, TransientError, near_miss
from headrace.core.external import External, external_id, unfingerprinted
from headrace.core.stamps import Stamps
from headrace.core.values import Json
from headrace.steps.sources.buckets import BucketFile, bucket_files
from headrace.steps.sources.databases import Query
from headrace.steps.sources.source import fetched_as

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

FOLDER = "increments"


def state_name(source: External) -> str:
    """Name the record of what was taken in of a source; of a sample of it, another."""
    run = current_run()
    sample = run.sample if run is not None else None
    if sample is None and run is not None and run.run_id:
        from headrace.core.sample import SAMPLING

        sample = SAMPLING.sample
    known = [external_id(source), sample.to_json() if sample else None]
    return f"{FOLDER}/{sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()}.json"


@dataclass(frozen=True)
class NewFiles(External):
    """The files of a folder to which more are added: ``NewFiles("data/daily", "*.csv")``, ``NewFiles("s3://b/daily")``.

    `headrace.steps.ingest_new` makes one table of them, in the order of their names, and reads only those that it has
    not read before. A file's fingerprint is its content's; of a file that looks as it did (size, times, inode) it is
    known without reading it, and in a bucket it is the ETag. So a file that was replaced is read again, and of one
    that was removed the rows are gone.

    Parameters
    ----------
    folder
        A folder of the project, or a bucket and a prefix.
    pattern
        Which files, by their names within the folder; ``*`` goes across folders.

    Raises
    ------
    DataError
        There is no such folder, or no such file in it.
    """

    folder: str
    pattern: str = "*"

    def pin(self, store: Store) -> Json:
        """Give each file's fingerprint by its name, sorted."""
        found = self._in_bucket() if "://" in self.folder else self._in_folder(store)
        if not found:
            raise DataError(f"No file in {self.folder!r} is named like {self.pattern!r}", hint="look at the pattern")
        return dict(sorted(found.items()))

    def open(self, name: str, fingerprint: str) -> Path:
        """Give a local file with the content of one of the files, as it was when the run began."""
        if "://" not in self.folder:
            return Path(_root(), self.folder, name)
        etag, _, n_bytes = fingerprint.rpartition(" ")
        return fetched_as(BucketFile(f"{self.folder.rstrip('/')}/{name}"), {"etag": etag, "n_bytes": int(n_bytes)})

    def check(self, name: str, fingerprint: str, path: Path) -> None:
        """Hold a file of a folder, now that it has been read, against its fingerprint. Raises TransientError."""
        if "://" not in self.folder and Stamps().digest_file(path) != fingerprint:
            raise TransientError(
                f"{name!r} changed while it was read", hint="nothing was stored of it; run again once it is complete"
            )

    def names(self, folder: Path) -> list[str]:
        """List the files below a folder that are meant, sorted."""
        found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return sorted(name for name in found if self._takes(name))

    def _in_folder(self, store: Store) -> dict[str, str]:
        folder = Path(_root(), self.folder)
        if not folder.is_dir():
            siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
            raise DataError(f"There is no folder {str(folder)!r}", hint=near_miss(folder.name, siblings))
        with unseen(), Stamps(store.cache_dir / "stamps.json") as stamps:
            return {name: stamps.digest_file(folder / name) for name in self.names(folder)}

    def _in_bucket(self) -> dict[str, str]:
        return {
            name: f"{etag} {n_bytes}"
            for name, (etag, n_bytes) in bucket_files(self.folder).items()
            if self._takes(name)
        }

    def _takes(self, name: str) -> bool:
        return not name.rpartition("/")[2].startswith(".") and fnmatchcase(name, self.pattern)


@dataclass(frozen=True)
class NewRows(External):
    """The rows of a query whose watermark is above the highest one taken in so far.

    `headrace.steps.ingest_new` asks for those alone, and adds them below the rows that it took in before, which are
    neither asked for nor read again. The watermark must grow: a number or a time that each new or changed row gets.
    Rows that get a watermark at or below one that was taken in are not seen (a transaction that takes long, a clock
    that is set back), so let the query leave out what is too fresh: ``WHERE changed_at < now() - interval '1 minute'``.

    What was taken in last is kept in the store beside what it became, and is pinned when a run begins: a run that is
    killed and tried again begins from the same, and of two at once each adds to the same what it saw.

    Parameters
    ----------
    query
        The query, without a condition on the watermark.
    watermark
        A column of its result, without missing values.
    """

    query: Query
    watermark: str

    def pin(self, store: Store) -> Json:
        """Give what was taken in before: the state that the last run left."""
        data = store.read_record(state_name(self))
        return unfingerprinted(**(json.loads(data) if data else {}))

    def key_part(self, pin: Any, inputs: frozenset[str]) -> Json:
        """Give the pin: a query is asked in each run."""
        return pin


def _root() -> Path:
    run = current_run()
    return Path.cwd() if run is None else run.project_root
