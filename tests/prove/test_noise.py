"""Noise raises no alarm and a planted shift does: a seeded slice of the simulation, and the proof that it would notice.

`make prove` does it all and writes ``results/drift.json``.
"""

from __future__ import annotations

import noise
import pytest

from headrace.steps import drifting


@pytest.mark.parametrize(("n_rows", "n_columns"), [(100, 80), (2_000, 40)])
def test_noise_raises_no_alarm(n_rows: int, n_columns: int) -> None:
    assert noise.n_runs_with_alarms(range(3), n_rows, n_columns) == 0


def test_without_a_correction_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifting, "holm", list)
    assert noise.n_runs_with_alarms(range(12), 100, 80) > 0


def test_a_planted_shift_is_found() -> None:
    assert all(noise.is_shift_found(seed) for seed in range(3))


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_everything() -> None:
    assert noise.main([]) == 0
