"""Trackers that the project's settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.engine.settings import setting

if TYPE_CHECKING:
    from headrace.engine.events import Listener
    from headrace.engine.run import Session


def mirrors(session: Session) -> tuple[Listener, ...]:
    """The listeners that mirror a run elsewhere when it has ended: to MLflow, where ``mlflow_tracking_uri`` is set."""
    uri = setting("mlflow_tracking_uri", None, session.settings)
    if not uri:
        return ()
    from headrace.integrations.mlflow import MirrorWhenEnded

    return (MirrorWhenEnded(session.store, str(uri), setting("mlflow_experiment", None, session.settings)),)
