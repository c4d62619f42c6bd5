"""scikit-learn estimators ⇄ a skops archive."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from headrace.core.errors import FormatError
from headrace.formats.declared import class_of, describe, is_named, is_path, members, type_name
from headrace.formats.files import materialise, only_file, reading
from headrace.formats.known import ESTIMATOR_TYPES
from headrace.formats.skops_archive import SCHEMA, nodes, normalise
from headrace.formats.skops_trust import refused

FILE = "estimator.skops"
TRUST_HINT = (
    "name it in the annotation, such as Annotated[Pipeline, Trusts(Clipper)]: only what is declared, and "
    "scikit-learn's own classes, are loaded; Annotated[…, Pickle] stores the estimator as a pickle"
)


class SkopsFormat:
    """scikit-learn estimators, fitted or not ⇄ ``estimator.skops``, without pickle.

    Loaded are the declared class, what `Trusts` names, and the classes of scikit-learn, NumPy, SciPy's sparse
    matrices, distributions and splines, and LightGBM's models inside a pipeline. A value that couldn't be loaded
    again is refused when it is saved. Equal bytes hold within one version of scikit-learn and of skops.
    """

    name = "skops"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether an estimator is declared: scikit-learn's, or a class derived from its bases."""
        return is_named(declared, ESTIMATOR_TYPES, subclasses=True)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the archive. Raises FormatError for another value, and for parts that couldn't be loaded again."""
        check_declared(value, declared)
        (folder / FILE).write_bytes(dump(value, declared))

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the archive."""
        path = only_file(files, FILE, self.name)
        if is_path(declared):
            return materialise(files)
        value = load(path.read_bytes(), declared)
        check_declared(value, declared)
        return value


def dump(value: object, declared: object) -> bytes:
    """Give the archive of an estimator in its one form. Raises FormatError for what couldn't be loaded again."""
    import skops.io

    try:
        archive = skops.io.dumps(value)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FormatError(
            f"The estimator {type_name(type(value))!r} can't be stored: {error}",
            hint="keep only parameters, arrays and estimators in its attributes, or declare Annotated[…, Pickle]",
        ) from error
    archive = normalise(archive)
    _trusted(archive, declared)
    return archive


def load(archive: bytes, declared: object) -> object:
    """Make the estimator of an archive again. Raises FormatError for what isn't declared, and for damage."""
    import skops.io

    with reading(f"The estimator {FILE!r}", BadZipFile, AttributeError, ImportError, NotImplementedError):
        return skops.io.loads(archive, trusted=_trusted(archive, declared))


def _trusted(archive: bytes, declared: object) -> list[str]:
    """Give the names to be trusted: all in the archive that this page's rules let through."""
    import skops.io

    with reading(f"The estimator {FILE!r}", BadZipFile, AttributeError, ImportError):
        asked = skops.io.get_untrusted_types(data=archive)
        with ZipFile(io.BytesIO(archive)) as source:
            schema = json.loads(source.read(SCHEMA))
    calls = {
        f"{node['__module__']}.{node['__class__']}" for node in nodes(schema) if "FromReduce" in node["__loader__"]
    }
    bad = refused(asked, calls.intersection(asked), declared)
    if bad:
        shown = ", ".join(repr(name) for name in bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        raise FormatError(
            f"A value declared {describe(declared)!r} holds {shown}, which may not be loaded", hint=TRUST_HINT
        )
    return list(asked)


def check_declared(value: Any, declared: object) -> None:
    """Raise FormatError when a value is none of the declared classes."""
    classes = tuple(cls for member in members(declared) if (cls := class_of(member)) is not None)
    if not isinstance(value, classes):
        raise FormatError(
            f"A value of type {describe(declared)!r} is declared, but got a {type_name(type(value))}",
            hint="return what the step declares, or declare what it returns",
        )
