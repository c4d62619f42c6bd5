"""What a source is: a place outside the project that data is taken in from."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from headrace.core.context import current_run
from headrace.core.discovery import unseen
from headrace.core.external import External
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


class Source(External):
    """The base of frozen dataclasses that stand in a plan for data elsewhere: an object, a page, a query.

    Its pin is the data's fingerprint when the run begins, or `headrace.core.external.unfingerprinted`: then it is read
    in each run, and what follows is cut off by content. Passwords are `Secret` references.

    As a parameter's type it reads text: ``s3://bucket/key.csv`` becomes a `BucketFile`, ``https://…`` an `Http`,
    ``dvc://…`` a `Dvc`. Declare ``Source | Path`` for a parameter that may be either.
    """

    def pin(self, store: Store) -> Json:
        """See `External.pin`."""
        return self.look()

    def look(self) -> Json:
        """Give the fingerprint as it is now. Raises DataError or TransientError where it can't be had."""
        raise NotImplementedError(f"{type(self).__qualname__} must say what its data's fingerprint is")

    def fetch(self, pin: Any, folder: Path) -> Path:
        """Write the data, as it was when it was pinned, to a file in a folder that is empty, and give its path.

        At most some megabytes are held in memory. Raises TransientError where the data has changed since or the way
        to it broke off, and DataError where trying again won't help. What is left in the folder then is removed.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must fetch its data")

    @classmethod
    def __headrace_read__(cls, text: str) -> Self | None:
        """Make a source of a URL; None of text that is none of this class."""
        from headrace.steps.sources.urls import source_of_url

        found = source_of_url(text)
        return found if isinstance(found, cls) else None


def fetched(source: Source | Path | str) -> Path:
    """Give a local file with a source's data; of a path, the path.

    In a run the data is as it was when the run began, and the file is there until the step's outputs are stored; in a
    plain call it is as it is now, and the file is there until the process ends.
    """
    if isinstance(source, str):
        source = Source.__headrace_read__(source) or Path(source)
    if isinstance(source, Path):
        return source
    run = current_run()
    with unseen():
        pin = source.look() if run is None else run.pin_of(source)
    return fetched_as(source, pin)


def fetched_as(source: Source, pin: Any) -> Path:
    """Give a local file with a source's data as it was pinned."""
    with unseen():  # the fingerprint tells what is read
        return source.fetch(pin, scratch_folder())


def safe_name(path: str, default: str) -> str:
    """Give the last part of a path elsewhere as a plain name of a file here: its suffixes tell what it is."""
    name = re.sub(r"[^\w.\-]", "_", path.rpartition("/")[2])[-100:]
    return name if name.strip(".") else default


def scratch_folder() -> Path:
    """Make an empty folder that goes with the attempt under way, in a plain call with the process."""
    run = current_run()
    if run is not None and run.scratch is not None:
        return Path(tempfile.mkdtemp(dir=run.scratch()))
    folder = Path(tempfile.mkdtemp(prefix="headrace-source-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
