"""matplotlib figures ⇄ a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from headrace.core.errors import FormatError
from headrace.formats.declared import is_named, is_path, type_name
from headrace.formats.files import materialise, only_file, reading

FIXED: dict[Any, Any] = {
    "svg.hashsalt": "headrace",
    "svg.fonttype": "path",
    "svg.id": None,
    "savefig.bbox": None,
    "savefig.dpi": "figure",
}
FIGURE_TYPES = ("matplotlib.figure.Figure",)


class FigureFormat:
    """A figure ⇄ ``figure.png``, drawn at its own size and resolution, without date or program.

    It arrives as a figure that shows the stored picture, pixel by pixel: its axes can't be changed any more. For a
    `Path` it arrives as the file. Equal bytes hold within one version of matplotlib.
    """

    name: ClassVar[str] = "figure"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "figure.png"

    def handles(self, declared: object) -> bool:
        """Say whether a figure is declared."""
        return is_named(declared, FIGURE_TYPES, subclasses=False)

    def save(self, value: Any, folder: Path, declared: object) -> None:
        """Draw the figure. Raises FormatError for another value."""
        _draw(value, folder / self.file, {"Software": None})

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Give a figure that shows the picture."""
        path = only_file(files, self.file, self.name)
        if is_path(declared):
            return materialise(files)
        return _shown(path)


class SvgFormat:
    """A figure → ``figure.svg``, by name: ``Annotated[Figure, "svg"]``; it arrives as a `Path`.

    Its ids are fixed, and text is drawn as shapes so that it looks the same without the fonts.
    """

    name = "svg"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say no: a figure is stored as SVG only when the annotation names the format."""
        return False

    def save(self, value: Any, folder: Path, declared: object) -> None:
        """Draw the figure. Raises FormatError for another value."""
        _draw(value, folder / "figure.svg", {"Date": None, "Creator": None})

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Give the file. Raises FormatError where something else than a `Path` is declared."""
        only_file(files, "figure.svg", self.name)
        if is_path(declared):
            return materialise(files)
        raise FormatError(
            "A figure stored as SVG can't become a figure again", hint="declare pathlib.Path to take the file"
        )


def _draw(value: Any, path: Path, metadata: dict[str, None]) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not isinstance(value, Figure):
        raise FormatError(f"A figure is declared, but got a {type_name(type(value))}", hint="return axes.figure")
    with mpl.rc_context(FIXED):
        value.savefig(path, metadata=metadata, format=path.suffix[1:])


def _shown(path: Path) -> Any:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image, UnidentifiedImageError

    with reading("The picture 'figure.png'", SyntaxError, UnidentifiedImageError), path.open("rb") as source:
        picture = Image.open(source, formats=["PNG"])
        pixels = np.asarray(picture.convert("RGBA"))
        dpi = round(float(picture.info["dpi"][0]), 1)
    height, width = pixels.shape[:2]
    # A hair more than the pixels, as matplotlib cuts fractions off.
    figure = Figure(figsize=((width + 0.01) / dpi, (height + 0.01) / dpi), dpi=dpi, frameon=False)
    figure.figimage(pixels, resize=False)
    return figure
