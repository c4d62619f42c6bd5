"""Redis Streams, by redis-py. The extra ``redis`` installs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

from headrace.core.errors import DataError, DefinitionError, TransientError, near_miss
from headrace.core.secret import Secret
from headrace.steps.kinds import Kind
from headrace.steps.streams.kafka import check_start
from headrace.steps.streams.protocol import (
    Ends,
    Message,
    Position,
    Positions,
    Start,
    Stream,
    deleted,
    made_anew,
    missing_topic,
)

ANSWER_SECONDS = 30.0
BATCH = 5_000
N_KEYS_LOOKED_AT = 1_000
PARTITION = "0"
BEGINNING = "0-0"
_QUOTED = re.compile(rb'[\x00-\x1f"\\]')


@dataclass(frozen=True)
class RedisStream(Stream):
    """A stream of Redis, 7.0 or newer, read by ids as a group of one.

    Nothing is taken off the stream, and no message is pending anywhere: each run reads the range that it was given. The
    group's last delivered id is set at the server (`XGROUP SETID`), so that its own tools show how far it is.

    Attributes
    ----------
    key
        The stream's key.
    url
        Where the server is: ``"redis://host:6379/0"``, with TLS ``"rediss://…"``; never with a password in it.
    group
        As whom it is read.
    field
        The field that holds the message; by default the entry's fields are the message, as a JSON object of texts.
    start, skip_deleted
        As for `Kafka`. A message that `XDEL` takes away before it is read counts as deleted.
    username, password
        Who reads, if the server asks.

    >>> RedisStream("orders", "redis://localhost:6379/0", group="churn").chain_name
    'redis-orders-churn-5062f152'
    """

    kind: ClassVar[str] = "redis"
    partition_kind: ClassVar[Kind] = "integer"
    offset_kind: ClassVar[Kind] = "text"

    key: str
    url: str
    group: str
    field: str | None = None
    start: Start = "earliest"
    skip_deleted: bool = False
    username: str | None = None
    password: Secret | None = None

    def __post_init__(self) -> None:
        check_start(self.start)
        if not self.url.startswith(("redis://", "rediss://", "unix://")):
            raise DefinitionError(
                f"A server of Redis isn't found by {self.url!r}", hint="give redis://host:6379/0, or rediss:// for TLS"
            )
        if self.password is not None and not isinstance(self.password, Secret):
            raise DefinitionError(
                "The password of Redis was not given as a secret",
                hint="pass Secret('NAME') with the name of the environment variable that holds it",
            )

    @property
    def topic_name(self) -> str:
        """The key."""
        return self.key

    @property
    def reader_group(self) -> str:
        """The group."""
        return self.group

    @property
    def begins_at(self) -> Start:
        """Where the first snapshot begins."""
        return self.start

    @property
    def skips_deleted(self) -> bool:
        """Whether to go on behind deleted messages."""
        return self.skip_deleted

    def open(self) -> RedisConnection:
        """Connect. Raises `DataError` where the stream isn't there, `TransientError` where nobody answers."""
        return RedisConnection(self)


class _State(NamedTuple):
    """What the server says of a stream."""

    n_added: int
    n_held: int
    first: str | None
    last: str


class RedisConnection:
    """A client that reads ranges. A position is an id, and how many entries had been added up to it."""

    incarnation = ""
    """Redis gives a stream no identity: that one was made anew shows where its ids end before what was read."""

    def __init__(self, stream: RedisStream) -> None:
        redis = _library()
        self._stream = stream
        self._library = redis
        password = stream.password.reveal() if stream.password else None
        self._client = redis.Redis.from_url(
            stream.url,
            username=stream.username,
            password=password,
            protocol=2,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
        )
        try:
            self._state()
        except BaseException:
            self._client.close()
            raise

    def _state(self) -> _State:
        with self._answering("say what the stream holds"):
            if not self._client.exists(self._stream.key):
                raise self._missing()
            return self._read_state(self._client.execute_command("XINFO STREAM", self._stream.key))

    def _read_state(self, answer: Any) -> _State:
        found = _as_mapping(answer)
        if "entries-added" not in found:
            raise DataError(
                "This server of Redis doesn't count what is added to a stream, so deleted messages would go unseen",
                hint="Redis 7.0 and newer do",
            )
        first = found["first-entry"]
        return _State(
            int(found["entries-added"]),
            int(found["length"]),
            _text(first[0]) if first else None,
            _text(found["last-generated-id"]),
        )

    def _missing(self) -> DataError:
        known = []
        for key in self._client.scan_iter(count=N_KEYS_LOOKED_AT, _type="stream"):
            known.append(_text(key))
            if len(known) >= N_KEYS_LOOKED_AT:
                break
        return missing_topic(self._stream, near_miss(self._stream.key, known))

    def partitions(self) -> dict[str, Ends]:
        """One: a stream of Redis has no partitions."""
        return {PARTITION: _ends(self._state())}

    def origin(self) -> Position:
        """Before all ids."""
        return _position(BEGINNING, 0)

    def committed(self) -> dict[str, Position]:
        """The group's last delivered id."""
        with self._answering("say where the group stands"):
            groups = [_as_mapping(item) for item in self._client.execute_command("XINFO GROUPS", self._stream.key)]
        for group in groups:
            if _text(group["name"]) == self._stream.group:
                n_read = group.get("entries-read")
                state = self._state()
                last = _text(group["last-delivered-id"])
                n_before = int(n_read) if n_read is not None else state.n_added - self._n_behind(last)
                return {PARTITION: _position(last, n_before)}
        return {}

    def _n_behind(self, last: str) -> int:
        """How many entries stand behind an id."""
        return sum(len(batch) for batch in self._ranges(last, "+", BATCH))

    def gap(self, partition: str, position: Any, ends: Ends) -> str | None:
        """How many entries are gone, and between which ids."""
        first: Any = ends.first
        end: Any = ends.end
        if _number(position["id"]) > _number(end["id"]) or position["n"] > end["n"]:
            raise made_anew(
                self._stream, f"id {position['id']} was read, and {end['id']} is the newest that was given since"
            )
        n_gone = first["n"] - position["n"]
        if n_gone <= 0 or _number(first["id"]) < _number(position["id"]):
            return None
        return f"{n_gone} {'entry' if n_gone == 1 else 'entries'} behind id {position['id']}"

    def read(self, partition: str, start: Any, until: Any, *, at_most: int | None = None) -> Iterator[list[Message]]:
        """Read from behind an id up to another."""
        n_before = start["n"]
        for entries in self._ranges(start["id"], until["id"], min(BATCH, at_most or BATCH), n_before):
            batch = []
            for name, fields in entries:
                n_before += 1
                batch.append(self._message(_text(name), fields, n_before))
            if _text(entries[-1][0]) == until["id"]:
                batch[-1] = batch[-1]._replace(after=until)
            yield batch

    def _ranges(self, after: str, until: str, size: int, n_before: int | None = None) -> Iterator[list[Any]]:
        """Entries by batches, each read in one transaction with what the stream holds: no deletion goes unseen."""
        while after != until:
            with self._answering("give messages"), self._client.pipeline(transaction=True) as both:
                both.execute_command("XRANGE", self._stream.key, f"({after}", until, "COUNT", size)
                both.execute_command("EXISTS", self._stream.key)
                both.execute_command("XINFO STREAM", self._stream.key)
                entries, exists, answer = both.execute(raise_on_error=False)
                if not exists:
                    raise made_anew(self._stream, "it is gone")
                for given in (entries, answer):
                    if isinstance(given, Exception):
                        raise given
            if n_before is not None:
                gap = self.gap(PARTITION, _position(after, n_before), _ends(self._read_state(answer)))
                if gap is not None:
                    raise deleted(self._stream, PARTITION, gap)
                n_before += len(entries)
            if not entries:
                return
            yield entries
            after = _text(entries[-1][0])

    def _message(self, name: str, fields: Any, n: int) -> Message:
        value: bytes | None
        pairs = list(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else list(fields.items())
        if self._stream.field is not None:
            value = dict(pairs).get(self._stream.field.encode())
        else:
            value = b"{" + b",".join(_quoted(key) + b":" + _quoted(text) for key, text in pairs) + b"}"
        return Message(PARTITION, name, _position(name, n), value, None, int(name.partition("-")[0]))

    def commit(self, positions: Positions) -> None:
        """Set the group's last delivered id; the group is made where it isn't there."""
        position: Any = positions[PARTITION]
        key, group, words = self._stream.key, self._stream.group, ("ENTRIESREAD", position["n"])
        with self._answering("set the group's id"):
            try:
                self._client.execute_command("XGROUP SETID", key, group, position["id"], *words)
            except self._library.ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                self._client.execute_command("XGROUP CREATE", key, group, position["id"], *words)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        """Raise what the library raises as what it means."""
        redis = self._library
        try:
            yield
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
            raise DataError(
                f"Redis refuses {self._stream}: {error}", hint="look at username=, password= and the server's rights"
            ) from None
        except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError) as error:
            raise TransientError(
                f"Redis at {self._stream.url!r} doesn't {what} for {self._stream}: {error}",
                hint="is it up, and does url= lead there?",
            ) from None
        except redis.RedisError as error:
            raise DataError(f"Redis doesn't {what} for {self._stream}: {error}") from None


def _library() -> Any:
    try:
        import redis
    except ImportError as error:
        raise DefinitionError("Reading Redis needs the library redis", hint='pip install "headrace[redis]"') from error
    return redis


def _as_mapping(answer: Any) -> Mapping[str, Any]:
    """An answer of names and values in turn, however the library gives it."""
    if isinstance(answer, Mapping):
        return {_text(name): value for name, value in answer.items()}
    return {_text(name): value for name, value in zip(answer[::2], answer[1::2], strict=True)}


def _ends(state: _State) -> Ends:
    """Behind the entries that were deleted at the begin, which is right before the first that is there; and the end."""
    n_gone = state.n_added - state.n_held
    first = state.last
    if state.first is not None:
        first = _before(state.first) if n_gone else BEGINNING
    return Ends(_position(first, n_gone), _position(state.last, state.n_added))


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _position(name: str, n: int) -> Position:
    return {"id": name, "n": n}


def _number(name: str) -> tuple[int, int]:
    time, _, order = name.partition("-")
    return int(time), int(order)


def _before(name: str) -> str:
    """The id right before another."""
    time, order = _number(name)
    return f"{time}-{order - 1}" if order else f"{time - 1}-{(1 << 64) - 1}" if time else BEGINNING


def _quoted(raw: bytes) -> bytes:
    """Bytes as a JSON text. What isn't UTF-8 stays so, and is found to be no JSON later."""
    if not _QUOTED.search(raw):
        return b'"' + raw + b'"'
    return b'"' + _QUOTED.sub(lambda found: json.dumps(chr(found[0][0]))[1:-1].encode(), raw) + b'"'
