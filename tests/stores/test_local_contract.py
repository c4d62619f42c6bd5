from __future__ import annotations

import os
from pathlib import Path

from headrace.stores.local import FAULT_POINTS, LocalStore
from headrace.testing.stores import StoreContract


class TestLocalStore(StoreContract):
    fault_points = tuple(point for point in FAULT_POINTS if not point.startswith("store.open."))

    def make_store(self, folder: Path) -> LocalStore:
        return LocalStore(folder)

    def damage(self, store: LocalStore, digest: str, data: bytes) -> None:
        path = store.root / "objects" / digest[:2] / digest
        path.chmod(0o644)
        path.write_bytes(data)

    def make_old(self, store: LocalStore, name: str, changed: float) -> None:
        os.utime(store.root / name, (changed, changed))
