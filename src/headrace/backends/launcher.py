"""What starts ``headrace exec`` from an orchestrator's own process.

Its classes stand in each Python file that a backend writes (`launcher_source`), so that such a file needs the
orchestrator and the standard library alone, of Python 3.9 or later. Nothing here goes through a shell, and what users
named or gave travels as arguments and on standard input.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

IMPORTS = (
    "import hashlib",
    "import json",
    "import os",
    "import subprocess",
    "import threading",
    "from collections.abc import Callable",
    "from contextlib import suppress",
    "from datetime import datetime, timezone",
    "from typing import Any",
)
"""What the classes import."""


class Lost(Exception):  # noqa: N818
    """What executed the node was killed. It may be tried again: what had ended is found."""


class Refused(Exception):  # noqa: N818
    """The node can't be begun: trying again gives the same."""


class Headrace:
    """The project's command line, in the project's own environment."""

    def __init__(self, command: list[str], project: str, pipeline: str, store: str, shape: str, engine: str) -> None:
        self.command = command
        self.project = project
        self.pipeline = pipeline
        self.store = store
        self.shape = shape
        self.engine = engine

    @staticmethod
    def run_id(moment: datetime, engine_run: str) -> str:
        """The run's id in the store, which begins with its time: the same for all tasks of the engine's run."""
        utc = moment.astimezone(timezone.utc)  # noqa: UP017
        digest = hashlib.sha256(engine_run.encode()).hexdigest()[:8]
        return f"{utc:%Y%m%d-%H%M%S}-{utc.microsecond // 1000:03d}-{digest}"

    def begin(
        self,
        run: str,
        engine_run: str,
        parameters: dict[str, Any],
        date: str | None = None,
        log: Callable[[str], Any] = print,
    ) -> dict[str, Any]:
        """Write down what the run begins with; done again, it changes nothing."""
        more = ["--begin", "--params", "-", "--shape", self.shape]
        more += ["--engine", self.engine, f"--engine-run={engine_run}"]
        more += [f"--date={date}"] if date is not None else []
        return self._facts([self.pipeline, *more], run, log, {}, json.dumps(parameters))

    def execute(
        self,
        run: str,
        node: str,
        *how: str,
        log: Callable[[str], Any] = print,
        secrets: dict[str, str] | None = None,
        values: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Execute a node, or with ``how`` some items of it. Returns how it ended, and references to what it made.

        ``secrets``: variables for its environment alone. ``values``: outputs of which what they hold is returned too,
        where that is JSON and small, for the engine to show. A node that fails returns too: see ``"outcome"``.
        """
        shown = [f"--value={name}" for name in values]
        facts = self._facts([node, self.pipeline, *how, *shown], run, log, secrets or {})
        kept = ("node", "outcome", "attempt", "reason", "seconds")
        failure = facts.get("failure") or {}
        outputs = {
            name: {
                "digest": artifact["digest"],
                "format": artifact["format"],
                "n_bytes": sum(file[2] for file in artifact["files"]),
            }
            for name, artifact in list((facts.get("outputs") or {}).items())[:100]
        }
        return {
            "run": run,
            **{key: facts.get(key) for key in kept},
            "message": str(failure.get("message", ""))[:2000],
            "outputs": outputs,
            "values": facts.get("values") or {},
        }

    def slices(self, run: str, node: str, log: Callable[[str], Any] = print) -> list[str]:
        """The tasks that the items of a node are, such as ``0:10``; none where it has ended already."""
        code, out = self._call([node, self.pipeline, "--slices"], run, log, {})
        if code != 0:
            return []  # it failed, and whoever collects the items says so
        return [str(item) for item in json.loads(out)]

    def finish(self, run: str, log: Callable[[str], Any] = print) -> dict[str, Any]:
        """Settle how the run ended, and return it: ``"outcome"`` is succeeded, rejected, failed or cancelled."""
        return self._facts([self.pipeline, "--finish"], run, log, {})

    def _facts(
        self, what: list[str], run: str, log: Callable[[str], Any], secrets: dict[str, str], given: str = ""
    ) -> dict[str, Any]:
        code, out = self._call([*what, "--json"], run, log, secrets, given)
        lines = out.strip().splitlines()
        facts: dict[str, Any] = json.loads(out if code == 2 else lines[-1]) if lines else {}
        if code == 2:
            error = facts.get("error") or {}
            raise Refused(f"{error.get('message', 'headrace exec could not begin')}. Hint: {error.get('hint')}")
        if not facts:
            raise Lost(f"headrace exec ended with exit code {code} before it could say how")
        return facts

    def _call(
        self, what: list[str], run: str, log: Callable[[str], Any], secrets: dict[str, str], given: str = ""
    ) -> tuple[int, str]:
        """Run ``headrace exec`` to its end, its log told line by line. Raises `Lost` where a signal ended it."""
        command = [*self.command, "exec", *what, "--run", run, "--store", self.store, "--with-parent", str(os.getpid())]
        # These are of the orchestrator's environment, and not of the project's.
        ours = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        with subprocess.Popen(
            command,
            cwd=self.project,
            env={**environment, **secrets},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            teller = threading.Thread(target=self._tell, args=(process.stderr, log), daemon=True)
            teller.start()
            try:
                with suppress(BrokenPipeError):  # it has ended without reading, and says why
                    process.stdin.write(given)
                    process.stdin.close()
                out = process.stdout.read()
                code = process.wait()
            except BaseException:  # the orchestrator cancels the task: the step goes with it
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise
            finally:
                teller.join(10)
        if code < 0:
            raise Lost(f"headrace exec was killed by signal {-code}")
        return code, out

    @staticmethod
    def _tell(lines: Any, log: Callable[[str], Any]) -> None:
        for line in lines:
            log(line.rstrip("\n"))


def launcher_source() -> str:
    """The classes as they stand in a backend's file, without their imports."""
    parts = [
        inspect.getsource(part).replace("  # noqa: N818", "").replace("  # noqa: UP017", "")
        for part in (Lost, Refused, Headrace)
    ]
    return "\n\n\n".join(part.rstrip("\n") for part in parts) + "\n"
