"""Anything ⇄ a pickle, for those who ask for it by name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

from headrace.core.errors import FormatError
from headrace.formats.declared import class_of, describe, is_open, is_path, members, type_name
from headrace.formats.files import materialise, only_file, reading

FILE = "value.pickle"
PROTOCOL = 5


class PickleFormat:
    """Anything that pickles ⇄ ``value.pickle``; only by name: ``Annotated[Net, Pickle]``.

    A pickle runs code when it is loaded and breaks when that code moves. Equal values need not give equal bytes: a
    pickle holds sets in the order of their hashes, and tells one object in two places from two equal ones. What
    follows such a step may run again where another format would have been a hit.
    """

    name = "pickle"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say no: no type is stored as a pickle unless the annotation names the format."""
        return False

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the pickle. Raises FormatError when the value doesn't pickle or isn't what is declared."""
        _check(value, declared)
        try:
            data = pickle.dumps(value, protocol=PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(
                f"A {type_name(type(value))} doesn't pickle: {error}",
                hint="return what it is made of, in a type that has a format",
            ) from error
        (folder / FILE).write_bytes(data)

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the pickle, which runs the code that it names."""
        path = only_file(files, FILE, self.name)
        if is_path(declared):
            return materialise(files)
        with reading(f"The pickle {FILE!r}", pickle.UnpicklingError, AttributeError, ImportError):
            value = pickle.loads(path.read_bytes())
        _check(value, declared)
        return value


def _check(value: object, declared: object) -> None:
    classes = tuple(cls for member in members(declared) if (cls := class_of(member)) is not None)
    if is_open(declared) or not classes or isinstance(value, classes):
        return
    raise FormatError(
        f"A value of type {describe(declared)!r} is declared, but got a {type_name(type(value))}",
        hint="return what the step declares, or declare what it returns",
    )
