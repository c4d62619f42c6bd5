"""What a query of a database gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from headrace.core.context import current_run
from headrace.core.errors import DataError, ProjectError
from headrace.core.external import unfingerprinted
from headrace.core.secret import Secret
from headrace.steps.sources.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

INSTALL = "python -m pip install 'headrace[sql]'"


class Rows(NamedTuple):
    """A query's result, in the six kinds, batch by batch."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Query(Source):
    """The rows that a query gives: of PostgreSQL or SQLite by ADBC, of another database by SQLAlchemy.

    A query has no fingerprint: it is asked in each run, and where it gives the same rows in the same order, what
    follows is taken from the cache. So end it with ``ORDER BY`` a key: without one a database may give equal rows in
    another order each time. The rows come in Arrow batches and go to a file, so that neither they nor the connection
    are held while they are worked on. The transaction is for reading alone.

    ==============  ================================================================================================
    kind            PostgreSQL
    ==============  ================================================================================================
    integer         smallint, integer, bigint, oid; numeric(p, 0) up to 18 digits where declared so in a column
    number          real, double precision; numeric and money's value as the nearest float (NaN is missing): cast it to
                    text in the query to keep all digits
    boolean         boolean
    date            date
    datetime        timestamp; timestamptz as the moment in UTC
    text            text, varchar, char, name, enums; uuid in its usual form; json and jsonb as JSON; time in ISO 8601;
                    an array as JSON
    refused         bytea, interval, geometry and all else: cast it in the query, such as ``span::text``
    ==============  ================================================================================================

    SQLite has a type for each value, not for each column: a column of whole numbers is integer, of numbers number, of
    text, or of text and numbers, text; decided on all rows. Blobs are refused. It has no booleans, dates or times:
    declare them where the rows are taken in, ``ingest(Query(…), types={"day": "date"})``.

    Parameters
    ----------
    database
        A URL without a password: ``postgresql://user@host:5432/name``, ``sqlite:///shop.db`` (relative to the project;
        ``sqlite:////srv/shop.db`` from the root), or one of SQLAlchemy's, such as ``mysql+pymysql://user@host/name``.
    sql
        One query.
    password
        A `Secret`. Of PostgreSQL, what libpq knows by itself (``PGPASSWORD``, ``~/.pgpass``) counts without one.

    Raises
    ------
    DataError
        The URL is none of a database's.
    """

    database: str
    sql: str
    password: Secret | None = None

    def __post_init__(self) -> None:
        if "://" not in self.database:
            raise DataError(
                f"{self.database!r} is no URL of a database",
                hint="such as 'postgresql://user@host/name' or 'sqlite:///shop.db'",
            )

    def look(self) -> dict[str, Any]:
        """Give what tells that a query is asked anew in each run."""
        return unfingerprinted()

    def fetch(self, pin: Any, folder: Path) -> Path:
        """See `Source.fetch`: a Parquet file."""
        return write_rows(self, folder / "query.parquet")

    def rows(self) -> AbstractContextManager[Rows]:
        """Ask the query. Raises DataError where the database refuses it, TransientError where it can't be reached."""
        return _asker(self.scheme)(self)

    @property
    def scheme(self) -> str:
        """What the URL begins with: the kind of database."""
        return self.database.partition("://")[0].lower()

    @property
    def url(self) -> str:
        """The URL with the password in it: for the driver alone."""
        if self.password is None:
            return self.database
        parts = urlsplit(self.database)
        user, at, host = parts.netloc.rpartition("@")
        if not at:
            raise DataError(
                f"{self.database!r} names no user, and there is a password",
                hint="such as 'postgresql://user@host/name'",
            )
        return parts._replace(netloc=f"{user}:{quote(self.password.reveal(), safe='')}@{host}").geturl()

    @property
    def file(self) -> Path:
        """Of SQLite, the database's file."""
        run = current_run()
        path = self.database.partition("://")[2].removeprefix("/")
        return Path(Path.cwd() if run is None else run.project_root, path)


def write_rows(query: Query, path: Path) -> Path:
    """Write what a query gives to a Parquet file, a row group a batch."""
    from pyarrow import parquet

    with query.rows() as rows, parquet.ParquetWriter(path, rows.schema, compression="lz4") as writer:
        for batch in rows.batches:
            writer.write_batch(batch)
    return path


def _asker(scheme: str) -> Callable[[Query], AbstractContextManager[Rows]]:
    if scheme in ("postgresql", "postgres"):
        from headrace.steps.sources.postgresql import asked

        return asked
    if scheme == "sqlite":
        from headrace.steps.sources.sqlite import asked

        return asked
    from headrace.steps.sources.other_databases import asked

    return asked


def no_driver(name: str) -> ProjectError:
    """Say that an ADBC driver isn't there, with the line that installs it."""
    return ProjectError(f"To ask this database, {name} is needed, and it isn't installed", hint=INSTALL)


def first_line(error: BaseException) -> str:
    """What a driver says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
