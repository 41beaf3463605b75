"""Operations on single recipients of an envelope in flight: ask again, correct, sign in our caller's page.

Must never send an attribute that does not change: an e-mail address alone, even the same, sends a mail.
Must never treat a 200 as success before its items have been looked at.
Source: eSignature REST API v2.1, envelope recipients and recipient view.
"""

from adapters.docusign import answers, mapping
from adapters.docusign.answers import text
from adapters.docusign.recipients import ARRAYS
from adapters.docusign.requests import decode, envelope_path, read, refuse_embedded, write
from adapters.docusign.wire import Recipient, Recipients, RecipientViewRequest
from adapters.kit.exchange import Effect, Exchange
from adapters.kit.outcome import Interruption, Rejected
from adapters.kit.port import RecipientCorrection
from normalizer import recipient as ours
from normalizer.errors import Finding, UnsupportedFeature, ValidationFailed
from normalizer.recipient import Role

_MAX_RETURN_URL = 470
_WAITING = frozenset({"sent", "delivered", "autoresponded"})


async def resend(
    exchange: Exchange, provider_ref: str, recipients: tuple[ours.Recipient, ...], note: str
) -> None:
    """A note goes to recipients only, so with one and no choice everybody who is waiting is named."""
    again = {"resend_envelope": "true"}
    if not recipients and not note:
        answer = await exchange(write("resend", "PUT", envelope_path(provider_ref), None, query=again))
    else:
        members = await _members(exchange, provider_ref)
        body = _asked_again(members, recipients, note)
        path = envelope_path(provider_ref, "recipients")
        answer = await exchange(write("resend", "PUT", path, body, query=again))
    refuse_embedded("resend", answer)


async def correct_recipient(exchange: Exchange, provider_ref: str, correction: RecipientCorrection) -> None:
    if not correction.name and not correction.email:
        raise ValidationFailed(
            "Nothing to correct.", (Finding("/", "Give a new name, a new e-mail address, or both."),)
        )
    person = correction.recipient
    is_hosted = person.role is Role.IN_PERSON
    if is_hosted and correction.email:
        raise UnsupportedFeature("docusign", "correcting an in-person signer's e-mail address")
    recipient_id = person.provider_ref or text(
        _find(await _members(exchange, provider_ref), person)[1].recipient_id
    )
    changed = Recipient(
        recipient_id=recipient_id,
        name="" if is_hosted else correction.name,
        signer_name=correction.name if is_hosted else "",
        email=correction.email,
    )
    body = {ARRAYS[person.role]: (changed,)}
    answer = await exchange(
        write("correct_recipient", "PUT", envelope_path(provider_ref, "recipients"), body)
    )
    refuse_embedded("correct_recipient", answer)


async def signing_url(
    exchange: Exchange, provider_ref: str, recipient: ours.Recipient, return_url: str
) -> str:
    """A single-use address that lives five minutes. Reads the recipient first: signers may change their own
    name while they adopt a signature, and the view needs it exactly as the envelope has it now.
    """
    if not recipient.embedded:
        raise UnsupportedFeature("docusign", "a signing URL for a recipient who is not embedded")
    if len(return_url) > _MAX_RETURN_URL:
        problem = f"A return URL has at most {_MAX_RETURN_URL} characters."
        raise ValidationFailed("The return URL is too long.", (Finding("/return_url", problem),))
    array, member = _find(await _members(exchange, provider_ref), recipient)
    is_hosted = array == ARRAYS[Role.IN_PERSON]
    body = RecipientViewRequest(
        return_url=return_url,
        authentication_method="None",  # the caller has not told how the person proved who they are
        client_user_id=text(member.client_user_id),
        recipient_id=text(member.recipient_id),
        user_name=text(member.host_name if is_hosted else member.name),
        email=text(member.host_email if is_hosted else member.email),
    )
    path = envelope_path(provider_ref, "views", "recipient")
    # Effect NONE: a view that nobody received is only a dead address.
    answer = await exchange(write("signing_url", "POST", path, body, Effect.NONE))
    return decode(answer, answers.ViewUrl).url


async def _members(exchange: Exchange, provider_ref: str) -> tuple[tuple[str, answers.Recipient], ...]:
    answer = await exchange(read("get_recipients", envelope_path(provider_ref, "recipients")))
    return tuple(decode(answer, answers.Recipients).each())


def _find(
    members: tuple[tuple[str, answers.Recipient], ...], person: ours.Recipient
) -> tuple[str, answers.Recipient]:
    """By our id, which comes back in a custom field or as client user id; else by address and order."""
    for array, member in members:
        if mapping.our_id_of(member) == person.id or text(member.client_user_id) == str(person.id):
            return array, member
    for array, member in members:
        is_same_order = text(member.routing_order) in {"", str(person.routing_order)}
        if is_same_order and mapping.email_of(member).casefold() == person.email.casefold():
            return array, member
    raise Interruption(
        Rejected(
            code="not_found",
            provider_code="RECIPIENT_NOT_FOUND",
            detail="The envelope at DocuSign has no such recipient.",
            status=200,
        )
    )


def _asked_again(
    members: tuple[tuple[str, answers.Recipient], ...], recipients: tuple[ours.Recipient, ...], note: str
) -> Recipients:
    """Name and address go with it: DocuSign's documented form of asking one recipient again."""
    chosen = (
        tuple(_find(members, person) for person in recipients)
        if recipients
        else tuple((array, member) for array, member in members if text(member.status).casefold() in _WAITING)
    )
    if not chosen:
        raise Interruption(
            Rejected(
                code="state_conflict",
                provider_code="NOBODY_WAITS",
                detail="No recipient is waiting who could be asked again.",
                status=200,
            )
        )
    arrays: dict[str, list[Recipient]] = {}
    for array, member in chosen:
        is_hosted = array == ARRAYS[Role.IN_PERSON]
        again = Recipient(
            recipient_id=text(member.recipient_id),
            name="" if is_hosted else text(member.name),
            email="" if is_hosted else text(member.email),
            host_name=text(member.host_name) if is_hosted else "",
            host_email=text(member.host_email) if is_hosted else "",
            signer_name=text(member.signer_name) if is_hosted else "",
            note=note[:1000],
        )
        arrays.setdefault(array, []).append(again)
    return {array: tuple(found) for array, found in arrays.items()}
