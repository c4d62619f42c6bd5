"""A file that a web server gives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from headrace.core.errors import DataError, HeadraceError, TransientError
from headrace.core.external import unfingerprinted
from headrace.core.secret import Secret
from headrace.steps.sources.source import Source, safe_name

CHUNK_BYTES = 1 << 20
ANSWER_SECONDS = 60.0
N_TRIES = 5
"""So many times in a row without a byte more, and it is given up."""
FIRST_PAUSE_SECONDS = 0.2
BUSY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Http(Source):
    """A file at an ``http://`` or ``https://`` URL.

    Its fingerprint is its strong ETag. Where the server gives none (or a weak one, which equal bytes need not have),
    the file is fetched in each run, and what follows is cut off by content. It is fetched chunk by chunk; where the
    connection breaks off it goes on from there if it has a strong ETag and the server can, else from the beginning.

    Parameters
    ----------
    url
        The URL, without a password in it.
    headers
        Headers to send. A secret one is a `Secret`, whose variable holds the whole value, such as ``Bearer …``. Headers
        are not sent on to another host that the server points to.

    Raises
    ------
    DataError
        The URL isn't one of a file on a web server.
    """

    url: str
    headers: Mapping[str, str | Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError(f"{self.url!r} is no web address", hint="such as 'https://example.org/data.csv'")

    def __hash__(self) -> int:
        return hash((self.url, tuple(sorted(self.headers))))

    def look(self) -> dict[str, Any]:
        """Ask for the ETag. Raises DataError or TransientError where the server doesn't give the file."""
        with closing(self._asked("HEAD", {})) as answer:
            headers = answer.headers
        etag = _strong_etag(headers)
        return unfingerprinted() if etag is None else {"etag": etag}

    def fetch(self, pin: Any, folder: Path) -> Path:
        """See `Source.fetch`."""
        path = folder / safe_name(unquote(urlsplit(self.url).path), "page")
        download = _Download(self, pin.get("etag"))
        with path.open("wb") as file:
            download.write_to(file)
        return path

    def _asked(self, method: str, headers: Mapping[str, str]) -> Any:
        """Send one request. Raises DataError for good, TransientError where it may pass."""
        own = {name: value.reveal() if isinstance(value, Secret) else value for name, value in self.headers.items()}
        request = Request(self.url, headers={"Accept-Encoding": "identity", **own, **headers}, method=method)
        try:
            return _opener(own).open(request, timeout=ANSWER_SECONDS)
        except HTTPError as error:
            error.close()
            if method == "HEAD" and error.code in (400, 403, 404, 405, 501):  # some servers know no HEAD
                return self._asked("GET", {"Range": "bytes=0-0"})
            raise self._refused(error.code, error.reason) from None
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise TransientError(
                f"{self.url!r} can't be reached: {reason}", hint="look at the address and the way there, then run again"
            ) from error

    def _refused(self, code: int, reason: str) -> HeadraceError:
        text = f"{self.url!r} can't be read: the server answered {code} {reason}"
        if code in BUSY:
            return TransientError(text, hint="it may pass: run again")
        if code == 412:
            return _changed(self.url)
        advice = {
            401: "give a header with a Secret: Http(url, headers={'Authorization': Secret('TOKEN')})",
            403: "it may not be read so: a header with a Secret may be needed",
            404: "look at the address's spelling",
            410: "it is gone for good",
        }
        return DataError(text, hint=advice.get(code, "look at the address in a browser"))


class _Download:
    """A file on its way, over as many connections as it takes."""

    def __init__(self, source: Http, etag: str | None) -> None:
        self._source = source
        self._pinned = etag
        self._etag: str | None = etag
        self._can_resume = False

    def write_to(self, file: IO[bytes]) -> None:
        """Write the whole file. Raises TransientError where it can't be had after several tries."""
        n_in_vain, pause = 0, FIRST_PAUSE_SECONDS
        while True:
            before = file.tell()
            problem = self._goes_on(file)
            if problem is None:
                return
            n_in_vain = 0 if file.tell() > before else n_in_vain + 1
            if n_in_vain == N_TRIES:
                raise TransientError(
                    f"{self._source.url!r} broke off after {file.tell()} bytes: {problem}",
                    hint="nothing was stored; run again",
                )
            time.sleep(pause * min(2**n_in_vain, 16))

    def _goes_on(self, file: IO[bytes]) -> str | None:
        """Read on until the end, or say what went wrong."""
        try:
            with closing(self._opened(file.tell())) as answer:
                if answer.start != file.tell():
                    file.seek(answer.start)
                    file.truncate()
                while chunk := answer.body.read(CHUNK_BYTES):
                    file.write(chunk)
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}".removesuffix(": ")
        except TransientError as error:
            if error.message.endswith(CHANGED):
                raise
            return error.message
        expected = answer.n_bytes
        if expected is not None and file.tell() < expected:
            return f"{expected} were announced"
        return None

    def _opened(self, n_bytes: int) -> Any:
        headers = {}
        if self._pinned is not None:
            headers["If-Match"] = self._pinned
        if n_bytes and self._can_resume and self._etag is not None:
            headers |= {"Range": f"bytes={n_bytes}-", "If-Range": self._etag}
        response = self._source._asked("GET", headers)
        etag = _strong_etag(response.headers)
        if self._pinned is not None and etag != self._pinned:
            response.close()
            raise _changed(self._source.url)
        is_rest = response.status == 206 and etag == self._etag
        self._etag = etag
        self._can_resume = etag is not None and response.headers.get("Accept-Ranges", "").lower() == "bytes"
        length = response.headers.get("Content-Length")
        start = n_bytes if is_rest else 0
        total = start + int(length) if length is not None and length.isdecimal() else None
        return _Opened(response, start, total)


@dataclass
class _Opened:
    body: Any
    start: int
    n_bytes: int | None
    """Of the whole file, where the server says so."""

    def close(self) -> None:
        self.body.close()


CHANGED = "changed since the run began"


def _changed(url: str) -> TransientError:
    return TransientError(f"{url!r} {CHANGED}", hint="nothing was stored; run again once it is complete")


def _strong_etag(headers: HTTPMessage) -> str | None:
    etag = headers.get("ETag")
    return etag if etag is not None and etag.startswith('"') and len(etag) > 2 else None


class _Redirects(HTTPRedirectHandler):
    """Follows to another host without the headers that were meant for the first."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self._own = {name.lower() for name in own}

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Give the request for where the answer points to."""
        target = urljoin(req.full_url, newurl)
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is None:
            return None
        new.method = req.get_method()
        if urlsplit(target)[:2] != urlsplit(req.full_url)[:2]:
            new.headers = {name: value for name, value in new.headers.items() if name.lower() not in self._own}
        return new


def _opener(own: Mapping[str, str]) -> OpenerDirector:
    return build_opener(_Redirects(own))
