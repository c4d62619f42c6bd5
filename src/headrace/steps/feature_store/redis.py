"""The online store in Redis.

::

    headrace:features:views             a hash: each view's state
    headrace:features:spaces            a set: the spaces that were begun
    headrace:features:row:SPACE:ENTITY  a hash of three fields: t (timestamp), v (version), f (features)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from headrace.core.errors import DataError, StoreError, TransientError
from headrace.steps.feature_store.online import Finish, ViewState
from headrace.steps.feature_store.rows import Row

if TYPE_CHECKING:
    from headrace.core.secret import Secret

BATCH = 1_000
PREFIX = "headrace:features"
VIEWS, SPACES = f"{PREFIX}:views", f"{PREFIX}:spaces"
SECONDS = 30.0

# Gives 2 for a row that is new, 1 for one in place of an older, 0 where there is one as new. Versions are compared byte
# by byte, since how Lua compares texts hangs on the server's locale.
_PUT = """
local old = redis.call('HGET', KEYS[1], 'v')
if old then
    local new, n = ARGV[2], math.min(#old, #ARGV[2])
    local newer = #new > #old
    for i = 1, n do
        local a, b = string.byte(new, i), string.byte(old, i)
        if a ~= b then newer = a > b; break end
    end
    if not newer then return 0 end
end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'v', ARGV[2], 'f', ARGV[3])
if ARGV[4] ~= '' then redis.call('PEXPIREAT', KEYS[1], ARGV[4]) end
return old and 1 or 2
"""
_REPLACE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


class RedisOnlineStore:
    """An `OnlineStore` in Redis 5 or later, for several machines. Each row is replaced as a whole, by a script.

    A reader may see rows of a materialisation that is under way beside older ones; the view's state follows when all
    are written. Redis itself removes a row when its time to live has passed. What it evicts, or loses in a crash
    (``appendfsync``), is gone until the view is materialised anew.
    """

    def __init__(self, url: str, password: Secret | None = None) -> None:
        try:
            import redis
        except ImportError as error:
            raise DataError(
                "An online store in Redis needs the package 'redis'", hint="pip install 'headrace[redis]'"
            ) from error
        self.url = url
        self._errors = redis.exceptions
        given: dict[str, Any] = {} if password is None else {"password": password.reveal()}
        try:
            self._client = redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, **given)
        except ValueError as error:
            raise DataError(f"{url!r} is no address of Redis: {error}", hint="redis://host:6379/0") from error
        self._put = self._client.register_script(_PUT)
        self._replace = self._client.register_script(_REPLACE)

    def get(self, space: str, keys: Sequence[str]) -> list[Row | None]:
        """See `OnlineStore.get`."""
        found: list[Row | None] = []
        with self._reached():
            for start in range(0, len(keys), BATCH):
                part = keys[start : start + BATCH]
                if len(part) == 1:
                    answers = [self._client.hmget(_name(space, part[0]), "t", "v", "f")]
                else:
                    pipe = self._client.pipeline(transaction=False)
                    for key in part:
                        pipe.hmget(_name(space, key), "t", "v", "f")
                    answers = pipe.execute()
                found += [_row(key, answer) for key, answer in zip(part, answers, strict=True)]
        return found

    def write(
        self, view: str, space: str, rows: Iterable[Row], finish: Finish, *, ttl: int | None = None
    ) -> tuple[int, ViewState]:
        """See `OnlineStore.write`."""
        n_written = n_new = 0
        entries = iter(rows)
        with self._reached():
            self._client.sadd(SPACES, space)
            while batch := list(islice(entries, BATCH)):
                pipe = self._client.pipeline(transaction=False)
                for row in batch:
                    expires = "" if ttl is None else (row.timestamp + ttl) // 1000 + 1
                    self._put(
                        keys=[_name(space, row.key)],
                        args=[row.timestamp, row.version, row.values, expires],
                        client=pipe,
                    )
                answers = pipe.execute()
                n_written += sum(answer > 0 for answer in answers)
                n_new += sum(answer == 2 for answer in answers)
            while True:
                found: Any = self._client.hget(VIEWS, view)
                state = finish(None if found is None else ViewState.from_json(found, self.url), n_new)
                if self._replace(keys=[VIEWS], args=[view, found or b"", state.to_json()]):
                    return n_written, state

    def state(self, view: str) -> ViewState | None:
        """See `OnlineStore.state`."""
        with self._reached():
            found: Any = self._client.hget(VIEWS, view)
        return None if found is None else ViewState.from_json(found, self.url)

    def views(self) -> list[str]:
        """See `OnlineStore.views`."""
        with self._reached():
            names: Any = self._client.hkeys(VIEWS)
        return sorted(name.decode() for name in names)

    def count(self, space: str) -> int | None:
        """See `OnlineStore.count`."""
        return None

    def tidy(self, view: str, space: str) -> None:
        """See `OnlineStore.tidy`."""
        with self._reached():
            begun: Any = self._client.smembers(SPACES)
            for name in sorted(item.decode() for item in begun):
                if f"{view}/" <= name < space:
                    self._remove(name)

    def _remove(self, space: str) -> None:
        pattern = _name("".join(f"[{sign}]" if sign in "*?[\\" else sign for sign in space), "*")
        batch: list[bytes] = []
        for name in self._client.scan_iter(match=pattern, count=BATCH):
            batch.append(name)
            if len(batch) == BATCH:
                self._client.unlink(*batch)
                batch = []
        if batch:
            self._client.unlink(*batch)
        self._client.srem(SPACES, space)

    def close(self) -> None:
        """See `OnlineStore.close`."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (self._errors.AuthenticationError, self._errors.NoPermissionError) as error:
            raise StoreError(
                f"The online store {self.url!r} lets nobody in: {error}",
                hint="name the environment variable that holds its password: password in [tool.headrace.feature_store]",
            ) from error
        except (self._errors.ConnectionError, self._errors.TimeoutError) as error:
            raise TransientError(f"The online store {self.url!r} can't be reached: {error}") from error
        except self._errors.RedisError as error:
            raise StoreError(f"The online store {self.url!r} can't be used: {error}") from error


def _name(space: str, key: str) -> str:
    return f"{PREFIX}:row:{space}:{key}"


def _row(key: str, answer: Sequence[Any]) -> Row | None:
    timestamp, version, features = answer
    return None if version is None else Row(key, int(timestamp), bytes(version), features.decode())
