"""Where a bucket's store is: the URL, and what the environment says beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from typing import NamedTuple, Self

from headrace.core.errors import StoreError

SCHEMES = ("s3", "gs", "az")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-_]*")
_PREFIX = re.compile(r"\w[\w.\-=@+,]*(?:/\w[\w.\-=@+,]*)*")
_HINT = "give a bucket and a prefix, such as 's3://bucket/team/churn'"


class BucketPlace(NamedTuple):
    """A scheme, a bucket (``az``: a container) and a prefix without slashes at its ends, "" for none."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL. Raises `StoreError` for one that isn't just these three; a password in it isn't shown."""
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if "@" in bucket or ":" in bucket:
            raise StoreError(
                f"The store's URL ({scheme}://…) holds more than a bucket before its first '/', such as a password",
                hint="credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, …), a server's address "
                "from AWS_ENDPOINT_URL; a password that was given in a URL should be changed",
            )
        if _BUCKET.fullmatch(bucket) is None:
            raise StoreError(f"{bucket!r} cannot be a bucket's name", hint=_HINT)
        prefix = prefix.rstrip("/")
        if prefix and _PREFIX.fullmatch(prefix) is None:
            raise StoreError(f"{prefix.partition('?')[0]!r} cannot be a prefix in a bucket", hint=_HINT)
        return cls(scheme.lower(), bucket, prefix)

    @property
    def url(self) -> str:
        """The URL again."""
        return f"{self.root}/{self.prefix}" if self.prefix else self.root

    @property
    def root(self) -> str:
        """The bucket's own URL."""
        return f"{self.scheme}://{self.bucket}"

    def key(self, name: str) -> str:
        """The key in the bucket of a name in the store."""
        return f"{self.prefix}/{name}" if self.prefix else name


def endpoint(environment: Mapping[str, str]) -> str | None:
    """The address of a server that speaks S3, where it isn't Amazon's."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        if environment.get(name):
            return environment[name]
    return None


def profile_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Keys and region from AWS's own two files, for what the environment doesn't say.

    The library reads the environment, web identities and the metadata servers of clouds by itself, but not these
    files. A profile with keys in it is read; one that signs in elsewhere (``sso``, ``role_arn``,
    ``credential_process``) isn't.
    """
    name = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
    found: dict[str, str] = {}
    if not environment.get("AWS_ACCESS_KEY_ID") and not environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        secrets = _section(environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials", name)
        for key, ours in (
            ("aws_access_key_id", "access_key_id"),
            ("aws_secret_access_key", "secret_access_key"),
            ("aws_session_token", "session_token"),
        ):
            if key in secrets:
                found[ours] = secrets[key]
        if not found and environment.get("AWS_PROFILE"):
            raise StoreError(
                f"The profile AWS_PROFILE={name!r} has no keys of its own in the credentials file",
                hint='sign in first, then: eval "$(aws configure export-credentials --format env)"',
            )
    if not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
        section = name if name == "default" else f"profile {name}"
        region = _section(environment.get("AWS_CONFIG_FILE") or "~/.aws/config", section).get("region")
        if region:
            found["region"] = region
    return found


def _section(file: str, name: str) -> Mapping[str, str]:
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(os.path.expanduser(file), encoding="utf-8")  # noqa: PTH111
    except (OSError, ConfigError, UnicodeDecodeError):
        return {}
    return dict(parser[name]) if parser.has_section(name) else {}
