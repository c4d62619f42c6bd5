"""What a file really is, by its first bytes and not by its name."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast, get_args

from headrace.core.errors import DataError, near_miss

FileKind = Literal["csv", "tsv", "parquet", "jsonl", "arrow"]
"""The kinds of file that can be read: separated text (by commas, by tabs), Parquet, JSON lines, Arrow (IPC)."""

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
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}

Packing = Literal["gzip", "zstd"]
"""How a file is compressed as a whole."""

PACKINGS: dict[str, Packing] = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_PACKED: tuple[tuple[bytes, Packing], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))

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
    (b"ARROW1", "Arrow"),
    (b"\xff\xff\xff\xff", "Arrow"),
    (b"FEA1", "Feather of the first version"),
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
    packing: Packing | None
    head: bytes
    """Its first bytes, unpacked."""


def sniff(path: Path, *, declared: FileKind | None = None, encoding: str = "utf-8") -> Sniffed:
    """Find out what a file is.

    The name's suffix and the bytes must agree; where the suffix says nothing, the bytes decide. ``declared`` stands
    for the suffix.

    Raises
    ------
    DataError
        The file is missing (the nearest names in its folder are given), a folder, unreadable, empty, not what its
        name or ``declared`` says, or of no kind that can be read.
    """
    head, packing = _head(path)
    if has_wide_units(encoding):
        head = head[: len(head) & ~3].decode(encoding, errors="ignore").encode()
    if not head.strip(b"\r\n\t \xef\xbb\xbf"):
        raise DataError(f"{path.name!r} is empty ({path})", hint="was it cut short, or not written yet?")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    named_packing = PACKINGS.get(suffixes[-1]) if suffixes else None
    if named_packing != packing and (declared is None or named_packing is not None) and suffixes:
        raise _wrong_packing(path, packing, named_packing)
    named = declared or next((SUFFIXES[s] for s in reversed(suffixes) if s in SUFFIXES), None)
    found, what = _recognise(head)
    if named is None and found is None:
        raise DataError(
            f"{path.name!r} is {what}, which can't be read ({path})",
            hint=_ADVICE.get(what, "give CSV, TSV, Parquet, Arrow or JSON lines"),
        )
    if named is not None and not _agree(named, found):
        raise _contradiction(path, named, what, declared is not None)
    kind = named or found
    assert kind is not None
    if packing is not None and kind in ("parquet", "arrow"):
        raise DataError(
            f"{path.name!r} is {_words(kind)} within {packing} ({path})",
            hint=f"unpack it: {_words(kind)} is compressed in itself",
        )
    return Sniffed(path, kind, packing, head)


def has_wide_units(encoding: str) -> bool:
    """Say whether text in an encoding can't be cut at the bytes of line ends: UTF-16 and the like."""
    ascii_bytes = bytes(range(128))
    try:
        is_ascii = ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except (UnicodeError, LookupError):
        return True
    return not is_ascii or encoding.lower().startswith(("iso2022", "iso-2022", "utf-7", "hz"))


def _head(path: Path) -> tuple[bytes, Packing | None]:
    """Read a file's first bytes, unpacked, and say how it is compressed."""
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise DataError(f"{str(path)!r} is a pipe or a device, not a file", hint="give a file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise DataError(f"{str(path)!r} is a folder, not a file", hint=_folder_hint(path)) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} can't be read: {error.strerror}", hint="check its permissions") from error
    packing = next((packing for mark, packing in _PACKED if head.startswith(mark)), None)
    if packing == "gzip":
        return _gzip_head(path, head), packing
    if packing == "zstd":
        with unpacked(path, packing) as stream, _damage_told(path):
            return stream.read(HEAD_BYTES), packing
    return head, None


def _gzip_head(path: Path, head: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise damaged(path, str(error)) from error
    if not found and not unpacker.eof:
        raise damaged(path, "it unpacks to nothing")
    return found


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, problem: str) -> DataError:
    """Say that a file's bytes can't be what was written."""
    return DataError(f"{path.name!r} is cut short or damaged: {problem} ({path})", hint="fetch it again")


def _missing(path: Path) -> DataError:
    folder = path.parent
    if path.is_symlink():
        return DataError(
            f"{str(path)!r} is a link to {str(path.readlink())!r}, which isn't there", hint="check the link"
        )
    if not folder.is_dir():
        return DataError(f"There is no file {str(path)!r}, nor a folder {str(folder)!r}", hint="check the path")
    names = [entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    return DataError(
        f"There is no file {path.name!r} in {str(folder.resolve())!r}",
        hint=near_miss(path.name, names) or "it has no files",
    )


def _folder_hint(path: Path) -> str:
    return near_miss("", [entry.name for entry in path.iterdir() if entry.is_file()]) or "give a file"


def _wrong_packing(path: Path, packing: Packing | None, named: Packing | None) -> DataError:
    if packing is not None:
        suffix = ".gz" if packing == "gzip" else ".zst"
        name = path.with_suffix("").name if named else path.name
        return DataError(
            f"{path.name!r} is {packing}, not what its name says ({path})",
            hint=f"rename it to {name + suffix!r}, or unpack it",
        )
    return DataError(
        f"{path.name!r} isn't {named}, though its name says so ({path})",
        hint=f"rename it to {path.name.removesuffix(path.suffix)!r}",
    )


def _recognise(head: bytes) -> tuple[FileKind | None, str]:
    """Say what bytes are: a kind that can be read or None, and the words for it."""
    has_zero_byte = b"\x00" in head
    for magic, what in MAGIC:
        # A header such as "ORCHARD,PAR1" is text: a mark of plain letters counts in binary data alone.
        if head.startswith(magic) and (has_zero_byte or not magic.isascii() or not magic.isalnum()):
            return _MARKED.get(what), what
    if has_zero_byte:
        # A few may have got into text; many, or others that no text has, mean that it is none.
        is_text = head.count(b"\x00") < len(head) / 100 and b"\n" in head and not head.translate(None, _NO_CONTROLS)
        return ("csv", "separated text") if is_text else (None, _binary(head))
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


_NO_CONTROLS = bytes({*range(256)} - {*range(1, 9), *range(14, 27), *range(28, 32)})
"""All bytes but the control characters that text doesn't have; NUL is looked at apart."""


def _binary(head: bytes) -> str:
    """Text in UTF-16 without a mark has a zero in every other byte."""
    halves = head[::2].count(b"\x00"), head[1::2].count(b"\x00")
    is_wide = len(head) > 8 and max(halves) > 0.4 * len(head) / 2 and min(halves) == 0
    return "text in UTF-16" if is_wide else "binary data of an unknown kind"


_MARKED: dict[str, FileKind] = {"Parquet": "parquet", "Arrow": "arrow"}

_ADVICE = {
    "Parquet": "rename it to .parquet",
    "Arrow": "rename it to .arrow",
    "JSON lines": "rename it to .jsonl",
    "separated text": "rename it to .csv, or export it again",
    "a web page": "the download probably got a login or error page: open it and see",
    "a JSON array": "write one object a line (JSON lines)",
    "a ZIP archive or an Excel workbook": "unpack it, or save the sheet as CSV",
    "an old Excel workbook": "save the sheet as CSV",
    "text in UTF-16": "give encoding='utf-16', or save it as UTF-8",
}


def _contradiction(path: Path, named: FileKind, what: str, is_declared: bool) -> DataError:
    by = f"kind={named!r}" if is_declared else "its name"
    advice = _ADVICE.get(what, "open it and see what it is")
    return DataError(f"{path.name!r} is {what}, not {_words(named)} as {by} says ({path})", hint=advice)


def _words(kind: FileKind) -> str:
    return {"csv": "CSV", "tsv": "TSV", "parquet": "Parquet", "jsonl": "JSON lines", "arrow": "Arrow"}[kind]


def open_bytes(sniffed: Sniffed) -> IO[bytes]:
    """Open a file for reading its unpacked bytes."""
    return unpacked(sniffed.path, sniffed.packing)


def unpacked(path: Path, packing: Packing | None) -> IO[bytes]:
    """Open a file for reading its unpacked bytes."""
    if packing == "zstd":
        import pyarrow as pa

        return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(path.open("rb"), mode="r"), "zstd"))
    return cast("IO[bytes]", gzip.open(path, "rb")) if packing == "gzip" else path.open("rb")
