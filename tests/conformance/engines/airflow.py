"""Airflow for real: API server, scheduler with its LocalExecutor and DAG processor, driven through the REST API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import BEGIN, FAILED, FINISH, NOT_STARTED, SECRET, SECRET_NAME, SKIPPED, SUCCEEDED, Deployed, Ended
from engines.postgres import Postgres
from services import Service, accepts, free_port, wait_until

from headrace.backends.airflow.submitting import put

ENVIRONMENT = Path(__file__).resolve().parents[3] / ".engines" / "airflow"
ENDED = ("success", "failed")
SPEEDY = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "1",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "0",
}
"""Settings by which tests wait less; none changes what a task does."""


PARTS = ("slices", "items", "collect")
OURS = {"begin": BEGIN, "finish": FINISH}
WORDS = {"success": SUCCEEDED, "skipped": SKIPPED, "failed": FAILED}
"""Of Airflow's states those that say how something ended; others didn't come to their start."""


def path_of(run: str) -> str:
    """Where the API has a run, which is known here as DAG/RUN."""
    dag_id, _, run_id = run.partition("/")
    return f"/api/v2/dags/{quoted(dag_id)}/dagRuns/{quoted(run_id)}"


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


class AirflowEngine:
    """An Airflow of its own in a folder, with the database that is asked for: ``sqlite`` or ``postgres``."""

    name = "airflow"

    def __init__(self, folder: Path, *, database: str = "sqlite", parallelism: int = 4) -> None:
        self.folder = folder
        self.dags = folder / "dags"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.parallelism = parallelism
        self.postgres = Postgres(folder) if database == "postgres" else None
        self.services: list[Service] = []
        self.token = ""
        self.pace = SPEEDY

    @property
    def environment(self) -> dict[str, str]:
        """The settings that all of its processes share. Nothing of ours is in the path of its imports."""
        database = self.postgres.url if self.postgres else f"sqlite:///{self.folder}/airflow.db?timeout=60"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            **self.pace,
            SECRET_NAME: SECRET,
            "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(self.parallelism),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__API_AUTH__JWT_SECRET": "of-this-test-alone-and-long-enough-for-sha512-" + "x" * 32,
            "AIRFLOW__API__SECRET_KEY": "of-this-test-alone",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }

    def start(self) -> None:
        """Make the database, start its three services and wait until they can be asked."""
        self.dags.mkdir(parents=True, exist_ok=True)
        if self.postgres:
            self.postgres.start()
        airflow = str(ENVIRONMENT / "bin" / "airflow")
        options: dict[str, Any] = {"env": self.environment, "cwd": self.folder}
        done = subprocess.run([airflow, "db", "migrate"], capture_output=True, text=True, check=False, **options)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        for name in ("api-server", "scheduler", "dag-processor"):
            self.services.append(self._service(name))
        wait_until(lambda: accepts(self.port), self.services[0], seconds=120)
        self.token = self.ask("GET", "/auth/token")["access_token"]
        wait_until(self._is_healthy, self.services[1], seconds=120)

    def stop(self) -> None:
        """End all that was started, the last first."""
        for service in reversed(self.services):
            service.stop()
        self.services.clear()
        if self.postgres:
            self.postgres.stop()

    def _is_healthy(self) -> bool:
        health = self.ask("GET", "/api/v2/monitor/health")
        return all(health[name]["status"] == "healthy" for name in ("scheduler", "dag_processor", "metadatabase"))

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """One request to the REST API, and its answer."""
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, f"{method} {path}: {error.code}: {error.read().decode()[:2000]}") from None
        return json.loads(text) if text else None

    def compile_options(self) -> Sequence[str]:
        """Nothing else is asked for; Airflow tries again soon."""
        return ("--set", "lost_retry_seconds=1")

    def deploy(self, deployed: Deployed) -> None:
        """Put the file into the DAG folder, and wait until Airflow has read it."""
        (source,) = deployed.folder.glob("*.py")
        list(put(source, self.dags))
        self.read_dag(source.stem, self.dags / source.name)

    def read_dag(self, dag_id: str, file: Path) -> None:
        """Wait until Airflow has read a file of the DAG folder as it is now."""
        wait_until(lambda: self._has_read(dag_id, file), self.services[2], seconds=120)

    def _has_read(self, dag_id: str, file: Path) -> bool:
        for error in self.ask("GET", "/api/v2/importErrors", limit=100)["import_errors"]:
            if error["filename"] == file.name and error["timestamp"] > _utc(file.stat().st_mtime):
                raise RuntimeError(error["stack_trace"])
        try:
            dag = self.ask("GET", f"/api/v2/dags/{quoted(dag_id)}")
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return bool(dag["last_parsed_time"] and dag["last_parsed_time"] > _utc(file.stat().st_mtime))

    def trigger(self, deployed: Deployed, parameters: Mapping[str, Any], date: str | None = None) -> str:
        """Start a run by its form, as a user does."""
        body = {"conf": dict(parameters), "logical_date": f"{date}T00:00:00Z" if date else None}
        made = self.ask("POST", f"/api/v2/dags/{quoted(deployed.name)}/dagRuns", body)
        return f"{deployed.name}/{made['dag_run_id']}"

    def backfill(self, deployed: Deployed, first: str, last: str) -> list[str]:
        """Airflow's own back-fill: a run for each date that the schedule names."""
        body = {"dag_id": deployed.name, "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
        with self.creating_backfills():
            for attempt in range(20):
                try:
                    self.ask("POST", "/api/v2/backfills", {**body, "max_active_runs": 2})
                    break
                except ApiError as error:
                    if error.code != 503 or attempt == 19:
                        raise
                    time.sleep(1)
        runs = [run for run in self.runs_of(deployed.name) if run["run_type"] == "backfill"]
        return [f"{deployed.name}/{run['dag_run_id']}" for run in runs]

    @contextmanager
    def creating_backfills(self) -> Iterator[None]:
        """On SQLite Airflow refuses to make a back-fill while others write, and its scheduler ends over the runs that
        were taken back. So it isn't there meanwhile."""
        if self.postgres:
            yield
            return
        self.services[1].stop()
        yield
        self.services[1] = self._service("scheduler")
        wait_until(self._is_healthy, self.services[1], seconds=120)

    def _service(self, name: str) -> Service:
        command = [str(ENVIRONMENT / "bin" / "airflow"), name]
        return Service(name, command, self.folder, env=self.environment, cwd=self.folder)

    def runs_of(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, up to a hundred."""
        found: list[dict[str, Any]] = self.ask("GET", f"/api/v2/dags/{quoted(dag_id)}/dagRuns", limit=100)["dag_runs"]
        return found

    def wait(self, deployed: Deployed, run: str, seconds: float = 300.0) -> Ended:
        """How a run ended: a mapped node as its last task did, unless its first wasn't started."""
        # A hundred tasks take minutes on a machine that has other things to do.
        wait_until(lambda: self.ask("GET", path_of(run))["state"] in ENDED, self.services[1], seconds=3 * seconds)
        words: dict[str, str] = {}
        n_tries: dict[str, int] = {}
        n_parts: dict[str, int] = {}
        for task in self.tasks(run):
            name, _, part = task["task_id"].rpartition(".")
            node = name if part in PARTS and name in deployed.nodes else OURS.get(task["task_id"], task["task_id"])
            if part == "items" and task["map_index"] >= 0:
                n_parts[node] = n_parts.get(node, 0) + 1
            if node == task["task_id"] or node in OURS.values() or part == "collect":
                words.setdefault(node, str(task["state"]))
            if part == "slices" and task["state"] == "upstream_failed":
                words[node] = "upstream_failed"
            n_tries[node] = max(n_tries.get(node, 0), task["try_number"])
        state = self.ask("GET", path_of(run))["state"]
        shown = {node: WORDS.get(word, NOT_STARTED) for node, word in words.items()}
        return Ended(WORDS[state], state, shown, words, n_tries=n_tries, n_parts=n_parts)

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """All task instances of a run."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask("GET", f"{path_of(run)}/taskInstances", limit=100, offset=len(found))
            found += page["task_instances"]
            if len(found) >= page["total_entries"]:
                return found

    def resume(self, deployed: Deployed, run: str, parameters: Mapping[str, Any]) -> str:
        """Clear the tasks that failed: they, and what hangs on them, are done again in the same run."""
        dag_id, _, run_id = run.partition("/")
        body = {"dry_run": False, "only_failed": True, "dag_run_id": run_id, "include_downstream": True}
        self.ask("POST", f"/api/v2/dags/{quoted(dag_id)}/clearTaskInstances", body)
        return run

    def cancel(self, run: str) -> None:
        """End a run as a user does: mark it as failed."""
        self.ask("PATCH", path_of(run), {"state": "failed"})

    def kill_worker(self, deployed: Deployed, run: str, node: str) -> None:
        """Kill -9 the process of Airflow's that carries out a node's task."""
        (pid,) = [task["pid"] for task in self.tasks(run) if task["task_id"] == node and task["state"] == "running"]
        os.kill(pid, signal.SIGKILL)

    def outputs(self, run: str, task: str, key: str = "return_value") -> Any:
        """What a task handed on."""
        return self.ask("GET", f"{path_of(run)}/taskInstances/{quoted(task)}/xcomEntries/{key}")["value"]

    def states(self, run: str) -> dict[str, str | None]:
        """The states of a run's tasks now; of a mapped one the state of its last part."""
        return {task["task_id"]: task["state"] for task in self.tasks(run)}

    def spans(self, deployed: Deployed, run: str) -> dict[str, tuple[datetime, datetime]]:
        """When each task began and ended."""
        return {
            task["task_id"]: (datetime.fromisoformat(task["start_date"]), datetime.fromisoformat(task["end_date"]))
            for task in self.tasks(run)
        }

    def path_of(self, run: str) -> str:
        """Where the API has a run."""
        return path_of(run)

    def log_of(self, run: str, task: str, attempt: int = 1, map_index: int = -1) -> str:
        """A task's log, as the API gives it."""
        path = f"{path_of(run)}/taskInstances/{quoted(task)}/logs/{attempt}"
        return json.dumps(self.ask("GET", path, map_index=map_index, full_content="true"), ensure_ascii=False)

    def texts(self, deployed: Deployed, run: str) -> Iterator[tuple[str, str]]:
        """Answers of the API, logs, files, and the database."""
        dag = f"/api/v2/dags/{quoted(deployed.name)}"
        paths = [dag, f"{dag}/details", f"{dag}/tasks", path_of(run), f"{path_of(run)}/taskInstances"]
        paths += [f"{path_of(run)}/taskInstances/~/xcomEntries", "/api/v2/eventLogs", "/api/v2/assets/events"]
        for path in paths:
            yield path, json.dumps(self.ask("GET", path), ensure_ascii=False)
        for task in self.tasks(run):
            for attempt in range(1, task["try_number"] + 1):
                yield task["task_id"], self.log_of(run, task["task_id"], attempt, task["map_index"])
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                yield str(file), file.read_bytes().decode(errors="replace")
        if self.postgres:
            yield "the database", self.postgres.dump()

    def database_bytes(self) -> int:
        """The size of Airflow's database."""
        if self.postgres:
            return int(self.postgres.query("select pg_database_size('postgres')"))
        return sum(file.stat().st_size for file in self.folder.glob("airflow.db*"))


class ApiError(RuntimeError):
    """What the API refused."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds + 1))
