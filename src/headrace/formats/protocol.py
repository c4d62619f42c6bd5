"""What a format is: how values of some types become an artifact's files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Format(Protocol):
    """How values of some types become an artifact's files, and back.

    A format has no state: any number of threads and processes may use any number of its instances. It is made
    with no arguments. A built-in format has a short ``name``; one from another package is named
    ``"package.module:Class"`` after its own class, which is how a stored artifact finds it again. ``version``
    rises when the bytes change for equal values.

    ``headrace.testing.formats.FormatContract`` holds every promise of this page as tests.
    """

    @property
    def name(self) -> str:
        """The name that artifacts keep."""
        ...

    @property
    def version(self) -> int:
        """The version of the stored form, from 1."""
        ...

    def handles(self, declared: object) -> bool:
        """Say whether values so declared can be saved and loaded.

        ``declared`` is an evaluated annotation. The answer is found by the names of types along the MRO and imports
        no heavy library: it is asked when a pipeline is defined.
        """
        ...

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the value's file or files into ``folder``, which is there and empty.

        Equal values give equal bytes: in another process, with another hash seed, number of threads, time zone, on
        another day. The value isn't changed. Raises FormatError when it isn't what was declared or can't be stored.
        """
        ...

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read a value of the declared type.

        ``files`` maps the names that `save` wrote to paths that hold their bytes. Those paths are the store's
        own objects: they have no file extension and are never modified, nor handed on to be. What may be loaded is
        decided by ``declared`` alone, never by what a file says. Raises FormatError when the bytes are damaged or
        hold something else.
        """
        ...


@dataclass(frozen=True)
class StoredAs:
    """Names the format of a value: ``Annotated[Net, StoredAs("pickle")]``.

    The name is a built-in format's or ``"package.module:Class"``. A plain string does the same where it is a known
    name: ``Annotated[str, "text"]``.
    """

    format_name: str


@dataclass(frozen=True)
class Trusts:
    """Classes that may be loaded inside a declared one: ``Annotated[Pipeline, Trusts("churn.steps:Clipper")]``.

    Each is a class or its import path ``"module:Class"``. What scikit-learn, NumPy and SciPy hold themselves needs no
    naming.
    """

    types: tuple[type | str, ...]

    def __init__(self, *types: type | str) -> None:
        object.__setattr__(self, "types", types)


Pickle = StoredAs("pickle")
"""``Annotated[Net, Pickle]`` stores a value as a pickle: only by asking, since a pickle runs code when it is loaded."""
