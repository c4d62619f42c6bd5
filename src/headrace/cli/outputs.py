"""A run's outputs: listed, and taken out of the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import RunError, near_miss
from headrace.engine.readable import stored_json
from headrace.reports.texts import format_label, one_line, size

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.core.plan import Ref
    from headrace.engine.records import NodeResult
    from headrace.engine.view import RunView
    from headrace.stores.protocol import Store

MOST_CHARACTERS_OF_A_VALUE = 100


def made_outputs(results: Mapping[str, NodeResult], outputs: Mapping[str, Ref]) -> Iterator[tuple[str, Ref, Artifact]]:
    """The pipeline's outputs that were made."""
    for name, ref in outputs.items():
        result = results.get(ref.node)
        if result is not None and ref.output in result.outputs:
            yield name, ref, result.outputs[ref.output]


def output_row(store: Store, name: str, artifact: Artifact) -> Sequence[str]:
    """An output in columns: name, format, size, begin of its digest, and its value where that is short."""
    return (
        name,
        format_label(artifact.format),
        size(artifact.n_bytes),
        artifact.digest[:8],
        short_value(store, artifact),
    )


def short_value(store: Store, artifact: Artifact) -> str:
    """What is in an artifact, where it fits on a line; else how many files it has, where they are several."""
    value = stored_json(store, artifact, most_bytes=2000)
    if value is not None:
        return one_line(json.dumps(value[0], ensure_ascii=False), MOST_CHARACTERS_OF_A_VALUE)
    return "" if len(artifact.files) < 2 else f"{len(artifact.files)} files"


def output_json(store: Store, ref: Ref, artifact: Artifact) -> dict[str, Any]:
    """An output for programs; ``value`` is there for small JSON values."""
    value = stored_json(store, artifact)
    return {
        "node": ref.node,
        "output": ref.output,
        "format": artifact.format,
        "type": artifact.type,
        "n_bytes": artifact.n_bytes,
        "digest": artifact.digest,
        "files": [{"path": file.path, "digest": file.digest, "n_bytes": file.n_bytes} for file in artifact.files],
        **({"value": value[0]} if value is not None else {}),
    }


def save_output(view: RunView, name: str, place: Path) -> Path:
    """Copy an output of a run out of the store, to ``place`` or into it where it is a folder, and say where it is.

    ``name`` is an output of the pipeline, ``node`` or ``node.output``. Raises `RunError` when there is no such output,
    and when something is there already.
    """
    import shutil

    from headrace.formats.registry import format_named

    artifact = output_artifact(view, name)
    paths = {file.path: view.store.open_object(file.digest, n_bytes=file.n_bytes) for file in artifact.files}
    copy = format_named(artifact.format).load(paths, Path)
    assert isinstance(copy, Path)
    target = place / copy.name if place.is_dir() and copy.is_file() else place
    if target.exists():
        shutil.rmtree(copy) if copy.is_dir() else copy.unlink()
        raise RunError(f"There is something at {str(target)!r} already", hint="name another place, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(copy, target))


def output_artifact(view: RunView, name: str) -> Artifact:
    """An output of a run: of its pipeline, ``node`` or ``node.output``. Raises `RunError` when there is none such."""
    ref = view.plan.outputs.get(name)
    node, output = (ref.node, ref.output) if ref else (name, "output")
    if node not in view.plan.by_id:
        node, _, output = name.rpartition(".")
    result = view.results.get(node)
    if result is not None and output in result.outputs:
        return result.outputs[output]
    if node in view.plan.by_id:
        has = f"it gave {sorted(result.outputs)}" if result and result.outputs else None
        ended = f", which {result.outcome}" if result and not result.outcome.is_good else ""
        raise RunError(f"Run {view.id!r} has no output {output!r} of step {node!r}{ended}", hint=has)
    raise RunError(f"Run {view.id!r} has no output {name!r}", hint=near_miss(name, [*view.plan.outputs, *view.results]))
