"""What goes wrong with a bucket, in words that hold no credential.

The library's own texts quote whole answers of the server, and some of these hold the access key's id and what was
signed. So an error of the library goes no further than `fault_of`: what is kept is the status, the code and the kind.
"""

from __future__ import annotations

import re
from typing import Literal

from headrace.core.errors import StoreError, StoreFullError, StoreReadOnlyError

Kind = Literal[
    "absent", "no bucket", "exists", "changed", "conflict", "denied", "full", "no credentials", "refused",
    "torn", "network",
]  # fmt: skip
"""What a fault means. ``exists`` and ``changed``: the condition of a conditional put didn't hold."""

_STATUS = re.compile(r"status(?: code)?:? (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
_HOST = re.compile(r"https?://(?:[^/@\s]*@)?([\w.\-]+(?::\d+)?)")
_METADATA_HOSTS = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")
_DENIED = (
    "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
)  # fmt: skip
_FULL = ("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity")


class BucketFault(Exception):  # noqa: N818 - an error only once a store has said what it was doing
    """One request failed for good."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(kind, text)
        self.kind: Kind = kind
        self.text = text

    def __str__(self) -> str:
        return self.text


def fault_of(error: Exception) -> BucketFault:
    """What an error of the library's means."""
    text = str(error).partition("Debug source:")[0]
    status = match[1] if (match := _STATUS.search(text)) else ""
    code = match[1] if (match := _CODE.search(text)) else ""
    host = match[1] if (match := _HOST.search(text)) else "the server"
    if any(name in host for name in _METADATA_HOSTS):
        return BucketFault("no credentials", "no credentials were found")
    kind = _kind(type(error).__name__, status, code)
    if status:
        return BucketFault(kind, f"{host} answered {status}" + (f" {code}" if code else ""))
    if kind != "network":
        return BucketFault(kind, kind)
    if "timed out" in text or "timeout" in text.lower().replace("retry_timeout", ""):
        return BucketFault(kind, f"{host} did not answer in time")
    return BucketFault(kind, f"the connection to {host} failed or broke off")


def _kind(name: str, status: str, code: str) -> Kind:
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return "no bucket"
    if code in _FULL or status == "507":
        return "full"
    if name == "AlreadyExistsError":
        return "exists"
    if name == "PreconditionError":
        return "changed"
    if status == "409":
        return "conflict"
    if name in ("FileNotFoundError", "NotFoundError") or status == "404":
        return "absent"
    if name in ("PermissionDeniedError", "UnauthenticatedError") or status in ("401", "403") or code in _DENIED:
        return "denied"
    # All else in the 3xx and 4xx is said of the request, and would be said again.
    return "refused" if status[:1] in ("3", "4") and status not in ("408", "429") else "network"


def explain_fault(fault: BucketFault, what: str, where: str, *, writes: bool) -> StoreError:
    """Make the store's error of a fault: ``what`` failed, such as "write a record"."""
    if fault.kind == "full":
        return StoreFullError(
            f"No space is left to {what}: {fault.text}",
            where=where,
            hint="nothing half-written was left behind: make space (or raise the quota) and run again",
        )
    if fault.kind == "denied" and writes:
        return StoreReadOnlyError(
            f"The store may not be used to {what}: {fault.text}",
            where=where,
            hint="give these credentials the right to put and delete there, or choose another store (--store, "
            "HEADRACE_STORE)",
        )
    return StoreError(f"Could not {what}: {fault.text}", where=where, hint=hint_of(fault))


def hint_of(fault: BucketFault) -> str:
    """What to do about a fault."""
    return _HINTS.get(fault.kind, _HINTS["network"])


_HINTS: dict[Kind, str] = {
    "no bucket": "make the bucket, or correct its name in the store's URL",
    "denied": "these credentials need the rights to get, put, delete and list there (without the right to list, S3 "
    "says 403 of what is only absent)",
    "no credentials": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a profile that signs in "
    'elsewhere: eval "$(aws configure export-credentials --format env)"',
    "refused": "look whether AWS_REGION and AWS_ENDPOINT_URL are those of the bucket",
    "network": "look whether the bucket's server can be reached from here (AWS_ENDPOINT_URL, AWS_REGION, a proxy), "
    "then run again: what was finished is kept",
}
