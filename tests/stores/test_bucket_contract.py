"""The contract, for a bucket behind a real S3 API on loopback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from headrace.stores.bucket import FAULT_POINTS, BucketStore
from headrace.stores.bucket_client import BucketSettings
from headrace.testing.stores import StoreContract

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "prove"))

from bucket.server import BUCKET, environment, make_old, missing, serving

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

SETTINGS = BucketSettings(n_retries=3, lease_seconds=3.0)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(autouse=True)
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)


class TestBucketStore(StoreContract):
    is_folder = False
    memory_bytes = 64 << 20  # four parts of 5 MiB are under way at once, each as the library reads and as it sends it
    fault_points = FAULT_POINTS

    def make_store(self, folder: Path) -> BucketStore:
        prefix = sha256(str(folder).encode()).hexdigest()[:16]
        return BucketStore(f"s3://{BUCKET}/{prefix}", cache=folder, settings=SETTINGS)

    def damage(self, store: BucketStore, digest: str, data: bytes) -> None:
        """In the bucket. The copy that is near is right, and is taken away so that it isn't used."""
        store._client.write(f"objects/{digest[:2]}/{digest}", data)
        store._near.drop_object(digest)

    def make_old(self, store: BucketStore, name: str, changed: float) -> None:
        make_old(os.environ["AWS_ENDPOINT_URL"], store._place.key(name), changed)


def test_contract_was_collected_whole(request: pytest.FixtureRequest) -> None:
    if request.config.option.keyword or any("::" in str(arg) for arg in request.config.args):
        pytest.skip("only a part of the tests was asked for")
    collected = {item.originalname for item in request.session.items if "TestBucketStore" in item.nodeid}  # type: ignore[attr-defined]
    assert collected == set(StoreContract.cases())
