"""Twelve steps that don't sleep: what the kills are aimed at.

They give what steps give (values, records, several outputs, files, a folder), on two branches that run at once, and one
of them starts a process of its own, which must not outlive the engine either.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from headrace import pipeline, step


class Halves(NamedTuple):
    """The numbers below and above the middle."""

    low: list[int]
    high: list[int]


def scramble(text: str, n_rounds: int = 2000) -> str:
    """Some work: the hash of a hash, many times over."""
    state = text.encode()
    for _ in range(n_rounds):
        state = hashlib.sha256(state).digest()
    return state.hex()


@step
def generate(n: int, salt: int) -> list[int]:
    return [int(scramble(f"{salt} {number}", 20)[:8], 16) for number in range(n)]


@step
def halve(numbers: list[int]) -> Halves:
    middle = sorted(numbers)[len(numbers) // 2]
    return Halves([n for n in numbers if n < middle], [n for n in numbers if n >= middle])


@step
def low_sum(low: list[int]) -> dict[str, int]:
    return {"n": len(low), "sum": sum(low)}


@step
def high_sum(high: list[int]) -> dict[str, int]:
    return {"n": len(high), "sum": sum(high)}


@step
def big_file(numbers: list[int]) -> Path:
    """Three megabytes, so that the writing takes its time."""
    path = Path(tempfile.mkdtemp()) / "big.bin"
    with path.open("wb") as file:
        for number in numbers[:24]:
            file.write(hashlib.shake_256(str(number).encode()).digest(1 << 17))
    return path


@step
def digest_of(big: Path) -> str:
    return hashlib.sha256(big.read_bytes()).hexdigest()


@step
def folder(low: list[int]) -> Path:
    """A folder of twenty files."""
    place = Path(tempfile.mkdtemp()) / "folder"
    for index, number in enumerate(low[:20]):
        (place / f"{index % 3}").mkdir(parents=True, exist_ok=True)
        (place / f"{index % 3}" / f"{index}.txt").write_text(scramble(str(number), 100))
    return place


@step
def count_files(place: Path) -> int:
    return sum(1 for path in place.rglob("*") if path.is_file())


@step
def in_a_process(high: list[int]) -> str:
    """Another process of the step's own."""
    loop = "for _ in range(20000): state = hashlib.sha256(state).digest()"
    code = f"import hashlib, sys\nstate = sys.argv[1].encode()\n{loop}\nprint(state.hex())"
    done = subprocess.run([sys.executable, "-S", "-c", code, str(high[0])], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@step
def spin(low: list[int], high: list[int]) -> str:
    return scramble(f"{low[0]} {high[0]}", 20000)


@step
def gather(low: dict[str, int], high: dict[str, int], texts: list[str], n_files: int) -> dict[str, str | int]:
    return {"low": low["sum"], "high": high["sum"], "n_files": n_files, "text": scramble("".join(texts))}


@step
def publish(gathered: dict[str, str | int]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in sorted(gathered.items()))


@pipeline
def twelve(n: int = 400, salt: int = 1) -> str:
    """Twelve steps, up to three at once."""
    numbers = generate(n, salt)
    halves = halve(numbers)
    low, high = low_sum(halves.low), high_sum(halves.high)
    digest = digest_of(big_file(numbers))
    n_files = count_files(folder(halves.low))
    other = in_a_process(halves.high)
    spun = spin(halves.low, halves.high)
    return publish(gather(low, high, [digest, other, spun], n_files))
