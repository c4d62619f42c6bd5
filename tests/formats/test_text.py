from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.formats import Html, Text
from headrace.formats.text import BytesFormat, HtmlFormat, TextFormat
from headrace.testing.formats import FormatContract, format_error, stored


class TestTextContract(FormatContract):
    format = TextFormat()
    wrong = (3, Text, "Text is declared, but got 3 (int)")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(Text("né\r\n\u2028\t"), Text), (Text(""), Text), ("plain", str)]

    def checked_files(self, names: Any) -> Any:
        return []


class TestHtmlContract(TestTextContract):
    format = HtmlFormat()
    wrong = (None, Html, "Text is declared, but got None (NoneType)")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(Html("<p>né</p>"), Html), ("<p>", str)]


class TestBytesContract(TestTextContract):
    format = BytesFormat()
    wrong = ("a", bytes, "Bytes are declared, but got 'a' (str)")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(b"\x00\r\n\xff", bytes), (b"", bytes)]


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    error = format_error(lambda: TextFormat().save("a\ud800", tmp_path, str))
    assert error.message == "The text holds '\\ud800', half of a character"


def test_text_that_is_no_utf8_is_refused() -> None:
    with stored(TextFormat(), "a", str) as files:
        files["text.txt"].chmod(0o644)
        files["text.txt"].write_bytes(b"\xff")
        error = format_error(lambda: TextFormat().load(files, str))
    assert error.message.startswith("The text 'text.txt' can't be read (UnicodeDecodeError")


def test_a_missing_file_is_named() -> None:
    error = format_error(lambda: TextFormat().load({"other": Path("x")}, str))
    assert error.message == "An artifact of format 'text' must hold 'text.txt', but holds 'other'"


def test_text_keeps_its_class_and_its_ending_as_a_file() -> None:
    with stored(HtmlFormat(), Html("<p>"), Html) as files:
        assert type(HtmlFormat().load(files, Html)) is Html
        assert type(HtmlFormat().load(files, str)) is str
        path = HtmlFormat().load(files, Path)
    assert isinstance(path, Path)
    assert path.name == "page.html"
