"""Objects of buckets, on moto's server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace import RunResult
from headrace.core.errors import DataError, TransientError
from headrace.steps import BucketFile, ingest
from headrace.stores.bucket_client import BucketClient, BucketSettings
from headrace.stores.bucket_place import BucketPlace

from bucket.server import BUCKET, environment, missing, serving  # isort: skip
from conftest_sources import failure, outcomes  # isort: skip

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
URL = f"s3://{BUCKET}/data/people.csv"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(autouse=True)
def surroundings(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(server: str, surroundings: None) -> BucketClient:
    return BucketClient(BucketPlace.parse(f"s3://{BUCKET}"), BucketSettings(part_bytes=1 << 12))


def test_an_object_is_taken_in_by_its_url(bucket: BucketClient, run: Callable[..., RunResult]) -> None:
    bucket.write("data/people.csv", b"id,name\n1,Ada\n2,Bob\n")

    first = run(f'ingest("{URL}")', inline=False)
    assert first.load() == [[1, "Ada"], [2, "Bob"]]
    assert outcomes(run(f'ingest("{URL}")', inline=False)) == ["cached", "cached"]

    bucket.write("data/people.csv", b"id,name\n1,Ada\n2,Bob\n3,Cid\n")
    again = run(f'ingest("{URL}")', inline=False)
    assert outcomes(again) == ["succeeded", "succeeded"]
    assert again.load()[-1] == [3, "Cid"]


@pytest.mark.prove
def test_a_parameter_that_is_a_path_or_a_url(
    bucket: BucketClient, run: Callable[..., RunResult], project: Path
) -> None:
    bucket.write("data/people.csv", b"id,name\n1,Ada\n")
    (project / "here.csv").write_text("id,name\n2,Bob\n")

    assert run("ingest(data)", "data: Source | Path", data=URL).load() == [[1, "Ada"]]
    assert run("ingest(data)", "data: Path | Source", data="here.csv").load() == [[2, "Bob"]]


def test_it_comes_in_parts_of_the_object_that_was_pinned(bucket: BucketClient, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    bucket.write("big", data)
    meta = bucket.look("big")
    assert meta is not None

    assert bucket.fetch("big", str(tmp_path / "one"), meta.etag) == len(data)
    assert (tmp_path / "one").read_bytes() == data
    bucket.write("big", data[::-1])
    assert bucket.fetch("big", str(tmp_path / "two"), meta.etag) is None


def test_one_that_changes_while_the_run_is_under_way(bucket: BucketClient, tmp_path: Path) -> None:
    bucket.write("data/people.csv", b"id\n1\n")
    source = BucketFile(URL)
    pin = source.look()
    bucket.write("data/people.csv", b"id\n2\n")

    with pytest.raises(TransientError, match=r"people.csv' changed since the run began\."):
        source.fetch(pin, tmp_path)


def test_what_is_not_there(bucket: BucketClient, run: Callable[..., RunResult]) -> None:
    with pytest.raises(DataError, match=r"^There is no object 's3://team-bucket/none.csv'\."):
        run('ingest("s3://team-bucket/none.csv")')
    with pytest.raises(DataError, match=r"^There is no object 's3://no-such-bucket/x'"):
        BucketFile("s3://no-such-bucket/x").look()


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/folder/"])
def test_a_url_of_no_object(url: str) -> None:
    with pytest.raises(DataError, match="names no object in a bucket"):
        BucketFile(url)


def test_a_url_with_a_password(bucket: Any) -> None:
    with pytest.raises(DataError, match="holds more than a bucket") as caught:
        BucketFile("s3://user:pass@bucket/key").look()
    assert "pass@" not in str(caught.value)


def test_a_plain_call(bucket: BucketClient) -> None:
    bucket.write("data/people.csv", b"id,name\n1,Ada\n")
    assert ingest(URL).polars().collect().rows() == [(1, "Ada")]


def test_a_broken_file_is_told_by_ingest(bucket: BucketClient, run: Callable[..., RunResult]) -> None:
    bucket.write("data/odd.csv", b"\x89PNG\x00\x00")
    assert "odd.csv' is a PNG image" in failure(run(f'ingest("s3://{BUCKET}/data/odd.csv")'))
