"""What a step made, shown where it can be: small JSON values, pictures, pages, texts."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.core.errors import StoreError
from headrace.engine.readable import stored_json
from headrace.reports.charts import charts_of, metrics_with_intervals
from headrace.reports.html import Html, el, join
from headrace.reports.profiles import FORMAT as PROFILE
from headrace.reports.profiles import is_drift, show_drift, show_profile
from headrace.reports.values import show_value

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.stores.protocol import Store

SHOWN_FORMATS = frozenset({"json", "figure", "svg", "html", "text", PROFILE})
MOST_BYTES_OF_A_PICTURE = 600_000
MOST_BYTES_OF_A_PAGE = 400_000
MOST_BYTES_OF_A_SINGLE_VALUE = 200
MOST_CHARACTERS_OF_A_TEXT = 8_000
TALL_BYTES = 2_000
"""JSON values of more than this are folded away at first."""


def show_outputs(store: Store, outputs: Mapping[str, Artifact]) -> Html | None:
    """What a node made, or None where nothing of it is of a kind that can be shown, small enough, and still there."""
    found = {name: stored_json(store, artifact, floats=True) for name, artifact in outputs.items()}
    values = {name: value[0] for name, value in found.items() if value is not None}
    parts: list[Html] = []
    if values:
        parts.append(_show_json(values["output"] if list(values) == ["output"] else values))
    for name, artifact in outputs.items():
        content = _show_file(store, artifact)
        if content is not None:
            parts.append(content if len(outputs) == 1 else el("div", el("h4", name), content, class_="part"))
    return join(*parts) if parts else None


def single_value(store: Store, outputs: Mapping[str, Artifact]) -> Html | None:
    """The value of a node that made one plain value and nothing else."""
    if list(outputs) != ["output"] or outputs["output"].n_bytes > MOST_BYTES_OF_A_SINGLE_VALUE:
        return None
    value = stored_json(store, outputs["output"], floats=True)
    return None if value is None or isinstance(value[0], Mapping | list) else show_value(value[0])


def _show_file(store: Store, artifact: Artifact) -> Html | None:
    try:
        if artifact.format in ("figure", "svg"):
            return _picture(store, artifact)
        if artifact.format == "html":
            return _page(store, artifact)
        if artifact.format == "text":
            return _text(store, artifact)
        if artifact.format == PROFILE:
            return show_profile(store, artifact)
    except (StoreError, UnicodeDecodeError):
        return None
    return None


def is_tall(outputs: Mapping[str, Artifact]) -> bool:
    """Whether what a node made would push the rest of the page far down."""
    return sum(artifact.n_bytes for artifact in outputs.values() if artifact.format == "json") > TALL_BYTES


def _show_json(value: Any) -> Html:
    if not isinstance(value, Mapping):
        return show_value(value)
    if is_drift(value):
        return show_drift(value)
    rest = dict(value)
    parts: list[Html | None] = []
    metrics = metrics_with_intervals(rest.get("metrics"), rest.get("intervals"))
    if metrics is not None:
        parts.append(metrics)
        rest = {name: item for name, item in rest.items() if name not in ("metrics", "intervals")}
    charts, drawn = charts_of(rest)
    if charts:
        parts.append(el("div", charts, class_="charts"))
    rest = {name: item for name, item in rest.items() if name not in drawn}
    return join(*parts, show_value(rest) if rest or not parts else None)


def _content(store: Store, artifact: Artifact, most: int) -> bytes | None:
    if artifact.n_bytes > most or len(artifact.files) != 1:
        return None
    return store.read_object(artifact.files[0].digest)


def _picture(store: Store, artifact: Artifact) -> Html | None:
    data = _content(store, artifact, MOST_BYTES_OF_A_PICTURE)
    if data is None:
        return None
    kind = "image/svg+xml" if artifact.format == "svg" else "image/png"
    return el("img", src=f"data:{kind};base64,{base64.b64encode(data).decode()}", alt="", class_="picture")


def _page(store: Store, artifact: Artifact) -> Html | None:
    """A page in a frame, without scripts and with nothing loaded: the report's own policy holds in it."""
    data = _content(store, artifact, MOST_BYTES_OF_A_PAGE)
    return None if data is None else el("iframe", sandbox="", srcdoc=data.decode(), class_="page", loading="lazy")


def _text(store: Store, artifact: Artifact) -> Html | None:
    data = _content(store, artifact, MOST_BYTES_OF_A_PAGE)
    if data is None:
        return None
    text = data.decode()
    cut = (
        f"\n… {len(text) - MOST_CHARACTERS_OF_A_TEXT} more characters" if len(text) > MOST_CHARACTERS_OF_A_TEXT else ""
    )
    return el("pre", text[:MOST_CHARACTERS_OF_A_TEXT] + cut)
