"""Hashes of values, in integer arithmetic: the same on every engine, machine and version.

A library's own hash may change with its next version; what is stored and merged may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WORD = 8
MOST_WORDS = 32
"""Texts of more than 256 bytes are told apart by their length, their first and their last 256 bytes."""
EXACT = 1 << 53


def hash_numbers(values: Array) -> Array:
    """Hash 64-bit floats by their bits: SplitMix64's finaliser (Steele, Lea and Flood 2014). No -0.0, no NaN."""
    import numpy as np

    return mixed(values.view(np.uint64).copy())


def hash_integers(values: Array, floats: Array) -> Array:
    """Hash whole numbers as `hash_numbers` does where a float holds them exactly, by their own bits elsewhere."""
    import numpy as np

    if not len(values):
        return np.empty(0, np.uint64)
    if int(values.min()) >= -EXACT and int(values.max()) <= EXACT:
        return hash_numbers(floats)
    is_exact = (values >= -EXACT) & (values <= EXACT)
    own = values.astype(np.uint64) ^ np.uint64(0x5851F42D4C957F2D)
    return mixed(np.where(is_exact, floats.view(np.uint64), own))


def hash_texts(starts: Array, lengths: Array, data: Array) -> Array:
    """Hash texts of UTF-8 that lie in one array of bytes: multiply and shift over words of 8 bytes, then mix."""
    import numpy as np

    hashes = lengths.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    if not len(lengths):
        return hashes
    padded = np.concatenate([data, np.zeros(WORD, np.uint8)])
    words = np.ndarray((len(padded) - WORD + 1,), np.dtype("<u8"), padded, strides=(1,))
    longest = int(lengths.max())
    for number in range(min(-(-longest // WORD), MOST_WORDS)):
        _take_word(hashes, words, starts, lengths, number * WORD)
    if longest > MOST_WORDS * WORD:
        long = np.flatnonzero(lengths > MOST_WORDS * WORD)
        tails = hashes[long]
        ends = starts[long] + lengths[long] - MOST_WORDS * WORD
        full = np.full(len(long), MOST_WORDS * WORD)
        for number in range(MOST_WORDS):
            _take_word(tails, words, ends, full, number * WORD)
        hashes[long] = tails
    return mixed(hashes)


def _take_word(hashes: Array, words: Array, starts: Array, lengths: Array, at: int) -> None:
    """Take the word at a place into the hashes of those texts that reach so far."""
    import numpy as np

    if int(lengths.min()) <= at:
        rows = np.flatnonzero(lengths > at)
        part = hashes[rows]
        _take_word(part, words, starts[rows], lengths[rows], at)
        hashes[rows] = part
        return
    taken = words[starts + at]
    if int(lengths.min()) < at + WORD:
        taken &= _masks()[np.minimum(lengths - at, WORD)]
    hashes ^= taken
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(hashes, np.uint64(29), out=taken)
    hashes ^= taken


def _masks() -> Array:
    """Give what keeps the first 0 to 8 bytes of a word."""
    import numpy as np

    return np.array([(1 << 8 * kept) - 1 for kept in range(WORD + 1)], np.uint64)


def mixed(bits: Array) -> Array:
    """Mix in place."""
    import numpy as np

    scratch = bits >> np.uint64(30)
    bits ^= scratch
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(bits, np.uint64(27), out=scratch)
    bits ^= scratch
    bits *= np.uint64(0x94D049BB133111EB)
    np.right_shift(bits, np.uint64(31), out=scratch)
    bits ^= scratch
    return bits
