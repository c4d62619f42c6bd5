"""NumPy's arrays and scalars as trees: type, shape and bytes. NumPy itself is met by name alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.core.errors import ValueCodecError
from headrace.core.names import find_named


def is_numpy(value: object) -> bool:
    """Whether the value is an ``ndarray`` itself (no subclass: it may hold more) or one of NumPy's scalars."""
    kind = type(value)
    if kind.__module__ != "numpy":
        return False
    return kind.__qualname__ == "ndarray" or any(
        base.__module__ == "numpy" and base.__qualname__ == "generic" for base in kind.__mro__
    )


def array_tree(value: Any) -> dict[str, Any]:
    """The fields of the tree of an array or scalar.

    The byte order belongs to the type, so it counts; the order in which an array lies in memory does not. A NaN keeps
    its bits. Raises `ValueCodecError` for arrays of Python objects and for types whose bytes do not say all.
    """
    from base64 import b64encode

    dtype = value.dtype
    if dtype.hasobject:
        raise ValueCodecError("A numpy array of Python objects has no canonical form", hint="pass a list instead")
    described = dtype.str if dtype.names is None else dtype.descr
    if any(kind in "gG" for kind in _letters(dtype)):
        raise ValueCodecError(
            f"A numpy value of type {dtype} has no canonical form: its bytes hold padding",
            hint="pass it as float64 or complex128",
        )
    make_dtype: Any = find_named("numpy:dtype")
    if make_dtype(described) != dtype:
        raise ValueCodecError(
            f"A numpy value of type {dtype} has no canonical form",
            hint="pass fields without padding, of NumPy's own types",
        )
    return {
        "dtype": described,
        "shape": list(value.shape),
        "is_scalar": type(value).__qualname__ != "ndarray",
        "value": b64encode(value.tobytes(order="C")).decode(),
    }


def _letters(dtype: Any) -> str:
    """The kinds of number in a type, those of its fields included."""
    if dtype.subdtype is not None:
        return _letters(dtype.subdtype[0])
    if dtype.names is None:
        return str(dtype.char)
    return "".join(_letters(dtype.fields[name][0]) for name in dtype.names)


def make_array(tree: Any, find: Callable[[str], object]) -> Any:
    """Make the array or scalar again, with a memory of its own."""
    from base64 import b64decode

    kind: Any = find("numpy:ndarray")
    dtype: Any = find("numpy:dtype")
    array = kind(tuple(tree["shape"]), dtype(_described(tree["dtype"])), bytearray(b64decode(tree["value"])))
    return array[()] if tree["is_scalar"] else array


def _described(tree: Any) -> Any:
    """A type's description with its tuples, which JSON has as lists: (name, type[, shape]) for each field.

    A name that has a title is a pair.
    """
    if isinstance(tree, str):
        return tree
    return [
        (name if isinstance(name, str) else tuple(name), _described(kind), *(tuple(shape) for shape in rest))
        for name, kind, *rest in tree
    ]
