"""An edit of the corpus's project: files, environment variables, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Edit:
    """One edit. ``files``: path -> new content, or None to remove it; the site folder's paths start with ``site/``.

    ``kind``: ``counting`` (should change an output), ``neutral`` (should not), ``leak`` (changes one unseen, known).
    """

    kind: str
    operator: str
    place: str
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.operator} at {self.place}"
