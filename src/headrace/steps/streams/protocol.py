"""What a stream is. The docstrings here are the specification; ``headrace.testing.streams`` holds a stream to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self, TypeAlias
from urllib.parse import quote

from headrace.core.errors import DataError
from headrace.core.external import External
from headrace.core.values import Json, canonical
from headrace.steps.kinds import Kind

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

Position: TypeAlias = Json
"""A point between two messages of a partition, as JSON. Only the connection that gave it can tell what it means."""

Positions: TypeAlias = Mapping[str, Position]
"""A point in each partition."""

Start = Literal["earliest", "latest", "committed"]
"""Where the first snapshot begins: at the oldest message that is there, behind the newest, or where the group stood."""

STARTS = ("earliest", "latest", "committed")
LONGEST_NAME = 100


class Message(NamedTuple):
    """A message as it came.

    ``offset`` is what the broker calls it, ``after`` the position behind it; ``value`` is None for one that has none
    (a tombstone); ``milliseconds`` is its time since 1970, None where it has none.
    """

    partition: str
    offset: int | str
    after: Position
    value: bytes | None
    key: bytes | None = None
    milliseconds: int | None = None

    @property
    def n_bytes(self) -> int:
        """The bytes of its value and key."""
        return len(self.value or b"") + len(self.key or b"")


class Ends(NamedTuple):
    """Before the oldest message of a partition that is there, and behind the newest."""

    first: Position
    end: Position


class Connection(Protocol):
    """A stream that was opened, for one thread of one process.

    **Order.** A partition is a sequence of messages that only grows at its end and only loses at its begin. Reading
    the same range twice gives the same messages, or an error.

    **Errors.** `TransientError` where the broker can't be reached or doesn't answer; `DataError` for all that stays
    wrong however often it is tried. None of them holds a secret.
    """

    @property
    def incarnation(self) -> str:
        """What tells this topic from another of its name, such as one that was made anew; empty where nothing does."""

    def partitions(self) -> dict[str, Ends]:
        """The partitions there are now. Raises `DataError` for a topic that isn't there."""

    def origin(self) -> Position:
        """Where every partition begins, before anything was deleted."""

    def committed(self) -> dict[str, Position]:
        """Where the broker says that the group stands, of the partitions that it says it of."""

    def gap(self, partition: str, position: Position, ends: Ends) -> str | None:
        """Say which messages behind a position are gone (``offsets 3 to 9``); None where none is.

        Raises `DataError` where the position lies behind the partition's end: it isn't the one that it was.
        """

    def read(
        self, partition: str, start: Position, until: Position, *, at_most: int | None = None
    ) -> Iterator[list[Message]]:
        """The messages from ``start`` to ``until``, in order, in batches that are not empty.

        ``until`` is an end that `partitions` gave, or behind a message. ``at_most`` is how many the caller can use;
        more may come. Nobody reads another partition before this reading has ended or was closed. Raises `DataError`
        when messages that were there at ``start`` have been deleted since.
        """

    def commit(self, positions: Positions) -> None:
        """Tell the broker where the group stands, for those who watch it there. Never read again by `partitions`."""

    def close(self) -> None:
        """Let the broker go."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Stream(External):
    """The base of frozen dataclasses that say which messages to read, and as whom: a topic and a group.

    What a group has read of a topic is a chain of snapshots in the store; see `headrace.steps.streams.chain`.
    """

    kind: ClassVar[str]
    """The broker, in a word."""
    partition_kind: ClassVar[Kind]
    """What a partition's name is as a column's value."""
    offset_kind: ClassVar[Kind]
    """What `Message.offset` is as a column's value."""

    @property
    def topic_name(self) -> str:
        """What is read."""
        raise NotImplementedError

    @property
    def reader_group(self) -> str:
        """As whom: two groups read the same messages, each once."""
        raise NotImplementedError

    @property
    def begins_at(self) -> Start:
        """Where the first snapshot begins."""
        raise NotImplementedError

    @property
    def skips_deleted(self) -> bool:
        """Whether to go on behind messages that the broker has deleted before they were read."""
        raise NotImplementedError

    def open(self) -> Connection:
        """Connect. Secrets are revealed here."""
        raise NotImplementedError

    @property
    def chain_name(self) -> str:
        """The name of the chain of snapshots in a store, by broker, topic and group."""
        identity = [self.kind, self.topic_name, self.reader_group]
        shown = quote("-".join(identity), safe="")[:LONGEST_NAME]
        return f"{shown}-{sha256(canonical(identity).encode()).hexdigest()[:8]}"

    def pin(self, store: Store) -> dict[str, Any]:
        """Decide what a run that begins now reads: a snapshot that no run has done with yet, else all there is now."""
        from headrace.steps.streams.chain import Chain

        return Chain(store, self).next_pin().to_json()

    def __str__(self) -> str:
        return f"{self.kind} {self.topic_name!r} (group {self.reader_group!r})"


def missing_topic(stream: Stream, hint: str | None) -> DataError:
    """The error for a topic that isn't there."""
    return DataError(f"There is nothing called {stream.topic_name!r} to read as {stream.kind}", hint=hint)


def deleted(stream: Stream, partition: str, gap: str) -> DataError:
    """The error for messages that are gone before they were read."""
    return DataError(
        f"The broker has deleted messages of {stream} before they were read: {gap} of partition {partition!r}",
        hint="nothing can bring them back; skip_deleted=True goes on behind them and writes down which are missing. "
        "Keep messages longer at the broker, or run more often",
    )


def made_anew(stream: Stream, problem: str) -> DataError:
    """The error for a topic that is not the one that was read before."""
    return DataError(
        f"{stream} is not what this group has read so far: {problem}",
        hint="it was deleted and made anew, or is another broker's: read it with another group=",
    )
