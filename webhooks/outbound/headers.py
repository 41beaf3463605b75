"""The headers that a tenant may put beside ours.

Some are shown to whoever reads the endpoint; sensitive ones are sealed and only their names are shown. Neither may
change how a message is framed, who we say we are, or what is signed. What is refused here MUST be left out by whoever
sends, too: rules may have changed since the endpoint was stored.
Source: RFC 9110 sections 5.1 (names), 5.5 (values), 7.6.1 (headers of one connection).
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from normalizer.errors import Finding, ValidationFailed
from webhooks.outbound.json_pointer import point

_Value = TypeVar("_Value")

MOST_HEADERS = 20
MOST_BYTES = 4096
LONGEST_NAME = 64

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_FORBIDDEN = frozenset(
    {
        "accept-encoding", "connection", "date", "expect", "forwarded", "host", "keep-alive", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent", "via",
    }
)  # fmt: skip
_FORBIDDEN_BEGINNINGS = ("content-", "proxy-", "webhook-", "x-signature-", "x-forwarded-")
# What opens doors is not shown to everybody who may read an endpoint.
_SENSITIVE_ONLY = frozenset({"authorization", "cookie"})


def is_forbidden(name: str, *, has_oauth: bool = False) -> bool:
    """Whether a tenant's header of this name must not be sent."""
    lower = name.lower()
    if has_oauth and lower == "authorization":
        return True
    return lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_BEGINNINGS)


def vet_headers(plain: Mapping[str, str], sensitive: Mapping[str, str], *, has_oauth: bool) -> None:
    """Raises ValidationFailed with a finding per header; a finding never shows a value."""
    findings: list[Finding] = []
    seen: set[str] = set()
    for where, headers in (("/headers", plain), ("/sensitive_headers", sensitive)):
        for name, value in headers.items():
            problem, remedy = _judge(name, value, where, has_oauth=has_oauth)
            if not problem and name.lower() in seen:
                problem, remedy = "the header is given twice", "Upper and lower case are the same header."
            seen.add(name.lower())
            if problem:
                findings.append(Finding(point(where, name), problem, remedy))
    if len(plain) + len(sensitive) > MOST_HEADERS:
        findings.append(Finding("/headers", f"at most {MOST_HEADERS} headers, sensitive ones among them"))
    size = sum(len(name) + len(value) for both in (plain, sensitive) for name, value in both.items())
    if size > MOST_BYTES:
        findings.append(Finding("/headers", f"at most {MOST_BYTES} bytes in all names and values"))
    if findings:
        raise ValidationFailed("These headers cannot be sent.", tuple(findings[:MOST_HEADERS]))


def merge_headers(
    before: Mapping[str, _Value], change: Mapping[str, _Value | None] | None
) -> dict[str, _Value]:
    """What is there after a change: None removes a header, None for all of them removes all (RFC 7396)."""
    if change is None:
        return {}
    touched = {name.lower() for name in change}
    kept = {name: value for name, value in before.items() if name.lower() not in touched}
    return kept | {name: value for name, value in change.items() if value is not None}


def _judge(name: str, value: str, where: str, *, has_oauth: bool) -> tuple[str, str]:
    """(problem, remedy), empty when there is none."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return "this is no header name", f"Letters, digits and hyphens, at most {LONGEST_NAME}."
    if name.lower() == "authorization" and has_oauth:
        return "the access token stands in this header", "Leave it out, or leave oauth out."
    if is_forbidden(name):
        return "this header is ours to set", "Use a name of your own, X-Tenant-Key for example."
    if name.lower() in _SENSITIVE_ONLY and where == "/headers":
        return (
            "this header would be shown to everybody who reads the endpoint",
            "Give it in sensitive_headers.",
        )
    if not _VALUE.fullmatch(value):
        return "a value is printable ASCII, not empty, without spaces at its ends", "Encode anything else."
    return "", ""
