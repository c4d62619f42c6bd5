"""What every format must do, as tests.

>>> class TestMyFormat(FormatContract):  # doctest: +SKIP
...     format = MyFormat()
...     wrong = (3, Net, "A net is declared, but got 3")
...     @classmethod
...     def examples(cls):
...         return [(Net(1), Net), (Net(2), Net)]

pytest collects the subclass and runs the promises of `headrace.formats.Format` on each example. Each case is a method
``test_…`` that can be called without pytest too; `FormatContract.cases` names them all, so that a suite can prove that
none was lost, and a contract without examples fails.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from headrace.core.errors import FormatError
from headrace.formats.protocol import Format

Example = tuple[object, object]
"""A value, and the annotation that declares it."""

OTHER_DAY_SECONDS = 400 * 24 * 3600 + 5 * 3600 + 7
CHILD_TIMEOUT_SECONDS = 100.0
ELSEWHERE: tuple[Mapping[str, str], ...] = (
    {"PYTHONHASHSEED": "0", "n_threads": "1", "TZ": "UTC", "clock": "0"},
    {"PYTHONHASHSEED": "1", "n_threads": "2", "TZ": "Asia/Kathmandu", "clock": str(OTHER_DAY_SECONDS)},
    {"PYTHONHASHSEED": "random", "n_threads": "2", "TZ": "America/St_Johns", "clock": str(-OTHER_DAY_SECONDS)},
)
"""Where equal values must give equal bytes: other processes with other hash seeds, threads, time zones and days."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "ARROW_IO_THREADS",
)


class FormatContract:
    """The promises of a format. A subclass gives ``format``, ``wrong`` and `examples`, and may loosen what follows.

    ``wrong`` is a value that isn't what is declared, the annotation, and the beginning of the FormatError's text.
    """

    format: ClassVar[Format]
    wrong: ClassVar[tuple[object, object, str]]

    has_equal_bytes: ClassVar[bool] = True
    """Whether equal values give equal bytes. A format for which this is False says why in its documentation."""

    is_chosen_by_type: ClassVar[bool] = True
    """Whether the annotations of the examples lead to the format; False where it is named only."""

    @classmethod
    def examples(cls) -> Sequence[Example]:
        """Make the values, equal ones at each call and in each process: small, and the odd ones too."""
        raise NotImplementedError

    @classmethod
    def cases(cls) -> tuple[str, ...]:
        """Name every case of the contract."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    def equal(self, one: Any, other: Any) -> bool:
        """Say whether two values are equal; a subclass says it for types without ``==``."""
        return bool(one == other) and type(one) is type(other)

    def checked_files(self, names: Sequence[str]) -> Sequence[str]:
        """Give the files in which the format must notice damage; by default all."""
        return names

    def test_annotations_are_handled(self) -> None:
        """An example's annotation leads to the format, without its being imported."""
        for _, declared in self._some_examples():
            assert self.format.handles(declared) is self.is_chosen_by_type, declared

    def test_round_trip(self) -> None:
        """What is loaded equals what was saved, and saving changed nothing."""
        for (value, declared), fresh in zip(self._some_examples(), self.examples(), strict=True):
            with stored(self.format, value, declared) as files:
                loaded = self.format.load(files, declared)
                assert self.equal(loaded, value), f"loaded {loaded!r}, saved {value!r}"
            assert self.equal(value, fresh[0]), f"saving changed {fresh[0]!r} to {value!r}"

    def test_loaded_value_has_the_same_bytes(self) -> None:
        """A loaded value is stored in the bytes that it was loaded from."""
        for value, declared in self._some_examples():
            with stored(self.format, value, declared) as files:
                loaded = self.format.load(files, declared)
                with stored(self.format, loaded, declared) as again:
                    assert not self.has_equal_bytes or digests(again) == digests(files), f"{value!r}"

    def test_equal_bytes_elsewhere(self) -> None:
        """Other processes, hash seeds, numbers of threads, time zones and days give the same bytes."""
        if not self.has_equal_bytes:
            return
        here = [digests_of(self.format, value, declared) for value, declared in self._some_examples()]
        for place, there in zip(ELSEWHERE, digests_elsewhere(type(self)), strict=True):
            for number, (one, other) in enumerate(zip(here, there, strict=True)):
                assert one == other, f"example {number} has other bytes with {dict(place)}"

    def test_loading_leaves_stored_files_alone(self) -> None:
        """Stored files are the same after loading, also after the copy that a `Path` gets was changed."""
        for value, declared in self._some_examples():
            with stored(self.format, value, declared) as files:
                before = digests(files)
                self.format.load(files, declared)
                copy = self.format.load(files, Path)
                assert isinstance(copy, Path)
                _spoil(copy)
                assert digests(files) == before

    def test_wrong_value_is_refused(self) -> None:
        """A value that isn't what is declared gives a FormatError that says both, and leads on."""
        value, declared, text = self.wrong
        with tempfile.TemporaryDirectory() as folder:
            error = format_error(lambda: self.format.save(value, Path(folder), declared))
        assert error.message.startswith(text), error.message
        assert error.hint

    def test_damage_is_noticed(self) -> None:
        """A file that is absent, empty, cut short or another's gives a FormatError."""
        n_cases = 0
        for value, declared in self.examples():
            with stored(self.format, value, declared) as files:
                for name in self.checked_files(sorted(files)):
                    for what, damaged in _damages(files, name):
                        error = format_error(partial(self.format.load, damaged, declared), what)
                        assert error.hint
                        n_cases += 1
        assert n_cases or not self.checked_files(["some"]), "no file was damaged"

    def _some_examples(self) -> Sequence[Example]:
        found = self.examples()
        assert found, "the contract needs examples"
        return found


@contextmanager
def stored(format: Format, value: object, declared: object) -> Iterator[dict[str, Path]]:
    """Save a value and give its files as a store does: named by their digests, and read-only."""
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as objects:
        folder = Path(made) / "artifact"
        folder.mkdir()
        format.save(value, folder, declared)
        files: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target = Path(objects) / hashlib.sha256(path.read_bytes()).hexdigest()
                target.write_bytes(path.read_bytes())
                target.chmod(0o444)
                files[path.relative_to(folder).as_posix()] = target
        assert files, "a format writes at least one file"
        yield files


def digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Give the sha256 of each file."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def digests_of(format: Format, value: object, declared: object) -> dict[str, str]:
    """Save a value and give the sha256 of each file."""
    with stored(format, value, declared) as files:
        return digests(files)


def format_error(action: Callable[[], object], what: str = "the wrong value") -> FormatError:
    """Give the FormatError that an action must raise."""
    try:
        found = action()
    except FormatError as error:
        return error
    raise AssertionError(f"{what}: no FormatError, but {found!r}")


def digests_elsewhere(contract: type[FormatContract]) -> list[list[dict[str, str]]]:
    """Save all examples of a contract in each of the other places and give their digests."""
    children = [_start(contract, place) for place in ELSEWHERE]
    found = []
    for child in children:
        out, err = child.communicate(timeout=CHILD_TIMEOUT_SECONDS)
        assert child.returncode == 0, err
        found.append(json.loads(out.rpartition("\n---\n")[2]))
    return found


def _start(contract: type[FormatContract], place: Mapping[str, str]) -> subprocess.Popen[str]:
    environment = dict(os.environ) | {"PYTHONHASHSEED": place["PYTHONHASHSEED"], "TZ": place["TZ"]}
    # Passive: the threads of several children would spin against each other on few cores.
    environment |= dict.fromkeys(THREAD_VARIABLES, place["n_threads"]) | {"OMP_WAIT_POLICY": "PASSIVE"}
    request = {
        "path": sys.path,
        "module": contract.__module__,
        "file": inspect.getfile(contract),
        "class": contract.__qualname__,
        "clock": int(place["clock"]),
    }
    command = [sys.executable, "-m", "headrace.testing.elsewhere", json.dumps(request)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _damages(files: Mapping[str, Path], name: str) -> Iterator[tuple[str, dict[str, Path]]]:
    """Give the files with one of them absent, empty, cut short, or another's."""
    yield f"{name} absent", {other: path for other, path in files.items() if other != name}
    data = files[name].read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for what, damaged in (
            ("empty", b""),
            ("cut short", data[: len(data) // 2]),
            ("another's", b"\x00\xff{\x93" * 64),
        ):
            path = Path(folder) / what.replace(" ", "-").replace("'", "")
            path.write_bytes(damaged)
            yield f"{name} {what}", {**files, name: path}


def _spoil(path: Path) -> None:
    """Change every file that a step was given: the path is its own."""
    for file in [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]:
        file.write_bytes(b"spoilt")
