"""The portal's tool for signatures: what was pasted against an endpoint's keys, and the likely reason of a difference.

It says yes or no and never what a signature should have been: that would be as good as the key for that body.
"""

import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from gateway.console.catalogue import say
from gateway.console.view import VerifyPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.door import Visit, enter, enter_with_form
from gateway.http.portal.endpoints import list_endpoints
from gateway.http.portal.entry import OPEN
from normalizer.ids import Kind, read_id
from webhooks.outbound.endpoint_keys import Generation

_TOLERANCE_S = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MESSAGE = re.compile(r"[!-\-/-~]{1,255}")  # printable, without a dot


class Verdict(msgspec.Struct, frozen=True):
    """`reasons`: keys under "verify_reason."."""

    holds: bool
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()


@get("/s/{handle:str}/verify", **OPEN)
async def ask(request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]) -> Response[str]:
    """The questions."""
    visit = await enter(request, services, handle)
    return await _page(visit, endpoint_id=visit.asked("endpoint"))


@post("/s/{handle:str}/verify", status_code=200, **OPEN)
async def check(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """The verdict. Nothing is kept."""
    visit = await enter_with_form(request, services, handle)
    own = read_id(Kind.ENDPOINT, visit.form.get("endpoint", ""))
    visit.check_endpoint(own)
    headers = _headers(visit.form.get("headers", ""))
    # A browser writes every line's end of a textarea as CRLF.
    body = visit.form.get("body", "").replace("\r\n", "\n")
    verdict = await _judge(visit, own, headers, body)
    return await _page(visit, endpoint_id=visit.form["endpoint"], verdict=verdict)


async def _judge(visit: Visit, own: UUID, headers: Mapping[str, str], body: str) -> Verdict:
    has_standard = {"webhook-id", "webhook-timestamp", "webhook-signature"} <= headers.keys()
    has_design = {"x-signature-timestamp", "x-signature-signature"} <= headers.keys()
    if not (has_standard or has_design):
        return Verdict(holds=False, reasons=("no_headers",))
    stamp = headers["webhook-timestamp" if has_standard else "x-signature-timestamp"]
    message = headers.get("webhook-id", "none")
    if not _TIMESTAMP.fullmatch(stamp):
        return Verdict(holds=False, reasons=("no_timestamp",))
    if not _MESSAGE.fullmatch(message):
        return Verdict(holds=False, reasons=("no_id",))
    for variant, note in _variants(body):
        found = await _matches(visit, own, headers, variant, message, int(stamp))
        if found:
            facts = (("event_id", message),) if has_standard else ()
            return _found(visit, headers, variant, [*found, *([note] if note else [])], int(stamp), facts)
    wrong = "standard_wrong" if has_standard else "design_wrong"
    return Verdict(holds=False, reasons=(wrong, "other_endpoint"))


def _found(
    visit: Visit,
    headers: Mapping[str, str],
    body: str,
    reasons: list[str],
    stamp: int,
    facts: tuple[tuple[str, str], ...],
) -> Verdict:
    age = int(visit.services.clock.now().timestamp()) - stamp
    if headers.get("x-signature-event", _type_of(body)) != _type_of(body):
        reasons.append("type_differs")
    if abs(age) > _TOLERANCE_S:
        reasons.append("old")
    holds = not {"trimmed", "rewritten", "type_differs"} & set(reasons)
    return Verdict(holds=holds, reasons=tuple(reasons), facts=(*facts, ("age", f"{age} s")))


async def _matches(
    visit: Visit, own: UUID, headers: Mapping[str, str], body: str, message: str, stamp: int
) -> list[str]:
    made = await visit.services.endpoints.test_signature(
        visit.tenant_id, own, body.encode("utf-8", "surrogatepass"), message=message, timestamp=stamp
    )
    entries = headers.get("webhook-signature", "").split()
    design_stamp = headers.get("x-signature-timestamp", "")
    # The two sets may say different seconds only if somebody has mixed two requests.
    design = headers.get("x-signature-signature", "") if design_stamp in {"", str(stamp)} else ""
    found: list[str] = []
    for name, generation in (("current", made.current), ("previous", made.previous)):
        if generation is not None:
            found += [f"{scheme}_{name}" for scheme in _schemes(generation, entries, design)]
    return found or sorted(_older(made.headers, entries, design))


def _older(live: Mapping[str, str], entries: list[str], design: str) -> set[str]:
    """`live`: the headers of an attempt now, in which every key signs that may: also those before the previous one."""
    signed = live.get("webhook-signature", "").split()
    found = {
        f"{one.partition(',')[0]}_older" for one in signed if any(_same(entry, one) for entry in entries)
    }
    if design and _same(design, live.get("X-Signature-Signature", "")):
        found.add("design_older")
    return found


def _schemes(made: Generation, entries: list[str], design: str) -> Iterator[str]:
    for scheme, value in (("v1", made.v1), ("v1a", made.v1a)):
        if value is not None and any(_same(entry, value) for entry in entries):
            yield scheme
    if _same(design, made.design):
        yield "design"


def _same(given: str, made: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), made.encode())


def _variants(body: str) -> Iterator[tuple[str, str]]:
    """The body as it is, and as it may have been before something touched it, with the key of what that was."""
    yield body, ""
    if body.strip() != body:
        yield body.strip(), "trimmed"
    try:
        rewritten = msgspec.json.format(body.strip(), indent=-1)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return
    if rewritten != body.strip():
        yield rewritten, "rewritten"


def _type_of(body: str) -> str:
    try:
        return msgspec.json.decode(body.strip(), type=_Typed).type
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return ""


class _Typed(msgspec.Struct):
    type: str = ""


def _headers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip()
    return found


async def _page(visit: Visit, *, endpoint_id: str, verdict: Verdict | None = None) -> Response[str]:
    language = visit.session.language
    page = VerifyPage(
        frame=visit.frame("verify"),
        endpoints=tuple(await list_endpoints(visit)),
        endpoint_id=endpoint_id,
        headers=visit.form.get("headers", ""),
        body=visit.form.get("body", ""),
        verdict="" if verdict is None else "good" if verdict.holds else "bad",
        reasons=tuple(say(language, f"verify_reason.{one}") for one in verdict.reasons) if verdict else (),
        facts=verdict.facts if verdict else (),
    )
    return visit.page(page)
