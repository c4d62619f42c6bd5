"""Work on items in threads, results in the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(function: Callable[[T], R], items: Iterable[T], *, n_threads: int) -> Iterator[R]:
    """Give ``function(item)`` for each item, in order. At most two items a thread are under way or waiting."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="headrace-reading") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
