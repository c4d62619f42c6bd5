"""The random generators that a process shares: seeded from a key, so that equal work draws equal numbers."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def seed_generators(seed: int) -> None:
    """Seed `random`, and NumPy and Torch where they are loaded. What is loaded later seeds itself as ever."""
    random.seed(seed)
    if (numpy := _numpy()) is not None:
        numpy.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


def _numpy() -> Any:
    """NumPy's generators, which NumPy itself loads when they are first asked for."""
    return import_module("numpy.random") if "numpy" in sys.modules else None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators for a while, and let them go on afterwards from where they were."""
    numpy, torch = _numpy(), sys.modules.get("torch")
    state = random.getstate()
    numpy_state = numpy.get_state() if numpy is not None else None
    torch_state = torch.get_rng_state() if torch is not None else None
    seed_generators(seed)
    try:
        yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.set_state(numpy_state)
        if torch is not None:
            torch.set_rng_state(torch_state)
