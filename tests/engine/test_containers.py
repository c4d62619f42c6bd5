"""Artifacts in a container arrive as the container's type says, also where it may be left out."""

from __future__ import annotations

from typing import Any


def test_tables_in_a_mapping_that_may_be_none(project: Any) -> None:
    project.write("""
        from collections.abc import Mapping, Sequence
        from headrace import Table
        import polars as pl

        @step
        def rows() -> Table:
            return Table.of(pl.DataFrame({"a": [1, 2]}))

        @step
        def kinds(named: Mapping[str, Table] | None = None, listed: Sequence[pl.DataFrame] | None = None) -> list[str]:
            return [type(table).__name__ for table in (*(named or {}).values(), *(listed or ()))]

        @pipeline
        def flow() -> list[str]:
            return kinds({"one": rows()}, [rows()])
    """)
    assert project.run(inline=True).load() == ["Table", "DataFrame"]
