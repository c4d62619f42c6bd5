"""Profile: one pass over a table, and what is known of each column after it."""

from __future__ import annotations

from headrace.steps.profiling.column import Bar, ColumnProfile
from headrace.steps.profiling.profiles import Profile
from headrace.steps.profiling.scanning import profile

__all__ = ["Bar", "ColumnProfile", "Profile", "profile"]
