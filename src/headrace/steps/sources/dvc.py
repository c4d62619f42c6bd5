"""A file that DVC tracks. The command ``dvc`` is run, never imported: it brings a hundred packages of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from headrace.core.context import current_run
from headrace.core.errors import DataError, ProjectError, TransientError
from headrace.steps.sources.source import Source, safe_name

INSTALL = "install it in an environment of its own: pipx install 'dvc[s3]' (or uv tool install 'dvc[s3]')"
CHUNK_BYTES = 1 << 20


class Tracked(NamedTuple):
    """What DVC has recorded of a file or a folder."""

    md5: str
    recorded_in: str


@dataclass(frozen=True)
class Dvc(Source):
    """A file that DVC tracks: ``Dvc("data/x.csv")``, ``Dvc("data/x.csv", rev="v1", repo="https://…")``.

    Its fingerprint is the md5 that DVC has recorded, in ``data/x.csv.dvc`` beside it or in the ``dvc.lock`` of a
    pipeline: to know that nothing has changed, no data is read, and DVC isn't needed. Where the step is executed, the
    file of the project is taken if it has that md5, else the one in DVC's cache, else ``dvc pull`` (of another revision
    or repository: ``dvc get``) brings it; what comes is held against the md5.

    Parameters
    ----------
    path
        The file, relative to the repository (of the project's own: to the project).
    rev
        A revision of git: a tag, a branch, a commit. What is in the working tree without one.
    repo
        Another repository: a folder or a URL that git knows. The project's own without one.

    Raises
    ------
    DataError
        The path isn't one inside the repository.
    """

    path: str
    rev: str | None = None
    repo: str | None = None

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise DataError(f"{self.path!r} is no path inside a repository", hint="such as 'data/customers.csv'")
        for name, value in (("rev", self.rev), ("repo", self.repo)):
            if value is not None and (not value or value.startswith("-")):
                raise DataError(f"{name}={value!r} names nothing", hint="such as rev='v1', repo='../datasets'")

    def look(self) -> dict[str, Any]:
        """Give the recorded md5. Raises DataError where the file isn't tracked."""
        return {"md5": self._tracked().md5}

    def fetch(self, pin: Any, folder: Path) -> Path:
        """See `Source.fetch`. A file that is there already is not copied."""
        md5 = str(pin["md5"])
        is_folder = md5.endswith(".dir")
        for known in self._known_places(md5):
            if not is_folder and known.is_file() and md5_of(known) == md5:
                return _named(known, self.path, folder)
        path = self._brought(folder)
        if not is_folder and md5_of(path) != md5:
            raise TransientError(
                f"{self.path!r} isn't what DVC recorded when the run began (md5 {md5})",
                hint="nothing was stored; run again once the file and its .dvc file agree",
            )
        return path if path.is_relative_to(folder) else _named(path, self.path, folder)

    @property
    def _root(self) -> Path:
        run = current_run()
        return Path.cwd() if run is None else run.project_root

    @property
    def _is_elsewhere(self) -> bool:
        return self.rev is not None or self.repo is not None

    def _tracked(self) -> Tracked:
        with self._files() as read:
            looked = []
            for name, wanted in self._records():
                text = read(name)
                if text is None:
                    continue
                looked.append(name)
                found = _recorded(text, wanted, name)
                if found is not None:
                    return Tracked(found, name)
        at = f" at {self.rev}" if self.rev else ""
        where = f"; it isn't in {', '.join(looked[:3])}" if looked else ""
        raise DataError(
            f"DVC doesn't track {self.path!r}{at}: there is no {self.path}.dvc{where}",
            where=self.repo or str(self._root),
            hint=f"dvc add {self.path}, and commit {self.path}.dvc",
        )

    def _records(self) -> Iterator[tuple[str, str]]:
        """Name the files that may have it recorded, each with the path that it would have there."""
        path = PurePosixPath(self.path)
        yield f"{path}.dvc", path.name
        for folder in path.parents:
            place = "" if str(folder) == "." else f"{folder}/"
            yield f"{place}dvc.lock", str(path.relative_to(folder))

    @contextmanager
    def _files(self) -> Iterator[Any]:
        """Give what reads a small file of the repository, None where there is none."""
        if not self._is_elsewhere:
            yield lambda name: _text_of(Path(self._root, name))
            return
        if self.repo is not None and self.rev is None and Path(self._root, self.repo).is_dir():
            yield lambda name: _text_of(Path(self._root, str(self.repo), name))
            return
        if self.repo is None or Path(self._root, self.repo).is_dir():
            place = Path(self._root, self.repo or ".")
            _git(["rev-parse", "--verify", "--quiet", f"{self.rev}^{{commit}}"], place, what=f"revision {self.rev!r}")
            yield lambda name: _git_text(place, f"{self.rev}:./{name}")
            return
        with tempfile.TemporaryDirectory(prefix="headrace-dvc-") as aside:
            place = Path(aside)
            what = f"{self.rev or 'HEAD'!r} of {self.repo!r}"
            _git(["init", "--quiet", "--bare"], place, what=what)
            _git(["fetch", "--quiet", "--depth", "1", "--", self.repo, self.rev or "HEAD"], place, what=what)
            yield lambda name: _git_text(place, f"FETCH_HEAD:{name}")

    def _known_places(self, md5: str) -> Iterator[Path]:
        root = self._root if self.repo is None else Path(self._root, self.repo)
        if not root.is_dir():
            return
        if self.rev is None:
            yield root / self.path
        for folder in (root, *root.parents):
            if (folder / ".dvc").is_dir():
                yield folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
                return

    def _brought(self, folder: Path) -> Path:
        if not self._is_elsewhere:
            self._dvc(["pull", "--quiet", "--", self.path], self._root)
            return self._root / self.path
        target = folder / safe_name(self.path, "data")
        repo = "." if self.repo is None else self.repo
        rev = [] if self.rev is None else ["--rev", self.rev]
        self._dvc(["get", "--quiet", *rev, "--out", str(target), "--", repo, self.path], self._root)
        return target

    def _dvc(self, arguments: Sequence[str], folder: Path) -> None:
        command = shutil.which("dvc")
        if command is None:
            raise ProjectError(
                f"{self.path!r} has to be fetched by DVC, and there is no command dvc on the PATH", hint=INSTALL
            )
        # DVC is a program of another environment: what this one's interpreter was told must not reach it.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["DVC_NO_ANALYTICS"] = "1"
        done = subprocess.run(
            [command, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            problem = " ".join(line.strip() for line in said[-3:])[:400] or f"it ended with {done.returncode}"
            raise TransientError(
                f"dvc {arguments[0]} can't bring {self.path!r}: {problem}",
                hint=f"try it in a shell: dvc {' '.join(arguments)}",
            )


def md5_of(path: Path) -> str:
    """Give the md5 of a file's bytes, by which DVC knows it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _named(path: Path, name: str, folder: Path) -> Path:
    """Give the file under its own name, whose suffix tells what it is: in DVC's cache it has none.

    By a link, so that the step isn't taken to depend on the file of the project, which may be changed at any time.
    """
    link = folder / safe_name(name, "data")
    link.symlink_to(path.absolute())
    return link


def _recorded(text: str, wanted: str, where: str) -> str | None:
    """Find the md5 of a path in a .dvc file or a dvc.lock."""
    try:
        import yaml
    except ImportError as error:
        raise ProjectError(
            "To read DVC's files, PyYAML is needed, and it isn't installed", hint="python -m pip install pyyaml"
        ) from error
    try:
        found = yaml.safe_load(text)
        outs = [*(found.get("outs") or [])]
        outs += [out for stage in (found.get("stages") or {}).values() for out in stage.get("outs") or []]
        return next((str(out["md5"]) for out in outs if isinstance(out, Mapping) and out.get("path") == wanted), None)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{where!r} is none of DVC's files: {type(error).__name__}", hint="dvc status") from error


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _git(arguments: Sequence[str], folder: Path, *, what: str) -> bytes:
    command = shutil.which("git")
    if command is None:
        raise ProjectError(f"To read {what}, git is needed, and there is no such command", hint="install git")
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [command, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True
    )
    if done.returncode != 0:
        problem = done.stderr.decode(errors="replace").strip().replace("\n", " ")[:300] or "there is none"
        raise DataError(f"git can't give {what}: {problem}", where=str(folder), hint="look at rev= and repo=")
    return done.stdout


def _git_text(folder: Path, name: str) -> str | None:
    try:
        return _git(["show", name], folder, what=name).decode()
    except DataError:
        return None
