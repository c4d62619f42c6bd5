"""NumPy arrays ⇄ one .npy file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import FormatError
from headrace.formats.declared import is_named, is_path, type_name
from headrace.formats.files import materialise, only_file, reading

FILE = "array.npy"


class NumpyFormat:
    """An array of numbers, booleans, text, times or records of these ⇄ ``array.npy``, without pickle.

    It is stored in C order and little-endian, whatever it was in memory; gaps in records are closed and NaN is one
    NaN. Shapes, zero-dimensional and empty ones too, are kept. Refused are Python objects, masked arrays and other
    subclasses, and long doubles, which differ between machines.
    """

    name = "numpy"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether an array is declared, ``NDArray[np.float64]`` included."""
        return is_named(declared, ("numpy.ndarray",), subclasses=False)

    def save(self, value: Any, folder: Path, declared: object) -> None:
        """Write the array. Raises FormatError for another value or an element type that can't be stored."""
        import numpy as np

        if type(value) is not np.ndarray:
            raise FormatError(
                f"An array is declared, but got a {type_name(type(value))}",
                hint="return numpy.asarray(value), or declare what it is",
            )
        with (folder / FILE).open("wb") as target:
            np.save(target, _one_form(value), allow_pickle=False)

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the array."""
        import numpy as np

        path = only_file(files, FILE, self.name)
        if is_path(declared):
            return materialise(files)
        with reading(f"The array {FILE!r}"), path.open("rb") as source:
            return np.load(source, allow_pickle=False)


def _one_form(array: Any) -> Any:
    import numpy as np

    kind = array.dtype
    if kind.hasobject:
        raise FormatError(
            f"An array of Python objects (shape {array.shape}) can't be stored",
            hint="give it a type, such as array.astype(str) or array.astype(float), or return a list",
        )
    if kind in (np.dtype(np.longdouble), np.dtype(np.clongdouble)):
        raise FormatError(
            f"An array of type {kind} can't be stored, as it differs between machines", hint="array.astype(np.float64)"
        )
    if kind.names is not None:
        from numpy.lib.recfunctions import repack_fields

        kind = repack_fields(kind, align=False, recurse=True)
        packed = np.empty(array.shape, dtype=kind)
        for name in kind.names:
            packed[name] = array[name]
        array = packed
    array = np.asarray(array, dtype=kind.newbyteorder("<"), order="C")
    if array.dtype.kind in "fc" and np.isnan(array).any():
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array).astype(array.dtype)
    return array
