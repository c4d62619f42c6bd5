"""Prefect for real: its server, a process work pool and a worker, driven through the REST API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from engine import BEGIN, FAILED, FINISH, NOT_STARTED, SECRET, SECRET_NAME, SKIPPED, SUCCEEDED, Deployed, Ended
from services import Service, accepts, free_port, wait_until

BIN = Path(__file__).resolve().parents[3] / ".engines" / "prefect" / "bin"
POOL = "default"
TERMINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
CLEANED_UP = "prefect.flow_runs.worker - Check whether the flow run exceeded its memory"
"""What the worker says last of a flow run whose process was killed."""
SPEEDY = {
    "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
}
"""Settings by which tests wait less; none changes what a task does."""


class PrefectEngine:
    """A Prefect of its own in a folder: a server with SQLite, and a worker that starts flow runs as processes."""

    name = "prefect"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.services: list[Service] = []
        self.n_killed = 0

    # --- its services

    def environment(self) -> dict[str, str]:
        """The environment of its processes, and of its command line."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHON"))}
        return kept | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            **SPEEDY,
        }

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self.start_server()
            self.prefect("work-pool", "create", POOL, "--type", "process")
            self.start_worker()
        except BaseException:
            self.stop()
            raise

    def start_server(self) -> Service:
        command = ["server", "start", "--host", "127.0.0.1", "--port", str(self.port), "--log-level", "WARNING"]
        server = self._service("server", *command)
        wait_until(lambda: accepts(self.port) and self.call("/health") is True, server, seconds=120)
        return server

    def start_worker(self) -> Service:
        worker = self._service("worker", "worker", "start", "--pool", POOL, "--type", "process")
        wait_until(lambda: self.call(f"/work_pools/{POOL}")["status"] == "READY", worker, seconds=60)
        return worker

    def _service(self, name: str, *command: str) -> Service:
        environment = {**self.environment(), SECRET_NAME: SECRET}
        service = Service(name, [str(BIN / "prefect"), *command], self.folder, env=environment, cwd=self.folder)
        self.services.append(service)
        return service

    def stop(self) -> None:
        while self.services:
            self.services.pop().stop()

    def prefect(self, *arguments: str, cwd: Path | None = None) -> str:
        """Call Prefect's command line; gives what it prints."""
        command = [str(BIN / "prefect"), "--no-prompt", *arguments]
        done = subprocess.run(
            command, env=self.environment(), cwd=cwd or self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Ask the API."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + quote(path), data, {"Content-Type": "application/json"}, method=method)
        for wait_seconds in (1, 2, 4, 8, 16, 0):  # as Prefect's own client does: SQLite may be busy
            try:
                with urlopen(request, timeout=60) as answer:
                    text = answer.read()
                    break
            except HTTPError as error:
                if error.code not in (429, 503) or not wait_seconds:
                    raise RuntimeError(f"{path}: {error}: {error.read().decode()}") from error
                time.sleep(wait_seconds)
        return json.loads(text) if text else None

    # --- what the cases ask

    def compile_options(self) -> Sequence[str]:
        return ("--set", f"work_pool={POOL}", "--set", f"prefect={BIN / 'prefect'}")

    def deploy(self, deployed: Deployed) -> None:
        self.prefect("deploy", "--all", cwd=deployed.folder)

    def deployment(self, deployed: Deployed) -> Any:
        return self.call(f"/deployments/name/{deployed.name}/{deployed.name}")

    def trigger(self, deployed: Deployed, parameters: Mapping[str, Any], date: str | None = None) -> str:
        given = {**parameters, **({"day": date} if date is not None else {})}
        path = f"/deployments/{self.deployment(deployed)['id']}/create_flow_run"
        return str(self.call(path, {"parameters": given, "state": {"type": "SCHEDULED"}})["id"])

    def flow_run(self, run: str) -> Any:
        return self.call(f"/flow_runs/{run}")

    def wait(self, deployed: Deployed, run: str, seconds: float = 300.0) -> Ended:
        worker = self.services[-1]
        wait_until(lambda: self.flow_run(run)["state"]["type"] in TERMINAL, worker, seconds=seconds)
        state = self.flow_run(run)["state"]
        if state["type"] in ("COMPLETED", "FAILED"):
            with suppress(TimeoutError):  # the server hears of tasks by events, which come a moment later
                wait_until(lambda: self._are_settled(self.task_runs(run)), worker, seconds=20)
        tasks = self._by_node(deployed, run)
        parts = Counter(task["name"].partition("[")[0] for task in self.task_runs(run) if "[" in task["name"])
        return Ended(
            SUCCEEDED if state["type"] == "COMPLETED" else FAILED,
            state["name"],
            {node: _outcome(task["state"]) for node, task in tasks.items()},
            {node: task["state"]["name"] for node, task in tasks.items()},
            {node: task["run_count"] for node, task in tasks.items()},
            parts,
        )

    def task_runs(self, run: str) -> list[Any]:
        """The task runs of a flow run, in the order in which they were made."""
        body = {"flow_runs": {"id": {"any_": [run]}}, "limit": 200}
        found: list[Any] = []
        while part := self.call("/task_runs/filter", {**body, "offset": len(found)}):
            found += part
        return sorted(found, key=lambda task: task["expected_start_time"] or task["created"])

    @staticmethod
    def _are_settled(tasks: list[Any]) -> bool:
        """Whether some tasks are known, and each has ended. One that is made a moment ago has no state at all."""
        states = [task["state"] or {"type": None, "name": None} for task in tasks]
        return bool(states) and all(state["type"] in TERMINAL or state["name"] == "NotReady" for state in states)

    def _by_node(self, deployed: Deployed, run: str) -> dict[str, Any]:
        """The newest task run of each node: after a flow run was tried again there are older ones."""
        tasks = {task["name"]: task for task in self.task_runs(run)}
        ours = {"begin": BEGIN, "finish": FINISH}
        own = {ours[name]: tasks[name] for name in ours if name in tasks and name not in deployed.nodes}
        return own | {node: tasks[node] for node in deployed.nodes if node in tasks}

    def backfill(self, deployed: Deployed, first: str, last: str) -> list[str]:
        day, end = date.fromisoformat(first), date.fromisoformat(last)
        days = [day + timedelta(number) for number in range((end - day).days + 1)]
        runs = []
        for day in days:
            name = f"{deployed.name}/{deployed.name}"
            self.prefect("deployment", "run", name, "--param", f"day={day}", "--flow-run-name", f"{day}")
            body = {"flow_runs": {"name": {"any_": [f"{day}"]}}, "sort": "EXPECTED_START_TIME_DESC"}
            runs.append(str(self.call("/flow_runs/filter", body)[0]["id"]))
        return runs

    def kill_worker(self, deployed: Deployed, run: str, node: str) -> None:
        def is_running() -> bool:
            names = {task["name"]: task["state"]["type"] for task in self.task_runs(run)}
            return names.get(node) == "RUNNING"

        wait_until(is_running, self.services[-1], seconds=120)
        os.kill(int(self.flow_run(run)["infrastructure_pid"]), signal.SIGKILL)
        self.n_killed += 1

    def resume(self, deployed: Deployed, run: str, parameters: Mapping[str, Any]) -> str:
        """As the button Retry does: the same flow run, from its start."""
        worker = self.services[-1]
        wait_until(lambda: self.flow_run(run)["state"]["type"] in TERMINAL, worker, seconds=60)
        if self.flow_run(run)["state"]["type"] == "CRASHED":  # which the worker says anew when it has cleaned up
            wait_until(lambda: worker.log.read_text().count(CLEANED_UP) >= self.n_killed, worker, seconds=120)
        state = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
        self.call(f"/flow_runs/{run}/set_state", {"state": state, "force": True})
        return run

    def cancel(self, deployed: Deployed, run: str) -> None:
        """As the button Cancel does."""
        self.call(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})

    def texts(self, deployed: Deployed, run: str) -> Iterator[tuple[str, str]]:
        of_run = {"flow_runs": {"id": {"any_": [run]}}}
        yield "deployment", json.dumps(self.deployment(deployed), ensure_ascii=False)
        yield "flow run", json.dumps(self.flow_run(run), ensure_ascii=False)
        yield "task runs", json.dumps(self.task_runs(run), ensure_ascii=False)
        yield "artifacts", json.dumps(self.call("/artifacts/filter", of_run), ensure_ascii=False)
        logs = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
        yield "logs", "\n".join(item["message"] for item in self.call("/logs/filter", logs))
        events = {"filter": {"related": {"id": [f"prefect.flow-run.{run}"]}}, "limit": 50}
        yield "events", json.dumps(self.call("/events/filter", events), ensure_ascii=False)
        for path in [*deployed.folder.rglob("*"), *self.folder.rglob("*")]:
            if path.is_file() and path.suffix != ".pyc":
                yield str(path), path.read_bytes().decode("utf-8", "replace")

    def spans(self, deployed: Deployed, run: str) -> dict[str, tuple[datetime, datetime]]:
        """When each task began and ended."""
        return {
            node: (datetime.fromisoformat(task["start_time"]), datetime.fromisoformat(task["end_time"]))
            for node, task in self._by_node(deployed, run).items()
        }

    def database_bytes(self) -> int:
        files = [*self.home.glob("prefect.db*"), *(self.home / "storage").rglob("*")]
        return sum(path.stat().st_size for path in files if path.is_file())


def _outcome(state: Mapping[str, Any]) -> str:
    if state["type"] == "COMPLETED":
        return SKIPPED if state["name"] == "Skipped" else SUCCEEDED
    return NOT_STARTED if state["type"] in ("PENDING", "SCHEDULED") else FAILED
