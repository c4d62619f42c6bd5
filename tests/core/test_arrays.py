from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from headrace.core.errors import ValueCodecError
from headrace.core.values import canonical, decode, encode


def through_json(value: object) -> Any:
    return decode(json.loads(canonical(encode(value))))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::3],
        np.array([1, 2], ">i4"),
        np.array(["a", "bcd"]),
        np.array([b"x"]),
        np.array(["2026-01-01"], "M8[ns]"),
        np.array([1 + 2j], "c8"),
        np.array(5),
        np.zeros((0, 3)),
        np.array([np.nan, -0.0, np.inf]),
        np.array([True]),
        np.array([(1, (2.0, "x"))], dtype=[("a", ">i2"), ("b", [("c", "f8"), ("d", "U2")])]),
        np.array([(1, [[1, 2], [3, 4]])], dtype=[("a", "i4"), ("m", "i8", (2, 2))]),
        np.float32(1.5),
        np.float64(1.5),
        np.int8(-1),
        np.bool_(True),
        np.str_("x"),
        np.datetime64("2026-01-01", "D"),
        np.timedelta64(5, "s"),
        np.void(b"12"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
    ],
    ids=lambda value: f"{type(value).__name__}-{value.dtype.char}-{value.shape}",
)
def test_an_array_or_scalar_comes_back_as_it_was(value: Any) -> None:
    back = through_json(value)
    assert type(back) is type(value)
    assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())


def test_an_array_may_be_written_to() -> None:
    back = through_json(np.zeros(3))
    back[0] = 1
    assert back.tolist() == [1, 0, 0]


def test_byte_order_type_and_shape_tell_apart() -> None:
    values = [
        np.array([1], "<i4"),
        np.array([1], ">i4"),
        np.array([1], "<i8"),
        np.array([[1]], "<i4"),
        np.array(1, "<i4"),
        np.int32(1),
        1,
    ]
    assert len({canonical(encode(value)) for value in values}) == len(values)


def test_numpys_functions_go_by_name() -> None:
    for function in (np.mean, np.sqrt, np.add):
        assert through_json(function) is function


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (np.array([object()]), "A numpy array of Python objects has no canonical form", "pass a list instead"),
        (
            np.longdouble(1),
            f"A numpy value of type {np.dtype(np.longdouble)} has no canonical form: its bytes hold padding",
            "pass it as float64 or complex128",
        ),
        (
            np.zeros(1, np.dtype([("a", "i1"), ("b", "i4")], align=True)),
            "has no canonical form",
            "pass fields without padding, of NumPy's own types",
        ),
        (
            np.ma.masked_array([1], [True]),
            "numpy.ma.MaskedArray has no canonical form",
            "make its class a dataclass, pass its parameters instead, or let a step make it",
        ),
        (
            np.random.default_rng(1),
            "numpy.random._generator.Generator has no canonical form",
            "make its class a dataclass, pass its parameters instead, or let a step make it",
        ),
    ],
    ids=["objects", "long double", "padding", "subclass", "generator"],
)
def test_what_bytes_do_not_tell_is_refused(value: object, message: str, hint: str) -> None:
    with pytest.raises(ValueCodecError) as caught:
        encode(value)
    assert message in caught.value.message
    assert caught.value.hint == hint
