"""The registry: which models there are by name, and which of them is the champion. Records in the store, no server.

::

    registry/<name>/versions/<n>.json   one version, written once
    registry/<name>/champion.json       which version serves, which did before, which were rolled back
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.core.artifact import Artifact
from headrace.core.errors import DataError, StoreError, near_miss

if TYPE_CHECKING:
    from headrace.core.context import RunContext
    from headrace.steps.model import Model
    from headrace.stores.protocol import Store

FOLDER = "registry"
PLAIN_STORE = ".headrace"
MOST_HISTORY = 100


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model: its name, its number and the digest of its artifact."""

    __headrace_one_value__: ClassVar[bool] = True

    name: str
    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version} ({self.digest[:12]})"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """All that is known of a version. Written once."""

    name: str
    version: int
    model: dict[str, Any]
    """The artifact, as `headrace.core.artifact.Artifact.to_json` gives it: its objects are in the store."""
    compared_with: str | None
    """The digest of the champion that it was compared with by its gate; None where there was none."""
    metrics: dict[str, float] = field(default_factory=dict)
    verdict: tuple[str, ...] = ()
    run_id: str | None = None
    node: str | None = None
    created: str = ""
    """When it was registered, UTC."""

    @property
    def artifact(self) -> Artifact:
        """The model's artifact."""
        return Artifact.from_json(self.model)

    @property
    def digest(self) -> str:
        """The digest of the model's artifact."""
        return self.artifact.digest

    def to_json(self) -> bytes:
        """The form in the store."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str) -> VersionRecord:
        """Read the form in the store. Raises StoreError for something else."""
        try:
            found = json.loads(data)
            return cls(**{**found, "verdict": tuple(found["verdict"])})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"The registry's record {where!r} can't be read: {error}",
                hint="it was changed by hand or written by a newer Headrace",
            ) from error


class Registry:
    """The registry in a store.

    Any number of processes may use it at once: a version's number belongs to who writes its record first, and a
    champion is replaced as a whole (of two at once the later stays, and the history names both). What it writes
    survives a power cut.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def here(cls) -> Registry:
        """Give the registry of the run under way; in a plain call the one in ``./.headrace``."""
        run = _current_run()
        if run is not None:
            return cls(run.store)
        from headrace.stores.open import open_store

        return cls(open_store(Path(PLAIN_STORE)))

    def names(self) -> list[str]:
        """List the models' names."""
        records = (record.split("/") for record in self.store.list_records(FOLDER))
        return sorted({parts[1] for parts in records if len(parts) > 2})

    def versions(self, name: str) -> list[VersionRecord]:
        """List a model's versions by number; none for an unknown name."""
        found = [
            VersionRecord.from_json(data, record)
            for record in self.store.list_records(f"{FOLDER}/{check_model_name(name)}/versions")
            if (data := self.store.read_record(record)) is not None
        ]
        return sorted(found, key=lambda version: version.version)

    def get(self, name: str, version: int | None = None) -> VersionRecord:
        """Give a version, by default the champion. Raises DataError where there is none."""
        if version is None:
            champion = self.champion(name)
            if champion is None:
                self._refuse_unknown(name)
                raise DataError(f"Model {name!r} has no champion", hint="promote one of its versions")
            return champion
        data = self.store.read_record(_version_name(name, version))
        if data is None:
            self._refuse_unknown(name)
            numbers = ", ".join(str(known.version) for known in self.versions(name))
            raise DataError(f"Model {name!r} has no version {version}", hint=f"it has {numbers}")
        return VersionRecord.from_json(data, _version_name(name, version))

    def champion(self, name: str) -> VersionRecord | None:
        """Give the version that serves; None where there is none."""
        version = self._alias(name).get("version")
        return None if version is None else self.get(name, version)

    def with_digest(self, name: str, digest: str) -> VersionRecord | None:
        """Give the version that holds the model with this digest, if there is one."""
        return next((version for version in self.versions(name) if version.digest == digest), None)

    def load(self, version: VersionRecord) -> Model:
        """Load a version's model. Raises DamagedObjectError where its objects are gone or altered."""
        from headrace.steps.model import Model
        from headrace.steps.model_format import ModelFormat

        paths = {
            file.path: self.store.open_object(file.digest, n_bytes=file.n_bytes) for file in version.artifact.files
        }
        model = ModelFormat().load(paths, Model)
        assert isinstance(model, Model)
        return model

    def is_whole(self, version: VersionRecord) -> bool:
        """Say whether a version's objects are in the store, without reading them."""
        return all(self.store.object_size(file.digest) == file.n_bytes for file in version.artifact.files)

    def add(
        self,
        name: str,
        model: Model,
        *,
        compared_with: str | None = None,
        metrics: Mapping[str, float] | None = None,
        verdict: tuple[str, ...] = (),
        promote: bool = True,
    ) -> VersionRecord:
        """Register a model, once: where a version has its digest, that one is given back.

        With ``promote`` it becomes the champion, unless it was rolled back: who did that meant it.
        """
        artifact = self._keep(check_model_name(name), model)
        version = self.with_digest(name, artifact.digest)
        if version is None:
            run = _current_run()
            draft = VersionRecord(
                name,
                0,
                artifact.to_json(),
                compared_with,
                dict(metrics or {}),
                verdict,
                run.run_id if run else None,
                run.node if run else None,
                datetime.now(UTC).isoformat(timespec="seconds"),
            )
            version = self._numbered(draft)
        if promote and not self.is_settled(version):
            self.promote(name, version.version)
        return version

    def is_settled(self, version: VersionRecord) -> bool:
        """Say whether a version is the champion, or was and has been rolled back."""
        alias = self._alias(version.name)
        return version.version == alias.get("version") or version.version in alias.get("rolled_back", [])

    def _numbered(self, draft: VersionRecord) -> VersionRecord:
        """Write a version under the first free number; another process may be faster, even with the same model."""
        while True:
            known = self.versions(draft.name)
            for other in known:
                if other.digest == draft.digest:
                    return other
            number = max((other.version for other in known), default=0) + 1
            version = VersionRecord(**{**asdict(draft), "version": number})
            if self.store.create_record(_version_name(draft.name, number), version.to_json(), durable=True):
                return version

    def _keep(self, name: str, model: Model) -> Artifact:
        """Put a model's files into the store: where a step's output holds the same, nothing is written again."""
        from headrace.core.artifact import StoredFile
        from headrace.steps.model_format import files_of

        files = []
        for path, data in files_of(model).items():
            blob = self.store.add_bytes(data)
            files.append(StoredFile(path, blob.digest, blob.n_bytes))
        return _artifact(files)

    def promote(self, name: str, version: int) -> VersionRecord:
        """Make a version the champion. Raises DataError where there is no such version, or its objects are gone."""
        found = self._whole(name, version)
        alias = self._alias(name)
        if alias.get("version") != version or version in alias["rolled_back"]:
            history = [*alias.get("history", []), version][-MOST_HISTORY:]
            rolled_back = [other for other in alias.get("rolled_back", []) if other != version]
            self._write_alias(name, {"version": version, "history": history, "rolled_back": rolled_back})
        return found

    def rollback(self, name: str) -> VersionRecord:
        """Make the champion before this one the champion again; twice goes two back.

        What is rolled back stays registered, and running its pipeline again doesn't promote it. Raises DataError
        where there was no champion before, or its objects are gone.
        """
        alias = self._alias(name)
        terms = alias.get("history", [])
        if len(terms) < 2:
            self._refuse_unknown(name)
            raise DataError(f"Model {name!r} has had no champion before", hint="promote a version by its number")
        found = self._whole(name, terms[-2])
        rolled_back = [*(v for v in alias["rolled_back"] if v not in terms[-2:]), terms[-1]]
        self._write_alias(name, {"version": terms[-2], "history": terms[:-1], "rolled_back": rolled_back})
        return found

    def _whole(self, name: str, version: int) -> VersionRecord:
        found = self.get(name, version)
        if not self.is_whole(found):
            raise DataError(
                f"{name!r} version {version} can't be promoted: its files are gone from the store",
                hint="run the pipeline that made it again",
            )
        return found

    def _alias(self, name: str) -> dict[str, Any]:
        where = f"{FOLDER}/{check_model_name(name)}/champion.json"
        data = self.store.read_record(where)
        if data is None:
            return {}
        try:
            found: dict[str, Any] = json.loads(data)
            lists = {key: [int(version) for version in found[key]] for key in ("history", "rolled_back")}
            return {"version": int(found["version"]), **lists}
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"The registry's record {where!r} can't be read: {error}", hint="promote a version to repair it"
            ) from error

    def _write_alias(self, name: str, alias: dict[str, Any]) -> None:
        data = json.dumps(alias, sort_keys=True).encode() + b"\n"
        self.store.write_record(f"{FOLDER}/{name}/champion.json", data, durable=True)

    def _refuse_unknown(self, name: str) -> None:
        if not self.versions(name):
            raise DataError(f"No model is registered as {name!r}", hint=near_miss(name, self.names()))


def check_model_name(name: str) -> str:
    """Give the name back. Raises DataError unless it is letters, digits, ``-``, ``_`` and ``.``."""
    import re

    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise DataError(
            f"A model's name must be letters, digits, '-', '_' and '.', but got {name!r}", hint="such as 'churn'"
        )
    return name


def _version_name(name: str, version: int) -> str:
    return f"{FOLDER}/{check_model_name(name)}/versions/{version}.json"


def model_digest(model: Model) -> str:
    """Give the digest of a model's artifact."""
    from hashlib import sha256

    from headrace.core.artifact import StoredFile
    from headrace.steps.model_format import files_of

    files = [StoredFile(path, sha256(data).hexdigest(), len(data)) for path, data in files_of(model).items()]
    return _artifact(files).digest


def _artifact(files: list[Any]) -> Artifact:
    from headrace.steps.model_format import ModelFormat

    return Artifact.of(ModelFormat.name, ModelFormat.version, files, "headrace.steps.model.Model")


def _current_run() -> RunContext | None:
    from headrace.core.context import current_run

    return current_run()
