"""Profiles ⇄ one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace.core.errors import FormatError
from headrace.formats.declared import is_named, is_path
from headrace.formats.files import materialise, only_file
from headrace.steps.profiling.profiles import VERSION, Profile

FILE = "profile.json"
NAME = "headrace.steps.profiling.profile_format:ProfileFormat"


class ProfileFormat:
    """`Profile` ⇄ ``profile.json``, which `Profile.from_json` and ``headrace data drift`` read."""

    name = NAME
    version = VERSION

    def handles(self, declared: object) -> bool:
        """Say whether a `Profile` is declared."""
        return is_named(declared, ("headrace.steps.profiling.profiles.Profile",), subclasses=False)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the file. Raises FormatError for another value."""
        if not isinstance(value, Profile):
            raise FormatError(
                f"A Profile is declared, but got a {type(value).__module__}.{type(value).__qualname__}",
                hint="return what headrace.steps.profile gives",
            )
        (folder / FILE).write_text(value.to_json(), encoding="ascii")

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the file."""
        if is_path(declared):
            return materialise(files)
        return Profile.from_json(only_file(files, FILE, self.name).read_bytes())
