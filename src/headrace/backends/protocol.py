"""What a backend is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from headrace.backends.capabilities import Capabilities
    from headrace.backends.deployment import Deployment

ENTRY_POINT_GROUP = "headrace.backends"


class Backend(Protocol):
    """Turns a plan into the files by which an orchestrator carries it out.

    A package brings one by the entry point group ``headrace.backends``: under the backend's name, something that is
    called with nothing and gives a `Backend`, such as a class. `headrace.testing.backends.BackendContract` holds it to
    what is said here.

    **Files.** `files` depends on the deployment alone: no clock, no environment, no file. So the same plan gives the
    same bytes. What it writes imports, and needs, the orchestrator alone. It has one task of the engine for each node,
    one before all others that begins the run, and one that finishes it, whatever became of the others; each calls
    ``headrace exec``, and hands on references and never data. What users named or gave is text there, never code.

    **Decisions.** They are in the plan. ``exec`` owns retries and time limits: the engine tries again only what was
    lost (`headrace.backends.launcher.Lost`). What the backend can't do it declares as refused, and a plan that uses it
    never reaches it.
    """

    @property
    def name(self) -> str:
        """What ``headrace compile`` calls it."""

    @property
    def capabilities(self) -> Capabilities:
        """How it has each feature; every feature is declared."""

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        """The files, by their names relative to the folder that they go into.

        Raises `BackendError` for settings that are wrong.
        """

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        """Make what takes the orchestrator's own SDK, from the files in ``folder``; gives the names of what it made."""

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        """Put what is in ``folder`` where it belongs, and say what that changed, a line each.

        ``place``: the DAG folder or the API's address; by default what the orchestrator's own environment says. Done
        again with the same files it changes nothing. Raises `BackendError` where it can't be done.
        """
