"""Views: the embedded signing session, and the sender's views that a gateway may ask for.

A recipient view is opened once, within five minutes, and ends an earlier session of the same envelope.
"""

import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from litestar import delete, post

from .catalogue import JsonObject
from .exchange import Answer, HttpRequest, answer, body_of, envelope_of, world_of
from .refusals import Refusal
from .state import Envelope, Recipient, Session

_VIEWS = "/envelopes/{envelope_id:str}/views"
_LONGEST_RETURN_URL = 470
_MINUTES = 5
_METHODS = frozenset(
    {
        "Biometric", "Email", "HTTPBasicAuth", "Kerberos", "KnowledgeBasedAuth", "None", "PaperDocuments",
        "Password",
        "RSASecureID", "SingleSignOn_CASiteminder", "SingleSignOn_InfoCard",
        "SingleSignOn_MicrosoftActiveDirectory",
        "SingleSignOn_Other", "SingleSignOn_Passport", "SingleSignOn_SAML", "Smartcard", "SSLMutualAuth",
        "X509Certificate",
    }
)  # fmt: skip


@post(_VIEWS + "/recipient", name="views.recipient", status_code=201)
async def recipient_view(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "RecipientViewRequest")
    _check_return_url(request, str(body.get("returnUrl") or ""))
    if body.get("authenticationMethod") not in _METHODS:
        raise Refusal("view-authentication-method", f"'{body.get('authenticationMethod') or ''}'.")
    ping = str(body.get("pingFrequency") or "300")
    if not (ping.isdigit() and 60 <= int(ping) <= 1200):
        raise Refusal("view-ping-frequency")
    if not envelope.is_open:
        raise Refusal("view-invalid-state")
    recipient = _viewer(envelope, body, world.settings.user_id)
    if not recipient.is_waiting:
        raise Refusal("view-not-in-sequence")
    for session in world.state.sessions.values():
        if session.envelope_id == envelope.id:
            session.is_ended = True
    session = Session(
        token=secrets.token_urlsafe(24),
        envelope_id=envelope.id,
        recipient_id=recipient.recipient_id,
        return_url=str(body["returnUrl"]),
        expires_at=world.now() + timedelta(minutes=_MINUTES),
    )
    world.state.sessions[session.token] = session
    world.touch()
    return answer({"url": f"{world.settings.url}/Signing/StartInSession.aspx?t={session.token}"}, 201)


@post(_VIEWS + "/correct", name="views.correct", status_code=201)
async def correct_view(request: HttpRequest) -> Answer:
    return await _sender_view(request, "CorrectViewRequest", frozenset({"sent", "delivered"}))


@delete(_VIEWS + "/correct", name="views.leave_correct", status_code=200)
async def leave_correct_view(request: HttpRequest) -> Answer:
    await body_of(request, "CorrectViewRequest", is_optional=True)
    return answer({"envelopeId": envelope_of(request).id})


@post(_VIEWS + "/sender", name="views.sender", status_code=201)
async def sender_view(request: HttpRequest) -> Answer:
    return await _sender_view(request, "EnvelopeViewRequest", frozenset({"created"}))


@post(_VIEWS + "/edit", name="views.edit", status_code=201)
async def edit_view(request: HttpRequest) -> Answer:
    return await _sender_view(request, "EnvelopeViewRequest", frozenset({"created"}))


async def _sender_view(request: HttpRequest, model: str, allowed: frozenset[str]) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, model)
    _check_return_url(request, str(body.get("returnUrl") or ""))
    if envelope.status not in allowed:
        raise Refusal("view-invalid-state")
    return answer({"url": f"{world.settings.url}/sandbox/envelopes/{envelope.id}/page"}, 201)


def _check_return_url(request: HttpRequest, url: str) -> None:
    """https, or http to a host of the development allow-list, at most 470 characters."""
    parts = urlsplit(url)
    is_allowed_plain = parts.scheme == "http" and parts.hostname in world_of(request).settings.webhook_allow
    if not parts.hostname or (parts.scheme != "https" and not is_allowed_plain):
        raise Refusal("view-return-url", f"'{url}'.")
    if len(url) > _LONGEST_RETURN_URL:
        raise Refusal("view-return-url-too-long")


def _viewer(envelope: Envelope, body: JsonObject, user_id: str) -> Recipient:
    """The embedded recipient whose identity is exactly the one given."""
    for recipient in envelope.recipients:
        is_same_person = recipient.email == body.get("email") and recipient.name == body.get("userName")
        is_same_user = bool(body.get("userId")) and body.get("userId") in {recipient.user_id, user_id}
        is_meant = body.get("recipientId") in {None, recipient.recipient_id}
        is_embedded = bool(recipient.wire.get("clientUserId"))
        if (
            is_embedded
            and recipient.wire["clientUserId"] == body.get("clientUserId")
            and (is_same_person or is_same_user)
            and is_meant
        ):
            return recipient
    raise Refusal("view-recipient-unknown")
