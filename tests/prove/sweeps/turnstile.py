"""One actor at a time: threads that stop wherever a store is used, and go on in an order drawn from a seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from headrace.core import faults

_PATIENCE_SECONDS = 60.0


class Killed(BaseException):
    """The actor was killed where it stood: it does nothing more to a store."""


class Actor(threading.Thread):
    """A thread that does something with a store, until it is done or killed."""

    def __init__(self, name: str, work: Callable[[Actor], None], turnstile: Turnstile) -> None:
        super().__init__(name=name, daemon=True)
        self.work = work
        self.turnstile = turnstile
        self.go_on = threading.Event()
        self.is_parked = False
        self.is_done = False
        self.is_dead = False
        self.n_steps = 0
        self.deadline = float("inf")
        """How late it may become, at most, before this actor goes on: what it does would take less than that."""
        self.error: BaseException | None = None

    def run(self) -> None:
        HERE.actor = self
        try:
            self.step()
            self.work(self)
        except Killed:
            self.is_dead = True
        except BaseException as error:  # noqa: BLE001 - told by `Turnstile.play`
            self.error = error
        finally:
            with self.turnstile.changed:
                self.is_done = True
                self.turnstile.changed.notify_all()

    def step(self) -> None:
        """Wait for one's turn. Raises `Killed` where one's end has come."""
        if self.is_dead:
            raise Killed
        with self.turnstile.changed:
            self.is_parked = True
            self.turnstile.changed.notify_all()
        self.go_on.wait(_PATIENCE_SECONDS)
        self.go_on.clear()
        self.n_steps += 1
        if self.is_dead:
            raise Killed


class _Here(threading.local):
    actor: Actor | None = None


HERE = _Here()
"""Which actor this thread works for."""


class AtFaultPoints:
    """Stands where a fault would: the instants inside a store's writes are places to stop at, too."""

    def pass_by(self, point: str) -> None:
        if HERE.actor is None or (HERE.actor.is_dead and point == "store.lease.before_unlock"):
            return  # a lock goes with its process, which here it can't
        HERE.actor.step()


class Turnstile:
    """Lets actors pass one by one, kills some, and has time pass now and then."""

    def __init__(self, chance: random.Random, now: Callable[[], float], pass_time: Callable[[float], None]) -> None:
        self.chance = chance
        self.now = now
        self.pass_time = pass_time
        self.changed = threading.Condition()
        self.actors: list[Actor] = []
        self.doomed: dict[Actor, int] = {}
        self.n_turns = 0

    def add(self, name: str, work: Callable[[Actor], None], *, dies_at: int | None = None) -> Actor:
        """An actor, which is killed at its ``dies_at``-th step if it comes so far."""
        actor = Actor(name, work, self)
        self.actors.append(actor)
        if dies_at is not None:
            self.doomed[actor] = dies_at
        return actor

    def play(self, longest_pause: float, share_of_pauses: float) -> None:
        """Let all come to their ends. Raises what an actor raised that wasn't to."""
        before, faults.ARMED = faults.ARMED, AtFaultPoints()
        try:
            for actor in self.actors:
                actor.start()
            while waiting := self._parked():
                if self.chance.random() < share_of_pauses:
                    latest = min(actor.deadline for actor in waiting)
                    self.pass_time(max(0.0, min(self.chance.uniform(0.0, longest_pause), latest - self.now())))
                # Streaks, so that one comes far while another stands still.
                actor = self.chance.choice(waiting)
                for _ in range(self.chance.choice((1, 1, 2, 5, 30))):
                    if actor.is_done:
                        break
                    self._let_pass(actor)
        finally:
            faults.ARMED = before
        for actor in self.actors:
            actor.join(_PATIENCE_SECONDS)
            if actor.error is not None:
                raise AssertionError(f"{actor.name} failed: {actor.error!r}") from actor.error

    def _let_pass(self, actor: Actor) -> None:
        self.n_turns += 1
        if actor.n_steps >= self.doomed.get(actor, 1 << 60):
            actor.is_dead = True
        actor.is_parked = False
        actor.go_on.set()
        self._parked()

    def _parked(self) -> list[Actor]:
        """The actors that wait for their turn, once all do that aren't done."""
        with self.changed:
            if not self.changed.wait_for(
                lambda: all(actor.is_parked or actor.is_done for actor in self.actors), _PATIENCE_SECONDS
            ):
                stuck = [actor.name for actor in self.actors if not (actor.is_parked or actor.is_done)]
                raise AssertionError(f"stuck: {stuck}")
            return [actor for actor in self.actors if not actor.is_done]
