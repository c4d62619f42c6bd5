"""What every online store of features must do, as tests.

>>> class TestMine(OnlineStoreContract):  # doctest: +SKIP
...     def make_store(self, folder):
...         return MyStore(folder / "features")

pytest collects the subclass and runs the promises of `headrace.steps.feature_store.OnlineStore`. Each case is a method
``test_…`` of a path to an empty folder, and can be called without pytest too; `OnlineStoreContract.cases` names them
all, so that a suite can prove that none was lost.
"""

# A case is named by what holds:
# ruff: noqa: D102
from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

from headrace.core.errors import HeadraceError
from headrace.steps.feature_store.online import OnlineStore, ViewState, new_space
from headrace.steps.feature_store.rows import Row, version_of

__all__ = ["OnlineStoreContract"]

_KEYS = (
    '["a"]', "[7]", "[-9223372036854775808]", '["é","日"]', '["😀"]', '["it\'s"]', '["\\"quoted\\""]', '["a*?[b]"]',
    '["a:b:c"]', '["a/b"]', '["%s"]', '["a\\u0000b"]', '[""]', '["2024-02-29",true]', f'["{"x" * 5000}"]',
)  # fmt: skip
_VERSIONS = (
    b"",
    b"\0",
    b"\0\0",
    b"\0\xff",
    b"\1",
    b"A",
    b"B",
    b"Z",
    b"a",
    b"\x7f",
    b"\x80",
    b"\xc3\xa9",
    b"\xff",
    b"\xff\0",
)


class OnlineStoreContract:
    """What is true of every `OnlineStore`. Implement `make_store`."""

    def make_store(self, folder: Path) -> OnlineStore:
        """Open the store that belongs to ``folder``, making it if it is new. Called again it opens the same store."""
        raise NotImplementedError

    @classmethod
    def cases(cls) -> tuple[str, ...]:
        """The names of all cases."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    # Rows

    def test_nothing_is_there_at_first(self, tmp_path: Path) -> None:
        with self.make_store(tmp_path) as store:
            assert store.get("v/1", ["[1]", "[2]"]) == [None, None]
            assert store.get("v/1", []) == []
            assert store.state("v") is None
            assert store.views() == []
            assert store.count("v/1") in (0, None)
            store.tidy("v", "v/1")

    def test_rows_come_back(self, tmp_path: Path) -> None:
        rows = [_row(key, number, f'[{number},null,"é\\n"]') for number, key in enumerate(_KEYS)]
        with self.make_store(tmp_path) as store:
            n_written, state = store.write("v", "v/1", rows, _finish("v/1"))
            assert (n_written, state.n_rows) == (len(rows), len(rows))
            assert store.count("v/1") in (len(rows), None)
        with self.make_store(tmp_path) as store:
            assert store.get("v/1", _KEYS) == rows
            assert store.get("v/1", [_KEYS[3], "[8]", _KEYS[0], _KEYS[3]]) == [rows[3], None, rows[0], rows[3]]
            assert [store.get("v/1", [key]) for key in _KEYS] == [[row] for row in rows]

    def test_many_rows_are_written_as_they_come(self, tmp_path: Path) -> None:
        n_rows = 25_000
        with self.make_store(tmp_path) as store:
            rows = (_row(f"[{number}]", number) for number in range(n_rows))
            assert store.write("v", "v/1", rows, _finish("v/1"))[0] == n_rows
            keys = [f"[{number}]" for number in range(0, n_rows + 1, 7)]
            found = store.get("v/1", keys)
            assert [row and row.timestamp for row in found] == list(range(0, n_rows, 7))

    def test_spaces_are_apart(self, tmp_path: Path) -> None:
        with self.make_store(tmp_path) as store:
            store.write("v", "v/1", [_row("[1]", 5)], _finish("v/1"))
            store.write("w", "w/1", [_row("[1]", 3)], _finish("w/1"))
            assert [row and row.timestamp for row in store.get("v/1", ["[1]"]) + store.get("w/1", ["[1]"])] == [5, 3]
            assert store.get("v/", ["[1]"]) == store.get("v/11", ["[1]"]) == [None]

    # The newest wins

    def test_the_greater_version_wins_in_any_order(self, tmp_path: Path) -> None:
        rows = [_row("[1]", timestamp, f"[{timestamp}]") for timestamp in (-5, 0, 7)]
        with self.make_store(tmp_path) as store:
            for number, order in enumerate(permutations(rows)):
                space = f"v/{number}"
                for row in order:
                    store.write("v", space, [row], _finish(space))
                assert store.get(space, ["[1]"]) == [rows[2]], order
                store.write("v", f"{space}-at-once", order, _finish(space))
                assert store.get(f"{space}-at-once", ["[1]"]) == [rows[2]], order

    def test_versions_are_compared_byte_by_byte(self, tmp_path: Path) -> None:
        with self.make_store(tmp_path) as store:
            for one in _VERSIONS:
                for other in _VERSIONS:
                    space = f"v/{one.hex()}-{other.hex()}"
                    rows = [Row("[1]", 0, version, f'["{version.hex()}"]') for version in (one, other)]
                    store.write("v", space, rows, _finish(space))
                    (found,) = store.get(space, ["[1]"])
                    assert found is not None and found.version == max(one, other), (one, other)

    def test_the_same_again_changes_nothing(self, tmp_path: Path) -> None:
        rows = [_row(f"[{number}]", number) for number in range(100)]
        with self.make_store(tmp_path) as store:
            first = store.write("v", "v/1", rows, _finish("v/1"))
            again = store.write("v", "v/1", reversed(rows), _finish("v/1"))
            assert (first[0], again[0]) == (100, 0)
            assert again[1].n_rows == 100
            one_is_new = [_row("[7]", 1000), _row("[8]", 8), _row("[500]", 0)]
            assert store.write("v", "v/1", one_is_new, _finish("v/1"))[0] == 2
            assert store.count("v/1") in (101, None)

    def test_many_at_once(self, tmp_path: Path) -> None:
        n_writers, n_keys = 4, 50

        def write(writer: int) -> None:
            own = random.Random(writer)
            with self.make_store(tmp_path) as store:
                for _ in range(5):
                    rows = [_row(f"[{key}]", own.randrange(1000) * n_writers + writer) for key in range(n_keys)]
                    for row in rows:
                        written[writer][row.key] = max(row.timestamp, written[writer].get(row.key, -1))
                    store.write("v", "v/1", rows, _finish("v/1"))

        written: list[dict[str, int]] = [{} for _ in range(n_writers)]
        _in_threads([lambda writer=writer: write(writer) for writer in range(n_writers)])  # type: ignore[misc]
        with self.make_store(tmp_path) as store:
            keys = [f"[{key}]" for key in range(n_keys)]
            found = [row and row.timestamp for row in store.get("v/1", keys)]
            assert found == [max(own[key] for own in written) for key in keys]
            state = store.state("v")
            assert state is not None and state.n_rows == n_keys

    def test_a_reader_sees_whole_rows(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        store.write("v", "v/1", [_row("[1]", 0, "[0,0]")], _finish("v/1"))
        ended = threading.Event()

        def write() -> None:
            try:
                for number in range(1, 100):
                    store.write("v", "v/1", [_row("[1]", number, f"[{number},{number}]")], _finish("v/1"))
            finally:
                ended.set()

        def read() -> None:
            last = 0
            while not ended.is_set():
                (row,) = store.get("v/1", ["[1]"])
                assert row is not None and row.values == f"[{row.timestamp},{row.timestamp}]"
                assert row.timestamp >= last
                last = row.timestamp

        _in_threads([write, read, read])
        store.close()
        store.close()

    # States

    def test_a_state_is_written_after_its_rows(self, tmp_path: Path) -> None:
        seen: list[object] = []

        def rows(store: OnlineStore) -> Iterator[Row]:
            with self.make_store(tmp_path) as other:
                yield _row("[1]", 1)
                seen.append(other.state("v"))
                yield _row("[2]", 1)

        with self.make_store(tmp_path) as store:
            _, state = store.write("v", "v/1", rows(store), _finish("v/1"))
            assert seen == [None]
            assert store.state("v") == state
            assert store.views() == ["v"]

    def test_states_by_view(self, tmp_path: Path) -> None:
        with self.make_store(tmp_path) as store:
            for view in ("zoo", "a-b", "a_b", "A"):
                store.write(view, f"{view}/1", [], _finish(f"{view}/1"))
            assert store.views() == ["A", "a-b", "a_b", "zoo"]
            for view in store.views():
                state = store.state(view)
                assert state is not None and state.space == f"{view}/1"

    def test_what_goes_wrong_leaves_the_state(self, tmp_path: Path) -> None:
        def rows() -> Iterator[Row]:
            yield _row("[1]", 9)
            raise ValueError("no more rows")

        def refuse(state: ViewState | None, n_new: int) -> ViewState:
            raise HeadraceError("no such state")

        with self.make_store(tmp_path) as store:
            _, state = store.write("v", "v/1", [_row("[1]", 1)], _finish("v/1"))
            for given, finish, expected in ((rows(), _finish("v/1"), ValueError), ([], refuse, HeadraceError)):
                try:
                    store.write("v", "v/1", given, finish)
                except (ValueError, HeadraceError) as error:
                    assert isinstance(error, expected)
                else:
                    raise AssertionError("it didn't go through")
                assert store.state("v") == state
            (row,) = store.get("v/1", ["[1]"])
            assert row is not None and row.timestamp in (1, 9)
            assert store.write("v", "v/1", [_row("[1]", 10)], _finish("v/1"))[0] == 1

    # Spaces

    def test_earlier_spaces_are_removed(self, tmp_path: Path) -> None:
        spaces = [new_space("v", "abc") for _ in range(3)]
        assert spaces == sorted(spaces)
        others = [new_space("v2", "abc"), new_space("u", "abc"), new_space("*", "abc")]
        with self.make_store(tmp_path) as store:
            for space in (*spaces, *others):
                store.write(space.partition("/")[0], space, [_row("[1]", 1), _row("[2]", 1)], _finish(space))
            store.tidy("v", spaces[1])
            left = [space for space in (*spaces, *others) if store.get(space, ["[1]"]) != [None]]
            assert left == [*spaces[1:], *others]
            store.tidy("*", new_space("*", "abc"))
            left = [space for space in (*spaces, *others) if store.get(space, ["[1]"]) != [None]]
            assert left == [*spaces[1:], *others[:2]]


def _row(key: str, timestamp: int, values: str = "[]") -> Row:
    return Row(key, timestamp, version_of(timestamp, 0, ()), values)


def _finish(space: str) -> Callable[[ViewState | None, int], ViewState]:
    view = space.partition("/")[0]
    empty = ViewState(view, "d", space, {"id": "integer"}, {"é": "number"}, None, 0)

    def finish(state: ViewState | None, n_new: int) -> ViewState:
        return replace(empty, n_rows=(state.n_rows if state else 0) + n_new)

    return finish


def _in_threads(tasks: Sequence[Callable[[], None]]) -> None:
    """Do all at once, and raise what one of them raised."""
    problems: list[BaseException] = []

    def do(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=do, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _raise_first(problems)


def _raise_first(problems: Iterable[BaseException]) -> None:
    for problem in problems:
        raise problem
