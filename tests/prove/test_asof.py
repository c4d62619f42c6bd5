"""Point-in-time joins and online stores against the oracle.

`make prove` does it all and writes ``results/asof.json``; a slice is in ``tests/steps/feature_store``.
"""

from __future__ import annotations

import pytest
from asof.campaign import main


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_everything() -> None:
    assert main([]) == 0
