"""Headrace on DuckDB."""

from __future__ import annotations

from validators import headrace_polars

headrace_polars.ENGINE = "duckdb"
warm, run = headrace_polars.warm, headrace_polars.run
