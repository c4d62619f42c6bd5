"""The ways to people: a mail server, and a web hook. What goes wrong is told without the secret that it went with."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from headrace.core.errors import HeadraceError, TransientError
from headrace.core.secret import Secret, scrub

if TYPE_CHECKING:
    from smtplib import SMTP

    from headrace.integrations.notify_message import Message
    from headrace.integrations.notify_settings import Mail


def send_mail(message: Message, mail: Mail, timeout_seconds: float) -> None:
    """Send a message as a mail. Raises `TransientError` when the server can't be reached or refuses it.

    A certificate is checked against what the system trusts, or ``SSL_CERT_FILE``.
    """
    import smtplib
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import formatdate, make_msgid

    letter = EmailMessage(policy=SMTP.clone(max_line_length=900))
    letter["Subject"], letter["From"], letter["To"] = message.subject, mail.sender, ", ".join(mail.to)
    letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain="headrace.invalid")
    letter["Auto-Submitted"], letter["X-Headrace-Run"] = "auto-generated", message.run_id
    letter.set_content(message.text(), cte="quoted-printable")
    try:
        with _connected(mail, timeout_seconds) as server:
            refused = server.send_message(letter)
    except (OSError, smtplib.SMTPException) as error:
        told = _told(error, mail.password)
        raise TransientError(f"the mail by {mail.host}:{mail.port} wasn't sent: {told}") from None
    if refused:
        raise TransientError(f"the mail server {mail.host} refused {', '.join(sorted(refused))}")


def _connected(mail: Mail, timeout_seconds: float) -> SMTP:
    import smtplib

    server: SMTP
    if mail.security == "tls":
        trust = ssl.create_default_context()
        server = smtplib.SMTP_SSL(mail.host, mail.port, timeout=timeout_seconds, context=trust)
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=timeout_seconds)
    try:
        if mail.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if mail.user is not None and mail.password is not None:
            server.login(mail.user, Secret(mail.password).reveal())
    except BaseException:
        server.close()
        raise
    return server


def post(message: Message, variable: str, timeout_seconds: float) -> None:
    """Post a message as JSON to the URL that a variable holds, which is told to nobody.

    Raises `TransientError` when there is no answer in time, or one that isn't 2xx; a redirection isn't followed.
    """
    import json
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, build_opener

    place = host_of(variable)
    body = json.dumps(message.to_json()).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "headrace"}
    try:
        request = Request(_without_login(variable, headers), data=body, headers=headers, method="POST")
        with build_opener(_NoRedirect()).open(request, timeout=timeout_seconds) as answer:
            answer.read(1)
    except HTTPError as error:
        with error:
            raise TransientError(f"the web hook at {place} answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        told = _told(reason, variable) if isinstance(reason, OSError) else type(error).__name__
        raise TransientError(f"the web hook at {place} wasn't reached: {told}") from None


def _NoRedirect() -> type:  # noqa: N802 - a class, made where urllib is imported
    from urllib.request import HTTPRedirectHandler

    class NoRedirect(HTTPRedirectHandler):
        """Takes a redirection for an error: the message would go to a place that nobody named."""

        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    return NoRedirect


def host_of(variable: str) -> str:
    """All that may be shown of the URL that a variable holds. Raises `HeadraceError` where it holds none."""
    try:
        parts = urlsplit(_url(variable))
        scheme, host, port = parts.scheme, parts.hostname, f":{parts.port}" if parts.port else ""
    except ValueError:
        scheme, host, port = "", None, ""
    if scheme not in ("http", "https") or not host:
        raise HeadraceError(
            f"the variable {variable} holds no URL that begins with https:// or http://",
            hint=f"set {variable} to the whole URL of the web hook",
        )
    return f"{scheme}://{host}{port}"


def _url(variable: str) -> str:
    return os.environ.get(variable, "").strip()


def _without_login(variable: str, headers: dict[str, str]) -> str:
    """The URL as urllib takes it: a user and password in it become a header."""
    from base64 import b64encode
    from urllib.parse import unquote

    parts = urlsplit(_url(variable))
    login, at, host = parts.netloc.rpartition("@")
    if at:
        headers["Authorization"] = f"Basic {b64encode(unquote(login).encode()).decode()}"
    return urlunsplit(parts._replace(netloc=host, fragment=""))


def _told(error: BaseException, secret: str | None) -> str:
    """An error's text without the secret; a refused login in the server's words."""
    text = f"{type(error).__name__}: {error}"
    return scrub(text.encode(errors="replace"), [Secret(secret)] if secret else []).decode(errors="replace")
