"""Put a definitions file where an instance of Dagster looks for it."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.backends.compiling import write_files
from headrace.backends.deployment import BackendError

WORKSPACE = "workspace.yaml"
RELOAD = """
mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } } } }
"""

RELOAD_ALL = """
mutation { reloadWorkspace { __typename
  ... on Workspace { locationEntries { name locationOrLoadError { __typename ... on PythonError { message } } } } } }
"""


def entry(module: str, name: str) -> str:
    """The line of a workspace by which it loads a file."""
    told = json.dumps({"relative_path": module, "location_name": name})
    return f"  - python_file: {told}"


def new_workspace(module: str, name: str) -> str:
    """A workspace of one file alone."""
    return f"load_from:\n{entry(module, name)}\n"


def submit(file: Path, name: str, place: str | None, webserver: str) -> Iterator[str]:
    """Put a file into the folder of a workspace, its entry into ``workspace.yaml``, and have it loaded."""
    where = place or os.environ.get("DAGSTER_HOME")
    if not where:
        raise BackendError(
            "It isn't known where Dagster's workspace is",
            hint="--to names the folder that workspace.yaml is in, or is to be in; DAGSTER_HOME does too",
        )
    folder = Path(where).resolve()
    if folder.exists() and not folder.is_dir():
        raise BackendError(f"{str(folder)!r} is no folder", hint="--to names the folder that workspace.yaml is in")
    workspace = folder / WORKSPACE
    before = workspace.read_text(encoding="utf-8") if workspace.is_file() else ""
    after = with_entry(before, file.name, name, str(workspace))
    if folder != file.parent.resolve():
        for written, how in write_files({file.name: file.read_text(encoding="utf-8")}, folder):
            yield f"{folder / written}: {how}"
    for written, how in write_files({WORKSPACE: after}, folder):
        yield f"{folder / written}: {f'code location {name} added' if how == 'written' else how}"
    if webserver:
        yield reload(webserver, name)


def with_entry(text: str, module: str, name: str, where: str) -> str:
    """A workspace's text with the entry for a file. Raises `BackendError` for one that isn't written line by line."""
    if not text.strip():
        return new_workspace(module, name)
    line = entry(module, name)
    if re.search(rf"location_name\"?\s*:\s*\"?{re.escape(name)}\b", text):
        return text
    if not re.search(r"^load_from:\s*$", text, re.MULTILINE):
        raise BackendError(
            f"{where!r} has no line 'load_from:' to put an entry below",
            hint=f"add it by hand: {line.strip()}",
        )
    found = re.search(r"^load_from:\s*\n([ ]*)-", text, re.MULTILINE)
    indent = found[1] if found else "  "
    return re.sub(r"^load_from:[ \t]*$", lambda match: f"{match[0]}\n{indent}{line.strip()}", text, count=1, flags=re.M)


def reload(webserver: str, name: str) -> str:
    """Have a webserver load a code location again, or its whole workspace where it doesn't know it as yet."""
    found = _ask(webserver, RELOAD, name=name)["reloadRepositoryLocation"]
    if found["__typename"] != "WorkspaceLocationEntry":
        entries = _ask(webserver, RELOAD_ALL)["reloadWorkspace"].get("locationEntries", [])
        found = next((item for item in entries if item["name"] == name), None)
    if found is None:
        return f"{webserver}: it has another workspace, without code location {name}"
    problem = (found.get("locationOrLoadError") or {}).get("message")
    if problem:
        raise BackendError(f"Dagster can't load {name!r}: {problem.strip()[:500]}")
    return f"{webserver}: code location {name} loaded"


def _ask(webserver: str, query: str, **variables: str) -> Any:
    """The data of a webserver's answer."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    address = f"{webserver.rstrip('/')}/graphql"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)["data"]
    except (OSError, ValueError, KeyError) as error:
        raise BackendError(
            f"The webserver at {webserver!r} can't be asked to load its code: {error}",
            hint="the setting webserver is its address, such as http://127.0.0.1:3000",
        ) from error
