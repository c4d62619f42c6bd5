"""What every engine has to do alike, on the real one: each case held against a run on this machine.

A case that an engine can't do is declared by its backend's capabilities, and then skipped with what they say.
"""

from __future__ import annotations

import json
import os
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from engine import FAILED, FINISH, NOT_STARTED, SECRET, SUCCEEDED
from harness import Bench, digests, newest

from headrace.backends.capabilities import Feature, Kind
from headrace.backends.compiling import find_backend

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]


def needs(bench: Bench, *features: Feature) -> None:
    """Skip a case that the engine's backend refuses, with what it says."""
    for feature in features:
        support = find_backend(bench.engine.name).capabilities[feature]
        if support.kind is Kind.REFUSED:
            pytest.skip(f"{feature}: {support.how}")


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where steps leave word that they were called."""
    return str(tmp_path)


def calls(place: str, name: str) -> int:
    """How often a step was called."""
    return Path(place, name).stat().st_size if Path(place, name).exists() else 0


# --- graphs


def test_chain(bench: Bench) -> None:
    done = bench.same("chain", {"n": 5})

    assert len(done.ended.tasks) == 4 + 2, "one task of the engine's for each node, and two"


def test_diamond(bench: Bench) -> None:
    assert bench.same("diamond").view.state == "succeeded"


def test_wide_fan_out(bench: Bench) -> None:
    assert bench.same("fan").view.state == "succeeded"


def test_a_hundred_nodes(bench: Bench) -> None:
    done = bench.same("hundred")

    assert done.view.state == "succeeded"
    assert len(done.ended.tasks) == 100 + 2


def test_several_outputs(bench: Bench) -> None:
    needs(bench, Feature.SEVERAL_OUTPUTS)
    assert bench.same("several").view.state == "succeeded"


def test_a_pipeline_in_a_pipeline(bench: Bench) -> None:
    needs(bench, Feature.NESTED_PIPELINE)
    done = bench.same("nested")

    assert {"part.add", "part.add-2"} & set(done.ended.tasks) or any("." in node for node in done.ended.tasks)


def test_cpus_and_memory(bench: Bench) -> None:
    needs(bench, Feature.CPUS, Feature.MEMORY)
    assert bench.same("resources").view.state == "succeeded"


# --- map


def test_map(bench: Bench) -> None:
    needs(bench, Feature.MAP)
    done = bench.same("mapped")

    n_parts = done.ended.n_parts.get("squared", 0)
    assert n_parts == (3 if bench.kind(Feature.MAP) is Kind.NATIVE else 0), "as it is declared"


def test_map_over_nothing(bench: Bench) -> None:
    needs(bench, Feature.MAP)
    assert bench.same("mapped_nothing").view.state == "succeeded"


def test_map_over_a_map(bench: Bench) -> None:
    needs(bench, Feature.NESTED_MAP)
    done = bench.same("nested_map")

    is_native = bench.kind(Feature.NESTED_MAP) is Kind.NATIVE
    assert bool(done.ended.n_parts.get("row_total")) == is_native, "as it is declared"


# --- conditions and gates


def test_a_condition_that_is_true(bench: Bench) -> None:
    done = bench.same("conditional", {"n": 20})

    assert set(done.outcomes.values()) == {"succeeded"}


def test_a_condition_that_is_false_skips_what_hangs_on_it(bench: Bench) -> None:
    done = bench.same("conditional", {"n": 2})

    assert {node for node, outcome in done.outcomes.items() if outcome == "skipped"} == {"kept", "after", "last"}
    assert done.outcomes["beside"] == "succeeded"
    assert done.ended.state == SUCCEEDED


def test_a_gate_that_says_yes(bench: Bench) -> None:
    assert bench.same("gated", {"n": 3}).view.state == "succeeded"


def test_a_gate_that_says_no(bench: Bench) -> None:
    done = bench.same("gated", {"n": 50})

    assert done.view.state == "rejected"
    assert done.view.rejections() == ["judge"]
    assert done.ended.tasks["judge"] == SUCCEEDED, "the gate's own task worked"
    assert done.ended.tasks[FINISH] == FAILED, "and the end of the run tells the rejection"


# --- parameters

TEXTS = {
    "unicode": "Größe 数据 🎣 \u202e",
    "quotes": 'it\'s "quoted" \\ `back` \'\'\' """',
    "newlines": "one\ntwo\r\n\tthree",
    "empty": "",
    "templates": "{{ 7*7 }} {% raw %} ${HOME} $(touch hacked) {{workflow.name}} {{$.inputs}} %(x)s <b>&amp;",
    "long": "x" * 50_000,
    "like a number": "007",
    "like JSON": '{"a": [1, null]}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_arrives_as_it_was_given(bench: Bench, text: str) -> None:
    needs(bench, Feature.PARAMETERS)
    done = bench.same("parameters", {"text": text})

    assert not list(bench.project.rglob("hacked"))
    assert done.view.parameters["text"] == text


def test_parameters_of_each_type(bench: Bench) -> None:
    given = {
        "number": -(2**53),
        "share": 1e-300,
        "is_on": False,
        "words": ["ä", "", "b c"],
        "weights": {"k": 2.0, "x y": -0.5},
        "kind": "two",
        "place": "elsewhere/rows.csv",
        "limit": 7,
    }
    done = bench.same("parameters", given)

    assert done.view.state == "succeeded"
    assert {name: done.view.parameters[name] for name in ("number", "share", "is_on", "limit")} == {
        name: given[name] for name in ("number", "share", "is_on", "limit")
    }


def test_defaults_hold(bench: Bench) -> None:
    assert bench.same("parameters").view.state == "succeeded"


def test_a_wrong_parameter_ends_the_run_at_its_begin(bench: Bench) -> None:
    deployed = bench.deploy("parameters")
    try:
        run = bench.engine.trigger(deployed, {"number": "many"})
    except Exception as error:  # noqa: BLE001 - the engine's form may refuse it itself
        assert "number" in str(error) or "many" in str(error)
        return
    ended = bench.engine.wait(deployed, run)
    assert ended.state == FAILED
    assert all(ended.tasks[node] == NOT_STARTED for node in deployed.nodes)


# --- secrets


def test_a_secret_is_in_no_file_log_or_answer(bench: Bench) -> None:
    needs(bench, Feature.SECRET)
    done = bench.same("secretive")
    forms = {SECRET, json.dumps(SECRET), json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1], SECRET.split("'")[0]}

    n_looked_at = 0
    for where, text in bench.engine.texts(done.deployed, done.run):
        n_looked_at += 1
        assert not any(form in text for form in forms), where
    for root, _, names in os.walk(bench.folder):
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                assert not any(form.encode() in data for form in forms), path
    assert n_looked_at > 3


# --- failures


def test_a_transient_failure_is_retried_by_exec(bench: Bench, place: str) -> None:
    deployed = bench.deploy("transient", {"place": place})
    done = bench.run(deployed, {"place": place})

    assert done.view.state == "succeeded"
    assert [item.outcome for item in done.view.attempts["flaky"]] == ["failed", "failed", "succeeded"]
    assert calls(place, "flaky") == 3
    assert done.ended.n_tries.get("flaky", 1) == 1, "the engine tried once"
    done.is_shown()


def test_a_permanent_failure_is_not_retried(bench: Bench, place: str) -> None:
    deployed = bench.deploy("permanent", {"place": place})
    done = bench.run(deployed, {"place": place})

    assert calls(place, "broken") == 1
    assert done.outcomes == {
        "start": "succeeded",
        "beside": done.outcomes["beside"],
        "first": "succeeded",
        "broken": "failed",
        "add": "upstream failed",
    }
    assert done.view.state == "failed"
    assert done.ended.n_tries.get("broken", 1) == 1, "it was failed at once"
    done.is_shown()


def test_a_time_limit(bench: Bench, place: str) -> None:
    deployed = bench.deploy("too_long", {"place": place})
    done = bench.run(deployed, {"place": place})

    assert (done.outcomes["endless"], done.outcomes["add"]) == ("timed out", "upstream failed")
    assert calls(place, "endless") == 1
    done.is_shown()


def test_a_crash(bench: Bench, place: str) -> None:
    deployed = bench.deploy("crash", {"place": place})
    done = bench.run(deployed, {"place": place})

    assert done.outcomes["crashing"] == "crashed"
    assert calls(place, "crashing") == 1
    done.is_shown()


# --- caches, kills, and what follows


def test_a_node_from_the_cache(bench: Bench, place: str) -> None:
    deployed = bench.deploy("half_cached", {"place": place})
    bench.run(deployed, {"place": place})
    done = bench.run(deployed, {"place": place, "nonce": 1})

    assert calls(place, "counted") == 1
    assert (done.outcomes["counted"], done.outcomes["fresh"]) == ("cached", "succeeded")
    done.is_shown()


def test_all_hits(bench: Bench) -> None:
    deployed = bench.deploy("diamond")
    first = bench.run(deployed, {"n": 77})
    second = bench.run(deployed, {"n": 77})

    assert set(second.outcomes.values()) == {"cached"}
    assert digests(second.view) == digests(first.view)
    second.is_shown()


def test_a_killed_worker_loses_nothing_that_was_finished(bench: Bench, place: str) -> None:
    deployed = bench.deploy("killed", {"place": place})
    run = bench.engine.trigger(deployed, {"place": place})
    end = time.monotonic() + 240
    while not calls(place, "waiting"):
        assert time.monotonic() < end
        time.sleep(0.2)
    bench.engine.kill_worker(deployed, run, "waiting")
    ended = bench.engine.wait(deployed, run)
    if ended.state != SUCCEEDED:
        run = bench.engine.resume(deployed, run, {"place": place})
    done = bench.ended(deployed, run)

    assert done.view.state == "succeeded"
    assert calls(place, "counted") == 1, "what was finished before the kill isn't computed again"
    assert calls(place, "waiting") == 2
    assert done.ended.state == SUCCEEDED


def test_two_runs_at_once(bench: Bench) -> None:
    deployed = bench.deploy("diamond")
    runs = {n: bench.engine.trigger(deployed, {"n": n}) for n in (301, 302)}
    done = {n: bench.ended(deployed, run) for n, run in runs.items()}

    for n, item in done.items():
        item.is_as(bench.local("diamond", {"n": n}))
        assert item.view.state == "succeeded"
        assert item.view.parameters["n"] == n, "each has its own parameters"


# --- dates


def test_the_date_of_a_run(bench: Bench) -> None:
    needs(bench, Feature.DATE)
    deployed = bench.deploy("daily")
    done = bench.run(deployed, date="2026-03-29")
    done.is_as(bench.local("daily", date="2026-03-29"))

    assert done.view.begin["date"] == "2026-03-29"


def test_a_backfill_of_five_dates(bench: Bench) -> None:
    needs(bench, Feature.BACKFILL)
    deployed = bench.deploy("daily")
    first = date(2026, 1, 1)
    days = [(first + timedelta(days=number)).isoformat() for number in range(5)]
    done = [bench.ended(deployed, run) for run in bench.engine.backfill(deployed, days[0], days[-1])]

    assert sorted(item.view.begin["date"] for item in done) == days
    for item in done:
        item.is_as(bench.local("daily", date=item.view.begin["date"]))


# --- sizes


def test_a_large_artifact_passes_the_engine_by(bench: Bench) -> None:
    n_bytes = 1 << 30
    small = bench.deploy("chain")
    bench.run(small, {"n": 901})
    before = bench.engine.database_bytes()
    done = bench.same("large", {"n_bytes": n_bytes})
    after = bench.engine.database_bytes()

    artifact = done.view.results["big"].outputs["output"]
    assert artifact.n_bytes >= n_bytes
    assert after - before < 4 << 20, "nothing of it is in the engine's database"


# --- the example


def test_the_example_gives_the_same_model_to_the_last_bit(bench: Bench) -> None:
    """From raw customer data to a registered, packaged model; then rejected, by a threshold that it doesn't reach."""
    deployed = bench.deploy("churn", project=bench.example)
    done = bench.run(deployed)
    local = bench.local("churn", project=bench.example)
    done.is_as(local)
    rejected = bench.run(deployed, {"min_auc": 0.99})

    assert done.view.state == "succeeded"
    assert len(digests(local)) > 10
    assert rejected.view.state == "rejected"
    assert rejected.outcomes["register"] == "skipped"
    rejected.is_shown()


# --- fail early, and the same files each time


def test_what_is_compiled_is_the_same_each_time(bench: Bench, tmp_path: Path) -> None:
    from harness import headrace

    deployed = bench.deploy("nested")
    before = {path.name: path.read_bytes() for path in deployed.folder.iterdir() if path.is_file()}
    words = [
        "compile",
        bench.engine.name,
        "flows.py:nested",
        "-o",
        str(deployed.folder),
        "--store",
        str(deployed.store),
    ]
    answer: dict[str, Any] = json.loads(headrace(bench.project, *words, *bench.engine.compile_options(), "--json"))

    assert {path.name: path.read_bytes() for path in deployed.folder.iterdir() if path.is_file()} == before
    assert set(answer["files"].values()) <= {"unchanged", "written"}


def test_the_engine_shows_what_headrace_knows(bench: Bench) -> None:
    """The newest run of a store that an engine wrote is the newest by its id too, and has an end."""
    deployed = bench.deploy("chain")
    done = bench.run(deployed, {"n": 4242})

    assert newest(deployed.store).id == done.view.id
    assert done.view.end is not None
    assert done.view.begin["engine"]["name"] == bench.engine.name
