"""From a named pipeline to a plan and its steps' code, with the last answer kept while nothing changed."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headrace
from headrace.core import errors
from headrace.core.caches import cache_root
from headrace.core.errors import HeadraceError, ProjectError
from headrace.core.forms import TAG
from headrace.core.globs import is_pattern
from headrace.core.names import find_named
from headrace.core.plan import Plan
from headrace.core.values import Json, canonical, decode, encode, names_in
from headrace.engine.process import worker_environment
from headrace.engine.target import Target, enter, import_target

if TYPE_CHECKING:
    from headrace.core.discovery import Discovered
    from headrace.core.distributions import Distributions
    from headrace.core.pipeline import Pipeline, Trace
    from headrace.core.project import Project
    from headrace.core.stamps import Stamps
    from headrace.core.step_code import StepCode


@dataclass(frozen=True)
class Workshop:
    """A project, and what this machine remembers of its files: never needed for correctness."""

    project: Project
    cache: Path
    stamps: Stamps
    distributions: Distributions

    @classmethod
    def open(cls, root: Path, cache: Path) -> Workshop:
        """Open the project around a folder."""
        from headrace.core.distributions import Distributions
        from headrace.core.project import Project
        from headrace.core.stamps import Stamps

        # The same for all projects of one environment: kept once, and not anew in each store.
        here = hashlib.sha256(sys.prefix.encode()).hexdigest()[:16]
        installed = cache_root(os.environ) / "installed" / f"{here}.json"
        return cls(Project.find(root), cache, Stamps(cache / "stamps.json"), Distributions(installed))

    def installed(self, name: str) -> str | None:
        """What is installed of a distribution, as `StepCode` keeps it."""
        found = self.distributions.get(name)
        return None if found is None else f"{found.version}@{found.digest}"

    def content(self, label: str) -> str | None:
        """The digest of a file or folder by its label, None where it is not there."""
        return path_digest(self.project.resolve(label), self.stamps)


def path_digest(path: Path, stamps: Stamps) -> str | None:
    """What a file or a folder holds, or all that a pattern names, as one digest; None when nothing is there."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return "neither file nor folder"  # to open a pipe would wait for ever
        return stamps.digest_path(path)
    except FileNotFoundError:
        return stamps.digest_matching(path) if is_pattern(path) else None
    except OSError as error:
        return f"unreadable: {error.strerror}"  # the step that reads it says what is wrong


@dataclass(frozen=True)
class Prepared:
    """A plan, ready to be executed.

    Attributes
    ----------
    plan
        The plan.
    codes
        The code of each step by its id, and of each class and function that values name, by import path.
    discovered
        What importing the project's modules was seen to read.
    roots
        Packages and modules outside the project that count as its code.
    sources
        The digest of all project code, these included.
    live
        The steps' functions by step id, where this process made the plan itself.
    """

    plan: Plan
    codes: Mapping[str, StepCode]
    discovered: Discovered
    roots: tuple[str, ...]
    sources: str
    live: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The form that the store keeps with a run, and the cache of traces."""
        return {
            "plan": self.plan.to_json(),
            "codes": {name: code.to_json() for name, code in self.codes.items()},
            "discovered": self.discovered.to_json(),
            "roots": list(self.roots),
            "sources": self.sources,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prepared:
        """Read that form."""
        from headrace.core.discovery import Discovered
        from headrace.core.step_code import StepCode

        codes = {name: StepCode.from_json(code) for name, code in data["codes"].items()}
        return cls(
            Plan.from_json(data["plan"]),
            codes,
            Discovered.from_json(data["discovered"]),
            tuple(data["roots"]),
            data["sources"],
        )

    @property
    def digest(self) -> str:
        """What is told by one digest: the plan, and the code."""
        parts = [self.plan.digest, {name: code.digest for name, code in sorted(self.codes.items())}]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()


def prepare_live(
    pipeline: Pipeline[..., Any], parameters: Mapping[str, object], workshop: Workshop, folder: Path
) -> Prepared:
    """Trace a pipeline that this process holds, and fingerprint what its steps reach."""
    from headrace.core.discovery import Discovered
    from headrace.core.pipeline import trace
    from headrace.engine.lookup import FormatLookup

    traced = trace(pipeline, parameters, FormatLookup(), workshop.project.root, folder)
    return _fingerprinted(traced, workshop, Discovered(), pipeline.function.__module__)


def _fingerprinted(traced: Trace, workshop: Workshop, discovered: Discovered, module: str) -> Prepared:
    from headrace.core.fingerprint import fingerprint_many

    live: dict[str, Any] = {spec_id: item.step.function for spec_id, item in traced.steps.items()}
    functions = dict(live)
    named = {name for node in traced.plan.nodes for tree in node.arguments.values() for name in names_in(tree)}
    for name in sorted(named):
        functions.setdefault(name, _bare(find_named(name)))
    codes = fingerprint_many(
        functions.values(),
        workshop.project,
        encode,
        workshop.stamps,
        distributions=workshop.distributions,
        entry=(module,),
    )
    roots = workshop.project.loaded_roots()
    sources = workshop.project.source_digest(workshop.stamps, roots=roots)
    return Prepared(traced.plan, dict(zip(functions, codes, strict=True)), discovered, roots, sources, live)


def _bare(thing: object) -> object:
    return thing.function if hasattr(thing, "__headrace_step__") else thing  # type: ignore[attr-defined]


def trace_target(request: Mapping[str, Any]) -> dict[str, Json]:
    """Import and trace a target in a process made for it. Returns what `Prepared.from_json` reads, or an error."""
    try:
        return trace_here(request).to_json()
    except Exception as error:  # noqa: BLE001 - it is the user's, and is shown by the process that asked
        return {"error": describe_error(error, untraced(request))}


def trace_here(request: Mapping[str, Any]) -> Prepared:
    """Import and trace a target in this process."""
    from headrace.core.discovery import Recorder
    from headrace.core.loader import install_loader
    from headrace.core.pipeline import trace
    from headrace.engine.lookup import FormatLookup

    target = Target.from_json(request["target"])
    enter(target)
    workshop = Workshop.open(Path(target.root), Path(request["cache"]))
    install_loader(workshop.project, workshop.cache / "bytecode")
    with Recorder(workshop.project, ignore=(workshop.cache.parent,)) as recorder:
        pipeline = import_target(target)
        parameters = decode(request["parameters"])
        traced = trace(pipeline, parameters, FormatLookup(), workshop.project.root, Path(request["folder"]))
    discovered = recorder.snapshot(workshop.stamps, bytes.fromhex(request["salt"]))
    prepared = _fingerprinted(traced, workshop, discovered, target.module)
    workshop.stamps.save()
    return prepared


def untraced(request: Mapping[str, Any]) -> str:
    """What it says of a project's module that an error came out of it."""
    return f"Module {request['target']['module']!r} does not import or trace"


def describe_error(error: BaseException, what: str) -> dict[str, Json]:
    """An error as it goes from one process to another. ``what`` says where one of the project's own came up."""
    if isinstance(error, HeadraceError):
        return {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "where": error.where}
    return {
        "kind": "ProjectError",
        "message": f"{what}: {type(error).__name__}: {error}",
        "hint": "the traceback above is the project's own",
        "where": None,
        "traceback": user_traceback(error),
    }


def rebuild_error(data: Mapping[str, Any]) -> HeadraceError:
    """The error again, in the process that asked. ``traceback`` is the user's, as text, or empty."""
    kind = getattr(errors, data["kind"], ProjectError)
    error: HeadraceError = kind.__new__(kind)
    HeadraceError.__init__(error, data["message"], hint=data["hint"], where=data["where"])
    error.traceback = data.get("traceback", "")  # type: ignore[attr-defined]
    return error


def user_traceback(error: BaseException) -> str:
    """The traceback, without the frames of Headrace and of the import system above the user's own code.

    Code that does not parse has no frames of its own: the error itself says where.
    """
    package = Path(headrace.__file__).parent
    own = (str(package / "engine"), str(package / "core"), str(Path(importlib.__file__).parent), "<frozen importlib")
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(own):
        frames = frames.tb_next
    if frames is None and not isinstance(error, SyntaxError):
        frames = error.__traceback__  # it is Headrace's own: all of it is wanted
    return "".join(traceback.format_exception(type(error), error, frames))


class TraceCache:
    """Plans kept under what they depend on: the project's sources, the parameters and the environment."""

    def __init__(self, workshop: Workshop, salt: bytes) -> None:
        self._folder = workshop.cache / "traces"
        self._workshop = workshop
        self._salt = salt

    def _file(self, target: Target, parameters: Json) -> Path:
        parts = [
            headrace.__version__,
            sys.version,
            self._workshop.project.source_digest(self._workshop.stamps),
            self._workshop.distributions.state(),
            target.text,
            [os.path.relpath(path, target.root) for path in target.paths],
            parameters,
        ]
        return self._folder / f"{hashlib.sha256(canonical(parts).encode()).hexdigest()}.json"

    def read(self, target: Target, parameters: Json) -> Prepared | None:
        """The plan, where nothing that it depends on has changed."""
        try:
            prepared = Prepared.from_json(json.loads(self._file(target, parameters).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, HeadraceError):
            return None
        return prepared if self._is_current(prepared) else None

    def write(self, target: Target, parameters: Json, prepared: Prepared) -> None:
        """Keep a plan. A cache that cannot be written is no error."""
        file = self._file(target, parameters)
        aside = file.with_suffix(f".{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(json.dumps(prepared.to_json()).encode())
            aside.rename(file)
        except OSError:
            aside.unlink(missing_ok=True)

    def _is_current(self, prepared: Prepared) -> bool:
        shop = self._workshop
        if prepared.roots and shop.project.source_digest(shop.stamps, roots=prepared.roots) != prepared.sources:
            return False
        environment = worker_environment(os.environ, 1)
        if prepared.discovered.changes(shop.project, shop.stamps, self._salt, environment):
            return False
        installed = {name: digest for code in prepared.codes.values() for name, digest in code.distributions.items()}
        named = {label: digest for code in prepared.codes.values() for label, digest in code.files.items()}
        named |= {label: digest for code in prepared.codes.values() for label, digest in code.modules.values()}
        return all(shop.installed(name) == digest for name, digest in installed.items()) and all(
            shop.content(label) == digest for label, digest in named.items()
        )


def paths_in(tree: Json) -> Iterator[str]:
    """The paths in a tree, and the texts that may name a file."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) == "path":
                yield item["value"]
            else:
                waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and len(item) < 1024 and ("." in item or "/" in item) and "\n" not in item:
            yield item
