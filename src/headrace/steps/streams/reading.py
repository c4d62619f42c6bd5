"""Read a range of a stream: all of it, or as much as its bounds allow, an even share of each partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from headrace.core.errors import DataError
from headrace.steps.streams.protocol import Connection, Message, Position

Take = Callable[[Sequence[Message]], None]
"""Is given the messages, a partition's in order."""


@dataclass(frozen=True)
class Bounds:
    """How much a snapshot may hold. One message is read in any case, so that none can block the way."""

    n_messages: int
    n_bytes: int
    seconds: float

    def __post_init__(self) -> None:
        for name, value in (("messages", self.n_messages), ("bytes", self.n_bytes), ("seconds", self.seconds)):
            if not value > 0:
                raise DataError(
                    f"max_{name} > 0 must hold, but got max_{name}={value!r}", hint="leave it out for the default"
                )


@dataclass
class _Room:
    """What is left of the bounds."""

    n_messages: int
    n_bytes: int
    deadline: float
    n_taken: int = 0
    n_bytes_taken: int = 0

    @classmethod
    def within(cls, bounds: Bounds) -> _Room:
        return cls(bounds.n_messages, bounds.n_bytes, time.monotonic() + bounds.seconds)

    def is_left(self) -> bool:
        return self.n_messages > 0 and self.n_bytes > 0 and time.monotonic() < self.deadline

    def share(self, n: int) -> _Room:
        """An even share for one of so many; at least a message."""
        now = time.monotonic()
        deadline = now + max(0.0, self.deadline - now) / n
        return _Room(max(1, self.n_messages // n), max(1, self.n_bytes // n), deadline, self.n_taken)

    def takes(self, message: Message) -> bool:
        """Whether a message fits; the first of all does."""
        if self.n_taken and (self.n_messages <= 0 or message.n_bytes > self.n_bytes):
            return False
        self.use(1, message.n_bytes)
        return True

    def use(self, n_messages: int, n_bytes: int) -> None:
        self.n_messages -= n_messages
        self.n_bytes -= n_bytes
        self.n_taken += n_messages
        self.n_bytes_taken += n_bytes


@dataclass
class Reached:
    """How far a reading came."""

    end: dict[str, Position]
    n_messages: int = 0
    n_bytes: int = 0
    is_all: bool = field(default=True)


def read_range(
    connection: Connection,
    begin: Mapping[str, Position],
    until: Mapping[str, Position],
    bounds: Bounds | None,
    take: Take,
    *,
    first: int = 0,
) -> Reached:
    """Read from ``begin`` to ``until``, or as far as the bounds allow.

    Each partition gets an even share of what is left, in rounds, so that a full one starves no other; ``first`` says
    which partition's turn it is when not even that works out. Within count and bytes alone the same log gives the same
    messages each time.
    """
    names = sorted(begin, key=natural)
    names = names[first % len(names) :] + names[: first % len(names)] if names else []
    reached = Reached(dict(begin))
    if bounds is None:
        for name in names:
            for batch in connection.read(name, begin[name], until[name]) if begin[name] != until[name] else ():
                take(batch)
                reached.n_messages += len(batch)
                reached.n_bytes += sum(message.n_bytes for message in batch)
            reached.end[name] = until[name]
        return reached
    room = _Room.within(bounds)
    waiting = [name for name in names if begin[name] != until[name]]
    while waiting and room.is_left():
        n_before = room.n_taken
        left = []
        for number, name in enumerate(waiting):
            share = room.share(len(waiting) - number)
            is_done = _read_share(connection, name, until[name], share, reached, take)
            room.use(share.n_taken - room.n_taken, share.n_bytes_taken)
            if not is_done:
                left.append(name)
            if not room.is_left():
                left += waiting[number + 1 :]
                break
        if waiting == left and room.n_taken == n_before:
            break
        waiting = left
    reached.n_messages, reached.n_bytes, reached.is_all = room.n_taken, room.n_bytes_taken, not waiting
    return reached


def _read_share(connection: Connection, name: str, until: Position, room: _Room, reached: Reached, take: Take) -> bool:
    """Read of one partition what there is room for. Whether that is all of it."""
    with closing(connection.read(name, reached.end[name], until, at_most=room.n_messages)) as batches:  # type: ignore[type-var]
        for batch in batches:
            n_fitting = 0
            for message in batch:
                if not room.takes(message):
                    break
                n_fitting += 1
            if n_fitting:
                take(batch[:n_fitting])
                reached.end[name] = batch[n_fitting - 1].after
            if n_fitting < len(batch) or not room.is_left():
                return bool(reached.end[name] == until)
    reached.end[name] = until
    return True


def natural(name: str) -> tuple[int, str]:
    """Numbers by their value."""
    return (len(name), name) if name.isdecimal() else (0, name)
