"""What every stream must do, as tests.

>>> class TestMine(StreamContract):  # doctest: +SKIP
...     @contextmanager
...     def bench(self):
...         yield MyBench()

pytest collects the subclass and runs the promises of `headrace.steps.streams.protocol` on it. Each case is a method
``test_…`` that can be called without pytest too; `StreamContract.cases` names them all, so that a suite can prove that
none was lost. `LineStream` is a stream for tests that need no broker: files of lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

from headrace.core.errors import DataError, TransientError
from headrace.core.values import decode, encode
from headrace.steps.kinds import Kind
from headrace.steps.streams.protocol import (
    Connection,
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

ODD = (b"", b"\xff\xfe\x00", "żółw 🐢".encode(), b'{"a": "\\ud800"}', b"a\nb\r\n", b"x" * 300_000)
"""Values that a stream must give as they are."""


class Bench(Protocol):
    """A broker with one topic of its own, new and empty, for one case."""

    n_partitions: int
    is_of_json: bool
    """Whether values come as they were sent; else each is a field of an object, and `ODD` ones aren't sent."""

    def stream(self, **options: Any) -> Stream:
        """The stream, as group ``"readers"`` unless the options say otherwise (``group``, ``start``, …)."""

    def send(self, values: Sequence[bytes], partition: int = 0) -> None:
        """Send messages. They are there when it returns."""

    def lose(self, partition: int = 0) -> None:
        """Have the broker delete what it holds of a partition so far, but not what is sent afterwards."""

    def misnamed(self) -> Stream:
        """A stream whose topic isn't there, its name a letter off."""

    def unreachable(self) -> Stream:
        """A stream of a broker that isn't there."""


class StreamContract:
    """The promises of a stream. A subclass gives `bench`."""

    def bench(self) -> AbstractContextManager[Bench]:
        """A fresh broker, or a fresh topic of one."""
        raise NotImplementedError

    @classmethod
    def cases(cls) -> tuple[str, ...]:
        """Name every case of the contract."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    def test_what_was_sent_is_read_in_order(self) -> None:
        """All messages between a partition's begin and end, each once, as they were sent."""
        with self.bench() as bench:
            sent = [b"%d" % number for number in range(50)]
            bench.send(sent)
            with bench.stream().open() as connection:
                ends = connection.partitions()
                assert len(ends) == bench.n_partitions
                assert values(connection, "0", *ends["0"]) == sent
                offsets = [message.offset for message in messages(connection, "0", *ends["0"])]
                assert len(set(offsets)) == 50

    def test_partitions_stand_for_themselves(self) -> None:
        """What is sent to one partition is in no other."""
        with self.bench() as bench:
            last = bench.n_partitions - 1
            bench.send([b"here"], last)
            with bench.stream().open() as connection:
                found = {name: values(connection, name, *ends) for name, ends in connection.partitions().items()}
            assert found.pop(str(last)) == [b"here"]
            assert all(other == [] for other in found.values())

    def test_the_same_range_gives_the_same_twice(self) -> None:
        """In another connection too, and after more was sent."""
        with self.bench() as bench:
            bench.send([b"1", b"2", b"3"])
            with bench.stream().open() as connection:
                ends = connection.partitions()["0"]
                first = messages(connection, "0", *ends)
            bench.send([b"4"])
            with bench.stream().open() as connection:
                assert messages(connection, "0", *ends) == first
                assert messages(connection, "0", *ends) == first
                assert connection.partitions()["0"].end != ends.end

    def test_behind_a_message_comes_the_next(self) -> None:
        """``after`` is where reading goes on; from end to end there is nothing."""
        with self.bench() as bench:
            bench.send([b"1", b"2", b"3"])
            with bench.stream().open() as connection:
                first, end = connection.partitions()["0"]
                read = messages(connection, "0", first, end)
                for number, message in enumerate(read):
                    assert values(connection, "0", message.after, end) == [b"1", b"2", b"3"][number + 1 :]
                assert values(connection, "0", first, read[1].after) == [b"1", b"2"]
                assert read[-1].after == end
                assert values(connection, "0", end, end) == []

    def test_a_reading_may_be_given_up(self) -> None:
        """After a few messages, and another partition read then."""
        with self.bench() as bench:
            bench.send([b"%d" % number for number in range(20)])
            with bench.stream().open() as connection:
                first, end = connection.partitions()["0"]
                reading: Any = connection.read("0", first, end, at_most=3)
                assert next(iter(reading))[0].value is not None
                reading.close()
                assert len(values(connection, "0", first, end)) == 20

    def test_values_come_as_they_are(self) -> None:
        """Whatever their bytes."""
        with self.bench() as bench:
            if bench.is_of_json:
                return
            bench.send(ODD)
            with bench.stream().open() as connection:
                assert values(connection, "0", *connection.partitions()["0"]) == list(ODD)

    def test_positions_are_json(self) -> None:
        """They come back from a record as they went in."""
        with self.bench() as bench:
            bench.send([b"1", b"2"])
            with bench.stream().open() as connection:
                ends = connection.partitions()["0"]
                found: Any = json.loads(json.dumps([*ends, messages(connection, "0", *ends)[0].after]))
                assert found[:2] == list(ends)
                assert values(connection, "0", found[2], found[1]) == [b"2"]

    def test_what_was_committed_is_there(self) -> None:
        """For the group, and for no other; reading does not depend on it."""
        with self.bench() as bench:
            bench.send([b"1", b"2"])
            with bench.stream().open() as connection:
                ends = connection.partitions()
                first = messages(connection, "0", *ends["0"])[0]
                assert connection.committed().get("0") is None
                connection.commit({**{name: end.first for name, end in ends.items()}, "0": first.after})
                connection.commit({**{name: end.first for name, end in ends.items()}, "0": first.after})
            with bench.stream().open() as connection:
                assert values(connection, "0", connection.committed()["0"], ends["0"].end) == [b"2"]
                assert connection.partitions() == ends
            with bench.stream(group="others").open() as connection:
                assert connection.committed().get("0") is None

    def test_what_was_deleted_is_said(self) -> None:
        """Between where a group stood and what is there now."""
        with self.bench() as bench:
            bench.send([b"1", b"2", b"3"])
            with bench.stream().open() as connection:
                first, end = connection.partitions()["0"]
                read = messages(connection, "0", first, end)
                assert connection.gap("0", first, Ends(first, end)) is None
                assert connection.gap("0", end, Ends(first, end)) is None
            bench.lose()
            bench.send([b"4"])
            with bench.stream().open() as connection:
                ends = connection.partitions()["0"]
                assert connection.gap("0", read[0].after, ends)
                assert connection.gap("0", ends.first, ends) is None
                assert connection.gap("0", ends.end, ends) is None
                assert values(connection, "0", *ends)[-1:] == [b"4"]
                refuses(DataError, "has deleted messages", lambda: values(connection, "0", read[0].after, ends.end))

    def test_another_topic_of_the_name_is_found_out(self) -> None:
        """A position behind the end."""
        with self.bench() as bench:
            bench.send([b"1", b"2", b"3"])
            with bench.stream().open() as connection:
                first, end = connection.partitions()["0"]
                before = Ends(first, messages(connection, "0", first, end)[0].after)
                refuses(DataError, "is not what this group has read", lambda: connection.gap("0", end, before))

    def test_there_is_an_origin(self) -> None:
        """Where a partition begins from which nothing was deleted."""
        with self.bench() as bench:
            bench.send([b"1"])
            with bench.stream().open() as connection:
                ends = connection.partitions()["0"]
                assert connection.gap("0", connection.origin(), ends) is None
                assert values(connection, "0", connection.origin(), ends.end) == [b"1"]

    def test_a_topic_that_is_not_there(self) -> None:
        """Is an error that names the nearest."""
        with self.bench() as bench:
            bench.send([b"1"])
            refuses(DataError, "There is nothing called", lambda: opened(bench.misnamed()))

    def test_a_broker_that_is_not_there(self) -> None:
        """May be there another time."""
        with self.bench() as bench:
            refuses(TransientError, "", lambda: opened(bench.unreachable()))

    def test_it_goes_into_a_plan_and_comes_out(self) -> None:
        """It is plain data, and its group is part of what it is."""
        with self.bench() as bench:
            stream = bench.stream()
            assert decode(encode(stream)) == stream
            assert bench.stream(group="others").chain_name != stream.chain_name == bench.stream().chain_name


def messages(connection: Connection, partition: str, start: Position, until: Position) -> list[Message]:
    """All messages of a range."""
    batches = list(connection.read(partition, start, until))
    assert all(batches), "a batch is empty"
    return [message for batch in batches for message in batch]


def values(connection: Connection, partition: str, start: Position, until: Position) -> list[bytes | None]:
    """The values of all messages of a range."""
    return [message.value for message in messages(connection, partition, start, until)]


def opened(stream: Stream) -> None:
    """Connect and ask."""
    with stream.open() as connection:
        connection.partitions()


def refuses(kind: type[Exception], words: str, act: Any) -> None:
    """Check that something is refused, and how."""
    try:
        act()
    except kind as error:
        assert words in str(error), str(error)
    else:
        raise AssertionError(f"it was not refused with {kind.__name__}")


@dataclass(frozen=True)
class LineStream(Stream):
    """Files of lines as a stream, for tests: ``0.txt`` and so on in a folder are its partitions, a line is a message.

    A first line ``#N`` says that N messages before the next were deleted. Lines hold no line's ends.
    """

    kind: ClassVar[str] = "lines"
    partition_kind: ClassVar[Kind] = "integer"
    offset_kind: ClassVar[Kind] = "integer"

    folder: str
    group: str = "readers"
    start: Start = "earliest"
    skip_deleted: bool = False

    @property
    def topic_name(self) -> str:
        """The folder's name."""
        return Path(self.folder).name

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
        """Whether to go on behind deleted lines."""
        return self.skip_deleted

    def open(self) -> LineConnection:
        """Look into the folder."""
        return LineConnection(self)


class LineConnection:
    """Reads such files."""

    def __init__(self, stream: LineStream) -> None:
        self._stream = stream
        self._folder = Path(stream.folder)
        if not self._folder.parent.is_dir():
            raise TransientError(f"{str(self._folder.parent)!r} is not there now")
        if not self._folder.is_dir():
            raise missing_topic(stream, None)
        name = self._folder / "incarnation"
        self.incarnation = name.read_text() if name.exists() else ""

    def partitions(self) -> dict[str, Ends]:
        """The files, by name."""
        found = {}
        for path in sorted(self._folder.glob("*.txt")):
            n_deleted, lines = self._lines(path.stem)
            found[path.stem] = Ends(n_deleted, n_deleted + len(lines))
        return found

    def _lines(self, partition: str) -> tuple[int, list[bytes]]:
        lines = (self._folder / f"{partition}.txt").read_bytes().split(b"\n")[:-1]
        if lines and lines[0].startswith(b"#"):
            return int(lines[0][1:]), lines[1:]
        return 0, lines

    def origin(self) -> int:
        """Lines count from 0."""
        return 0

    def committed(self) -> dict[str, Position]:
        """What `commit` wrote."""
        path = self._folder / f"{self._stream.group}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def gap(self, partition: str, position: Any, ends: Ends) -> str | None:
        """The lines that are gone."""
        first: Any = ends.first
        end: Any = ends.end
        if position > end:
            raise made_anew(self._stream, f"line {position} of partition {partition!r} was read, and it ends at {end}")
        return f"lines {position} to {first - 1}" if position < first else None

    def read(self, partition: str, start: Any, until: Any, *, at_most: int | None = None) -> Iterator[list[Message]]:
        """Read lines, seven at a time."""
        while start < until:
            n_deleted, lines = self._lines(partition)
            if start < n_deleted:
                raise deleted(self._stream, partition, f"lines {start} to {n_deleted - 1}")
            numbers = range(start, min(start + 7, until))
            yield [Message(partition, n, n + 1, lines[n - n_deleted], b"key", 1000 * n) for n in numbers]
            start = numbers[-1] + 1

    def commit(self, positions: Positions) -> None:
        """Write the positions down."""
        (self._folder / f"{self._stream.group}.json").write_text(json.dumps(dict(positions)))

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LineBench:
    """A folder of lines for the contract, and for whoever tests what reads streams."""

    n_partitions = 3
    is_of_json = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "topic"
        self.folder.mkdir()
        for number in range(self.n_partitions):
            (self.folder / f"{number}.txt").touch()

    def stream(self, **options: Any) -> LineStream:
        """The stream."""
        return LineStream(str(self.folder), **options)

    def send(self, values: Sequence[bytes], partition: int = 0) -> None:
        """Append lines, all at once."""
        with (self.folder / f"{partition}.txt").open("ab") as file:
            file.write(b"".join(value + b"\n" for value in values))

    def lose(self, partition: int = 0) -> None:
        """Delete the lines that are there."""
        path = self.folder / f"{partition}.txt"
        ends = LineConnection(self.stream()).partitions()[str(partition)]
        path.write_bytes(b"#%d\n" % ends.end)

    def misnamed(self) -> LineStream:
        """A folder that isn't there."""
        return LineStream(str(self.folder) + "s")

    def unreachable(self) -> LineStream:
        """A folder in one that isn't there."""
        return LineStream(str(self.folder.parent / "nowhere" / "topic"))


@contextmanager
def line_bench(folder: Path) -> Iterator[LineBench]:
    """A bench in a folder."""
    yield LineBench(folder)
