"""HTML and SVG as text, in which everything that isn't markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.reports.texts import clean

VOID = frozenset({"meta", "br", "img", "rect", "line", "path", "circle", "link"})


class Html(str):
    """Text that is markup."""

    __slots__ = ()


Child = str | Html | None
"""A piece of a page: markup as it stands, other text escaped, None left out."""


def el(name: str, /, *children: Child | Iterable[Child], **attributes: object) -> Html:
    """An element. Attributes: ``class_`` for ``class``, ``_`` for ``-``; those that are None or False are left out."""
    shown = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    inner = join(*children)
    if name in VOID and not inner:
        return Html(f"<{name}{shown}/>")
    return Html(f"<{name}{shown}>{inner}</{name}>")


def join(*children: Child | Iterable[Child]) -> Html:
    """Pieces one after the other."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(_escaped(clean(child)))
        else:
            parts.append(join(*child))
    return Html("".join(parts))


def _escaped(text: str) -> str:
    """The standard library's ``html.escape`` would load all names of HTML's characters first."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{_escaped(clean(str(value)))}"'


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]], class_: str | None = None) -> Html:
    """A table; a cell that is an element ``td`` or ``th`` already stands as it is."""
    top = el("thead", el("tr", [_cell(cell, "th") for cell in head]))
    body = el("tbody", [el("tr", [_cell(cell) for cell in row]) for row in rows])
    return el("div", el("table", top, body, class_=class_), class_="scroll")


def _cell(cell: Child, name: str = "td") -> Html:
    is_cell = isinstance(cell, Html) and cell.startswith(("<td", "<th"))
    return Html(cell) if is_cell else el(name, cell, scope="col" if name == "th" else None)
