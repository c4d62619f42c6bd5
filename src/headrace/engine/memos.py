"""What a step keeps while it is under way: results of its parts, and its checkpoints."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, get_type_hints

from headrace.core.artifact import Artifact
from headrace.core.discovery import Discovered, Recorder, unseen
from headrace.core.errors import DamagedObjectError, FormatError
from headrace.core.fit import MISSING
from headrace.core.forms import TAG
from headrace.core.key import SCHEME, environment_of, seed_of
from headrace.core.stamps import Stamps
from headrace.core.values import Json, canonical, encode
from headrace.engine.exchange import load_artifact, save_value
from headrace.engine.generators import seeded
from headrace.engine.prepare import Workshop, path_digest
from headrace.engine.records import Action, action_names, now

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


class StepMemory:
    """The memory of one attempt. Not for use by several threads at once."""

    def __init__(self, key: str, run_id: str, node: str, workshop: Workshop, store: Store, since: str = "") -> None:
        self._key = key
        self._run_id = run_id
        self._node = node
        self._workshop = workshop
        self._store = store
        self._since = since
        self._codes: dict[Callable[..., Any], str] = {}
        self._has_checkpoints = False
        self.seen = Discovered()
        """What the parts that were not executed again had read: the step depends on it all the same."""

    def memo(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the function, or take what an earlier call made of the same."""
        with unseen():
            key = self._memo_key(function, args, kwargs)
            action = self._find(key)
        declared = _return_type(function)
        if action is None:
            action = self._make(key, function, args, kwargs, declared)
        with unseen():
            return load_artifact(action.outputs["output"], declared, self._store)

    def _memo_key(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        parts = [
            "memo",
            SCHEME,
            self._code(function),
            [self._tree(value) for value in args],
            {name: self._tree(value) for name, value in sorted(kwargs.items())},
            environment_of(int(os.environ.get("HEADRACE_CPUS", "1")), None),
        ]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()

    def code_of(self, function: Callable[..., Any]) -> str:
        """The digest of a function's code and all that it reaches, as it counts in keys."""
        with unseen():
            return self._code(function)

    def _code(self, function: Callable[..., Any]) -> str:
        from headrace.core.fingerprint import fingerprint

        bare: Any = getattr(function, "function", function)
        if isinstance(bare, functools.partial):
            bound = [bare.args, bare.keywords]
            return canonical([self._code(bare.func), self._tree(bound)])
        if bare not in self._codes:
            shop = self._workshop
            code = fingerprint(bare, shop.project, encode, shop.stamps, distributions=shop.distributions)
            self._codes[bare] = code.digest
        return self._codes[bare]

    def _tree(self, value: Any) -> Json:
        return encode(value, self._hook)

    def _hook(self, value: object) -> Json | None:
        """Files and whatever a format stores count by content."""
        if isinstance(value, PurePath):
            path = Path(value)
            return {TAG: "path", "value": str(path), "digest": path_digest(path, self._workshop.stamps)}
        from headrace.formats.registry import find_format

        try:
            chosen = find_format(type(value))
        except FormatError:
            return None
        if chosen.name == "json":
            return None
        with self._store.scratch() as folder:
            chosen.save(value, folder, type(value))
            return {TAG: "content", "format": chosen.name, "digest": Stamps().digest_tree(folder)}

    def _find(self, key: str) -> Action | None:
        for name in action_names(self._store, key):
            text = self._store.reuse_record(name)
            if text is None:
                continue
            try:
                action = Action.from_json(text)
                for file in action.outputs["output"].files:
                    self._store.open_object(file.digest, n_bytes=file.n_bytes)
            except (ValueError, KeyError, DamagedObjectError):
                self._store.delete_record(name)
                continue
            if action.created < self._since:
                continue
            read = Discovered.from_json(action.discovered)
            if not read.changes(self._workshop.project, self._workshop.stamps, self._store.salt):
                self.seen = self.seen.merge(read)
                return action
        return None

    def _make(
        self, key: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], declared: Any
    ) -> Action:
        started = time.perf_counter()
        earlier, self.seen = self.seen, Discovered()
        ignored = (self._store.cache_dir.parent,)
        with Recorder(self._workshop.project, ignore=ignored) as recorder, seeded(seed_of(key)):
            value = function(*args, **kwargs)
        with unseen():
            artifact = self._save(value, declared)
            read = recorder.snapshot(self._workshop.stamps, self._store.salt).merge(self.seen)
            self.seen = earlier.merge(self.seen)
            seconds = time.perf_counter() - started
            action = Action(key, {"output": artifact}, read.to_json(), now(), seconds, self._run_id, self._node)
            if self._since:
                self._store.write_record(action.name, action.to_json())
            elif not self._store.create_record(action.name, action.to_json()):
                winner = self._find(key)
                return winner or action
            return action

    def _save(self, value: Any, declared: Any) -> Artifact:
        from headrace.formats.registry import find_format

        kind = type(value) if declared is MISSING else declared
        return save_value(value, kind, self._store, "json" if find_format(kind).name == "json" else None)

    def load_checkpoint(self, name: str, default: Any) -> Any:
        """What was saved last under a name by an attempt with the same key, else the default."""
        with unseen():
            text = self._store.reuse_record(self._checkpoint(name))
            if text is None:
                return default
            try:
                artifact = Action.from_json(text).outputs["output"]
                return load_artifact(artifact, type(default), self._store)
            except (ValueError, KeyError, DamagedObjectError):
                return default

    def save_checkpoint(self, name: str, value: Any) -> None:
        """Keep a value in place of the one saved before."""
        with unseen():
            artifact = self._save(value, MISSING)
            action = Action(self._key, {"output": artifact}, {}, now(), 0.0, self._run_id, self._node)
            self._store.write_record(self._checkpoint(name), action.to_json())

    def forget_checkpoints(self) -> None:
        """The step has succeeded: how far it had come is of no use any more."""
        if not self._has_checkpoints:
            return
        for name in list(self._store.list_records(f"checkpoints/{self._key}")):
            self._store.delete_record(name)

    def _checkpoint(self, name: str) -> str:
        self._has_checkpoints = True
        return f"checkpoints/{self._key}/{name}.json"


def _return_type(function: Callable[..., Any]) -> Any:
    bare: Any = getattr(function, "function", function)
    while isinstance(bare, functools.partial):
        bare = bare.func
    try:
        return get_type_hints(inspect.unwrap(bare), include_extras=True).get("return", MISSING)
    except (NameError, TypeError):
        return MISSING
