from __future__ import annotations

import base64
import json
import os
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DefinitionError, ParameterError
from headrace.core.secret import Secret, scrub

PASSWORD = "p/ss w\u00f6rd+\"1'\\%"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n}\n-----END KEY-----"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Secret:
    monkeypatch.setenv("A_PASSWORD", PASSWORD)
    return Secret("A_PASSWORD")


def test_a_secret_is_revealed_where_it_is_used(secret: Secret) -> None:
    assert secret.reveal() == PASSWORD


def test_a_secret_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_PASSWORD", raising=False)
    with pytest.raises(ParameterError) as caught:
        Secret("A_PASSWORD").reveal()
    assert str(caught.value) == (
        "Secret 'A_PASSWORD' is not in the environment of the process that executes the step.\n"
        "Hint: set the variable A_PASSWORD before you run"
    )


@pytest.mark.parametrize("name", ["", "A=B", "A\0", 5, None])
def test_what_cannot_be_a_variable_is_refused_and_not_shown(name: object) -> None:
    with pytest.raises(DefinitionError) as caught:
        Secret(name)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "A secret is named by an environment variable, and this is no name of one.\n"
        "Hint: give the variable's name, as in Secret('DATABASE_PASSWORD'), never the value"
    )


def test_a_secret_shows_its_name_alone(secret: Secret) -> None:
    assert repr(secret) == str(secret) == f"{secret}" == "Secret('A_PASSWORD')"


FORMS = {
    "plain": PASSWORD,
    "url": f"https://me:{urllib.parse.quote(PASSWORD, safe='')}@host",
    "url, slashes kept": urllib.parse.quote(PASSWORD),
    "url, small hex": urllib.parse.quote(PASSWORD, safe="")
    .replace("%2F", "%2f")
    .replace("%C3%B6", "%c3%b6")
    .replace("%2B", "%2b")
    .replace("%5C", "%5c"),
    "form": urllib.parse.urlencode({"password": PASSWORD}),
    "repr": repr({"password": PASSWORD}),
    "repr of bytes": repr(PASSWORD.encode()),
    "ascii": ascii(PASSWORD),
    "json": json.dumps({"password": PASSWORD}),
    "json, unicode": json.dumps(PASSWORD, ensure_ascii=False),
    "base64": base64.b64encode(PASSWORD.encode()).decode(),
    "base64 for urls": base64.urlsafe_b64encode(PASSWORD.encode()).decode(),
    **{
        f"base64 after {user!r}": base64.b64encode(f"{user}:{PASSWORD}:more".encode()).decode()
        for user in ("me", "you", "them")
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_form_is_masked(secret: Secret, form: str) -> None:
    assert b"***" in scrub(f"before {form} after".encode(), [secret])
    masked = scrub(f"before {form} after".encode(), [secret]).decode()
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    for piece in ("ss w", "ss%20w", "ss+w", "%25", base64.b64encode(PASSWORD.encode()).decode()[8:16]):
        assert piece not in masked


@given(st.binary(min_size=4, max_size=40).filter(lambda value: b"\0" not in value), st.binary(max_size=8))
def test_a_secret_in_base64_keeps_at_most_its_ends(value: bytes, before: bytes) -> None:
    """However it lies in what is encoded, no piece of it that base64 tells alone is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ._data, b"A_PASSWORD", value)  # type: ignore[attr-defined]
        masked = scrub(base64.b64encode(before + value), [Secret("A_PASSWORD")])
    start = -len(before) % 3
    inner = value[start : start + (len(value) - start) // 3 * 3]
    if len(inner) > 3:
        assert base64.b64encode(inner) not in masked


def test_the_lines_of_a_key_are_masked_where_they_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    log = b"loading\n  MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n{}\n" + repr(KEY).encode()
    assert scrub(log, [Secret("A_KEY")]) == b"loading\n  ***\n{}\n'***'"


def test_a_value_that_is_no_utf_8_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ._data, b"A_PASSWORD", b"caf\xe9-secret")  # type: ignore[attr-defined]
    assert scrub(b"it is caf\xe9-secret", [Secret("A_PASSWORD")]) == b"it is ***"


def test_short_and_absent_secrets_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "abc")
    monkeypatch.delenv("ABSENT", raising=False)
    assert scrub(b"abc", [Secret("SHORT"), Secret("ABSENT")]) == b"abc"


def test_the_longest_of_two_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "sesame")
    monkeypatch.setenv("TWO", "sesame-open")
    assert scrub(b"sesame-open sesame", [Secret("ONE"), Secret("TWO")]) == b"*** ***"
