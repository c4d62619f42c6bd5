"""How long texts are, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.steps.profiling.buckets import BucketCounter, Buckets

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

CLASSES = ("lower", "upper", "digit", "blank", "sign", "other")
"""Letters a to z and A to Z, 0 to 9, white space, other ASCII, and all beyond ASCII."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The lengths of texts in characters, and which classes of characters they hold."""

    shortest: int | None = None
    longest: int | None = None
    n_characters: int = 0
    """In all texts together."""
    lengths: Buckets = field(default_factory=Buckets)
    classes: dict[str, int] = field(default_factory=dict)
    """How many texts hold which classes: ``"lower+digit"`` is letters and digits and nothing else; ``""`` is empty."""

    def merge(self, other: Texts) -> Texts:
        """Give the figures of both together."""
        classes = dict(self.classes)
        for name, count in other.classes.items():
            classes[name] = classes.get(name, 0) + count
        ends = [end for end in (self.shortest, other.shortest) if end is not None]
        far_ends = [end for end in (self.longest, other.longest) if end is not None]
        return Texts(
            min(ends, default=None),
            max(far_ends, default=None),
            self.n_characters + other.n_characters,
            self.lengths.merge(other.lengths),
            dict(sorted(classes.items())),
        )

    def to_plain(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "shortest": self.shortest,
            "longest": self.longest,
            "n_characters": self.n_characters,
            "lengths": self.lengths.to_plain(),
            "classes": self.classes,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Texts:
        """Make figures of what `to_plain` gave."""
        return cls(
            plain["shortest"],
            plain["longest"],
            plain["n_characters"],
            Buckets.from_plain(plain["lengths"]),
            dict(plain["classes"]),
        )


class TextCounter:
    """Figures of texts under way."""

    def __init__(self) -> None:
        import numpy as np

        self._lengths = BucketCounter()
        self._classes: Array = np.zeros(1 << len(CLASSES), np.int64)
        self._n_characters = 0
        self._ends: tuple[int, int] | None = None

    def add(self, texts: pa.Array, weights: Array | None = None) -> None:
        """Count texts without missing ones, each once or as often as ``weights`` says."""
        import numpy as np
        import pyarrow.compute as pc

        if not len(texts):
            return
        lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
        self._lengths.add(lengths.astype(np.float64), weights)
        self._n_characters += int((lengths if weights is None else lengths * weights).sum())
        low, high = int(lengths.min()), int(lengths.max())
        self._ends = (low, high) if self._ends is None else (min(low, self._ends[0]), max(high, self._ends[1]))
        masks = _class_masks(*text_bytes(texts))
        self._classes += np.bincount(masks, weights, minlength=len(self._classes)).astype(np.int64)

    def freeze(self) -> Texts:
        """Give what was counted."""
        low, high = self._ends or (None, None)
        counts = self._classes.tolist()
        named = {_class_name(mask): counts[mask] for mask in range(len(counts)) if counts[mask]}
        return Texts(low, high, self._n_characters, self._lengths.freeze(), dict(sorted(named.items())))


def _class_name(mask: int) -> str:
    return "+".join(name for place, name in enumerate(CLASSES) if mask >> place & 1)


def text_bytes(texts: pa.Array) -> tuple[Array, Array, Array]:
    """Give where each text begins, how many bytes it has, and the bytes of all: no copy is made."""
    import numpy as np
    import pyarrow as pa

    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    held = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    first = int(bounds[0])
    return bounds[:-1] - first, np.diff(bounds), held[first : int(bounds[-1])]


def _class_masks(starts: Array, lengths: Array, data: Array) -> Array:
    """Give which classes each text holds, a bit each."""
    import numpy as np

    masks = np.zeros(len(starts), np.uint8)
    rows = np.flatnonzero(lengths)
    if len(rows):
        masks[rows] = np.bitwise_or.reduceat(_table()[data], starts[rows])
    return masks


def _table() -> Array:
    """Give the class of each byte."""
    import numpy as np

    table = np.full(256, 1 << CLASSES.index("sign"), np.uint8)
    table[128:] = 1 << CLASSES.index("other")
    for name, held in (
        ("lower", range(97, 123)),
        ("upper", range(65, 91)),
        ("digit", range(48, 58)),
        ("blank", (9, 10, 11, 12, 13, 32)),
    ):
        table[list(held)] = 1 << CLASSES.index(name)
    return table
