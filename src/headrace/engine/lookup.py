"""What tracing asks of the formats, answered by their registry."""

from __future__ import annotations

from headrace.formats.known import TABLE_TYPES


class FormatLookup:
    """The formats as tracing sees them; see `headrace.core.tracing.Formats`."""

    def name_for(self, declared: object) -> str:
        """The format that stores a declared type."""
        from headrace.formats.registry import find_format

        return find_format(declared).name

    def loads_as(self, format_name: str, declared: object) -> bool:
        """Whether what this format stored can arrive as the declared type."""
        from headrace.formats.registry import loads_as

        return loads_as(format_name, declared)

    def is_table(self, declared: object) -> bool:
        """Whether the declared type is the handle that opens on the configured engine."""
        kind = getattr(declared, "__module__", ""), getattr(declared, "__qualname__", "")
        return ".".join(kind) in TABLE_TYPES and kind[0].startswith("headrace.")
