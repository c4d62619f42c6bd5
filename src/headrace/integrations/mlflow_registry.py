"""Which runs MLflow's registry names: what a store must keep while they can be asked for there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import StoreError
from headrace.integrations.mlflow import RUN_ID, client_of

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ANSWER_SECONDS = 10.0
_HINT = "start it, or correct mlflow_tracking_uri, or unset it if the models in it aren't needed"


def registered_runs(tracking_uri: str) -> set[str]:
    """The ids of the runs whose models are registered in MLflow.

    Raises `StoreError` when it can't be asked, and `ProjectError` when MLflow isn't installed.
    """
    _refuse_silent(tracking_uri)
    client = client_of(tracking_uri)
    try:
        return set(_registered(client))
    except Exception as error:
        raise _unreachable(tracking_uri, f"{type(error).__name__}") from error


def _registered(client: MlflowClient) -> list[str]:
    found: list[str] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(page_token=token)
        for version in page:
            if version.run_id:
                run_id = client.get_run(version.run_id).data.tags.get(RUN_ID)
                found += [run_id] if run_id else []
        token = page.token
        if not token:
            return found


def _refuse_silent(tracking_uri: str) -> None:
    """See whether it is there: MLflow's own client would ask a server for minutes, and make a database anew."""
    database = tracking_uri.removeprefix("sqlite:///")
    if database != tracking_uri and not Path(database).is_file():
        raise _unreachable(tracking_uri, "there is no such file")
    if not tracking_uri.startswith(("http://", "https://")):
        return
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(f"{tracking_uri.rstrip('/')}/health", timeout=ANSWER_SECONDS):
            return
    except (OSError, HTTPException) as error:
        raise _unreachable(tracking_uri, str(getattr(error, "reason", error))) from error


def _unreachable(tracking_uri: str, why: str) -> StoreError:
    from urllib.parse import urlsplit

    parts = urlsplit(tracking_uri)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return StoreError(
        f"MLflow at {shown!r} can't be asked which models are registered ({why}), so nothing was removed", hint=_HINT
    )
