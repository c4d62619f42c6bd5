"""Messages become rows of declared columns; what can't be read so is set aside whole, with the reason."""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError, near_miss
from headrace.core.values import canonical
from headrace.steps.kinds import Kind, check_kind
from headrace.steps.parsing import DAY, INTEGER, NUMBER
from headrace.steps.streams.protocol import Message, Stream

if TYPE_CHECKING:
    import pyarrow as pa

Decoding = Literal["json", "text"]
"""What a message is: a JSON object, whose fields are columns, or text, which is one column ``value``."""

DECODINGS = ("json", "text")
POSITION_COLUMNS = ("_partition", "_offset", "_timestamp", "_key")
QUARANTINE = ("source", "position", "raw", "encoding", "reason")
N_SHOWN_CHARACTERS = 80
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_INTEGER, _NUMBER, _DAY = (re.compile(pattern) for pattern in (INTEGER, NUMBER, DAY))


class UndecodableError(ValueError):
    """Why a message is no row."""


class Decoder:
    """Collects the messages of one snapshot, partition by partition."""

    def __init__(
        self, stream: Stream, decode: Decoding, columns: Mapping[str, Kind] | None, *, with_positions: bool
    ) -> None:
        if decode not in DECODINGS:
            raise DataError(f"Messages can't be read as {decode!r}", hint=near_miss(str(decode), DECODINGS))
        if decode == "text" and columns:
            raise DataError(
                "columns= is for decode='json', but got it with decode='text'", hint="text is one column, 'value'"
            )
        if decode == "json" and not columns:
            raise DataError(
                "The columns of a stream of JSON must be declared, since a stream has no end to infer them from",
                hint="columns={'customer': 'text', 'amount': 'number'}",
            )
        self._stream = stream
        self._decode: Decoding = decode
        self.columns: dict[str, Kind] = {
            name: check_kind(kind, column=name) for name, kind in (columns or {"value": "text"}).items()
        }
        self._with_positions = with_positions
        if with_positions and (taken := [name for name in POSITION_COLUMNS if name in self.columns]):
            raise DataError(
                f"A column is declared as {taken[0]!r}, which positions=True adds", hint="declare another name"
            )
        self._fields = [(name, READERS[kind]) for name, kind in self.columns.items()]
        self._rows: dict[str, list[pa.Table]] = {}
        self._bad: dict[str, list[tuple[Any, ...]]] = {}

    @property
    def settings(self) -> str:
        """A digest of how messages become rows."""
        parts = [self._decode, list(map(list, self.columns.items())), self._with_positions]
        return sha256(canonical(parts).encode()).hexdigest()

    def take(self, messages: Sequence[Message]) -> None:
        """Read the next messages of a partition."""
        columns: list[list[Any]] = [[] for _ in self._fields]
        good: list[Message] = []
        for message in messages:
            try:
                row = self._row(message)
            except UndecodableError as problem:
                self._set_aside(message, str(problem))
                continue
            good.append(message)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        if good:
            self._rows.setdefault(good[0].partition, []).append(self._table(columns, good))

    def table(self) -> pa.Table:
        """The rows: by partition, then as they were sent."""
        import pyarrow as pa

        empty = self._table([[] for _ in self._fields], [])
        return pa.concat_tables([empty, *(part for name in _in_order(self._rows) for part in self._rows[name])])

    def quarantine(self) -> pa.Table:
        """The messages that are no rows, in the same order."""
        import pyarrow as pa

        bad = [row for name in _in_order(self._bad) for row in self._bad[name]]
        parts = [list(part) for part in zip(*bad, strict=True)] or [[] for _ in QUARANTINE]
        return pa.table({name: pa.array(part, pa.string()) for name, part in zip(QUARANTINE, parts, strict=True)})

    @property
    def n_bad(self) -> int:
        """How many messages are no rows."""
        return sum(map(len, self._bad.values()))

    def reasons(self, n: int = 3) -> list[str]:
        """Some of the reasons."""
        return [row[-1] for rows in self._bad.values() for row in rows[:n]][:n]

    def _row(self, message: Message) -> list[Any]:
        text = _text_of(message)
        if self._decode == "text":
            return [text]
        found = _object_in(text)
        row, wrong = [], []
        for name, read in self._fields:
            try:
                row.append(read(found.get(name)))
            except UndecodableError as problem:
                wrong.append(f"column {name!r}: {problem}")
        if wrong:
            raise UndecodableError("; ".join(wrong))
        return row

    def _set_aside(self, message: Message, reason: str) -> None:
        raw, encoding = as_text(message.value)
        source = f"{self._stream.topic_name}/{message.partition}"
        row = (source, str(message.offset), raw, encoding, reason)
        self._bad.setdefault(message.partition, []).append(row)

    def _table(self, columns: list[list[Any]], messages: Sequence[Message]) -> pa.Table:
        import pyarrow as pa

        types = [*map(arrow_type, self.columns.values())]
        names = list(self.columns)
        if self._with_positions:
            names += POSITION_COLUMNS
            types += [arrow_type(self._stream.partition_kind), arrow_type(self._stream.offset_kind)]
            types += [arrow_type("datetime"), arrow_type("text")]
            is_number = self._stream.partition_kind == "integer"
            columns = [
                *columns,
                [int(message.partition) if is_number else message.partition for message in messages],
                [message.offset for message in messages],
                [_moment_of(message.milliseconds) for message in messages],
                [as_text(message.key)[0] for message in messages],
            ]
        arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
        return pa.table(arrays, names=names)


def _in_order(parts: Mapping[str, object]) -> list[str]:
    from headrace.steps.streams.reading import natural

    return sorted(parts, key=natural)


def arrow_type(kind: Kind) -> pa.DataType:
    """The Arrow type for a kind."""
    import pyarrow as pa

    return {
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "boolean": pa.bool_(),
    }[kind]


def as_text(raw: bytes | None) -> tuple[str | None, str | None]:
    """Bytes as a table can hold them, whole, and how: as ``text`` where they are UTF-8, else in ``base64``."""
    if raw is None:
        return None, None
    try:
        return raw.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return b64encode(raw).decode(), "base64"


def _text_of(message: Message) -> str:
    if message.value is None:
        key = as_text(message.key)[0]
        raise UndecodableError("has no value" + ("" if key is None else f" (a tombstone of key {_shown(key)})"))
    try:
        return message.value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UndecodableError(f"isn't UTF-8: byte {error.start} is 0x{message.value[error.start]:02x}") from None


def _object_in(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UndecodableError(f"isn't JSON: {error.msg} (character {error.pos + 1})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise UndecodableError(f"isn't JSON that can be read: {str(error).partition(';')[0]}") from None
    if not isinstance(found, dict):
        raise UndecodableError(f"is no JSON object, but {_shown(found)}")
    return found


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= N_SHOWN_CHARACTERS else text[: N_SHOWN_CHARACTERS - 1] + "…"


def _misfit(value: object, kind: str) -> UndecodableError:
    return UndecodableError(f"{_shown(value)} isn't {kind}")


def _stripped(value: Any) -> Any:
    """Text without blanks around it, None where nothing is left; anything else as it is."""
    return (value.strip() or None) if isinstance(value, str) else value


def _integer(value: Any) -> int | None:
    value = _stripped(value)
    if value is None:
        return None
    found: int | None = None
    if isinstance(value, bool):
        found = None
    elif isinstance(value, int):
        found = value
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    elif isinstance(value, str) and _INTEGER.match(value):
        found = int(value.partition(".")[0])
    if found is None or not -(1 << 63) <= found < 1 << 63:
        raise _misfit(value, "integer")
    return found


def _number(value: Any) -> float | None:
    value = _stripped(value)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and (_NUMBER.match(value) or value.lower() in ODD_NUMBERS)):
        raise _misfit(value, "number")
    try:
        found = float(value)
    except OverflowError:
        raise _misfit(value, "number") from None
    return None if math.isnan(found) else found


ODD_NUMBERS = frozenset(f"{sign}{word}" for sign in ("", "+", "-") for word in ("nan", "inf", "infinity"))


def _text(value: Any) -> str | None:
    value = _stripped(value)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON's escapes can spell half a character
        raise _misfit(value, "text") from None
    return text


def _boolean(value: Any) -> bool | None:
    value = _stripped(value)
    if value is None or isinstance(value, bool):
        return value
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise _misfit(value, "boolean")
    return found


def _date(value: Any) -> date | None:
    value = _stripped(value)
    if value is None:
        return None
    try:
        if isinstance(value, str) and _DAY.match(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise _misfit(value, "date")


def _datetime(value: Any) -> datetime | None:
    """An ISO 8601 moment: with an offset it is turned into UTC, without one taken as it stands."""
    value = _stripped(value)
    if value is None:
        return None
    try:
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            found = datetime.fromisoformat(value)
            return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        pass
    raise _misfit(value, "datetime")


def _moment_of(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None


READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "text": _text,
    "date": _date,
    "datetime": _datetime,
    "boolean": _boolean,
}
"""How a JSON value is read as a kind. Missing and empty ones are None; each raises `UndecodableError`."""
