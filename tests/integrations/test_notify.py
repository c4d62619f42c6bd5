"""People are told: by a real mail server and a real web hook, both on loopback."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import HttpServer, MailServer, mail_server

import headrace
from headrace import RunOutcome
from headrace.core.errors import ProjectError
from headrace.engine.exec_node import exec_node
from headrace.engine.listeners import Listener, RunInfo
from headrace.engine.run import RunOptions, Session
from headrace.engine.target import locate
from headrace.integrations.notify import Notifier
from headrace.integrations.notify_settings import read
from headrace.testing.listeners import ListenerContract

PASSWORD = "correct horse battery staple"


def facts(server: HttpServer) -> list[dict[str, Any]]:
    return [json.loads(request.body)["headrace"] for request in server.requests]


@pytest.fixture
def hook(receiver: HttpServer, monkeypatch: pytest.MonkeyPatch) -> HttpServer:
    monkeypatch.setenv("HEADRACE_NOTIFY_WEBHOOK", f"{receiver.url}/services/T0/B0/very-secret?key=also-secret")
    return receiver


@pytest.fixture
def mail(listened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with mail_server(tmp_path, login=("robot", PASSWORD)) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
        listened.write(
            "pyproject.toml",
            f"""
            [tool.headrace.notify]
            mail_to = ["team@example.org", "lead@example.org"]
            mail_from = "headrace@example.org"
            smtp_host = "{server.host}"
            smtp_port = {server.port}
            smtp_user = "robot"
            smtp_password = {{ env = "MAIL_PASSWORD" }}
            """,
        )
        yield server


class TestNotifier(ListenerContract):
    @pytest.fixture(autouse=True)
    def _hook(self, hook: HttpServer) -> None:
        pass

    @classmethod
    def open_listener(cls, info: RunInfo) -> Listener:
        return Notifier(info)


# --- what is told --------------------------------------------------------------------------------------------------


def test_a_failure_is_posted_once_with_error_log_and_the_command_that_goes_on(
    listened: Any, hook: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_ON", "failure")
    result = listened.run(error="the disk <!channel> is on fire & more")
    assert result.outcome == RunOutcome.FAILED and listened.warnings == []
    (request,) = hook.requests
    assert request.path == "/services/T0/B0/very-secret?key=also-secret"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    sent = json.loads(request.body)
    found = sent["headrace"]
    assert found["kind"] == "failure" and found["run"] == result.run_id and found["pipeline"] == "listened"
    (failed,) = found["failed"]
    assert (failed["node"], failed["outcome"], failed["attempt"]) == ("train", "failed", 2)
    assert failed["error"] == "the disk <!channel> is on fire & more."
    assert failed["where"] == "listened.py:27" and failed["log"] == ["training on 5 rows"]
    assert found["headline"].startswith("listened failed after ")
    assert found["headline"].endswith(" s: 1 succeeded, 1 failed, 2 upstream failed")
    assert found["resume"] == f"headrace resume {result.run_id} --store {shlex.quote(result.store.url)}"
    assert (
        sent["text"].startswith("*listened failed after ")
        and "the disk &lt;!channel&gt; is on fire &amp; more" in (sent["text"])
    )
    assert "<" not in sent["text"] and found["resume"] in sent["text"]
    assert "secret" not in json.dumps(sent)


def test_the_command_that_goes_on_does(listened: Any, hook: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.cli.main import main

    result = listened.run(error="not yet")
    command = shlex.split(facts(hook)[-1]["resume"])
    monkeypatch.chdir("/")
    assert command[0] == "headrace" and main([*command[1:], "--quiet"]) == 1
    assert facts(hook)[-1]["kind"] == "failure" and facts(hook)[-1]["run"] != result.run_id


def test_a_retry_is_told_once_for_a_step_and_ten_times_a_run_at_most(listened: Any, hook: HttpServer) -> None:
    listened.write(
        "many.py",
        """
from headrace import TransientError, pipeline, step

@step(retries=2, backoff_seconds=0.001)
def flaky(number: int) -> int:
    raise TransientError(f"no number {number}")

@pipeline
def many(n: int = 12):
    return [flaky(number) for number in range(n)][-1]
""",
    )
    listened.run("many.py:many")
    kinds = [found["kind"] for found in facts(hook)]
    assert kinds == ["retry"] * 10 + ["failure"]
    told = [found["failed"][0]["node"] for found in facts(hook)[:-1]]
    assert len(set(told)) == 10
    first = facts(hook)[0]
    assert first["failed"][0]["attempt"] == 1 and " failed and is tried again in " in first["headline"]
    last = facts(hook)[-1]
    assert len(last["failed"]) == 5 and last["details"] == [
        f"7 more steps failed: headrace show {last['run']}",
    ]


def test_a_rejection_says_what_was_found_wanting(listened: Any, hook: HttpServer) -> None:
    result = listened.run(least=7.0)
    assert result.outcome == RunOutcome.REJECTED
    (found,) = facts(hook)
    assert found["kind"] == "rejection" and found["rejected_by"] == ["gate"] and found["resume"] == ""
    assert found["details"] == [
        "rejected by 'gate':",
        "  score >= 7.0: 2.0",
        f"look at it: headrace show {result.run_id} --store {result.store.url}",
    ]
    assert " was rejected after " in found["headline"]


def test_the_first_success_after_a_failure_is_a_recovery(listened: Any, hook: HttpServer) -> None:
    listened.run()
    assert facts(hook) == []
    failed = listened.run(error="down")
    listened.run()
    listened.run()
    assert [found["kind"] for found in facts(hook)] == ["retry", "failure", "recovery"]
    recovery = facts(hook)[-1]
    assert recovery["headline"] == "listened succeeds again" and recovery["previous"] == failed.run_id
    assert recovery["details"][0].endswith(f"; run {failed.run_id} before it: failed")


def test_a_run_that_was_killed_counts_as_a_failure_and_a_cancelled_one_does_not(
    listened: Any, hook: HttpServer
) -> None:
    killed = listened.run()
    killed.store.delete_record(f"runs/{killed.run_id}/end.json")
    listened.run()
    assert facts(hook)[-1]["details"][0].endswith(f"run {killed.run_id} before it: ended without a word")
    cancelled = listened.run(n=6)
    end = f"runs/{cancelled.run_id}/end.json"
    record = json.loads(cancelled.store.read_record(end))
    cancelled.store.write_record(end, json.dumps({**record, "outcome": "cancelled"}).encode())
    listened.run()
    assert len(facts(hook)) == 1


def test_a_run_that_the_engine_cannot_go_on_with_is_a_failure(
    listened: Any, hook: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.core.errors import StoreFullError
    from headrace.engine import run
    from headrace.engine.state import Run

    def full(*_: Any, **__: Any) -> None:
        raise StoreFullError("No space is left")

    monkeypatch.setattr(Run, "record", full)
    monkeypatch.setattr(run, "end_run", full)
    with pytest.raises(StoreFullError):
        listened.run()
    (found,) = facts(hook)
    assert (found["kind"], found["headline"]) == ("failure", "listened was cut short: the engine couldn't go on")
    assert found["resume"].startswith("headrace resume ")


def test_only_what_was_asked_for(listened: Any, hook: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_ON", "recovery, rejection")
    listened.run(error="down")
    listened.run(least=7.0)
    listened.run()
    assert [found["kind"] for found in facts(hook)] == ["rejection", "recovery"]
    monkeypatch.setenv("HEADRACE_NOTIFY_ON", "none")
    listened.run(error="down")
    assert len(facts(hook)) == 2


def test_under_an_orchestrator_each_task_tells_of_its_own_failure(listened: Any, hook: HttpServer) -> None:
    for node in ("ingest", "train", "gate"):
        target = locate("listened.py:listened", listened.folder)
        session = Session(target, None, listened.folder, listened.folder / ".headrace")
        exec_node(session, node, "scheduled-1", {"error": "no"}, RunOptions())
    assert [(found["kind"], found["failed"][0]["node"]) for found in facts(hook)] == [
        ("retry", "train"),
        ("failure", "train"),
    ]
    assert facts(hook)[-1]["headline"] == "listened: step 'train' failed"
    assert facts(hook)[-1]["details"] == ["have the orchestrator carry out this task again"]


def test_no_secret_of_the_plan_is_told(listened: Any, hook: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2-and-more")
    listened.write(
        "leaky.py",
        """
import os
from headrace import Secret, pipeline, step

@step
def connect(password: Secret) -> int:
    return len(password.reveal())

@step
def leak(n: int) -> int:
    print("trying with", os.environ["DATABASE_PASSWORD"])
    raise ValueError("refused: " + os.environ["DATABASE_PASSWORD"])

@pipeline
def leaky():
    return leak(connect(Secret("DATABASE_PASSWORD")))
""",
    )
    listened.run("leaky.py:leaky")
    (failed,) = facts(hook)[0]["failed"]
    assert failed["log"][0] == "trying with ***" and failed["error"] == "ValueError: refused: ***"
    assert b"hunter2" not in hook.requests[0].body


# --- by mail -------------------------------------------------------------------------------------------------------


def test_a_mail_over_starttls_with_a_login(listened: Any, mail: MailServer) -> None:
    result = listened.run(error="der Fehler: größer als β")
    assert listened.warnings == []
    assert [letter.message["Subject"].partition(" after ")[0] for letter in mail.letters] == [
        "[headrace] listened: step 'train' failed and is tried again in "
        + mail.letters[0].message["Subject"].rpartition(" in ")[2],
        "[headrace] listened failed",
    ]
    letter = mail.letters[-1]
    assert letter.was_secret and letter.user == b"robot"
    assert letter.sender == "headrace@example.org" and letter.to == ["team@example.org", "lead@example.org"]
    assert letter.message["Auto-Submitted"] == "auto-generated"
    assert letter.message["X-Headrace-Run"] == result.run_id
    lines = letter.message.get_content().splitlines()
    assert lines[2].startswith("step 'train' failed at attempt 2 after ")
    assert lines[3:6] == ["  der Fehler: größer als β.", "the end of its log:", "  training on 5 rows"]
    assert f"  headrace resume {result.run_id} --store {result.store.url}" in lines
    assert PASSWORD not in letter.message.as_string()


def test_a_mail_over_tls_from_the_beginning_and_one_in_clear(
    listened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_MAIL_TO", "team@example.org")
    monkeypatch.setenv("HEADRACE_NOTIFY_SMTP_HOST", "127.0.0.1")
    for security in ("tls", "none"):
        with mail_server(tmp_path, tls=security == "tls") as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
            monkeypatch.setenv("HEADRACE_NOTIFY_SMTP_PORT", str(server.port))
            monkeypatch.setenv("HEADRACE_NOTIFY_SMTP_SECURITY", security)
            listened.run(least=7.0)
            (letter,) = server.letters
            assert letter.was_secret is (security == "tls") and letter.sender == "team@example.org"
            assert listened.warnings == []


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("password", "SMTPAuthenticationError: (535"),
        ("certificate", "SSLCertVerificationError: "),
        ("refusal", "SMTPDataError: (554"),
        ("gone", "ConnectionRefusedError: "),
    ],
)
def test_a_mail_that_is_not_sent_is_one_warning_without_the_password(
    trouble: str, words: str, listened: Any, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble == "password":
        monkeypatch.setenv("MAIL_PASSWORD", f"not {PASSWORD}")
    elif trouble == "certificate":
        monkeypatch.delenv("SSL_CERT_FILE")
    elif trouble == "refusal":
        mail.code = "554 no, thanks"
    else:
        monkeypatch.setenv("HEADRACE_NOTIFY_SMTP_PORT", "1")
        mail = MailServer(mail.host, 1, mail.certificate, mail.letters)
    assert listened.run(error="down").outcome == RunOutcome.FAILED
    (warning,) = listened.warnings
    assert warning.startswith(f"notify: the mail by 127.0.0.1:{mail.port} wasn't sent: {words}")
    assert PASSWORD not in warning and "\n" not in warning


# --- a hook that doesn't do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"), [(404, "answered 404"), (500, "answered 500"), (302, "answered 302"), (307, "answered 307")]
)
def test_a_hook_that_refuses_is_one_warning_that_shows_the_host_alone(
    status: int, words: str, listened: Any, hook: HttpServer
) -> None:
    hook.status, hook.answer, hook.location = status, b"very-secret", f"{hook.url}/elsewhere"
    assert listened.run(least=7.0).outcome == RunOutcome.REJECTED
    assert listened.warnings == [f"notify: the web hook at {hook.url} {words}"]
    assert len(hook.requests) == 1
    assert "very-secret" not in "".join(map(repr, listened.events))


def test_a_hook_that_does_not_answer_is_given_up_in_time(
    listened: Any, hook: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.hold.clear()
    monkeypatch.setenv("HEADRACE_NOTIFY_TIMEOUT_SECONDS", "0.2")
    listened.run(least=7.0)
    assert listened.warnings == [f"notify: the web hook at {hook.url} wasn't reached: TimeoutError: timed out"]


@pytest.mark.parametrize(
    "url",
    ["very-secret", "ftp://very-secret", "http://", "http://[very-secret", "http://127.0.0.1:very-secret/", "x:y"],
)
def test_a_hook_that_is_no_url_is_not_shown(url: str, listened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_WEBHOOK", url)
    listened.run(least=7.0)
    assert listened.warnings == [
        "notify: the variable HEADRACE_NOTIFY_WEBHOOK holds no URL that begins with https:// or http://"
    ]


def test_a_hook_that_is_nowhere(listened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_WEBHOOK", "http://127.0.0.1:1/very secret\tpath")
    listened.run(least=7.0)
    assert listened.warnings == ["notify: the web hook at http://127.0.0.1:1 wasn't reached: InvalidURL"]
    monkeypatch.setenv("HEADRACE_NOTIFY_WEBHOOK", "http://me:very-secret@127.0.0.1:1/x")
    listened.run(least=7.0)
    (warning,) = listened.warnings
    assert warning.startswith("notify: the web hook at http://127.0.0.1:1 wasn't reached: ConnectionRefusedError: ")
    assert "very-secret" not in warning


def test_a_login_in_the_url_is_a_header(listened: Any, receiver: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_WEBHOOK", receiver.url.replace("//", "//me:p%40ss@") + "/x")
    listened.run(least=7.0)
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Basic bWU6cEBzcw==" and request.path == "/x"
    assert listened.warnings == []


def test_one_way_that_fails_leaves_the_other(
    listened: Any, mail: MailServer, hook: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.status = 500
    listened.run(least=7.0)
    assert len(mail.letters) == 1 and len(hook.requests) == 1
    assert listened.warnings == [f"notify: the web hook at {hook.url} answered 500"]


def test_a_variable_that_is_not_set_is_one_warning(
    listened: Any, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAIL_PASSWORD")
    assert listened.run().outcome == RunOutcome.SUCCEEDED
    assert listened.warnings == ["notify: the variable MAIL_PASSWORD isn't set, so nobody is told that way"]


# --- settings ------------------------------------------------------------------------------------------------------

MAIL = {"mail_to": ["a@b"], "smtp_host": "h"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "notify names nobody to tell.\nHint: set HEADRACE_NOTIFY_WEBHOOK, or mail_to and smtp_host"),
        ("https://secret", "notify must be a table, but is a str.\nHint: write [tool.headrace.notify]"),
        ({"webhok": 1}, "There is no setting 'webhok' in [tool.headrace.notify].\nHint: did you mean 'webhook'?"),
        (
            {"webhook": "https://hooks.example.org/very-secret"},
            "notify's webhook is a secret, and secrets don't stand in a file.\nHint: put it into a variable of the "
            'environment and name that: webhook = { env = "HEADRACE_NOTIFY_WEBHOOK" }',
        ),
        (
            {**MAIL, "smtp_user": "u", "smtp_password": "very-secret"},
            "notify's smtp_password is a secret, and secrets don't stand in a file.\nHint: put it into a variable of "
            'the environment and name that: smtp_password = { env = "HEADRACE_NOTIFY_SMTP_PASSWORD" }',
        ),
        (
            {"webhook": {"env": "X"}, "on": ["failures"]},
            "notify can't tell of 'failures'.\nHint: did you mean 'failure'?",
        ),
        ({"webhook": {"env": "X"}, "on": 3}, "notify's on must be a list of texts, but got 3."),
        ({"mail_to": ["a@b"]}, "A mail needs both mail_to and smtp_host.\nHint: set HEADRACE_NOTIFY_MAIL_TO and"),
        ({**MAIL, "mail_to": "ab"}, "notify's mail_to holds 'ab', which is no address."),
        ({**MAIL, "mail_from": "a\nb"}, "notify's mail_from must be a text of one line, but got 'a\\nb'."),
        ({**MAIL, "smtp_security": "ssl"}, "smtp_security must be starttls, tls or none, but got 'ssl'."),
        ({**MAIL, "smtp_user": "u"}, "smtp_user and smtp_password need one another.\nHint: set both, or neither"),
        (
            {**MAIL, "smtp_user": "u", "smtp_password": {"env": "P"}, "smtp_security": "none"},
            "The password would go over the network in clear.\nHint: set smtp_security to starttls or tls",
        ),
        ({**MAIL, "smtp_port": "many"}, "0 < smtp_port must hold in notify, but got smtp_port='many'."),
        ({**MAIL, "timeout_seconds": 0}, "0 < timeout_seconds must hold in notify, but got timeout_seconds=0."),
    ],
)
@pytest.mark.usefixtures("listened")
def test_settings_that_are_refused(table: Any, words: str) -> None:
    with pytest.raises(ProjectError) as caught:
        read({"notify": table})
    assert str(caught.value).startswith(words) and "very-secret" not in str(caught.value)


def test_a_secret_in_the_file_refuses_the_run_before_it_begins(listened: Any) -> None:
    listened.write("pyproject.toml", '[tool.headrace.notify]\nwebhook = "https://hooks.example.org/very-secret"\n')
    with pytest.raises(ProjectError, match="notify's webhook is a secret, and secrets don't stand in a file"):
        listened.run()
    assert not (listened.folder / ".headrace/runs").exists()


@pytest.mark.usefixtures("listened")
def test_a_variable_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_NOTIFY_WEBHOK", "https://very-secret")
    with pytest.raises(ProjectError) as caught:
        read({})
    assert str(caught.value) == (
        "The variable HEADRACE_NOTIFY_WEBHOK is no setting of notify.\nHint: did you mean 'HEADRACE_NOTIFY_WEBHOOK'?"
    )


@pytest.mark.usefixtures("listened")
def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**MAIL, "on": ["failure"], "smtp_port": 2525, "webhook": {"env": "SLACK_URL"}, "timeout_seconds": 3}
    found = read({"notify": table})
    assert found.mail is not None and (found.mail.port, found.mail.security, found.mail.sender) == (
        2525,
        "starttls",
        "a@b",
    )
    assert (found.webhook, found.on, found.timeout_seconds) == ("SLACK_URL", {"failure"}, 3.0)
    for name, value in {
        "ON": "retry,recovery",
        "SMTP_PORT": "99",
        "WEBHOOK": "http://x",
        "MAIL_TO": "c@d, e@f",
    }.items():
        monkeypatch.setenv(f"HEADRACE_NOTIFY_{name}", value)
    found = read({"notify": table})
    assert found.mail is not None and (found.mail.port, found.mail.to) == (99, ("c@d", "e@f"))
    assert (found.webhook, found.on) == ("HEADRACE_NOTIFY_WEBHOOK", {"retry", "recovery"})
    assert headrace.__version__
