"""Text, HTML and bytes ⇄ one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from headrace.core.errors import FormatError
from headrace.formats.declared import class_of, is_named, is_path
from headrace.formats.files import materialise, only_file, reading


class Text(str):
    """Text that is stored as a text file rather than a JSON value: ``def notes(...) -> Text``."""

    __slots__ = ()


class Html(str):
    """A page that is stored as an HTML file: ``def chart(...) -> Html``."""

    __slots__ = ()


class TextFormat:
    """Text ⇄ ``text.txt`` in UTF-8, line ends and all; for `Text`, or by name: ``Annotated[str, "text"]``."""

    name: ClassVar[str] = "text"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "text.txt"
    _own: ClassVar[str] = "headrace.formats.text.Text"

    def handles(self, declared: object) -> bool:
        """Say whether text is declared."""
        return is_named(declared, (self._own, "builtins.str"), subclasses=False)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the text. Raises FormatError for another value."""
        if not isinstance(value, str):
            raise FormatError(f"Text is declared, but got {value!r:.80} ({type(value).__name__})", hint="return a str")
        try:
            (folder / self.file).write_bytes(value.encode())
        except UnicodeEncodeError as error:
            raise FormatError(
                f"The text holds {error.object[error.start]!r}, half of a character", hint="repair it, or return bytes"
            ) from error

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the text."""
        path = only_file(files, self.file, self.name)
        if is_path(declared):
            return materialise(files)
        with reading(f"The text {self.file!r}"):
            text = path.read_bytes().decode()
        make: Callable[[str], object] = class_of(declared) or str
        return make(text) if make in (Text, Html) else text


class HtmlFormat(TextFormat):
    """HTML ⇄ ``page.html`` in UTF-8; for `Html`, or by name: ``Annotated[str, "html"]``."""

    name = "html"
    file = "page.html"
    _own = "headrace.formats.text.Html"


class BytesFormat:
    """Bytes ⇄ ``data.bin``."""

    name = "bytes"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether bytes are declared."""
        return is_named(declared, ("builtins.bytes",), subclasses=False)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the bytes. Raises FormatError for another value."""
        if not isinstance(value, bytes):
            raise FormatError(
                f"Bytes are declared, but got {value!r:.80} ({type(value).__name__})", hint="return bytes"
            )
        (folder / "data.bin").write_bytes(value)

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the bytes."""
        path = only_file(files, "data.bin", self.name)
        return materialise(files) if is_path(declared) else path.read_bytes()
