"""Files of web servers, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headrace import RunResult, Secret
from headrace.core.errors import DataError, TransientError
from headrace.core.external import is_unfingerprinted
from headrace.steps import Http
from headrace.steps.sources import web

from conftest_sources import failure, outcomes  # isort: skip


@dataclass
class Site:
    """What the server gives, and what it was asked."""

    data: bytes = b"id,name\n1,Ada\n"
    etag: str | None = '"v1"'
    ranges: bool = True
    breaks_after: int | None = None
    n_breaks: int = 10**6
    status: int = 200
    head_status: int = 200
    elsewhere: str | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site()
    monkeypatch.setattr(web, "FIRST_PAUSE_SECONDS", 0.001)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            return

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            site.asked.append((self.command, dict(self.headers)))
            status = site.head_status if self.command == "HEAD" and site.head_status != 200 else site.status
            if site.elsewhere is not None and self.path != "/moved.csv":
                self.send_response(302)
                self.send_header("Location", site.elsewhere)
                self.end_headers()
                return
            if self.headers.get("If-Match") not in (None, site.etag):
                status = 412
            start = 0
            wanted = self.headers.get("Range")
            if status == 200 and wanted and site.ranges and self.headers.get("If-Range") in (None, site.etag):
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                status = 206
            body = site.data[start:] if status < 300 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if site.etag is not None:
                self.send_header("ETag", site.etag)
            if site.ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if not with_body:
                return
            if site.breaks_after is not None and site.n_breaks > 0:
                site.n_breaks -= 1
                self.wfile.write(body[: site.breaks_after])
                self.close_connection = True
            else:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/data/people.csv"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_with_a_strong_etag_is_read_once(site: Site, run: Callable[..., RunResult]) -> None:
    assert run(f'ingest("{site.url}")').load() == [[1, "Ada"]]
    n_read = sum(method == "GET" for method, _ in site.asked)
    assert outcomes(run(f'ingest("{site.url}")')) == ["cached", "cached"]
    assert sum(method == "GET" for method, _ in site.asked) == n_read == 1

    site.data, site.etag = b"id,name\n1,Ada\n2,Bob\n", '"v2"'
    assert run(f'ingest("{site.url}")').load() == [[1, "Ada"], [2, "Bob"]]


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_one_it_is_always_read_and_what_follows_is_cut_off(
    site: Site, run: Callable[..., RunResult], etag: str | None
) -> None:
    site.etag = etag
    assert is_unfingerprinted(Http(site.url).look())

    assert outcomes(run(f'ingest("{site.url}")')) == ["succeeded", "succeeded"]
    assert outcomes(run(f'ingest("{site.url}")')) == ["succeeded", "cached"]
    site.data += b"2,Bob\n"
    assert outcomes(run(f'ingest("{site.url}")')) == ["succeeded", "succeeded"]


def test_it_goes_on_where_the_connection_broke_off(site: Site, tmp_path: Path) -> None:
    site.data, site.breaks_after, site.n_breaks = bytes(range(256)) * 50, 3000, 3
    path = Http(site.url).fetch({"etag": '"v1"'}, tmp_path)

    assert path.read_bytes() == site.data
    ranges = [headers.get("Range") for method, headers in site.asked if method == "GET"]
    assert ranges == [None, "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_where_it_can_not_go_on_it_begins_again(site: Site, tmp_path: Path) -> None:
    site.data, site.breaks_after, site.n_breaks, site.ranges = bytes(range(256)) * 50, 3000, 2, False
    path = Http(site.url).fetch({}, tmp_path)
    assert path.read_bytes() == site.data


def test_one_that_breaks_off_for_ever(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.breaks_after, site.ranges = 3, False
    with pytest.raises(
        TransientError, match=r"broke off after \d+ bytes: 14 were announced\.\nHint: nothing was stored"
    ):
        Http(site.url).fetch({"etag": '"v1"'}, tmp_path)


@pytest.mark.parametrize("knows_conditions", [True, False])
def test_one_that_changes_while_the_run_is_under_way(site: Site, tmp_path: Path, knows_conditions: bool) -> None:
    pin = Http(site.url).look()
    site.etag = '"v2"'
    if not knows_conditions:
        pin = {"etag": '"v1"'}
    with pytest.raises(TransientError, match="changed since the run began"):
        Http(site.url).fetch(pin, tmp_path)


def test_what_the_server_refuses(site: Site, run: Callable[..., RunResult]) -> None:
    site.status = 404
    with pytest.raises(DataError, match=r"the server answered 404 Not Found\.\nHint: look at the address's spelling"):
        run(f'ingest("{site.url}")')
    site.status = 401
    with pytest.raises(DataError, match="give a header with a Secret"):
        Http(site.url).look()
    site.status = 503
    with pytest.raises(TransientError, match="answered 503"):
        Http(site.url).look()


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(TransientError, match=r"'http://127.0.0.1:9/x' can't be reached: .*refused"):
        Http("http://127.0.0.1:9/x").look()


def test_a_server_that_knows_no_head(site: Site) -> None:
    site.head_status = 405
    assert Http(site.url).look() == {"etag": '"v1"'}


def test_a_secret_header_is_in_no_record(
    site: Site, run: Callable[..., RunResult], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_TOKEN", "Bearer very-secret-token")
    expression = f'ingest(Http("{site.url}", headers={{"Authorization": Secret("SITE_TOKEN")}}))'
    assert run(expression, inline=False).load() == [[1, "Ada"]]
    assert all(headers["Authorization"] == "Bearer very-secret-token" for _, headers in site.asked)
    for file in project.rglob("*"):
        if file.is_file():
            assert b"very-secret-token" not in file.read_bytes(), file


def test_a_secret_header_is_not_sent_on_to_another_host(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_TOKEN", "Bearer very-secret-token")
    site.elsewhere = site.url.replace("127.0.0.1", "localhost").replace("data/people.csv", "moved.csv")
    Http(site.url, {"Authorization": Secret("SITE_TOKEN")}).look()
    assert ["Authorization" in headers for _, headers in site.asked] == [True, False]


@pytest.mark.parametrize("url", ["ftp://x/y", "http://", "people.csv"])
def test_no_web_address(url: str) -> None:
    with pytest.raises(DataError, match="is no web address"):
        Http(url)


def test_a_login_page_in_place_of_the_file(site: Site, run: Callable[..., RunResult]) -> None:
    site.data = b"<!doctype html><html>log in</html>"
    assert "is a web page, not CSV" in failure(run(f'ingest("{site.url}")'))
