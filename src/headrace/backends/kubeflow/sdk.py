"""The KFP SDK, in an environment that need not be the steps'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from headrace.backends.deployment import BackendError

REQUIREMENT = "kfp[kubernetes]>=2.17,<3"
INSTALL = f'pip install "{REQUIREMENT}"'
LAST_LINES = 5


def sdk_interpreter(named: str) -> str:
    """The interpreter that has the SDK. Raises `BackendError`, with how to install it, where none is known."""
    if named:
        return named
    if find_spec("kfp") is None:
        raise BackendError(
            "The YAML is made by the SDK of Kubeflow Pipelines, which isn't installed here",
            hint=f"{INSTALL}, here or in an environment of its own, and then --set sdk_python=PATH/bin/python",
        )
    return sys.executable


def run_sdk(named: str, *arguments: str, given: object = None) -> str:
    """Run a Python file or code in the SDK's environment, and return what it prints. Raises `BackendError`."""
    python = sdk_interpreter(named)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            [python, *arguments], input=json.dumps(given), env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise BackendError(
            f"The interpreter {python!r} can't be started: {error}", hint="see the setting sdk_python"
        ) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        hint = f"there: {INSTALL}" if "No module named 'kfp" in done.stderr else None
        raise BackendError(f"The SDK of Kubeflow Pipelines said: {chr(10).join(lines[-LAST_LINES:])}", hint=hint)
    return done.stdout


def make_yaml(definition: Path, named: str) -> Path:
    """Make the YAML of a pipeline's Python file, beside it."""
    run_sdk(named, str(definition))
    return definition.with_suffix(".yaml")
