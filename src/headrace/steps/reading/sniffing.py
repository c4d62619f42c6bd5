"""What a file really is, by its first bytes and not by its name."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast, get_args

from headrace.core.errors import DataError, near_miss

FileKind = Literal["csv", "tsv", "parquet", "jsonl"]
"""The kinds of file that can be read: separated text (by commas, by tabs), Parquet, JSON lines."""

FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)

HEAD_BYTES = 64 * 1024

SUFFIXES: dict[str, FileKind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "Parquet"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"ARROW1", "an Arrow file"),
    (b"Obj\x01", "Avro"),
    (b"ORC", "ORC"),
    (b"\x7fELF", "a program"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
)
"""How files begin, and what they are then."""


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A file and what it is."""

    path: Path
    kind: FileKind
    gzipped: bool
    head: bytes
    """Its first bytes, unpacked."""


def sniff(path: Path, *, declared: FileKind | None = None) -> Sniffed:
    """Find out what a file is.

    The name's suffix and the bytes must agree; where the suffix says nothing, the bytes decide. ``declared`` stands
    for the suffix.

    Raises
    ------
    DataError
        The file is missing (the nearest names in its folder are given), a folder, unreadable, empty, not what its
        name or ``declared`` says, or of no kind that can be read.
    """
    head, gzipped = _head(path)
    if not head.strip(b"\r\n\t \xef\xbb\xbf"):
        raise DataError(f"{path.name!r} is empty ({path})", hint="was it cut short, or not written yet?")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if (suffixes[-1:] == [".gz"]) != gzipped and (declared is None or suffixes[-1:] == [".gz"]) and suffixes:
        _refuse_gzip(path, gzipped, suffixes)
    named = declared or next((SUFFIXES[s] for s in reversed(suffixes) if s in SUFFIXES), None)
    found, what = _recognise(head)
    if named is None and found is None:
        raise DataError(
            f"{path.name!r} is {what}, which can't be read ({path})", hint="give CSV, TSV, Parquet or JSON lines"
        )
    if named is None:
        assert found is not None
        return Sniffed(path, found, gzipped, head)
    if not _agree(named, found):
        raise _contradiction(path, named, what, declared is not None)
    return Sniffed(path, named, gzipped, head)


def _head(path: Path) -> tuple[bytes, bool]:
    """Read a file's first bytes, unpacked, and say whether it is gzip."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise DataError(f"{str(path)!r} is a folder, not a file", hint=_folder_hint(path)) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} can't be read: {error.strerror}", hint="check its permissions") from error
    if not head.startswith(b"\x1f\x8b"):
        return head, False
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise _damaged(path, str(error)) from error
    if not unpacked and not unpacker.eof:
        raise _damaged(path, "it unpacks to nothing")
    return unpacked, True


def _damaged(path: Path, problem: str) -> DataError:
    return DataError(f"{path.name!r} is a damaged gzip file: {problem} ({path})", hint="fetch it again")


def _missing(path: Path) -> DataError:
    folder = path.parent
    if not folder.is_dir():
        return DataError(f"There is no file {str(path)!r}, nor a folder {str(folder)!r}", hint="check the path")
    names = [entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    return DataError(
        f"There is no file {path.name!r} in {str(folder.resolve())!r}",
        hint=near_miss(path.name, names) or "it has no files",
    )


def _folder_hint(path: Path) -> str:
    return near_miss("", [entry.name for entry in path.iterdir() if entry.is_file()]) or "give a file"


def _refuse_gzip(path: Path, gzipped: bool, suffixes: list[str]) -> None:
    if gzipped:
        raise DataError(
            f"{path.name!r} is gzip, not what its name says ({path})",
            hint=f"rename it to {path.name + '.gz'!r}, or unpack it",
        )
    raise DataError(
        f"{path.name!r} isn't gzip, though its name says so ({path})",
        hint=f"rename it to {path.name.removesuffix(path.suffix)!r}",
    )


def _recognise(head: bytes) -> tuple[FileKind | None, str]:
    """Say what bytes are: a kind that can be read or None, and the words for it."""
    has_zero_byte = b"\x00" in head
    for magic, what in MAGIC:
        # A header such as "ORCHARD,PAR1" is text: a mark of plain letters counts in binary data alone.
        if head.startswith(magic) and (has_zero_byte or not magic.isascii() or not magic.isalnum()):
            return ("parquet" if what == "Parquet" else None), what
    if has_zero_byte:
        return None, "binary data of an unknown kind"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    start = text[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return None, "a web page"
    if start.startswith(b"<?xml"):
        return None, "XML"
    if text.startswith(b"["):
        return None, "a JSON array"
    if text.startswith(b"{"):
        return "jsonl", "JSON lines"
    return "csv", "separated text"


def _agree(named: FileKind, found: FileKind | None) -> bool:
    return named == found or (named == "tsv" and found == "csv")


def _contradiction(path: Path, named: FileKind, what: str, is_declared: bool) -> DataError:
    by = f"kind={named!r}" if is_declared else "its name"
    advice = {
        "Parquet": "rename it to .parquet",
        "JSON lines": "rename it to .jsonl",
        "separated text": "rename it to .csv, or export it again",
        "a web page": "the download probably got a login or error page: open it and see",
        "a JSON array": "write one object a line (JSON lines)",
        "a ZIP archive or an Excel workbook": "unpack it, or save the sheet as CSV",
        "text in UTF-16": "save it as UTF-8",
    }.get(what, "open it and see what it is")
    return DataError(f"{path.name!r} is {what}, not {_words(named)} as {by} says ({path})", hint=advice)


def _words(kind: FileKind) -> str:
    return {"csv": "CSV", "tsv": "TSV", "parquet": "Parquet", "jsonl": "JSON lines"}[kind]


def open_bytes(sniffed: Sniffed) -> IO[bytes]:
    """Open a file for reading its unpacked bytes."""
    return cast("IO[bytes]", gzip.open(sniffed.path, "rb")) if sniffed.gzipped else sniffed.path.open("rb")
