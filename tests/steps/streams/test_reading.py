"""A range within bounds: nothing lost, nothing twice, no partition starved."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.steps.streams.protocol import Message
from headrace.steps.streams.reading import Bounds, read_range
from headrace.testing.streams import LineBench

SIZES = st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=3, max_size=3)


@given(sizes=SIZES, n_messages=st.integers(1, 40), n_bytes=st.integers(1, 300), first=st.integers(0, 5))
def test_snapshot_after_snapshot_gives_each_message_once(
    sizes: list[list[int]], n_messages: int, n_bytes: int, first: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = LineBench(Path(folder))
        for partition, wanted in enumerate(sizes):
            bench.send([b"x" * size for size in wanted], partition)
        with bench.stream().open() as connection:
            ends = connection.partitions()
            begin = {name: end.first for name, end in ends.items()}
            until = {name: end.end for name, end in ends.items()}
            seen: list[Message] = []
            bounds = Bounds(n_messages, n_bytes, 1e6)
            for turn in range(100):
                if begin == until:
                    break
                taken: list[Message] = []
                again: list[Message] = []
                reached = read_range(connection, begin, until, bounds, taken.extend, first=first + turn)
                repeated = read_range(connection, begin, until, bounds, again.extend, first=first + turn)
                exact: list[Message] = []
                read_range(connection, begin, reached.end, None, exact.extend)
                assert (taken, reached) == (again, repeated)
                assert sorted(exact) == sorted(taken)
                assert reached.n_messages == len(taken) >= 1
                assert reached.n_bytes == sum(message.n_bytes for message in taken)
                assert reached.n_messages <= n_messages
                assert reached.n_bytes <= n_bytes or len(taken) == 1
                assert reached.is_all == (reached.end == until)
                begin = reached.end
                seen += taken
            assert begin == until
    assert sorted((message.partition, message.offset) for message in seen) == [
        (str(partition), number) for partition, wanted in enumerate(sizes) for number in range(len(wanted))
    ]


def test_partitions_have_even_shares(lines: LineBench) -> None:
    lines.send([b"."] * 1000, 0)
    lines.send([b"."] * 5, 1)
    lines.send([b"."] * 1000, 2)
    with lines.stream().open() as connection:
        ends = connection.partitions()
        begin, until = ({name: end[side] for name, end in ends.items()} for side in (0, 1))
        reached = read_range(connection, begin, until, Bounds(105, 10**6, 1e6), lambda _: None)
    assert reached.n_messages == 105
    assert reached.end["1"] == 5
    assert all(int(str(reached.end[name])) >= 105 // 3 for name in "02")


def test_time_is_a_bound(lines: LineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.send([b"."] * 1000)
    clock = iter(range(1_000_000))
    monkeypatch.setattr("headrace.steps.streams.reading.time.monotonic", lambda: float(next(clock)))
    with lines.stream().open() as connection:
        reached = read_range(connection, {"0": 0}, {"0": 1000}, Bounds(10**6, 10**6, 20), lambda _: None)
    assert 0 < reached.n_messages < 200
    assert reached.end == {"0": reached.n_messages}


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ((0, 1, 1.0), "max_messages > 0 must hold, but got max_messages=0"),
        ((1, -1, 1.0), "max_bytes > 0 must hold, but got max_bytes=-1"),
        ((1, 1, float("nan")), "max_seconds > 0 must hold, but got max_seconds=nan"),
    ],
)
def test_bounds_are_positive(bounds: tuple[int, int, float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Bounds(*bounds)
