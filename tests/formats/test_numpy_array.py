from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from headrace.formats.numpy_array import NumpyFormat
from headrace.testing.formats import FormatContract, digests_of, format_error, stored

RECORD = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "<U2")])


def digests(array: Any) -> dict[str, str]:
    return digests_of(NumpyFormat(), array, np.ndarray)


def record(align: bool) -> Any:
    array = np.frombuffer(b"\xff" * 256, dtype=np.uint8)[: np.dtype(RECORD.descr, align=align).itemsize * 2].copy()
    made = array.view(np.dtype(RECORD.descr, align=align))
    made["a"], made["b"], made["c"] = [1, 2], [0.5, -0.0], ["x", "yz"]
    return made


class TestNumpyContract(FormatContract):
    format = NumpyFormat()
    wrong = ([1.0], np.ndarray, "An array is declared, but got a builtins.list")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [
            (np.arange(6).reshape(2, 3), np.ndarray),
            (np.asfortranarray(np.arange(6.0).reshape(2, 3)), NDArray[np.float64]),
            (np.array([1, np.nan, -0.0, np.inf]), np.ndarray),
            (np.array(3.5), np.ndarray),
            (np.zeros((0, 3), dtype=np.int16), np.ndarray),
            (np.array(["a", "éé", ""]), np.ndarray),
            (np.array(["2026-01-01", "NaT"], dtype="datetime64[s]"), np.ndarray),
            (np.array([True, False]), np.ndarray),
            (record(align=False), np.ndarray),
            (np.array([1 + 2j, complex(np.nan, 1)]), np.ndarray),
        ]

    def equal(self, one: Any, other: Any) -> bool:
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fcM"))
        )


@given(
    hnp.arrays(
        st.sampled_from(["<f8", "<i4", "<f4", "|b1", "<U3"]), hnp.array_shapes(min_dims=0, min_side=0, max_dims=3)
    )
)
def test_layout_and_byte_order_leave_no_trace(array: Any) -> None:
    expected = digests(array)
    assert digests(np.asfortranarray(array)) == expected or array.ndim == 0
    assert digests(array.astype(array.dtype.newbyteorder(">"))) == expected
    if array.ndim:
        assert digests(np.repeat(array, 2, axis=0)[::2]) == expected


def test_every_nan_is_one() -> None:
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    assert digests(odd) == digests(np.array([np.nan, np.nan]))


def test_gaps_in_records_are_closed() -> None:
    assert digests(record(align=True)) == digests(record(align=False))


def test_a_loaded_array_can_be_changed() -> None:
    with stored(NumpyFormat(), np.zeros(3), np.ndarray) as files:
        loaded: Any = NumpyFormat().load(files, np.ndarray)
        loaded[0] = 1
        again: Any = NumpyFormat().load(files, np.ndarray)
        assert again[0] == 0


@pytest.mark.parametrize(
    ("array", "message", "hint"),
    [
        (np.array([{}, None]), "An array of Python objects (shape (2,)) can't be stored", "give it a type, such as"),
        (np.array([1], dtype=np.longdouble), "An array of type float128 can't be stored", "array.astype(np.float64)"),
        (
            np.ma.masked_array([1, 2], [True, False]),
            "An array is declared, but got a numpy.ma.MaskedArray",
            "return numpy.as",
        ),
        (np.float64(1), "An array is declared, but got a numpy.float64", "return numpy.asarray(value)"),
    ],
)
def test_what_is_refused(array: Any, message: str, hint: str, tmp_path: Path) -> None:
    error = format_error(lambda: NumpyFormat().save(array, tmp_path, np.ndarray))
    assert error.message.startswith(message)
    assert str(error.hint).startswith(hint)


def test_a_file_with_objects_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.array([print]), allow_pickle=True)
    error = format_error(lambda: NumpyFormat().load({"array.npy": tmp_path / "array.npy"}, np.ndarray))
    assert error.message.startswith("The array 'array.npy' can't be read (ValueError: Object arrays cannot be loaded")
