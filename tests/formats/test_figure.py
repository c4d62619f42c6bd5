from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from headrace.formats import find_format, loads_as
from headrace.formats.figure import FigureFormat, SvgFormat
from headrace.testing.formats import FormatContract, digests, digests_of, format_error, stored


def figure() -> Figure:
    made = Figure(figsize=(3, 2), dpi=80)
    axes = made.subplots()
    axes.plot([1, 3, 2], label="été")
    axes.fill_between([0, 1, 2], [1, 2, 3], hatch="/", alpha=0.3)
    axes.legend()
    axes.set_title("$x^2$ <&>")
    return made


def pixels(made: Figure) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(made)
    canvas.draw()
    return canvas.buffer_rgba()


class TestFigureContract(FormatContract):
    format = FigureFormat()
    wrong = ("fig", Figure, "A figure is declared, but got a builtins.str")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(figure(), Figure), (Figure(figsize=(1, 1)), Figure)]

    def equal(self, one: Figure, other: Figure) -> bool:
        return bytes(pixels(one)) == bytes(pixels(other))


class TestSvgContract(FormatContract):
    format = SvgFormat()
    wrong = ("fig", Annotated[Figure, "svg"], "A figure is declared, but got a builtins.str")
    is_chosen_by_type = False

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [(figure(), Annotated[Figure, "svg"])]

    def test_round_trip(self) -> None:
        """It comes back as a file only."""
        with stored(self.format, figure(), Figure) as files:
            path = self.format.load(files, Path)
            error = format_error(lambda: self.format.load(files, Figure))
        assert isinstance(path, Path)
        assert path.name == "figure.svg"
        assert path.read_text().startswith("<?xml")
        assert error.message == "A figure stored as SVG can't become a figure again"
        assert error.hint == "declare pathlib.Path to take the file"

    def test_loaded_value_has_the_same_bytes(self) -> None:
        """The file is what was stored."""
        with stored(self.format, figure(), Figure) as files:
            path: Any = self.format.load(files, Path)
            assert path.read_bytes() == files["figure.svg"].read_bytes()

    def test_loading_leaves_stored_files_alone(self) -> None:
        """The file is a copy."""
        with stored(self.format, figure(), Figure) as files:
            before = files["figure.svg"].read_bytes()
            path: Any = self.format.load(files, Path)
            path.write_text("changed")
            assert files["figure.svg"].read_bytes() == before

    def checked_files(self, names: Any) -> Any:
        return []


@pytest.mark.parametrize("size", [(2.37, 1.11, 72.5), (3, 1.999, 101), (0.5, 0.31, 300), (6.4, 4.8, 150)])
def test_a_picture_of_any_size_stays_what_it_is(size: tuple[float, float, float]) -> None:
    made = Figure(figsize=size[:2], dpi=size[2])
    made.subplots().plot([1, 2])
    with stored(FigureFormat(), made, Figure) as files:
        loaded = FigureFormat().load(files, Figure)
        assert digests_of(FigureFormat(), loaded, Figure) == digests(files)


def test_the_settings_of_a_program_leave_no_trace() -> None:
    expected = digests_of(FigureFormat(), figure(), Figure)
    made = figure()
    with mpl.rc_context({"savefig.dpi": 300, "savefig.bbox": "tight", "svg.hashsalt": "other"}):
        assert digests_of(FigureFormat(), made, Figure) == expected


def test_the_picture_has_the_figures_size_and_no_word_of_the_program() -> None:
    with stored(FigureFormat(), figure(), Figure) as files:
        assert image.imread(files["figure.png"], format="png").shape[:2] == (160, 240)
        assert b"atplotlib" not in files["figure.png"].read_bytes()
    with stored(SvgFormat(), figure(), Figure) as files:
        assert "<dc:date>" not in files["figure.svg"].read_text()


def test_svg_is_chosen_by_name() -> None:
    assert find_format(Annotated[Figure, "svg"]).name == "svg"
    assert loads_as("svg", Path)
    assert not loads_as("svg", Figure)
