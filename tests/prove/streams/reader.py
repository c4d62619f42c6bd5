"""Runs without an engine, a process each, forked from one that has everything loaded: hundreds are killed in a minute.

``python reader.py``: for each line of standard input, a JSON object, a process is forked that carries out a run; its
id, and then its exit status, are lines of standard output. A run leaves the records that the engine leaves: its begin
with the pins, its nodes' results, its end; and it holds the lease by which others see that it lives.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from headrace.core.context import RunContext, entered
from headrace.core.external import external_id
from headrace.core.outcome import Outcome
from headrace.engine.exchange import save_value
from headrace.engine.records import NodeResult, attempt_name
from headrace.engine.run import new_run_id
from headrace.engine.view import run_lease
from headrace.formats.table import Table
from headrace.steps.streams import Kafka, RedisStream, ingest_stream
from headrace.steps.streams.protocol import Stream
from headrace.stores.open import open_store

COLUMNS: Any = {"id": "integer", "pad": "text"}


def carry_out(store_place: str, servers: str, url: str, most: int) -> None:
    """One run that reads both streams."""
    store = open_store(store_place)
    streams: dict[str, Stream] = {
        "kafka": Kafka("orders", servers, group="readers", settings={"fetch.wait.max.ms": 20}),
        "redis": RedisStream("orders", url, group="readers", field="v"),
    }
    run_id = new_run_id()
    with store.lease(run_lease(run_id)):
        pins = json.loads(json.dumps({external_id(stream): stream.pin(store) for stream in streams.values()}))
        store.create_record(f"runs/{run_id}/run.json", json.dumps({"process": os.getpid(), "pins": pins}).encode())
        for name, stream in streams.items():
            context = RunContext(run_id, name, 1, 0, store, Path(), pins, lambda *_: None)
            with entered(context):
                table, quarantine, _ = ingest_stream(stream, columns=COLUMNS, max_messages=most)
            outputs = {
                "table": save_value(table, Table, store),
                "quarantine": save_value(quarantine, Table, store),
            }
            result = NodeResult(name, Outcome.SUCCEEDED, outputs=outputs)
            store.create_record(attempt_name(run_id, name, 1), result.to_json())
        end = json.dumps({"outcome": "succeeded"}).encode()
        store.create_record(f"runs/{run_id}/end.json", end, durable=True)


def main() -> None:
    """Fork until the input ends."""
    import confluent_kafka  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import redis  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                carry_out(**asked)
            except BaseException:  # noqa: BLE001 - it is told, and ends this process
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
