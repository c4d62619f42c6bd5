"""Whom to tell of what goes wrong, and how: ``HEADRACE_NOTIFY_…``, else ``[tool.headrace.notify]``, else a default.

A secret stands in a variable of the environment: ``HEADRACE_NOTIFY_WEBHOOK``, or the one that the file names
(``webhook = { env = "SLACK_URL" }``). One that stands in the file itself is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.errors import HeadraceError, ProjectError, near_miss

KINDS = ("failure", "retry", "rejection", "recovery")
PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""How the connection to the mail server is kept secret, and the port where that is the custom."""
KNOWN = {
    "on": "what to tell of",
    "mail_to": "addresses that get a mail",
    "mail_from": "the address that it comes from",
    "smtp_host": "the mail server",
    "smtp_port": "its port",
    "smtp_security": "starttls, tls or none",
    "smtp_user": "the user there",
    "smtp_password": "the variable that holds the password",
    "webhook": "the variable that holds the URL that JSON is posted to",
    "timeout_seconds": "how long a server may take to answer",
}
SECRET = ("smtp_password", "webhook")
PREFIX = "HEADRACE_NOTIFY_"


@dataclass(frozen=True, slots=True)
class Mail:
    """How mails are sent. ``password`` is the name of the variable that holds it."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int
    security: str
    user: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Whom to tell of what. ``webhook`` is the name of the variable that holds the URL."""

    on: frozenset[str]
    mail: Mail | None
    webhook: str | None
    timeout_seconds: float

    def secrets(self) -> tuple[str, ...]:
        """The variables that hold secrets."""
        return tuple(filter(None, (self.webhook, self.mail.password if self.mail else None)))


def read(settings: Mapping[str, Any]) -> NotifySettings:
    """The settings, from the environment and ``[tool.headrace]``. Raises `ProjectError` for wrong ones."""
    table = settings.get("notify", {})
    if not isinstance(table, Mapping):
        raise _wrong(f"notify must be a table, but is a {type(table).__name__}", "write [tool.headrace.notify]")
    for name in table:
        if name not in KNOWN:
            raise _wrong(f"There is no setting {name!r} in [tool.headrace.notify]", near_miss(name, KNOWN))
    for name in os.environ:
        if name.startswith(PREFIX) and name[len(PREFIX) :].lower() not in KNOWN:
            known = [PREFIX + known.upper() for known in KNOWN]
            raise _wrong(f"The variable {name} is no setting of notify", near_miss(name, known))
    given = _Given(table)
    webhook, mail = given.secret("webhook"), _mail(given)
    if webhook is None and mail is None:
        raise _wrong("notify names nobody to tell", "set HEADRACE_NOTIFY_WEBHOOK, or mail_to and smtp_host")
    return NotifySettings(_kinds(given), mail, webhook, given.number("timeout_seconds", 10.0, above=0))


@dataclass(frozen=True, slots=True)
class _Given:
    """What the environment and the file say."""

    table: Mapping[str, Any]

    def value(self, name: str, default: Any = None) -> Any:
        return os.environ.get(PREFIX + name.upper()) or self.table.get(name, default)

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.value(name, default)
        if value is not None and (not isinstance(value, str) or not value.strip() or not value.isprintable()):
            raise _wrong(f"notify's {name} must be a text of one line, but got {value!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name, ())
        found = value.split(",") if isinstance(value, str) else value
        is_list = isinstance(found, list | tuple)
        if not is_list or not all(isinstance(item, str) and item.isprintable() for item in found):
            raise _wrong(f"notify's {name} must be a list of texts, but got {value!r}")
        return tuple(filter(None, (item.strip() for item in found)))

    def number(self, name: str, default: float, *, above: float) -> float:
        value = self.value(name, default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = above
        if isinstance(value, bool) or not above < number < 1e5:
            raise _wrong(f"{above:g} < {name} must hold in notify, but got {name}={value!r}")
        return number

    def secret(self, name: str) -> str | None:
        """The variable that holds a secret. The value itself is shown nowhere, in no error either."""
        own = PREFIX + name.upper()
        if os.environ.get(own):
            return own
        value = self.table.get(name)
        if value is None:
            return None
        if isinstance(value, Mapping) and list(value) == ["env"] and isinstance(value["env"], str) and value["env"]:
            return value["env"]
        raise _wrong(
            f"notify's {name} is a secret, and secrets don't stand in a file",
            f'put it into a variable of the environment and name that: {name} = {{ env = "{own}" }}',
        )


def _kinds(given: _Given) -> frozenset[str]:
    kinds = given.texts("on") or KINDS
    for kind in kinds:
        if kind not in (*KINDS, "none"):
            raise _wrong(f"notify can't tell of {kind!r}", near_miss(kind, (*KINDS, "none")))
    return frozenset(kinds) - {"none"}


def _mail(given: _Given) -> Mail | None:
    to, host = given.texts("mail_to"), given.text("smtp_host")
    if not to and host is None:
        return None
    if not to or host is None:
        raise _wrong("A mail needs both mail_to and smtp_host", "set HEADRACE_NOTIFY_MAIL_TO and …_SMTP_HOST")
    for address in to:
        if "@" not in address:
            raise _wrong(f"notify's mail_to holds {address!r}, which is no address")
    security = given.text("smtp_security", "starttls")
    if security not in PORTS:
        raise _wrong(f"smtp_security must be starttls, tls or none, but got {security!r}")
    user, password = given.text("smtp_user"), given.secret("smtp_password")
    if (user is None) != (password is None):
        raise _wrong("smtp_user and smtp_password need one another", "set both, or neither")
    if password is not None and security == "none":
        raise _wrong("The password would go over the network in clear", "set smtp_security to starttls or tls")
    port = int(given.number("smtp_port", PORTS[security], above=0))
    return Mail(to, given.text("mail_from") or to[0], host, port, security, user, password)


def _wrong(message: str, hint: str | None = None) -> HeadraceError:
    return ProjectError(message, hint=hint)
