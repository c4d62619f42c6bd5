"""Deploy a flow, by Prefect's own command, and say what that changed, by its API."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from headrace.backends.deployment import BackendError

SECONDS = 60
LONGEST_ERROR = 2000


class Api:
    """Prefect's REST API.

    ``url``: by default what ``PREFECT_API_URL`` says. Raises `BackendError` where it says nothing.
    """

    def __init__(self, url: str | None) -> None:
        found = url or os.environ.get("PREFECT_API_URL")
        if not found or not found.startswith(("http://", "https://")):
            raise BackendError(
                "Where Prefect's API is must be said",
                hint="set PREFECT_API_URL, or give --to, such as http://127.0.0.1:4200/api",
            )
        self.url = found.rstrip("/")

    def get(self, path: str) -> Any:
        """What is there; None where there is nothing. Raises `BackendError` where the API can't be reached."""
        request = Request(self.url + quote(path), headers=self._headers())
        try:
            with urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code == 404:
                return None
            raise BackendError(f"Prefect's API at {self.url} answered {error.code} {error.reason}") from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise BackendError(
                f"Prefect's API at {self.url} can't be reached: {reason}", hint="prefect server start"
            ) from error

    @staticmethod
    def _headers() -> dict[str, str]:
        key, auth = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
        if key:
            return {"Authorization": f"Bearer {key}"}
        return {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else {}


def submit(flow: str, name: str, version: str, work_pool: str, folder: Path, prefect: str, api: Api) -> Iterator[str]:
    """Deploy what is in a folder, where it isn't deployed yet; gives lines that say what changed.

    Raises `BackendError` where the work pool is missing, and with what ``prefect deploy`` said where it failed.
    """
    path = f"/deployments/name/{flow}/{name}"
    before = api.get(path)
    if api.get(f"/work_pools/{work_pool}") is None:
        raise BackendError(
            f"There is no work pool {work_pool!r} at {api.url}",
            hint=f"prefect work-pool create {shlex.quote(work_pool)} --type process; or --set work_pool=NAME",
        )
    if before is not None and before["version"] == version and _shown(before)["folder"] == str(folder.resolve()):
        yield f"deployment {flow}/{name}: unchanged"
        return
    _deploy(shlex.split(prefect), folder, api.url)
    after = api.get(path)
    if after is None:
        raise BackendError(f"prefect deploy left no deployment {flow}/{name}")
    yield f"deployment {flow}/{name}: {'created' if before is None else 'updated'}"
    was, now = _shown(before) if before else {}, _shown(after)
    for title, value in now.items():
        if was.get(title) != value:
            yield f"  {title}: {_text(value)}" + (f", was {_text(was[title])}" if title in was else "")


def _deploy(prefect: list[str], folder: Path, url: str) -> None:
    command = [*prefect, "--no-prompt", "deploy", "--all"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PREFECT_API_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise BackendError(
            f"Prefect's command {shlex.join(prefect)!r} can't be started: {error.strerror}",
            hint="it is in Prefect's own environment: --set prefect=PATH/bin/prefect",
        ) from error
    if done.returncode != 0:
        raise BackendError(f"prefect deploy failed:\n{done.stdout[-LONGEST_ERROR:].strip()}")


def _shown(deployment: dict[str, Any]) -> dict[str, Any]:
    """What is said of a deployment."""
    schedules = [item["schedule"] for item in deployment["schedules"] if item["active"]]
    steps = [arguments for step in deployment["pull_steps"] or [] for arguments in step.values()]
    limit = deployment.get("global_concurrency_limit") or {}
    return {
        "flow": deployment["entrypoint"],
        "folder": next((step["directory"] for step in steps if "directory" in step), None),
        "work pool": deployment["work_pool_name"],
        "schedule": [f"{item.get('cron')} {item.get('timezone')}" for item in schedules],
        "tags": deployment["tags"],
        "parameters": list((deployment["parameter_openapi_schema"] or {}).get("properties", {})),
        "runs at once": limit.get("limit"),
        "version": deployment["version"],
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "any number" if value is None else str(value)
