"""``headrace run``: outcomes and exit codes, parameters, what is said, and how it is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from cli_awaiting import await_end, await_file

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def names_in_store(project: Any, run_id: str, suffix: str) -> list[str]:
    return sorted(path.name for path in (project.folder / ".headrace/runs" / run_id).rglob(f"*{suffix}"))


def end_of(project: Any, run_id: str) -> Any:
    return json.loads((project.folder / ".headrace/runs" / run_id / "end.json").read_text())


# --- how it ends


def test_a_run_tells_each_step_and_what_was_made(project: Any) -> None:
    first = project.headrace("run", "flow.py")
    second = project.headrace("run", "flow.py:flow")

    assert (first.code, first.err) == (0, "")
    assert f"run {first.run_id} of 'flow': 3 steps\ningest: started\ningest: succeeded in " in first.out
    assert "clean: succeeded in" in first.out
    assert f": 3 executed, 0 hits (run {first.run_id})" in first.out
    assert re.search(r'^  output  json  8 B  [0-9a-f]{8}  \{"n": 3\}$', first.out, re.MULTILINE)
    assert f"report: .headrace/runs/{first.run_id}/report.html" in first.out
    assert (project.folder / f".headrace/runs/{first.run_id}/report.html").stat().st_size > 5000
    assert (second.code, second.err) == (0, "")
    assert f"clean: cached (made by run {first.run_id})" in second.out
    assert ": 0 executed, 3 hits" in second.out


def test_a_failure_names_step_line_message_log_and_the_command_that_goes_on(project: Any) -> None:
    project.write("loud.py", LOUD)

    done = project.headrace("run", "loud.py", "-p", "word=it's bad")

    assert done.code == 1
    assert "boom: failed in" in done.out
    assert "upstream failed ('boom' failed)" in done.out
    assert "beside: succeeded" in done.out
    assert "step 'boom' failed after" in done.out
    assert "(loud.py:9)" in done.out
    assert "  ValueError: this is it's bad\n" in done.out
    log = [line.strip() for line in done.out.splitlines() if "line " in line and "File" not in line]
    assert log == [f"line {number}" for number in range(10, 30)]
    assert "1 executed, 0 hits, 1 failed, 1 not reached" in done.out
    assert """go on with: headrace run loud.py -p 'word=it'"'"'s bad'\n""" in done.out
    assert end_of(project, done.run_id)["outcome"] == "failed"


LOUD = """
from headrace import pipeline, step

@step
def boom(word: str) -> int:
    for number in range(30):
        print("line", number)
    print(end="\\x1b[31m")
    raise ValueError(f"this is {word}")

@step
def beside() -> int:
    return 2

@step
def after(number: int) -> int:
    return number

@pipeline
def loud(word: str):
    beside()
    return after(boom(word))
"""

GATED = """
from dataclasses import dataclass
from typing import ClassVar
from headrace import pipeline, step

@dataclass
class Verdict:
    __headrace_gate__: ClassVar[str] = "passed"
    passed: bool
    reasons: list[str]

@step
def judge(auc: float) -> Verdict:
    return Verdict(auc > 0.5, [f"auc is {auc}"])

@step
def register(auc: float) -> str:
    return f"registered {auc}"

@pipeline
def gated(auc: float = 0.4):
    verdict = judge(auc)
    return register.options(when=verdict.passed)(auc)
"""


def test_a_gate_that_says_no_rejects_the_run(bare: Any) -> None:
    bare.write("gated.py", GATED)

    no, yes = bare.headrace("run", "gated.py"), bare.headrace("run", "gated.py", "-p", "auc=0.9")

    assert no.code == 3
    assert "gated was rejected after" in no.out
    assert f"rejected by 'judge': headrace show {no.run_id} judge" in no.out
    assert "register: skipped ('judge.passed' is false)" in no.out
    assert "    - auc is 0.4\n" in no.out
    assert "    - auc is 0.4\n" in bare.headrace("show", no.run_id).out
    assert bare.headrace("run", "gated.py", "--json").json["reasons"] == {"judge": ["auc is 0.4"]}
    assert "go on with" not in no.out
    assert end_of(bare, no.run_id)["outcome"] == "rejected"
    assert yes.code == 0
    assert '"registered 0.9"' in yes.out


RULED = GATED.replace("reasons: list[str]", "reasons: tuple[Reason, ...]").replace(
    '[f"auc is {auc}"]', '(Reason("auc >= 0.5", auc > 0.5, auc, "of 9 rows"), Reason("fair", True, 1.0))'
)


def test_of_rules_that_a_gate_looked_at_those_that_do_not_hold_are_told(bare: Any) -> None:
    reason = "@dataclass\nclass Reason:\n    rule: str\n    passed: bool\n    value: float\n    note: str = ''\n"
    bare.write("gated.py", RULED.replace("@dataclass\nclass Verdict", f"{reason}\n@dataclass\nclass Verdict"))
    no = bare.headrace("run", "gated.py", "-q")

    assert no.code == 3
    assert "    - auc >= 0.5 must hold, but it is 0.4 (of 9 rows)\n" in no.out
    assert "fair" not in no.out


DATA = """
from headrace import Table, pipeline, step
from headrace.core.errors import DataError
from headrace.steps import ingest
from pathlib import Path

@step
def own(n: int) -> int:
    raise DataError("not as it should be", hint="mend it")

@pipeline
def data(place: Path = Path("nowhere.csv")):
    own(1)
    return ingest(place)
"""


def test_an_error_that_says_what_is_wrong_is_not_buried(bare: Any) -> None:
    """What a ready-made step says of the data stands alone; of a user's own step the line that raised it is shown."""
    bare.write("data.py", DATA)
    done = bare.headrace("run", "data.py")

    assert done.code == 1
    ingest = done.out.split("step 'ingest' failed")[1].split("\n\n")[0].splitlines()
    assert ingest[1].startswith("  There is no file 'nowhere.csv'")
    assert ingest[2].startswith("  Hint: ")
    assert len(ingest) == 3
    own = done.out.split("step 'own' failed")[1].split("\n\n")[0]
    assert 'raise DataError("not as it should be", hint="mend it")' in own
    assert "  headrace.core.errors.DataError: not as it should be.\n  Hint: mend it" in own
    assert "headrace/engine" not in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_the_run_in_order(bare: Any, number: signal.Signals) -> None:
    bare.write("slow.py", SLOW)
    with bare.start("run", "slow.py", "-p", f"folder={bare.folder}") as process:
        worker = await_file(bare.folder / "pid")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    run_id = re.findall(r"run (\S+) of", out)[0]
    assert end_of(bare, run_id)["outcome"] == "cancelled"
    assert "slow was cancelled after" in out
    assert "quick: succeeded" in out
    assert f"go on with: headrace run slow.py -p folder={bare.folder}" in out
    assert "Traceback" not in err
    await_end(int(worker))


SLOW = """
import os, time
from pathlib import Path
from headrace import pipeline, step

@step
def quick() -> int:
    return 1

@step
def slow(folder: str, number: int) -> int:
    Path(folder, "pid.new").write_text(str(os.getpid()))
    Path(folder, "pid.new").rename(Path(folder, "pid"))
    time.sleep(60)
    return 1

@pipeline(name="slow")
def pipe(folder: str):
    return slow(folder, quick())
"""


def test_an_inline_run_is_interrupted_too(bare: Any) -> None:
    bare.write("slow.py", SLOW)
    with bare.start("run", "slow.py", "--inline", "-p", f"folder={bare.folder}") as process:
        assert int(await_file(bare.folder / "pid")) == process.pid
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 130
    assert end_of(bare, re.findall(r"run (\S+) of", out)[0])["outcome"] == "cancelled"


# --- what is said


def test_plain_lines_have_no_control_characters(project: Any) -> None:
    project.write("loud.py", LOUD)

    done = project.headrace("run", "loud.py", "-p", "word=\x1b]0;title\x07\x1b[2Jbad\r\n\u202egood")

    assert done.code == 1
    assert "this is bad" in done.out
    assert not CONTROLS.search(done.out)
    assert "\u202e" not in done.out


def test_json_stands_alone_on_standard_output(project: Any) -> None:
    done = project.headrace("run", "flow.py", "--json")

    assert done.code == 0
    said = done.json
    assert (said["outcome"], said["exit_code"], said["counts"]) == ("succeeded", 0, {"succeeded": 3})
    assert said["outputs"]["output"]["value"] == {"n": 3}
    assert said["outputs"]["output"]["node"] == "count"
    assert list(said["nodes"]) == ["ingest", "clean", "count"]
    assert Path(said["report"]).is_file()
    assert said["store"] == (project.folder / ".headrace").as_uri()
    assert "clean: succeeded" in done.err


def test_json_of_a_failure_and_of_a_wrong_usage(project: Any) -> None:
    failed = project.headrace("run", "flow.py", "-p", "least=-1", "--json", "-q")
    wrong = project.headrace("run", "flow.py", "-p", "leas=1", "--json")

    assert (failed.code, failed.json["exit_code"], failed.json["outcome"]) == (1, 1, "failed")
    assert failed.json["nodes"]["count"]["message"] == "ValueError: 0 <= least must hold, but got least=-1"
    assert failed.json["nodes"]["count"]["where"] == "flow.py:19"
    assert failed.json["nodes"]["clean"]["outcome"] == "succeeded"
    assert wrong.code == 2
    assert wrong.json["error"] == {
        "kind": "ParameterError",
        "message": "Pipeline 'flow' has no parameter 'leas'",
        "hint": "did you mean 'least'?",
        "where": "flow.py:22",
    }


def test_quiet_says_only_what_goes_wrong(project: Any) -> None:
    good = project.headrace("run", "flow.py", "-q")
    bad = project.headrace("run", "flow.py", "-q", "-p", "least=-1")

    assert (good.code, good.out, good.err) == (0, "", "")
    assert bad.out.startswith("count: failed in")
    assert "started" not in bad.out
    assert "flow failed after" in bad.out


def test_a_retry_is_told(bare: Any) -> None:
    bare.write(
        "again.py",
        """
        from pathlib import Path
        from headrace import TransientError, pipeline, step

        @step(retries=2, backoff_seconds=0.01)
        def shy(mark: str) -> int:
            if not Path(mark).exists():
                Path(mark).write_text("")
                raise TransientError("not yet")
            return 1

        @pipeline
        def again(mark: str):
            return shy(mark)
        """,
    )

    done = bare.headrace("run", "again.py", "-p", f"mark={bare.folder.parent / 'mark'}")

    assert done.code == 0
    assert re.search(r"^shy: attempt 1 failed \(not yet\.\), next in 0\.0\d\d s$", done.out, re.MULTILINE)
    assert "shy: started, attempt 2\nshy: succeeded" in done.out


def test_a_large_pipeline_is_told_in_few_words(bare: Any) -> None:
    bare.write(
        "wide.py",
        """
        from headrace import pipeline, step

        @step
        def one(number: int) -> int:
            return 1 // (number - 7)

        @pipeline
        def wide():
            for number in range(80):
                one(number)
        """,
    )

    done = bare.headrace("run", "wide.py", "--inline")

    assert done.code == 1
    told = [line for line in done.out.splitlines() if line.startswith("one")]
    assert len(told) == 1
    assert told[0].startswith("one-8: failed in ")
    assert told[0].endswith("ZeroDivisionError: integer division or modulo by zero (wide.py:6)")
    assert "79 executed, 0 hits, 1 failed" in done.out


def test_a_report_that_cannot_be_written_does_not_spoil_the_run(project: Any) -> None:
    run_id = project.headrace("run", "flow.py").run_id
    (project.folder / "sitecustomize.py").write_text(
        "import headrace.reports.run_page as page\n"
        "def broken(view):\n    raise ZeroDivisionError('a bug')\n"
        "page.write_run_page = broken\n"
    )

    done = project.headrace("run", "flow.py", env={"PYTHONPATH": str(project.folder)})

    assert done.code == 0
    assert done.err == "headrace: the report was not written: ZeroDivisionError: a bug\n"
    assert "report:" not in done.out
    assert run_id in done.out


# --- what is run


@pytest.mark.parametrize(
    ("named", "message", "hint"),
    [
        ("flow.py:flwo", "Module 'flow' has no pipeline 'flwo'.", "did you mean 'flow'?"),
        ("flwo", "There is no module 'flwo'.", "did you mean 'flow'?"),
        ("flwo.py", "There is no file", "did you mean 'flow.py'?"),
        ("helpers.py", "Module 'helpers' has no pipeline.", "decorate a function with @pipeline"),
    ],
)
def test_a_wrong_name_finds_the_nearest(project: Any, named: str, message: str, hint: str) -> None:
    done = project.headrace("run", named)

    assert done.code == 2
    assert message in done.err
    assert f"\nHint: {hint}" in done.err
    assert not (project.folder / ".headrace/runs").exists()


def test_a_file_that_would_hide_a_module_of_python(project: Any) -> None:
    project.write("numbers.py", FLOW_OF_ONE)
    done = project.headrace("run", "numbers.py")

    assert done.code == 2
    assert "'numbers' is a module of Python's own, which" in done.err
    assert "Hint: rename the file or the folder, such as to numbers_pipeline.py" in done.err


def test_the_default_pipeline_is_of_the_environment_or_else_the_project(project: Any) -> None:
    none = project.headrace("run")
    (project.folder / "pyproject.toml").write_text('[tool.headrace]\npipeline = "flow:flow"\n')
    (project.folder / "deeper").mkdir()
    project.write("deeper/other.py", FLOW_OF_ONE)
    from_file = project.headrace("run", "-p", f"data={project.folder}/names.txt")
    from_environment = project.headrace("run", env={"HEADRACE_PIPELINE": "deeper/other.py"})

    assert none.code == 2
    assert "No pipeline was named, and the project has no default" in none.err
    assert 'Hint: name one, as in headrace run pipeline.py, or set pipeline = "module:name"' in none.err
    assert "of 'flow'" in from_file.out
    assert "of 'other'" in from_environment.out


FLOW_OF_ONE = """
from headrace import pipeline, step

@step
def one() -> int:
    return 1

@pipeline
def other():
    return one()
"""


@pytest.mark.parametrize("inline", [[], ["--inline"]])
def test_a_pipeline_that_does_not_import_shows_the_projects_own_traceback_first(bare: Any, inline: list[str]) -> None:
    bare.write("broken.py", "import helper\n")
    bare.write("helper.py", "def f():\n    return 1 / 0\n\nf()\n")

    done = bare.headrace("run", "broken.py", *inline)

    assert done.code == 2
    assert done.out == ""
    frames = re.findall(r'File "(.*?)", line (\d+)', done.err)
    assert [(Path(file).name, line) for file, line in frames if "importlib" not in file] == [
        ("broken.py", "1"),
        ("helper.py", "4"),
        ("helper.py", "2"),
    ]
    assert done.err.startswith("Traceback (most recent call last):\n")
    assert done.err.endswith(
        "ZeroDivisionError: division by zero\n\n"
        "headrace: Module 'broken' does not import or trace: ZeroDivisionError: division by zero.\n"
        "Hint: the traceback above is the project's own\n"
    )


def test_a_pipeline_that_does_not_parse(bare: Any) -> None:
    bare.write("broken.py", "def f(:\n    pass\n")

    done = bare.headrace("run", "broken.py")

    assert done.code == 2
    assert done.err.startswith(f'  File "{bare.folder}/broken.py", line 1\n    def f(:\n')
    assert (
        "headrace: Module 'broken' does not import or trace: SyntaxError: invalid syntax (broken.py, line 1)"
        in done.err
    )


# --- parameters


def test_parameters_of_a_file_and_of_the_command_line(project: Any) -> None:
    project.write("p.json", '{"least": 4, "share": 1}')
    project.write("p.toml", "least = 5\n")

    assert '{"n": 4}' in project.headrace("run", "flow.py", "--params", "p.json").out
    assert '{"n": 5}' in project.headrace("run", "flow.py", "--params", "p.toml").out
    assert '{"n": 6}' in project.headrace("run", "flow.py", "--params", "p.toml", "-p", "least=6").out
    assert '{"n": 7}' in project.headrace("run", "-p", "least=6", "flow.py", "-p", "least=7").out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["-p", "least=two"], "Parameter 'least' must be int, but got 'two' (flow.py:22).", "give a whole number"),
        (["-p", "lesat=2"], "Pipeline 'flow' has no parameter 'lesat' (flow.py:22).", "did you mean 'least'?"),
        (["--params", "none.json"], "The parameter file 'none.json' cannot be read: No such file", "--params takes"),
        (["--params", "bad.json"], "The parameter file 'bad.json' is not JSON: Expecting", "a name that ends in .toml"),
        (["--params", "bad.toml"], "The parameter file 'bad.toml' is not TOML: ", "a name that ends in .toml"),
        (["--params", "list.json"], "The parameter file 'list.json' must hold an object, but holds a list", "as in"),
        (["--params", "bytes.json"], "The parameter file 'bytes.json' is not text in UTF-8", "is it the file?"),
        (["--params", "text.json"], "Parameter 'share' must be float, but got [1]", None),
    ],
)
def test_bad_parameters(project: Any, arguments: list[str], message: str, hint: str | None) -> None:
    for name, text in {"bad.json": "{", "bad.toml": "= 3", "list.json": "[1]", "text.json": '{"share": [1]}'}.items():
        project.write(name, text)
    (project.folder / "bytes.json").write_bytes(b"\xff\xfe\x00")

    done = project.headrace("run", "flow.py", *arguments)

    assert (done.code, done.out) == (2, "")
    assert f"headrace: {message}" in done.err
    assert hint is None or f"\nHint: {hint}" in done.err
    assert not (project.folder / ".headrace/runs").exists()


def test_a_relative_path_starts_at_the_current_folder(project: Any) -> None:
    (project.folder / "deeper").mkdir()
    (project.folder / "deeper/names.txt").write_text("dora")
    deeper = type(project)(project.folder / "deeper")

    assert '{"n": 1}' in deeper.headrace("run", "../flow.py", "-p", "data=names.txt").out
    assert (project.folder / ".headrace").is_dir()


def test_a_missing_input_file_is_named_and_nothing_is_lost(project: Any) -> None:
    good = project.headrace("run", "flow.py")
    bad = project.headrace("run", "flow.py", "-p", "data=nmes.txt")
    again = project.headrace("run", "flow.py")

    assert (good.code, bad.code, again.code) == (0, 1, 0)
    assert f"FileNotFoundError: [Errno 2] No such file or directory: '{project.folder}/nmes.txt'" in bad.out
    assert "0 executed, 3 hits" in again.out


# --- how it is run


def test_an_inline_run_has_a_workers_environment(bare: Any) -> None:
    bare.write(
        "where.py",
        """
        import os
        from headrace import pipeline, step

        @step(cache=False)
        def where() -> dict[str, str]:
            wanted = "PYTHONHASHSEED TZ LC_ALL OMP_NUM_THREADS".split()
            found = {name: os.environ[name] for name in wanted}
            return found | {"hash": str(hash("text"))}

        @pipeline
        def flow():
            return where()
        """,
    )

    inline = bare.headrace("run", "where.py", "--inline", "--json", env={"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"})
    worker = bare.headrace("run", "where.py", "--json")

    first, second = (done.json["outputs"]["output"]["value"] for done in (inline, worker))
    assert first == second
    assert (first["PYTHONHASHSEED"], first["TZ"], first["OMP_NUM_THREADS"]) == ("0", "UTC", "1")


def test_an_inline_step_prints_where_it_belongs(project: Any) -> None:
    done = project.headrace("run", "flow.py", "--inline")

    assert "clean: started\ncleaning 3 names\nclean: succeeded" in done.out


def test_the_store_is_an_option_the_environment_or_the_projects(project: Any) -> None:
    (project.folder / "deeper").mkdir()
    deeper = type(project)(project.folder / "deeper")
    deeper.headrace("run", "../flow.py", "-p", "data=../names.txt", "--store", "here", "-q")
    deeper.headrace("run", "../flow.py", "-p", "data=../names.txt", "-q", env={"HEADRACE_STORE": "there"})
    found = deeper.headrace("runs", "--store", "here")

    assert sorted(
        path.parent.relative_to(project.folder).as_posix() for path in project.folder.rglob("store.json")
    ) == [
        "deeper/here",
        "there",
    ]
    assert found.out.count("succeeded") >= 1


def test_a_store_that_cannot_be_made_is_a_configuration_error(project: Any) -> None:
    (project.folder / "file").write_text("")

    done = project.headrace("run", "flow.py", "--store", "file")

    assert done.code == 2
    assert done.err.startswith("headrace: ")
    assert f"{project.folder}/file" in done.err


def test_settings_that_are_wrong(project: Any) -> None:
    (project.folder / "pyproject.toml").write_text('[tool.headrace]\nstroe = "x"\n')
    unknown = project.headrace("run", "flow.py")
    (project.folder / "pyproject.toml").write_text("[tool.headrace]\nworkers = 0\n")
    none = project.headrace("run", "flow.py")

    assert unknown.code == none.code == 2
    assert "There is no setting 'stroe' in [tool.headrace]" in unknown.err
    assert "Hint: did you mean 'store'?" in unknown.err
    assert "workers >= 1 must hold, but got workers=0" in none.err


def test_a_reader_who_goes_away_does_not_end_the_run(bare: Any) -> None:
    bare.write("slow.py", SLOW.replace("time.sleep(60)", "time.sleep(0.5)"))
    with bare.start("run", "slow.py", "-p", f"folder={bare.folder}") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        run_id = re.findall(r"run (\S+) of", process.stdout.readline())[0]
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=30)

    assert end_of(bare, run_id)["outcome"] == "succeeded"
    assert (bare.folder / f".headrace/runs/{run_id}/report.html").is_file()
    assert err == ""


def test_nothing_is_left_running(project: Any) -> None:
    done = project.headrace("run", "flow.py")

    here = str(project.folder)
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()) == here:
                left.append(process.name)
        except OSError:
            continue
    assert done.code == 0
    assert [pid for pid in left if int(pid) != os.getpid()] == []
