"""The pages for people: envelopes with buttons per waiting recipient, and the embedded signing page.

Plain forms without JavaScript. Opening an embedded signing link uses it up, as at the provider.
"""

from functools import cache
from importlib import resources
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from jinja2 import Environment, FunctionLoader, StrictUndefined
from litestar import Response, get, post

from . import lifecycle, recipients, troubles
from .control import Action, perform
from .exchange import HttpRequest, envelope_of, query, world_of
from .papers import combined_pdf
from .refusals import Refusal
from .state import Envelope, Recipient, Session
from .world import World

Page = Response[bytes]


@get("/sandbox", name="pages.list")
async def list_page(request: HttpRequest) -> Page:
    world = world_of(request)
    shown = sorted(world.state.envelopes.values(), key=lambda envelope: envelope.created_at, reverse=True)
    return _page("envelopes.html", envelopes=shown, faults=world.faults.waiting())


@get("/sandbox/envelopes/{envelope_id:str}/page", name="pages.envelope")
async def envelope_page(request: HttpRequest) -> Page:
    return _page("envelopes.html", envelopes=[envelope_of(request)], faults=[])


@get("/sandbox/envelopes/{envelope_id:str}/combined.pdf", name="pages.pdf")
async def envelope_pdf(request: HttpRequest) -> Page:
    envelope = envelope_of(request)
    if envelope.is_purged or not envelope.documents:
        raise Refusal("document-purged")
    content = combined_pdf(world_of(request), envelope, with_certificate=envelope.status == "completed")
    return Response(content, media_type="application/pdf")


@post("/sandbox/envelopes/{envelope_id:str}/page", name="pages.act", status_code=303)
async def act(request: HttpRequest) -> Page:
    """A button of the list: an action of one recipient, or the envelope's expiry."""
    world, envelope = world_of(request), envelope_of(request)
    form = await _form(request)
    if form.get("action") == "expire":
        lifecycle.expire(world, envelope)
    else:
        recipient = recipients.find(envelope, form.get("recipient_id", ""))
        given = Action(reason=form.get("reason") or Action().reason)
        perform(world, envelope, recipient, form.get("action", ""), given)
    return _redirect("/sandbox")


@get("/Signing/StartInSession.aspx", name="pages.start")
async def start(request: HttpRequest) -> Page:
    """Opens an embedded session once; a used or late link goes back with ttl_expired."""
    world = world_of(request)
    session = _session(world, query(request, "t"))
    if session.is_opened or session.is_ended or session.expires_at <= world.now():
        return _back(session, "ttl_expired")
    session.is_opened = True
    world.touch()
    envelope, recipient = _people(world, session)
    if not _needs_code(session, recipient):
        lifecycle.view(world, envelope, recipient)
    return _signing_page(session, envelope, recipient, "")


@post("/Signing/Session", name="pages.sign", status_code=303)
async def finish(request: HttpRequest) -> Page:
    """A button of the signing page; ends at the return address with the event's name."""
    world = world_of(request)
    form = await _form(request)
    session = _session(world, form.get("t", ""))
    envelope, recipient = _people(world, session)
    if session.is_ended or not session.is_opened:
        return _back(session, "session_timeout")
    action = form.get("action", "")
    if _needs_code(session, recipient) and action not in {"fail_authentication", "cancel"}:
        return _enter_code(world, session, envelope, recipient, form.get("access_code", ""))
    match action:
        case "sign":
            values = {
                name.removeprefix("tab_"): text for name, text in form.items() if name.startswith("tab_")
            }
            lifecycle.sign(world, envelope, recipient, values)
            event = "viewing_complete" if recipient.kind == "certifiedDeliveries" else "signing_complete"
        case "decline":
            lifecycle.decline(world, envelope, recipient, form.get("reason") or Action().reason)
            event = "decline"
        case "fail_authentication":
            troubles.fail_authentication(world, envelope, recipient)
            event = "access_code_failed" if recipient.wire.get("accessCode") else "id_check_failed"
        case "finish_later":
            troubles.finish_later(world, envelope, recipient)
            event = "cancel"
        case _:
            event = "cancel"
    session.is_ended = True
    world.touch()
    return _back(session, event)


def _enter_code(world: World, session: Session, envelope: Envelope, recipient: Recipient, code: str) -> Page:
    if troubles.enter_access_code(world, envelope, recipient, code):
        session.is_authenticated = True
        lifecycle.view(world, envelope, recipient)
        return _signing_page(session, envelope, recipient, "")
    if recipient.wrong_codes >= troubles.MAX_WRONG_CODES:
        session.is_ended = True
        return _back(session, "access_code_failed")
    return _signing_page(session, envelope, recipient, "That code is not right.")


def _needs_code(session: Session, recipient: Recipient) -> bool:
    return bool(recipient.wire.get("accessCode")) and not session.is_authenticated


def _session(world: World, token: str) -> Session:
    found = world.state.sessions.get(token)
    if found is None:
        raise Refusal("page-session-unknown")
    return found


def _people(world: World, session: Session) -> tuple[Envelope, Recipient]:
    envelope = world.envelope(session.envelope_id)
    return envelope, recipients.find(envelope, session.recipient_id)


def _signing_page(session: Session, envelope: Envelope, recipient: Recipient, problem: str) -> Page:
    blanks = [
        tab["tabLabel"]
        for kind in ("textTabs", "numberTabs", "dateTabs", "listTabs")
        for tab in recipient.tabs.get(kind, [])
        if tab.get("tabLabel")
    ]
    return _page(
        "signing.html",
        session=session,
        envelope=envelope,
        recipient=recipient,
        blanks=blanks,
        problem=problem,
        needs_code=_needs_code(session, recipient),
    )


def _back(session: Session, event: str) -> Page:
    parts = urlsplit(session.return_url)
    with_event = "&".join(text for text in (parts.query, urlencode({"event": event})) if text)
    return _redirect(urlunsplit(parts._replace(query=with_event)))


def _redirect(url: str) -> Page:
    return Response(b"", status_code=303, headers={"Location": url})


def _page(name: str, **values: object) -> Page:
    html = _environment().get_template(name).render(**values)
    policy = "default-src 'none'; style-src 'unsafe-inline'; form-action *; base-uri 'none'"
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return Response(html.encode(), media_type="text/html; charset=utf-8", status_code=200, headers=headers)


@cache
def _environment() -> Environment:
    def source(name: str) -> str:
        return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")

    return Environment(loader=FunctionLoader(source), autoescape=True, undefined=StrictUndefined)


async def _form(request: HttpRequest) -> dict[str, str]:
    fields = parse_qs((await request.body()).decode("utf-8", errors="replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
