"""What needs no bucket: URLs, settings, and what errors say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.core.caches import cache_root
from headrace.core.errors import StoreError, StoreFullError, StoreReadOnlyError
from headrace.stores.bucket import BucketStore
from headrace.stores.bucket_fault import BucketFault, explain_fault, fault_of
from headrace.stores.bucket_place import BucketPlace, endpoint, profile_settings
from headrace.stores.open import open_store


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "place"),
        [
            ("s3://bucket", ("s3", "bucket", "")),
            ("s3://bucket/", ("s3", "bucket", "")),
            ("S3://my.bucket-1/team/churn/", ("s3", "my.bucket-1", "team/churn")),
            ("gs://b/x", ("gs", "b", "x")),
            ("az://container/a=b", ("az", "container", "a=b")),
        ],
    )
    def test_a_url_is_a_bucket_and_a_prefix(self, url: str, place: tuple[str, str, str]) -> None:
        found = BucketPlace.parse(url)
        assert tuple(found) == place
        assert BucketPlace.parse(found.url) == found

    def test_names_become_keys_below_the_prefix(self) -> None:
        assert BucketPlace.parse("s3://b/p/q").key("runs/r.json") == "p/q/runs/r.json"
        assert BucketPlace.parse("s3://b").key("runs/r.json") == "runs/r.json"

    @pytest.mark.parametrize("url", ["s3://key:hunter2@bucket/x", "s3://hunter2@bucket", "s3://bucket:hunter2/x"])
    def test_a_password_is_refused_and_not_shown(self, url: str) -> None:
        with pytest.raises(StoreError) as caught:
            open_store(url)
        assert str(caught.value) == (
            "The store's URL (s3://…) holds more than a bucket before its first '/', such as a password.\n"
            "Hint: credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, …), a server's address from "
            "AWS_ENDPOINT_URL; a password that was given in a URL should be changed"
        )

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("s3://", "'' cannot be a bucket's name"),
            ("s3:///x", "'' cannot be a bucket's name"),
            ("s3://a b/x", "'a b' cannot be a bucket's name"),
            ("s3://bucket/../x", "'../x' cannot be a prefix in a bucket"),
            ("s3://bucket/x?secret=hunter2", "'x' cannot be a prefix in a bucket"),
            ("s3://bucket/a//b", "'a//b' cannot be a prefix in a bucket"),
        ],
    )
    def test_what_is_no_place_is_refused(self, url: str, text: str) -> None:
        with pytest.raises(StoreError) as caught:
            open_store(url)
        assert str(caught.value) == f"{text}.\nHint: give a bucket and a prefix, such as 's3://bucket/team/churn'"

    @pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
    def test_without_the_extra_the_line_that_installs_it_is_said(
        self, scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "obstore", None)
        with pytest.raises(StoreError) as caught:
            BucketStore(f"{scheme}://bucket/x", cache=tmp_path)
        assert str(caught.value) == (
            f"A store in a bucket ({scheme}://bucket) needs the package 'obstore', which isn't installed.\n"
            "Hint: pip install 'headrace[s3]'"
        )


class TestSurroundings:
    def test_the_cache_is_where_the_environment_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        assert cache_root({}) == Path("/home/me/.cache/headrace")
        assert cache_root({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/headrace")
        assert cache_root({"XDG_CACHE_HOME": "/caches", "HEADRACE_CACHE": "~/near"}) == Path("/home/me/near")

    def test_the_endpoint_is_the_most_special_one(self) -> None:
        names = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
        assert endpoint({}) is None
        for number in range(3):
            assert endpoint({name: name.lower() for name in names[: number + 1]}) == names[number].lower()

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, str]:
        (tmp_path / "credentials").write_text(
            "[default]\naws_access_key_id = A\naws_secret_access_key = B%\n"
            "[team]\naws_access_key_id = C\naws_secret_access_key = D\naws_session_token = E\n[sso]\n"
        )
        (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n[profile team]\nregion = eu-north-1\n")
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
        }

    def test_a_profile_gives_keys_and_region(self, files: dict[str, str]) -> None:
        assert profile_settings(files) == {
            "access_key_id": "A",
            "secret_access_key": "B%",
            "region": "eu-west-1",
        }
        assert profile_settings({**files, "AWS_PROFILE": "team"}) == {
            "access_key_id": "C",
            "secret_access_key": "D",
            "session_token": "E",
            "region": "eu-north-1",
        }

    def test_the_environment_goes_first(self, files: dict[str, str]) -> None:
        assert profile_settings({**files, "AWS_ACCESS_KEY_ID": "x", "AWS_REGION": "y"}) == {}
        assert profile_settings({**files, "AWS_WEB_IDENTITY_TOKEN_FILE": "x"}) == {"region": "eu-west-1"}

    def test_a_profile_that_signs_in_elsewhere_is_said(self, files: dict[str, str]) -> None:
        with pytest.raises(StoreError) as caught:
            profile_settings({**files, "AWS_PROFILE": "sso"})
        assert str(caught.value) == (
            "The profile AWS_PROFILE='sso' has no keys of its own in the credentials file.\n"
            'Hint: sign in first, then: eval "$(aws configure export-credentials --format env)"'
        )

    def test_files_that_are_absent_or_broken_say_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "broken").write_bytes(b"\xff no [section")
        for name in ("absent", "broken"):
            path = str(tmp_path / name)
            assert profile_settings({"AWS_SHARED_CREDENTIALS_FILE": path, "AWS_CONFIG_FILE": path}) == {}


def _answer(status: int, code: str) -> str:
    return (
        f"Error performing PUT http://user:hunter2@s3.example.com:9000/b/k in 3ms - Server returned non-2xx status "
        f"code: {status} Reason: <Error><Code>{code}</Code><AWSAccessKeyId>AKIAHUNTER2</AWSAccessKeyId></Error>\n"
        "Debug source: hunter2"
    )


class GenericError(Exception):
    """Named as the library's."""


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "kind", "words"),
        [
            (_answer(404, "NoSuchBucket"), "no bucket", "s3.example.com:9000 answered 404 NoSuchBucket"),
            (_answer(404, "NoSuchKey"), "absent", "s3.example.com:9000 answered 404 NoSuchKey"),
            (_answer(403, "InvalidAccessKeyId"), "denied", "s3.example.com:9000 answered 403 InvalidAccessKeyId"),
            (_answer(400, "ExpiredToken"), "denied", "s3.example.com:9000 answered 400 ExpiredToken"),
            (_answer(301, "PermanentRedirect"), "refused", "s3.example.com:9000 answered 301 PermanentRedirect"),
            (_answer(409, "ConditionalRequestConflict"), "conflict", None),
            (_answer(507, "XMinioStorageFull"), "full", None),
            (_answer(503, "SlowDown"), "network", "s3.example.com:9000 answered 503 SlowDown"),
            (_answer(429, "TooMany"), "network", None),
            (
                "Error performing GET http://h/b in 1s - HTTP error: response body error: operation timed out",
                "network",
                "h did not answer in time",
            ),
            (
                "Error performing GET http://h:1/b in 1s, after 1 retries, max_retries: 1, retry_timeout: 180s - HTTP "
                "error: error sending request",
                "network",
                "the connection to h:1 failed or broke off",
            ),
            (
                "Error performing PUT http://169.254.169.254/latest/api/token in 1s - HTTP error: error sending",
                "no credentials",
                "no credentials were found",
            ),
        ],
    )
    def test_a_fault_has_a_kind_and_no_credential(self, text: str, kind: str, words: str | None) -> None:
        fault = fault_of(GenericError(text))
        assert fault.kind == kind
        assert words is None or str(fault) == words
        assert "hunter2" not in repr(fault).lower()

    def test_a_fault_becomes_the_error_of_a_store(self) -> None:
        where = "s3://b/runs/r.json"
        full = explain_fault(BucketFault("full", "h answered 507"), "write a record", where, writes=True)
        assert isinstance(full, StoreFullError)
        assert str(full) == (
            "No space is left to write a record: h answered 507 (s3://b/runs/r.json).\n"
            "Hint: nothing half-written was left behind: make space (or raise the quota) and run again"
        )
        denied = BucketFault("denied", "h answered 403 AccessDenied")
        writing = explain_fault(denied, "write a record", where, writes=True)
        assert isinstance(writing, StoreReadOnlyError)
        assert str(writing).startswith("The store may not be used to write a record: h answered 403 AccessDenied (s3")
        reading = explain_fault(denied, "read a record", where, writes=False)
        assert type(reading) is StoreError
        assert "Hint: these credentials need the rights to get, put, delete and list there" in str(reading)
        alone = explain_fault(BucketFault("no credentials", "no credentials were found"), "open", where, writes=False)
        assert "Hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in str(alone)
