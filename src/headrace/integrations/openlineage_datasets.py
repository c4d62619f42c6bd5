"""Artifacts and files as OpenLineage's datasets: their names, and the facets that say what is known of them.

An artifact's dataset has the store as its namespace and ``<pipeline>.<node>.<output>`` as its name, so that it is one
dataset from run to run, whose version is the artifact's digest. A file is ``file`` and its path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    storage_dataset,
)

from headrace.core.errors import HeadraceError
from headrace.core.forms import TAG
from headrace.engine.listeners import RunInfo, without_secrets
from headrace.engine.readable import stored_json, text
from headrace.engine.records import NodeResult
from headrace.engine.request import path_pin
from headrace.integrations.openlineage_facets import PRODUCER, ModelDatasetFacet, SplitDatasetFacet

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.core.plan import Node, Ref

MOST_BYTES_READ = 256_000_000
"""Tables up to this size are asked for their schema and statistics: checking them reads them."""
MOST_COLUMNS = 1_000
MOST_FILES = 1_000
ROLES = ("train", "validation", "test")
MODEL_FORMATS = ("skops", "lightgbm", "headrace.steps.model_format:ModelFormat")
MODEL_VERSION = "headrace.steps.registry.ModelVersion"


@dataclass(frozen=True)
class TableFacts:
    """What the files of a table say of it."""

    n_rows: int
    columns: tuple[tuple[str, str], ...]
    n_nulls: Mapping[str, int]
    bounds: Mapping[str, tuple[float, float]]


class Datasets:
    """Makes the datasets of a run's nodes."""

    def __init__(self, info: RunInfo, pins: Mapping[str, Any]) -> None:
        self._info = info
        self._pins = pins
        self._namespace = without_secrets(info.store.url)
        self._facts: dict[str, TableFacts | None] = {}

    def inputs(self, node: Node, results: Mapping[str, NodeResult]) -> list[InputDataset]:
        """What a node takes: artifacts of this run, and files outside of it."""
        refs = dict.fromkeys(node.refs())
        taken = [
            self._input(ref, results[ref.node].outputs[ref.output])
            for ref in refs
            if ref.node in results and ref.output in results[ref.node].outputs
        ]
        return [*taken, *map(self._file, dict.fromkeys(_paths_in(node)))]

    def outputs(self, node: Node, result: NodeResult) -> list[OutputDataset]:
        """What a node has made."""
        return [self._output(node, name, artifact, result) for name, artifact in result.outputs.items()]

    def _input(self, ref: Ref, artifact: Artifact) -> InputDataset:
        facts = self._table(artifact)
        known: dict[str, Any] = {}
        if facts is not None:
            metrics = data_quality_metrics_input_dataset
            columns = {
                name: metrics.ColumnMetrics(
                    nullCount=facts.n_nulls.get(name),
                    min=facts.bounds[name][0] if name in facts.bounds else None,
                    max=facts.bounds[name][1] if name in facts.bounds else None,
                )
                for name, _ in facts.columns
                if name in facts.n_nulls or name in facts.bounds
            }
            known["dataQualityMetrics"] = metrics.DataQualityMetricsInputDatasetFacet(
                columnMetrics=columns,
                rowCount=facts.n_rows,
                bytes=artifact.n_bytes,
                fileCount=len(artifact.files),
                producer=PRODUCER,
            )
        return InputDataset(
            namespace=self._namespace,
            name=f"{self._info.pipeline}.{ref.node}.{ref.output}",
            facets=self._facets(artifact, facts),
            inputFacets=known,
        )

    def _output(self, node: Node, name: str, artifact: Artifact, result: NodeResult) -> OutputDataset:
        facts = self._table(artifact)
        facets = self._facets(artifact, facts)
        if name in ROLES and {"train", "test"} <= set(result.outputs):
            facets["headrace_split"] = self._split(node, name, result)
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=facts.n_rows if facts else None,
            size=artifact.n_bytes,
            fileCount=len(artifact.files),
            producer=PRODUCER,
        )
        return OutputDataset(
            namespace=self._namespace,
            name=f"{self._info.pipeline}.{node.id}.{name}",
            facets=facets,
            outputFacets={"outputStatistics": statistics},
        )

    def _file(self, path: str) -> InputDataset:
        facets: dict[str, Any] = {}
        pin = self._pins.get(path_pin(path))
        if isinstance(pin, str):
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(pin, producer=PRODUCER)
        return InputDataset(namespace="file", name=str(Path(self._info.folder, path)), facets=facets)

    def _facets(self, artifact: Artifact, facts: TableFacts | None) -> dict[str, Any]:
        found: dict[str, Any] = {
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(artifact.digest, producer=PRODUCER),
            "storage": storage_dataset.StorageDatasetFacet("headrace", artifact.format, producer=PRODUCER),
        }
        if facts is not None:
            fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in facts.columns]
            found["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields, producer=PRODUCER)
        if artifact.format in MODEL_FORMATS:
            found["headrace_model"] = ModelDatasetFacet(
                digest=artifact.digest, format=artifact.format, type=artifact.type, producer=PRODUCER
            )
        elif artifact.type == MODEL_VERSION:
            value = stored_json(self._info.store, artifact)
            if value is not None and isinstance(value[0], dict):
                known = {name: value[0][name] for name in ("name", "version", "digest")}
                found["headrace_model"] = ModelDatasetFacet(
                    format=artifact.format, type=artifact.type, producer=PRODUCER, **known
                )
        return found

    def _split(self, node: Node, role: str, result: NodeResult) -> SplitDatasetFacet:
        facts = {name: self._table(artifact) for name, artifact in result.outputs.items() if name in ROLES}
        rows = {name: found.n_rows if found else None for name, found in facts.items()}
        how = {
            name: text(tree)
            for name, tree in node.arguments.items()
            if not (isinstance(tree, dict) and tree.get(TAG) == "ref")
        }
        return SplitDatasetFacet(role=role, parts=rows, how=how, producer=PRODUCER)

    def _table(self, artifact: Artifact) -> TableFacts | None:
        """What a table's files say, where they are on this machine or were just made; asked once a table."""
        if artifact.format != "parquet" or artifact.n_bytes > MOST_BYTES_READ or len(artifact.files) > MOST_FILES:
            return None
        if artifact.digest not in self._facts:
            try:
                self._facts[artifact.digest] = self._read(artifact)
            except (HeadraceError, OSError, ValueError):
                self._facts[artifact.digest] = None
        return self._facts[artifact.digest]

    def _read(self, artifact: Artifact) -> TableFacts:
        from pyarrow.parquet import ParquetFile

        n_rows, n_nulls, bounds = 0, dict[str, int](), dict[str, tuple[float, float]]()
        columns: tuple[tuple[str, str], ...] = ()
        for stored in artifact.files:
            with ParquetFile(self._info.store.open_object(stored.digest, n_bytes=stored.n_bytes)) as file:
                columns = tuple((field.name, str(field.type)) for field in file.schema_arrow)[:MOST_COLUMNS]
                n_rows += file.metadata.num_rows
                for number in range(file.metadata.num_row_groups):
                    _add_statistics(file.metadata.row_group(number), n_nulls, bounds)
        flat = {name for name, _ in columns}
        return TableFacts(
            n_rows,
            columns,
            {name: number for name, number in n_nulls.items() if name in flat},
            {name: pair for name, pair in bounds.items() if name in flat},
        )


def _add_statistics(group: Any, n_nulls: dict[str, int], bounds: dict[str, tuple[float, float]]) -> None:
    """Count in a row group's missing values, and its least and largest numbers."""
    for number in range(min(group.num_columns, MOST_COLUMNS)):
        column = group.column(number)
        found = column.statistics
        if found is None:
            continue
        name = column.path_in_schema
        if found.has_null_count:
            n_nulls[name] = n_nulls.get(name, 0) + found.null_count
        if found.has_min_max and _is_number(found.min) and _is_number(found.max):
            low, high = bounds.get(name, (found.min, found.max))
            bounds[name] = (min(low, found.min), max(high, found.max))


def _is_number(value: object) -> bool:
    """Whether JSON has a number for it."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _paths_in(node: Node) -> Iterator[str]:
    """The files and folders that a node's arguments name."""
    waiting: list[Any] = list(node.arguments.values())
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) == "path":
                yield item["value"]
            else:
                waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
