"""How a file's text is encoded, where nobody says."""

from __future__ import annotations

import codecs
import zlib

from headrace.steps.reading.sniffing import Sniffed, open_bytes

CHUNK_BYTES = 1 << 20
FALLBACKS = ("cp1252", "latin-1")
"""Tried in this order after UTF-8. That of Windows has no meaning for five bytes, the other one for all."""


def find_encoding(file: Sniffed) -> str:
    """Give the encoding of separated text, by reading it all: UTF-8 where it is that, else one of the fallbacks.

    A file that is cut short or damaged is told by who reads its rows; here it is UTF-8.
    """
    return next((encoding for encoding in ("utf-8", FALLBACKS[0]) if _decodes(file, encoding)), FALLBACKS[1])


def _decodes(file: Sniffed, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with open_bytes(file) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except (OSError, EOFError, zlib.error):
        return True
    return True
