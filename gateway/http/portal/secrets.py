"""The portal's page of an endpoint's secret: not shown again, replaced with an overlap; and its public key."""

import base64
from datetime import timedelta
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from config.secret import Secret
from gateway.console.access import spend_form
from gateway.console.frame import Trouble
from gateway.console.view import SecretPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.door import Visit, enter, enter_to_change, trouble_of, with_query
from gateway.http.portal.entry import OPEN
from gateway.http.sign.answers import redirect
from normalizer.errors import Conflict, Finding, ValidationFailed
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.endpoint import Endpoint, ShownOnce
from webhooks.outbound.key_ring import read_public_keys


@get("/s/{handle:str}/endpoints/{endpoint_id:str}/secret", **OPEN)
async def secret(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[str]:
    """What is known of it, and the form to replace it."""
    visit = await enter(request, services, handle)
    return await secret_page(visit, await _find(visit, endpoint_id))


@post("/s/{handle:str}/endpoints/{endpoint_id:str}/secret", status_code=200, **OPEN)
async def rotate(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[Any]:
    """A new secret, shown this once; the old one signs beside it during the overlap."""
    visit = await enter_to_change(request, services, handle)
    found = await _find(visit, endpoint_id)
    caller, own = visit.session.caller, visit.form.get("secret", "").strip()
    try:
        overlap = _hours(visit, "overlap_hours", 24.0)
        cutover = _hours(visit, "cutover_hours", None)
        if overlap is None or not await spend_form(services, visit.session, visit.form.get("form_id", "")):
            return redirect(with_query(_path(visit, found), done="sent_already"))
        shown = await services.endpoints.rotate_secret(
            visit.tenant_id,
            found.id,
            caller.actor,
            caller.source,
            secret=Secret(own) if own else None,
            overlap=overlap,
            cutover=cutover,
        )
    except (ValidationFailed, Conflict) as error:
        return await secret_page(visit, found, trouble=trouble_of(error))
    return await secret_page(visit, shown.endpoint, shown=shown)


@post("/s/{handle:str}/endpoints/{endpoint_id:str}/activate", status_code=303, **OPEN)
async def activate(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[Any]:
    """The header with room for one signature changes over now."""
    visit = await enter_to_change(request, services, handle)
    found = await _find(visit, endpoint_id)
    caller = visit.session.caller
    try:
        await services.endpoints.activate_secret(visit.tenant_id, found.id, caller.actor, caller.source)
    except Conflict as error:
        return await secret_page(visit, found, trouble=trouble_of(error))
    return redirect(with_query(_path(visit, found), done="activated"))


async def secret_page(
    visit: Visit,
    found: Endpoint,
    *,
    shown: ShownOnce | None = None,
    is_new: bool = False,
    trouble: Trouble | None = None,
) -> Response[str]:
    now = visit.services.clock.now()
    has_previous = found.previous_until is not None and found.previous_until > now
    older = (await read_public_keys(visit.services.hub, found.id, now=now)).older
    is_rotating = has_previous or bool(older)
    page = SecretPage(
        frame=visit.frame("endpoints", trouble=trouble),
        endpoint=found,
        signing=1 + has_previous + len(older),
        has_previous=has_previous,
        may_activate=is_rotating and found.cutover_at is not None and found.cutover_at > now,
        public_key=public_text(found.verify_key),
        previous_public_key=public_text(found.previous_verify_key) if has_previous else "",
        older_public=tuple((public_text(key), until) for key, until in older),
        is_new=is_new,
        secret=shown.secret if shown else None,
        standard_secret=shown.standard_secret if shown else None,
    )
    return visit.page(page, status=422 if trouble else 200)


def public_text(key: bytes | None) -> str:
    """As Standard Webhooks writes a public key; "" when there is none."""
    return "whpk_" + base64.b64encode(key).decode() if key else ""


async def _find(visit: Visit, printed: str) -> Endpoint:
    own = read_id(Kind.ENDPOINT, printed)
    visit.check_endpoint(own)
    return await visit.services.endpoints.read(visit.tenant_id, own)


def _path(visit: Visit, found: Endpoint) -> str:
    return f"{visit.base}/endpoints/{print_id(Kind.ENDPOINT, found.id)}/secret"


def _hours(visit: Visit, name: str, usual: float | None) -> timedelta | None:
    text = visit.form.get(name, "").strip().replace(",", ".")
    if not text:
        return None if usual is None else timedelta(hours=usual)
    try:
        hours = float(text)
        return timedelta(hours=hours)
    except (ValueError, OverflowError) as error:
        finding = Finding(f"/{name}", "This is no number of hours.")
        raise ValidationFailed("The times cannot be read.", (finding,)) from error
