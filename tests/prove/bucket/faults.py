"""Operations drawn from a seed on two machines' stores, while requests fail: each is right, or a clear error.

What the bucket really holds is asked behind the trouble, by a client of its own. One operation goes on at a time, so
that what each must give is known.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from bucket.proxy import Trouble, troubling
from bucket.server import BUCKET, CREDENTIALS, surroundings
from headrace.core.errors import DamagedObjectError, StoreError
from headrace.stores.bucket import BucketStore
from headrace.stores.bucket_client import BucketClient, BucketSettings
from headrace.stores.bucket_place import BucketPlace

HASTY = BucketSettings(
    connect_seconds=1.0,
    request_seconds=0.5,
    part_seconds=2.0,
    n_retries=5,
    retry_seconds=6.0,
    first_pause_seconds=0.02,
    lease_seconds=5.0,
)
_PATIENT = BucketSettings()
_BIG_BYTES = 6 << 20  # past the smallest part: it goes in two


class WrongError(Exception):
    """Something came out that isn't so."""


class Campaign:
    """The operations, and what must be true of each."""

    def __init__(self, server: str, trouble: Trouble, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.trouble = trouble
        self.prefix = f"faults-{seed}"
        self.url = f"s3://{BUCKET}/{self.prefix}"
        with surroundings(server):
            self.truth = BucketClient(BucketPlace.parse(self.url), _PATIENT)
            self.truth.look("store.json")
        self.stores = [BucketStore(self.url, cache=folder / name, settings=HASTY) for name in ("one", "two")]
        self.done: Counter[str] = Counter()
        self.blobs = [self.random.randbytes(self.random.choice((1, 100, 5000, 100_000))) for _ in range(16)]
        self.blobs.append(self.random.randbytes(_BIG_BYTES))
        self.names = [f"actions/{number % 7:02x}/{number}.json" for number in range(12)]
        self.ever: set[str] = set()
        self.wrong: list[str] = []

    def go(self, n_operations: int) -> None:
        """Carry out so many."""
        usual = self.trouble.share
        for number in range(n_operations):
            # At times nothing gets through for a while, and only an error is right.
            self.trouble.share = 1.0 if number % 50 in (48, 49) and usual else usual
            operation = self.random.choice(_OPERATIONS)
            store = self.random.choice(self.stores)
            try:
                outcome = operation(self, store)
            except StoreError as error:
                self.wrong += [f"operation {number}, {operation.__name__}: {text}" for text in _unclear(error)]
                outcome = f"error: {type(error).__name__}"
            except Exception as error:  # noqa: BLE001 - whatever comes but a store's error is wrong
                self.wrong.append(f"operation {number}, {operation.__name__}: {error!r}")
                outcome = "wrong"
            self.done[f"{operation.__name__}: {outcome}"] += 1

    # Behind the trouble

    def object(self, digest: str) -> bytes | None:
        """The bytes that the bucket holds by a digest, whatever they are."""
        path = f"objects/{digest[:2]}/{digest}"
        library, bucket = self.truth._library, self.truth._bucket
        try:
            return bytes(library.get(bucket, self.truth.place.key(path)).bytes())
        except FileNotFoundError:
            return None

    def record(self, name: str) -> bytes | None:
        """A record as it lies there, None for one that was torn when it was put."""
        found = self.truth.read(name)
        return None if found is None else found.data

    # Operations: each returns what came of it

    def add(self, store: BucketStore) -> str:
        data = self._some_blob()
        blob = store.add_bytes(data)
        _must(blob == (sha256(data).hexdigest(), len(data)), "an object has another digest or size")
        there = self.object(blob.digest)
        if there == data:
            return "right"
        # Half of it was kept, against the rules: seen by its size.
        _must(store.object_size(blob.digest) != len(data), "an object that isn't whole has the right size")
        return "torn by the server"

    def add_file(self, store: BucketStore) -> str:
        data = self._some_blob()
        with store.scratch() as folder:
            (folder / "file").write_bytes(data)
            blob = store.add_file(folder / "file")
        _must(blob.digest == sha256(data).hexdigest(), "a file has another digest")
        return "right" if self.object(blob.digest) == data else "torn by the server"

    def size(self, store: BucketStore) -> str:
        digest = sha256(self._some_blob()).hexdigest()
        size, there = store.object_size(digest), self.object(digest)
        _must(size == (None if there is None else len(there)), f"the size is {size}")
        return "absent" if size is None else "there"

    def read(self, store: BucketStore) -> str:
        data = self._some_blob()
        digest = sha256(data).hexdigest()
        try:
            found = store.read_object(digest) if self.random.random() < 0.5 else store.open_object(digest).read_bytes()
        except DamagedObjectError:
            _must(self.object(digest) != data, "an object that is there was not read")
            return "absent or torn"
        _must(found == data, "other bytes were read")
        return "right"

    def drop(self, store: BucketStore) -> str:
        digest = sha256(self._some_blob()).hexdigest()
        store.drop_object(digest)
        _must(self.object(digest) is None, "a dropped object is there")
        return "right"

    def create(self, store: BucketStore) -> str:
        name, data = self._some_name(), self._some_record()
        if self.random.random() < 0.7:  # as the engine does: first what a record names, then the record
            store.add_bytes(self.named)
        before = self.truth.look(name)
        is_ours = store.create_record(name, data)
        _must(is_ours == (before is None), f"a record was {'' if before else 'not '}there, and we won: {is_ours}")
        there = self.record(name)
        if is_ours and there is None:
            return "torn by the server"
        _must(not is_ours or there == data, "our record isn't there")
        return "won" if is_ours else "lost"

    def write(self, store: BucketStore) -> str:
        name, data = self._some_name(), self._some_record()
        store.write_record(name, data)
        there = self.record(name)
        if there is None:
            _must(store.read_record(name) is None, "a torn record was read")
            return "torn by the server"
        _must(there == data, "the record isn't there")
        return "right"

    def read_record(self, store: BucketStore) -> str:
        name = self._some_name()
        there, found = self.record(name), store.read_record(name)
        _must(found == there, f"{found!r} was read where there was {there!r}")
        return "none" if found is None else "right"

    def delete(self, store: BucketStore) -> str:
        name = self._some_name()
        store.delete_record(name)
        _must(self.truth.look(name) is None, "a deleted record is there")
        return "right"

    def list_all(self, store: BucketStore) -> str:
        names = list(store.list_records("actions"))
        _must(names == sorted(set(names)), "a listing isn't sorted, or names one twice")
        _must(set(names) <= self.ever, "a listing names what never was")
        now = {name for name in self.truth.names("actions") if name.endswith(".json")}
        return "right" if set(names) == now else "stale"

    def hit(self, store: BucketStore) -> str:
        """What the engine calls a hit: a record that can be read, whose objects are there with the right size."""
        name = self._some_name()
        text = store.read_record(name)
        if text is None:
            return "miss: no record"
        named = json.loads(text)
        if store.object_size(named["digest"]) != named["n_bytes"]:
            return "miss: no object"
        there = self.object(named["digest"])
        _must(there is not None and sha256(there).hexdigest() == named["digest"], "a false hit")
        return "hit"

    def lease(self, store: BucketStore) -> str:
        with store.lease(f"key-{self.random.randrange(1000)}.lock") as lease:
            return "taken" if lease.acquired else "not taken"

    def stream(self, store: BucketStore) -> str:
        name = f"runs/r{self.random.randrange(10)}/events.jsonl"
        line = f"{self.random.random()}\n".encode()
        with store.open_stream(name) as stream:
            stream.write(line)
        both = [other.stream_path(name).read_bytes() for other in self.stores]
        _must(all(line in text for text in both) or self._half_puts() > 0, "a line was lost")
        return "right" if all(line in text for text in both) else "torn by the server"

    def _half_puts(self) -> int:
        return self.trouble.injected["half put kept"]

    def _some_blob(self) -> bytes:
        return self.blobs[-1] if self.random.random() < 0.01 else self.random.choice(self.blobs[:-1])

    def _some_name(self) -> str:
        name = self.random.choice(self.names)
        self.ever.add(name)
        return name

    def _some_record(self) -> bytes:
        data = self.named = self._some_blob()
        named = {"digest": sha256(data).hexdigest(), "n_bytes": len(data), "nonce": self.random.random()}
        return json.dumps(named).encode()


_OPERATIONS: tuple[Callable[[Campaign, BucketStore], str], ...] = (
    Campaign.add, Campaign.add, Campaign.add, Campaign.add_file, Campaign.size, Campaign.read, Campaign.read,
    Campaign.drop, Campaign.create, Campaign.create, Campaign.create, Campaign.write, Campaign.read_record,
    Campaign.delete, Campaign.list_all, Campaign.hit, Campaign.hit, Campaign.hit, Campaign.lease, Campaign.stream,
)  # fmt: skip


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise WrongError(what)


def _unclear(error: BaseException | None) -> Iterator[str]:
    """What an error lacks, or shows though it mustn't."""
    if "\nHint: " not in str(error):
        yield f"an error without a hint: {error}"
    secrets = [value for name, value in CREDENTIALS.items() if name != "AWS_REGION"]
    while error is not None:
        if any(secret in repr(error) + str(error) for secret in secrets):
            yield "an error shows a credential"
        error = error.__cause__


def carry_out(server: str, folder: Path, seed: int, n_operations: int, share: float) -> dict[str, Any]:
    """The campaign: what was injected, what came of it, and what of that was wrong."""
    trouble = Trouble(seed, hang_seconds=HASTY.request_seconds * 1.2)
    with troubling(server, trouble) as url, surroundings(url):
        campaign = Campaign(server, trouble, folder, seed)
        trouble.share = share
        campaign.go(n_operations)
        trouble.share = 0.0
    done = dict(sorted(campaign.done.items()))
    return {
        "seed": seed,
        "n_operations": sum(done.values()),
        "n_requests": len(trouble.passed),
        "n_injected": sum(trouble.injected.values()),
        "n_errors": sum(count for what, count in done.items() if "error" in what),
        "wrong": campaign.wrong,
        "injected": dict(sorted(trouble.injected.items())),
        "outcomes": done,
    }
