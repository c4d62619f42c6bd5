"""A store in a bucket, beyond the contract: what is near, streams of several machines, leases, errors, the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from headrace.core.errors import DamagedObjectError, StoreError, StoreFullError, StoreReadOnlyError
from headrace.stores import bucket as bucket_module
from headrace.stores import bucket_lease, bucket_near, bucket_sweep
from headrace.stores.bucket import BucketStore
from headrace.stores.bucket_client import BucketSettings
from headrace.stores.open import find_store, open_store
from headrace.stores.scratch import owner_name, system_tag

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "prove"))

from bucket.proxy import Trouble, troubling
from bucket.server import BUCKET, CREDENTIALS, environment, make_old, missing, serving

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

HASTY = BucketSettings(
    connect_seconds=1.0, request_seconds=1.0, n_retries=1, retry_seconds=1.0, first_pause_seconds=0.02
)
PARTS = BucketSettings(part_bytes=1 << 16)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(autouse=True)
def surroundings(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"s3://{BUCKET}/{sha256(str(tmp_path).encode()).hexdigest()[:16]}/team"


@pytest.fixture
def here(url: str, tmp_path: Path) -> BucketStore:
    return BucketStore(url, cache=tmp_path / "here")


@pytest.fixture
def there(url: str, tmp_path: Path) -> BucketStore:
    """The same store on another machine."""
    return BucketStore(url, cache=tmp_path / "there")


N_PARTS = 12
TRANSFER = f"""
import random, sys, time
from pathlib import Path
from headrace.stores.bucket import BucketStore
how, url, cache, *slowly = sys.argv[1:]
store = BucketStore(url, cache=Path(cache))
for number in range({N_PARTS}):
    data = random.Random(number).randbytes(200_000)
    if how == "add":
        store.add_bytes(data)
    else:
        from hashlib import sha256
        assert store.open_object(sha256(data).hexdigest()).read_bytes() == data
    time.sleep(0.2 if slowly else 0)
"""


def await_so(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class TestOpening:
    def test_a_url_opens_it_with_a_cache_of_its_own(self, url: str, tmp_path: Path) -> None:
        store = open_store(url)
        assert isinstance(store, BucketStore)
        assert (store.url, repr(store)) == (url, f"BucketStore({url!r})")
        assert store.cache_dir.is_relative_to(tmp_path / "cache" / "stores")
        assert open_store(url + "/").cache_dir == store.cache_dir
        assert open_store(url + "2").cache_dir != store.cache_dir

    def test_a_bucket_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError) as caught:
            BucketStore("s3://no-such-bucket/x", cache=tmp_path)
        text = str(caught.value)
        assert text.startswith("Could not open the store: 127.0.0.1:")
        assert text.endswith(
            "answered 404 NoSuchBucket (s3://no-such-bucket/x/store.json).\n"
            "Hint: make the bucket, or correct its name in the store's URL"
        )

    def test_a_server_that_is_not_there(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError) as caught:
            BucketStore(url, cache=tmp_path, settings=HASTY)
        assert str(caught.value) == (
            f"Could not open the store: the connection to 127.0.0.1:9 failed or broke off ({url}/store.json).\n"
            "Hint: look whether the bucket's server can be reached from here (AWS_ENDPOINT_URL, AWS_REGION, a proxy), "
            "then run again: what was finished is kept"
        )

    def test_a_newer_store_is_refused(self, here: BucketStore, url: str, tmp_path: Path) -> None:
        here._client.write("store.json", json.dumps({"format": 99, "salt": "00" * 32}).encode())
        with pytest.raises(StoreError, match="The store has format 99"):
            BucketStore(url, cache=tmp_path)


class TestRights:
    @pytest.fixture
    def refused(self, server: str, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BucketStore]:
        """A store whose writes are refused with the status in ``status``."""
        trouble = Trouble(1)
        with troubling(server, trouble) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
            store = BucketStore(url, cache=tmp_path / "near", settings=HASTY)
            self.status = "403"
            monkeypatch.setattr(trouble, "draw", lambda method, *_: None if method in ("GET", "HEAD") else self.status)
            yield store

    def test_who_may_only_read_reads(self, here: BucketStore, refused: BucketStore, url: str, tmp_path: Path) -> None:
        digest = here.add_bytes(b"x").digest
        here.create_record("a.json", b"1")
        assert BucketStore(url, cache=tmp_path / "new").salt == refused.salt == here.salt
        assert refused.read_object(digest) == b"x"
        assert (refused.read_record("a.json"), list(refused.list_records())) == (b"1", ["a.json"])
        for write in (
            lambda: refused.add_bytes(b"new"),
            lambda: refused.create_record("b.json", b"1"),
            lambda: refused.write_record("a.json", b"1"),
            lambda: refused.delete_record("a.json"),
            lambda: refused.drop_object(digest),
            lambda: refused.lease("key"),
        ):
            with pytest.raises(StoreReadOnlyError, match=r"The store may not be used to .* answered 403 AccessDenied"):
                write()  # type: ignore[no-untyped-call]

    def test_a_full_bucket_says_so(self, refused: BucketStore) -> None:
        self.status = "507"
        with pytest.raises(StoreFullError, match=r"^No space is left to add an object: .* answered 507"):
            refused.add_bytes(b"new")


class TestObjects:
    def test_an_object_is_where_a_folder_would_have_it(self, here: BucketStore) -> None:
        digest = here.add_bytes(b"x").digest
        here.write_record("runs/r1/run.json", b"1")
        assert sorted(here._client.names("")) == sorted(
            [f"objects/{digest[:2]}/{digest}", "runs/r1/run.json", "store.json"]
        )

    def test_what_is_near_is_not_fetched_again(
        self, here: BucketStore, there: BucketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = here.add_bytes(b"shared").digest
        fetched: list[str] = []
        download = there._client.download

        def counted(name: str, path: str) -> int | None:
            fetched.append(name)
            return download(name, path)

        monkeypatch.setattr(there._client, "download", counted)
        monkeypatch.setattr(here._client, "download", counted)
        for _ in range(2):
            for store in (here, there):
                assert store.read_object(digest) == b"shared"
                assert store.open_object(digest).read_bytes() == b"shared"
        assert fetched == [f"objects/{digest[:2]}/{digest}"]

    def test_a_copy_that_is_near_and_damaged_is_fetched_again(self, here: BucketStore) -> None:
        digest = here.add_bytes(b"right").digest
        path = here.open_object(digest)
        path.chmod(0o644)
        path.write_bytes(b"wrong")
        assert here.read_object(digest) == b"right"

    def test_what_is_only_near_is_not_there(self, here: BucketStore, there: BucketStore) -> None:
        """Dropped by another: at once absent, though it could still be read here."""
        digest = here.add_bytes(b"dropped").digest
        assert here.object_size(digest) == 7
        there.drop_object(digest)
        assert here.object_size(digest) is None
        with pytest.raises(DamagedObjectError, match="is absent"):
            there.read_object(digest)
        here.add_bytes(b"dropped")
        assert there.read_object(digest) == b"dropped"

    @pytest.mark.parametrize("n_bytes", [0, 1, 1 << 16, (1 << 16) + 1, 700_001, 12 << 20])
    def test_objects_of_many_parts_come_back(self, url: str, tmp_path: Path, there: BucketStore, n_bytes: int) -> None:
        data = os.urandom(n_bytes)
        here = BucketStore(url, cache=tmp_path / "parts", settings=PARTS)
        with here.scratch() as folder:
            (folder / "file").write_bytes(data)
            digest = here.add_file(folder / "file").digest
        assert there.object_size(digest) == n_bytes
        other = BucketStore(url, cache=tmp_path / "other", settings=PARTS)
        assert other.read_object(digest) == there.read_object(digest) == data

    def test_a_killed_transfer_goes_on_with_the_parts_that_are_missing(
        self, server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A table is an object a part. What had arrived when the process was killed is not sent or fetched again."""
        trouble = Trouble(1)
        with troubling(server, trouble) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
            for method, how in (("PUT", "add"), ("GET", "open")):

                def moved(method: str = method) -> Counter[str]:
                    passed = list(trouble.passed)
                    return Counter(
                        p.path for p in passed if p.method == method and p.status < 300 and "/objects/" in p.path
                    )

                command = [sys.executable, "-c", TRANSFER, how, url, str(tmp_path / how)]
                with subprocess.Popen([*command, "slowly"]) as process:
                    await_so(lambda: len(moved()) >= 3)
                    process.kill()
                before = moved()
                assert 3 <= len(before) < N_PARTS
                subprocess.run(command, check=True)
                assert len(moved()) == N_PARTS
                # The one that was under way may have arrived without the killed process knowing.
                assert sum(moved().values()) <= N_PARTS + 1

    def test_a_present_object_is_not_put_again_unless_it_is_old(
        self, server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trouble = Trouble(1)
        with troubling(server, trouble) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
            store = BucketStore(url, cache=tmp_path / "near")
            for data, n_first in ((b"small", 1), (b"b" * 100_000, 1)):

                def n_puts(data: bytes = data) -> int:
                    name = sha256(data).hexdigest()
                    return sum(p.method == "PUT" and p.status == 200 and name in p.path for p in trouble.passed)

                for _ in range(3):
                    store.add_bytes(data)
                assert n_puts() == n_first
                with monkeypatch.context() as later:
                    later.setattr(bucket_module, "is_young", lambda meta: False)
                    store.add_bytes(data)
                assert n_puts() == n_first + 1


class TestRecords:
    def test_a_winner_whose_answer_was_lost_is_still_the_winner(
        self, server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trouble = Trouble(1)
        drawn = iter(["500 though done", None, "reset though done", None])
        with troubling(server, trouble) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
            store = BucketStore(url, cache=tmp_path / "near")
            monkeypatch.setattr(trouble, "draw", lambda method, *_: next(drawn, None) if method == "PUT" else None)
            assert store.create_record("a.json", b"1")
            assert store.create_record("b.json", b"1")
            assert not store.create_record("b.json", b"1"), "an equal record of another's was taken for ours"
        assert list(drawn) == []

    def test_a_record_that_was_torn_when_put_is_none(self, here: BucketStore) -> None:
        here.write_record("actions/a.json", b'{"whole": true}')
        client, said = here._client, sha256(b'{"whole": true}').hexdigest()
        key = here._place.key("actions/a.json")
        client._library.put(client._bucket, key, b'{"who', attributes={"headrace-sha256": said})
        assert here.read_record("actions/a.json") is None
        here.write_record("actions/a.json", b"{}")
        assert here.read_record("actions/a.json") == b"{}"


class TestStreams:
    def test_the_lines_of_two_machines_are_read_as_one(self, here: BucketStore, there: BucketStore) -> None:
        for number, store in enumerate((here, there, here)):
            with store.open_stream("runs/r1/events.jsonl") as stream:
                stream.write(b"line %d\n" % number)
        for store in (here, there):
            lines = store.stream_path("runs/r1/events.jsonl").read_bytes().splitlines()
            assert lines == [b"line 0", b"line 2", b"line 1"]  # each machine's after the other's
        assert list(here.list_records()) == []

    def test_a_log_is_there_before_the_record_beside_it(self, here: BucketStore, there: BucketStore) -> None:
        """A worker writes its log by path."""
        log = here.stream_path("runs/r1/nodes/train.1.log")
        log.parent.mkdir(parents=True)
        log.write_bytes(b"printed\n")
        assert not there.stream_path("runs/r1/nodes/train.1.log").exists()
        here.write_record("runs/r1/nodes/train.1.json", b"{}")
        assert there.stream_path("runs/r1/nodes/train.1.log").read_bytes() == b"printed\n"

    def test_the_record_of_an_end_takes_all_along(self, here: BucketStore, there: BucketStore) -> None:
        stream = here.open_stream("runs/r1/events.jsonl")
        stream.write(b"not closed yet\n")
        here.create_record("runs/r1/end.json", b"{}", durable=True)
        assert there.stream_path("runs/r1/events.jsonl").read_bytes() == b"not closed yet\n"
        stream.close()

    def test_what_grows_is_uploaded_now_and_then(self, url: str, tmp_path: Path, there: BucketStore) -> None:
        often = BucketStore(url, cache=tmp_path / "often", settings=BucketSettings(upload_seconds=0.0))
        with often.open_stream("a.log") as stream:
            for number in range(200):
                stream.write(b"%d\n" % number)
                time.sleep(0.001)
            assert there.stream_path("a.log").read_bytes().startswith(b"0\n1\n")
        assert there.stream_path("a.log").read_bytes().count(b"\n") == 200

    def test_a_stream_can_go_to_another_process(self, here: BucketStore) -> None:
        import pickle

        with here.open_stream("a.log") as stream:
            stream.write(b"one\n")
            with pickle.loads(pickle.dumps(stream)) as again:
                again.write(b"two\n")
        assert here.stream_path("a.log").read_bytes() == b"one\ntwo\n"


class TestLeases:
    def test_a_lease_is_renewed_and_lost_once_another_has_it(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        short = BucketStore(url, cache=tmp_path, settings=BucketSettings(lease_seconds=0.4))
        with short.lease("key") as lease:
            before = short._client.read("leases/key")
            time.sleep(0.5)
            now = short._client.read("leases/key")
            assert lease.acquired and before is not None and now is not None
            assert before.meta.etag != now.meta.etag
            short._client.write("leases/key", b"another's")
            time.sleep(0.5)
            assert not lease.acquired
            lease.release()
            assert short._client.read("leases/key") is not None, "another's lease was given back"

    def test_a_clock_that_is_wrong_changes_nothing(
        self, here: BucketStore, there: BucketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bucket_lease, "is_dead", lambda owner: False)
        with here.lease("key"):
            real = time.time
            for ahead_seconds in (-86400.0, 86400.0):
                monkeypatch.setattr(time, "time", lambda ahead=ahead_seconds: real() + ahead)
                assert not there.lease("key").acquired

    def test_leases_leave_nothing(self, here: BucketStore) -> None:
        with here.lease("key"), here.lease("key") as second:
            assert not second.acquired
        assert here._client.names("leases") == []

    def test_no_thread_stays(self, here: BucketStore) -> None:
        for number in range(5):
            here.lease(f"key{number}").release()
        deadline = time.monotonic() + 10
        while any(thread.name.startswith("lease ") for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "a lease's thread outlives it"
            time.sleep(0.01)


FLOW = """
from pathlib import Path
from headrace import pipeline, step

@step
def load(source: Path) -> list[int]:
    print("loading", source.name)
    return [int(line) for line in source.read_text().split()]

@step
def squares(numbers: list[int]) -> list[int]:
    return [n * n for n in numbers]

@step
def total(numbers: list[int], factor: int) -> int:
    return factor * sum(numbers)

@pipeline
def flow(source: Path = Path("data.txt"), factor: int = 2):
    return total(squares(load(source)), factor)
"""


def checkout(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "flow.py").write_text(FLOW)
    (folder / "pyproject.toml").write_text('[project]\nname = "flow"\nversion = "1"\n')
    (folder / "data.txt").write_text("1 2 3\n")
    return folder


@pytest.mark.parametrize("is_same_machine", [False, True])
def test_two_checkouts_share_their_cache(url: str, tmp_path: Path, is_same_machine: bool) -> None:
    import headrace

    def run(name: str, cache: str, **parameters: object) -> headrace.RunResult:  # type: ignore[name-defined]
        os.environ["HEADRACE_CACHE"] = str(tmp_path / cache)
        return headrace.run("flow.py:flow", parameters, folder=tmp_path / name, store=url, workers=1)

    for name in ("first", "second"):
        checkout(tmp_path / name)
    first = run("first", "cache1")
    second = run("second", "cache1" if is_same_machine else "cache2")
    assert {str(node.outcome) for node in first.nodes.values()} == {"succeeded"}
    assert {str(node.outcome) for node in second.nodes.values()} == {"cached"}
    for name, node in first.nodes.items():
        assert node.outputs == second.nodes[name].outputs
    assert first.load() == second.load() == 2 * (1 + 4 + 9)
    changed = run("second", "cache2", factor=3)
    assert {name: str(node.outcome) for name, node in changed.nodes.items()} == {
        "load": "cached",
        "squares": "cached",
        "total": "succeeded",
    }
    log = second.store.stream_path(f"runs/{first.run_id}/nodes/load.1.log")
    assert log.read_text() == "loading data.txt\n"
    shutil.rmtree(tmp_path / "cache2", ignore_errors=True)
    assert run("first", "cache3").load() == 28


def test_a_step_costs_few_requests(server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of the how-to, by a step that has one output and prints nothing."""
    import headrace

    trouble = Trouble(1)
    folder = checkout(tmp_path / "first")
    counts = []
    with troubling(server, trouble) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
        for factor in (2, 3, 3):
            trouble.passed.clear()
            headrace.run("flow.py:flow", {"factor": factor}, folder=folder, store=url, workers=1)
            counts.append(len(trouble.passed))
    a_hit, an_execution = 2 + 1, 11 + 1  # two of them to look again, under the lease
    assert counts[1] - counts[2] == an_execution - a_hit - 1  # a plan that is there already is asked for its size
    records = [passed for passed in trouble.passed if "/actions/" in passed.path or "/nodes/" in passed.path]
    assert len(records) == 3 * 2
    assert counts[2] <= len(records) + 3 + 13  # sizes, and what a run itself costs


def test_a_damaged_object_is_made_again(url: str, tmp_path: Path) -> None:
    import headrace

    folder = checkout(tmp_path / "first")
    first = headrace.run("flow.py:flow", folder=folder, store=url, workers=1)
    store = first.store
    assert isinstance(store, BucketStore)
    (file,) = first.nodes["squares"].outputs["output"].files
    store._client.write(f"objects/{file.digest[:2]}/{file.digest}", b"x" * file.n_bytes)
    store._near.drop_object(file.digest)
    again = headrace.run("flow.py:flow", {"factor": 5}, folder=folder, store=url, workers=1)
    assert again.load() == 5 * 14
    assert open_store(url).read_object(file.digest) == store.read_object(file.digest)


def test_the_command_line_shows_no_credential(url: str, tmp_path: Path) -> None:
    folder = checkout(tmp_path / "first")

    def headrace(*words: str, **extra: str) -> str:
        command = [sys.executable, "-m", "headrace.cli.main", *words]
        own = {**os.environ, "HEADRACE_STORE": url, **extra}
        done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)
        return done.stdout + done.stderr

    texts = [headrace("run", "flow.py:flow"), headrace("logs", "latest"), headrace("runs")]
    texts.append(headrace("runs", HEADRACE_STORE="s3://no-such-bucket"))
    assert "3 succeeded" in texts[0] + texts[2]
    assert "loading data.txt" in texts[1]
    assert "answered 404 NoSuchBucket (s3://no-such-bucket/store.json)" in texts[3]
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        texts.append(path.read_bytes().decode(errors="replace"))
    for secret in (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]):
        assert not any(secret in text for text in texts)


class TestRemovingWhatIsOld:
    """What is used again in the middle of its removal stays."""

    def test_an_object_that_is_put_again_in_the_middle_of_it(
        self, server: str, here: BucketStore, there: BucketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It's removed nevertheless, and put again by who waited for that."""
        digest = here.add_bytes(b"x").digest
        name = f"objects/{digest[:2]}/{digest}"
        make_old(server, here._place.key(name), time.time() - 9 * 3600)
        adder = threading.Thread(target=there.add_bytes, args=(b"x",))
        waits = threading.Event()
        is_doomed = bucket_sweep.Cleaning._is_doomed

        def waiting(self: bucket_sweep.Cleaning, name: str) -> bool:
            found = is_doomed(self, name)
            waits.set()
            return found

        def meanwhile(point: str) -> None:
            adder.start()
            assert waits.wait(20)

        monkeypatch.setattr(bucket_sweep.Cleaning, "_is_doomed", waiting)
        monkeypatch.setattr(bucket_sweep, "fault_point", meanwhile)
        assert here.remove_older([name], here.clock() - 3600) == [name]
        adder.join(20)
        assert here.object_size(digest) == 1
        assert here._client.names("leases/doomed") == []

    def test_a_record_that_is_reused_in_the_middle_of_it(
        self, server: str, here: BucketStore, there: BucketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = f"actions/ab/{'ab' * 32}.json"
        here.create_record(name, b"{}")
        make_old(server, here._place.key(name), time.time() - 9 * 3600)
        monkeypatch.setattr(bucket_sweep, "fault_point", lambda point: there.reuse_record(name))
        assert here.remove_older([name], here.clock() - 3600) == []
        assert json.loads(here.read_record(name) or b"") == {}

    def test_an_announcement_of_one_who_died_is_not_waited_for(
        self, server: str, here: BucketStore, there: BucketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = here.add_bytes(b"x").digest
        name = f"objects/{digest[:2]}/{digest}"
        note = {"owner": owner_name(os.getpid(), "ffffffff"), "names": [name]}
        here._client.write("leases/doomed/1", json.dumps(note).encode())
        make_old(server, here._place.key("leases/doomed/1"), time.time() - bucket_sweep.DOOM_SECONDS - 5)
        here._client.write("leases/doomed/2", json.dumps({**note, "owner": f"1-1-{system_tag()}"}).encode())
        make_old(server, here._place.key(name), time.time() - 9 * 3600)
        there.add_bytes(b"x")
        assert here.remove_older([name], here.clock() - 3600) == []

    def test_one_who_stood_still_removes_nothing(
        self, server: str, here: BucketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = here.add_bytes(b"x").digest
        name = f"objects/{digest[:2]}/{digest}"
        monkeypatch.setattr(bucket_sweep, "_MOST_SECONDS_OF_A_BATCH", -1.0)
        assert here.remove_older([name], here.clock() + 3600) == []

    def test_who_may_only_read_reuses(
        self, server: str, url: str, here: BucketStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = f"actions/ab/{'ab' * 32}.json"
        here.create_record(name, b"{}")
        make_old(server, here._place.key(name), time.time() - 9 * 3600)
        trouble = Trouble(1)
        with troubling(server, trouble) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
            store = BucketStore(url, cache=tmp_path / "near", settings=HASTY)
            monkeypatch.setattr(trouble, "draw", lambda method, *_: None if method in ("GET", "HEAD") else "403")
            assert store.reuse_record(name) == b"{}"


def test_a_store_that_is_not_there_is_found_and_not_made(url: str) -> None:
    assert find_store(url) is None
    assert find_store(url) is None
    made = open_store(url)
    found = find_store(url)
    assert found is not None and found.salt == made.salt


class TestWhatIsNear:
    def test_copies_are_kept_to_a_limit_the_last_used_longest(self, here: BucketStore) -> None:
        near = here._near
        digests = [here.add_bytes(bytes([number]) * 1000).digest for number in range(4)]
        for days, digest in zip((4, 3, 2, 0), digests, strict=True):
            path = near.root / "objects" / digest[:2] / digest
            os.utime(path, (time.time() - days * 86400,) * 2)
        assert here.read_object(digests[0]) == b"\0" * 1000  # it's used, so that it stays
        assert bucket_near.trim(near, 10_000) == []
        assert [name[-64:] for name in bucket_near.trim(near, 3000)] == [digests[1]]
        assert [name[-64:] for name in bucket_near.trim(near, 0)] == [digests[2]]
        assert [near.object_size(digest) for digest in digests] == [1000, None, None, 1000]
        assert here.read_object(digests[1]) == b"\1" * 1000

    def test_it_is_looked_at_as_it_grows(self, here: BucketStore, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[int] = []
        monkeypatch.setattr(bucket_near, "trim", lambda near, limit: looks.append(limit))
        here._near_bytes = 1000
        here.add_bytes(b"x" * 100)
        assert looks == [1000]

    def test_the_limit_is_a_size(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bucket_near.limit_bytes({}) == 20 * 10**9
        assert bucket_near.limit_bytes({"HEADRACE_CACHE_LIMIT": "500MB"}) == 500 * 10**6
        with pytest.raises(StoreError, match="HEADRACE_CACHE_LIMIT='much' is no size"):
            bucket_near.limit_bytes({"HEADRACE_CACHE_LIMIT": "much"})
