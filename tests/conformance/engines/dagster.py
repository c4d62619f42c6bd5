"""Dagster, started for real: a code server, the webserver and the daemon, spoken to by GraphQL alone.

One code location holds what was deployed last; what is triggered and isn't there is deployed again. Runs wait in the
queue for the daemon, and are started by the default launcher, as processes of the code server.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import environments
from engine import BEGIN, FAILED, FINISH, NOT_STARTED, SECRET, SECRET_NAME, SKIPPED, SUCCEEDED, Deployed, Ended
from services import Service, accepts, free_port, wait_until

LOCATION = "conformance"
SETTINGS = """\
telemetry: {enabled: false}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {dequeue_interval_seconds: 1, max_concurrent_runs: 4}
"""
WORKSPACE = "load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: {location}}}}}]\n"
SHOWN = {"SUCCESS": SUCCEEDED, "SKIPPED": SKIPPED, "FAILURE": FAILED}
SETTLED = "headrace: "
"""How the event begins by which a sensor says that it has finished a run."""
DATABASES = """
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    instance.get_runs(limit=1), instance.all_instigator_state(), instance.all_asset_keys()
"""
"""Makes the SQLite files, which several processes that start at once would do at the same time, and fail."""
STARTS = ("STEP_START", "STEP_RESTARTED")
ENDS = ("SUCCESS", "FAILURE", "CANCELED")


class DagsterEngine:
    """An instance of Dagster in a folder. ``by``: whether a run is one of the job, or materializes all assets."""

    name = "dagster"

    def __init__(self, folder: Path, by: str = "job") -> None:
        self.home = folder / "home"
        self.code = folder / "definitions.py"
        self.by = by
        self.services: list[Service] = []
        self.served = ""
        self.newest: dict[str, str] = {}
        self.code_port, self.web_port = free_port(), free_port()

    def start(self) -> None:
        """Start all three, and wait until the webserver answers."""
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(SETTINGS)
        workspace = self.home / "workspace.yaml"
        workspace.write_text(WORKSPACE.format(port=self.code_port, location=LOCATION))
        self.code.write_text("from dagster import Definitions\n\ndefs = Definitions()\n")
        made = [str(environments.python_of("dagster")), "-c", DATABASES]
        subprocess.run(made, env=self._variables(), check=True, capture_output=True)
        where = ("-h", "127.0.0.1", "-p")
        code = self._start("dagster", "code-server", "start", *where, self.code_port, "-f", self.code)
        wait_until(lambda: accepts(self.code_port), code, seconds=120)
        web = self._start("dagster-webserver", *where, self.web_port, "-w", workspace)
        wait_until(self._is_up, web, seconds=240)
        self._start("dagster-daemon", "run", "-w", workspace)

    def _start(self, program: str, *arguments: object) -> Service:
        command = [str(environments.python_of("dagster").with_name(program)), *map(str, arguments)]
        service = Service(program, command, self.home, env=self._variables(), cwd=self.home)
        self.services.append(service)
        return service

    def _variables(self) -> dict[str, str]:
        own = {"DAGSTER_HOME": str(self.home), "DAGSTER_DISABLE_TELEMETRY": "1", SECRET_NAME: SECRET}
        return {**os.environ, **own}

    def _is_up(self) -> bool:
        try:
            entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except (urllib.error.URLError, ConnectionError):
            return False
        return all((entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for entry in entries)

    def stop(self) -> None:
        """End them, the daemon first."""
        while self.services:
            self.services.pop().stop()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a GraphQL document, and give its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.web_port}/graphql"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:4000]) from error
        if answer.get("errors"):
            raise RuntimeError(json.dumps(answer["errors"], indent=1)[:4000])
        found: dict[str, Any] = answer["data"]
        return found

    def compile_options(self) -> Sequence[str]:
        """So that the sensors look often."""
        return ("--set", "finish_seconds=1")

    def deploy(self, deployed: Deployed) -> None:
        """Have the code server load what was compiled, and the webserver know it."""
        shutil.copyfile(deployed.folder / f"{deployed.name}_definitions.py", self.code)
        entry = self.ask(RELOAD, name=LOCATION)["reloadRepositoryLocation"]
        problem = (entry.get("locationOrLoadError") or {}).get("message") or entry.get("message")
        if problem:
            raise RuntimeError(problem)
        self.served = deployed.name

    def trigger(self, deployed: Deployed, parameters: Mapping[str, Any], date: str | None = None) -> str:
        """Launch a run, by its job or by its assets."""
        if self.served != deployed.name:
            self.deploy(deployed)
        config = {"ops": {deployed.name: {"ops": {"begin": {"config": dict(parameters)}}}}}
        tags = [{"key": "dagster/partition", "value": date}] if date else []
        params = {
            "selector": self._selector(deployed),
            "runConfigData": config if parameters else {},
            "executionMetadata": {"tags": tags},
        }
        return self._launched(self.ask(LAUNCH, params=params)["launchRun"])

    def _selector(self, deployed: Deployed) -> dict[str, Any]:
        found = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
        if self.by == "job":
            return {**found, "jobName": f"{deployed.name}_job"}
        assets = self.ask(ASSETS)["assetNodes"]
        return {**found, "jobName": "__ASSET_JOB", "assetSelection": [item["assetKey"] for item in assets]}

    def _launched(self, answer: dict[str, Any]) -> str:
        if "run" not in answer:
            raise RuntimeError(json.dumps(answer)[:4000])
        return str(answer["run"]["runId"])

    def wait(self, deployed: Deployed, run: str, seconds: float = 800.0) -> Ended:
        """Wait for a run, or for the newest that repeats it, and for the sensor that finishes it where it failed."""
        last = self.newest.get(run, run)
        wait_until(lambda: self._run(last)["status"] in ENDS, seconds=seconds)
        word = self._run(last)["status"]
        if word != "SUCCESS":
            wait_until(lambda: self._is_finished(last), self.services[-1], seconds=120)
        names = self._nodes(run)
        words: dict[str, str] = {}
        tries: Counter[str] = Counter()
        for one in dict.fromkeys((run, last)):
            words |= {step["stepKey"]: step["status"] for step in self._run(one)["stepStats"]}
            tries.update(event["stepKey"] for event in self.events(one) if event["eventType"] in STARTS)
        tasks = {names[key]: SHOWN.get(words.get(key, ""), NOT_STARTED) for key in names}
        if tasks.get(FINISH) == NOT_STARTED and word != "SUCCESS":
            tasks[FINISH] = FAILED
        return Ended(
            state=SUCCEEDED if word == "SUCCESS" else FAILED,
            word=word,
            tasks=tasks,
            words={names[key]: text for key, text in words.items()},
            n_tries={names[key]: n for key, n in tries.items()},
        )

    def spans(self, deployed: Deployed, run: str) -> dict[str, tuple[datetime, datetime]]:
        """When each op began and ended."""
        names = self._nodes(run)
        return {
            names[step["stepKey"]]: (
                datetime.fromtimestamp(step["startTime"], UTC),
                datetime.fromtimestamp(step["endTime"], UTC),
            )
            for step in self._run(run)["stepStats"]
        }

    def _run(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(RUN, id=run)["runOrError"]
        return found

    def _nodes(self, run: str) -> dict[str, str]:
        """The nodes that the steps of a run carry out, by the steps' keys: the ops' tags say it."""
        found = {}
        steps = self._run(run)["executionPlan"]["steps"]
        tagged = {step["key"]: {item["key"]: item["value"] for item in step["metadata"]} for step in steps}
        for key, tags in tagged.items():
            found[key] = {"begin": BEGIN, "finish": FINISH}.get(tags.get("headrace/task", "")) or tags["headrace/node"]
        return found

    def _is_finished(self, run: str) -> bool:
        """Whether the run's last op was started, or a sensor says that it has done its work."""
        return any(
            event["message"].startswith(SETTLED) or (event["stepKey"] or "").endswith(".finish")
            for event in self.events(run)
            if event["eventType"] in ("ENGINE_EVENT", "STEP_START")
        )

    def events(self, run: str) -> list[dict[str, Any]]:
        """What the engine's log of a run has."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.ask(EVENTS, id=run, after=cursor)["logsForRun"]
            found += page["events"]
            cursor = page["cursor"]
            if not page["hasMore"]:
                return found

    def backfill(self, deployed: Deployed, first: str, last: str) -> list[str]:
        """Have the daemon run each partition of the job, or of all assets."""
        if self.served != deployed.name:
            self.deploy(deployed)
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
        days = [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]
        repository = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
        what: dict[str, Any] = {
            "selector": {"partitionSetName": f"{deployed.name}_job_partition_set", "repositorySelector": repository}
        }
        if self.by != "job":
            what = {"assetSelection": self._selector(deployed)["assetSelection"]}
        answer = self.ask(BACKFILL, params={**what, "partitionNames": days})["launchPartitionBackfill"]
        if "backfillId" not in answer:
            raise RuntimeError(json.dumps(answer)[:4000])
        asked = answer["backfillId"]
        wait_until(lambda: len(self._filled(asked)) == len(days), self.services[-1], seconds=300)
        return self._filled(asked)

    def _filled(self, asked: str) -> list[str]:
        found = self.ask(FILLED, id=asked)["partitionBackfillOrError"]
        return [run["runId"] for run in found["runs"]]

    def kill_worker(self, deployed: Deployed, run: str, node: str) -> None:
        """Kill the process of the step that carries out a node."""
        key = next(key for key, name in self._nodes(run).items() if name == node)
        told = [event for event in self.events(run) if event["__typename"] == "StepWorkerStartedEvent"]
        (pid, *_) = (item["text"] for event in told if event["stepKey"] == key for item in event["metadataEntries"])
        os.kill(int(pid), signal.SIGKILL)

    def resume(self, deployed: Deployed, run: str, parameters: Mapping[str, Any]) -> str:
        """Re-execute it from its failure: in the same run of Headrace's."""
        params = {"parentRunId": self.newest.get(run, run), "strategy": "FROM_FAILURE"}
        self.newest[run] = self._launched(self.ask(AGAIN, params=params)["launchRunReexecution"])
        return run

    def texts(self, deployed: Deployed, run: str) -> Iterator[tuple[str, str]]:
        """The API's answers, the captured logs, the databases, the services' logs."""
        yield "run", json.dumps(self._run(run), ensure_ascii=False)
        yield "events", json.dumps(self.events(run), ensure_ascii=False)
        yield "assets", json.dumps(self.ask(ASSETS), ensure_ascii=False)
        for path in self.home.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes().decode(errors="replace")

    def database_bytes(self) -> int:
        """All that it keeps: databases and what ops handed on."""
        kept = [self.home / name for name in ("history", "runs", "schedules", "storage")]
        return sum(path.stat().st_size for folder in kept for path in folder.rglob("*") if path.is_file())


LOCATIONS = """
query { workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { __typename ... on PythonError { message stack } } } }
  ... on PythonError { message } } }
"""
RELOAD = """
mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename
  ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename ... on PythonError { message stack } } }
  ... on PythonError { message } } }
"""
LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on PythonError { message stack } ... on InvalidSubsetError { message } } }
"""
AGAIN = """
mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack } } }
"""
BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message stack } } }
"""
FILLED = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PartitionBackfill { status error { message } runs(limit: 100) { runId status tags { key value } } } } }
"""
RUN = """
query($id: ID!) { runOrError(runId: $id) { __typename
  ... on Run { status jobName rootRunId parentRunId runConfigYaml tags { key value }
    stepStats { stepKey status startTime endTime }
    executionPlan { steps { key metadata { key value } } }
    assetMaterializations { assetKey { path } stepKey } } } }
"""
EVENTS = """
query($id: ID!, $after: String) { logsForRun(runId: $id, afterCursor: $after) { __typename
  ... on EventConnection { cursor hasMore events { __typename
    ... on MessageEvent { message level stepKey timestamp eventType }
    ... on ExecutionStepFailureEvent { error { message stack } }
    ... on StepWorkerStartedEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
    ... on MaterializationEvent { assetKey { path } metadataEntries { label __typename
       ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } ... on PathMetadataEntry { path }
       ... on JsonMetadataEntry { jsonString } } }
    ... on AssetCheckEvaluationEvent { evaluation { checkName success severity assetKey { path } } }
  } } } }
"""
ASSETS = """
query { assetNodes { assetKey { path } groupName opNames description } }
"""
