"""Every operation at Acrobat Sign, as a coroutine over the injected Exchange: each reads top to bottom.

What surprises here: creating is asynchronous, documents are uploaded beforehand, fields with coordinates need
an agreement that is being authored, and writes need the ETag of what was read. Must never send anything that
a person receives before all that belongs to it is in place.
Source: REST v6 swagger 1.2; developer guide of 2026-04-29.
"""

from datetime import datetime, timedelta

import msgspec

from adapters.adobe_sign.agreement import build_agreement, build_member
from adapters.adobe_sign.answers import (
    Agreement,
    AgreementList,
    Documents,
    Events,
    ListedAgreement,
    SigningUrls,
    decode,
    decode_error,
)
from adapters.adobe_sign.calls import agreement_path, put_matching, read, read_request, refuse, write_request
from adapters.adobe_sign.fields import has_coordinates, in_order
from adapters.adobe_sign.losses import check_envelope
from adapters.adobe_sign.mapping import (
    AMBIGUOUS_END,
    AUTHORING,
    STILL_PROCESSING,
    envelope_status,
)
from adapters.adobe_sign.moments import read_moment
from adapters.adobe_sign.preparing import (
    WAITS_S,
    create_agreement,
    draft_status,
    place_fields,
    processed_status,
    read_members,
    require_fields,
)
from adapters.adobe_sign.reports import (
    audit_record,
    find_set,
    find_signing_url,
    is_ambiguous_end,
    report_agreement,
    report_listed,
    waiting_members,
)
from adapters.adobe_sign.uploads import upload_document
from adapters.adobe_sign.wire import (
    CancellationInfo,
    ParticipantSetInfo,
    Reminder,
    StateChange,
)
from adapters.kit.exchange import Effect, Exchange, SavedBlob
from adapters.kit.outcome import Interruption, Unknown
from adapters.kit.port import ChangePage, Connection, Created, Part, RecipientCorrection, SendMode
from normalizer.envelope import AuditRecord, Envelope, EnvelopeReport
from normalizer.recipient import AuthenticationLevel, Recipient
from normalizer.status import EnvelopeStatus

_PAGE_SIZE = "100"
_PDF = b"%PDF-"
_LONGEST_LIFE = timedelta(days=365)  # an agreement without an expiration ends after a year by itself
# Codes of 404 that mean "not yet"; any other 404 is definite.
_NOT_YET = frozenset({"AGREEMENT_NOT_SIGNABLE", "DOCUMENT_NOT_YET_AVAILABLE", "AGREEMENT_NOT_EXPOSED"})


async def create_envelope(
    exchange: Exchange, connection: Connection, envelope: Envelope, mode: SendMode, now: datetime
) -> Created:
    check_envelope(connection, envelope)
    build_agreement(envelope, [""] * len(envelope.documents), "DRAFT", now)  # refuse before anything is sent
    transient = [await upload_document(exchange, connection, document) for document in in_order(envelope)]
    state = _first_state(envelope, mode)
    agreement = build_agreement(envelope, transient, state, now)
    ref = await create_agreement(exchange, connection, agreement)
    if state == AUTHORING:
        await place_fields(exchange, connection, ref, envelope)
    if state == AUTHORING and mode is SendMode.SEND:
        return Created(ref, await _send(exchange, connection, ref, AUTHORING))
    return Created(ref, _first_report(ref, state, envelope.reference))


async def send_draft(exchange: Exchange, connection: Connection, provider_ref: str) -> EnvelopeReport:
    """Refuses a draft whose fields were never placed: its signers would be asked to sign anywhere."""
    status = await draft_status(exchange, connection, "send_draft", provider_ref)
    if status == AUTHORING:
        await require_fields(exchange, connection, provider_ref)
    return await _send(exchange, connection, provider_ref, status)


async def discard_draft(exchange: Exchange, connection: Connection, provider_ref: str) -> None:
    await draft_status(exchange, connection, "discard_draft", provider_ref)
    path = agreement_path(provider_ref)
    await exchange(
        write_request(
            connection, "discard_draft", "DELETE", path, None, Effect.KEYED, accept=frozenset({200, 204})
        )
    )


async def find_envelopes(
    exchange: Exchange, connection: Connection, reference: str
) -> tuple[EnvelopeReport, ...]:
    """By externalId, drafts too, whatever their age; the provider's index lags a little. What is still being
    prepared may become a draft or go out, so it is waited for: the caller decides by that difference.
    """
    found: list[EnvelopeReport] = []
    query = {"externalId": reference, "pageSize": _PAGE_SIZE}
    while True:
        page = await read(exchange, connection, "find_envelopes", "/agreements", AgreementList, query)
        found.extend([await _found(exchange, connection, row, reference) for row in page.user_agreement_list])
        if page.page is None or not page.page.next_cursor:
            return tuple(found)
        query["cursor"] = page.page.next_cursor


async def get_envelope(exchange: Exchange, connection: Connection, provider_ref: str) -> EnvelopeReport:
    agreement = await read(exchange, connection, "get_envelope", agreement_path(provider_ref), Agreement)
    members = await read_members(exchange, connection, "get_envelope", provider_ref)
    if agreement.status not in AMBIGUOUS_END:
        return report_agreement(agreement, members)
    events = await _events(exchange, connection, provider_ref)
    return report_agreement(agreement, members, events.events)


async def list_changes(
    exchange: Exchange, connection: Connection, since: datetime, cursor: str
) -> ChangePage:
    """The list has no filter by change and its displayDate is not said to be one, so the page holds every
    agreement young enough to have changed since.
    """
    query = {"pageSize": _PAGE_SIZE} | ({"cursor": cursor} if cursor else {})
    page = await read(exchange, connection, "list_changes", "/agreements", AgreementList, query)
    rows = [row for row in page.user_agreement_list if _may_have_changed(row, since)]
    return ChangePage(
        reports=tuple([await _listed(exchange, connection, row, since) for row in rows]),
        cursor=(page.page.next_cursor or "") if page.page else "",
    )


async def void_envelope(
    exchange: Exchange, connection: Connection, provider_ref: str, reason: str
) -> EnvelopeReport:
    # What is still being prepared cannot be cancelled yet.
    await processed_status(exchange, connection, "void_envelope", provider_ref, (0.0, *WAITS_S))
    # Without notifyOthers nobody would be told, unlike at other providers.
    change = StateChange(
        state="CANCELLED",
        agreement_cancellation_info=CancellationInfo(comment=reason, notify_others=True),
    )
    await _change_state(exchange, connection, "void_envelope", provider_ref, change)
    return EnvelopeReport(
        provider_ref=provider_ref,
        status=EnvelopeStatus.VOIDED,
        provider_status="CANCELLED",
        reason=reason,
    )


async def resend(
    exchange: Exchange,
    connection: Connection,
    provider_ref: str,
    recipients: tuple[Recipient, ...],
    note: str,
) -> None:
    members = await read_members(exchange, connection, "resend", provider_ref)
    chosen = [find_set(members, recipient) for recipient in recipients]
    asked = waiting_members(filter(None, chosen) if recipients else members.participant_sets)
    if not asked:
        raise refuse("state_conflict", "it is nobody's turn among the recipients to be reminded")
    body = Reminder(recipient_participant_ids=asked, status="ACTIVE", frequency="ONCE", note=note)
    path = agreement_path(provider_ref, "reminders")
    await exchange(
        write_request(connection, "resend", "POST", path, body, Effect.CREATES, accept=frozenset({200, 201}))
    )


async def correct_recipient(
    exchange: Exchange, connection: Connection, provider_ref: str, correction: RecipientCorrection
) -> None:
    recipient = correction.recipient
    members = await read_members(exchange, connection, "correct_recipient", provider_ref)
    found = find_set(members, recipient)
    if found is None:
        raise refuse("not_found", "the agreement has no such recipient")
    member = build_member(
        recipient,
        AuthenticationLevel.EMAIL,
        name=correction.name or recipient.name,
        email=correction.email or recipient.email,
    )
    path = agreement_path(provider_ref, "members", "participantSets", found.id)

    replacement = ParticipantSetInfo(
        member_infos=(member,),
        order=found.order if isinstance(found.order, int) else 1,
        role=found.role,
        name=found.name,
        private_message=found.private_message,
    )
    await put_matching(exchange, connection, "correct_recipient", path, path, replacement)


async def download(
    exchange: Exchange, connection: Connection, provider_ref: str, part: Part, number: int
) -> SavedBlob:
    path, query = await _part_path(exchange, connection, provider_ref, part, number)
    response = await exchange(read_request(connection, "download", path, query, save=True))
    saved = response.saved
    if saved is None or (part is not Part.DOCUMENT and not saved.first_bytes.startswith(_PDF)):
        raise Interruption(Unknown("the answer is no PDF"))
    return saved


async def audit_trail(
    exchange: Exchange, connection: Connection, provider_ref: str
) -> tuple[AuditRecord, ...]:
    events = await _events(exchange, connection, provider_ref)
    return tuple(audit_record(event) for event in events.events)


async def signing_url(
    exchange: Exchange, connection: Connection, provider_ref: str, recipient: Recipient
) -> str:
    """Right after sending there is none yet: asks a few times, bounded."""
    path = agreement_path(provider_ref, "signingUrls")
    for wait_s in WAITS_S:
        response = await exchange(read_request(connection, "signing_url", path, accept=frozenset({200, 404})))
        if response.status == 200 or decode_error(response.body).code not in _NOT_YET:
            break
        await exchange.pause(wait_s)
    if response.status != 200:
        # The last try: whatever it answers now is the operation's answer.
        response = await exchange(read_request(connection, "signing_url", path))
    url = find_signing_url(decode(response, SigningUrls), recipient)
    if not url:
        raise refuse("state_conflict", "it is not this recipient's turn")
    return url


def _first_state(envelope: Envelope, mode: SendMode) -> str:
    if has_coordinates(envelope):
        return AUTHORING  # the only state in which fields can be placed
    return "IN_PROCESS" if mode is SendMode.SEND else "DRAFT"


def _first_report(ref: str, state: str, reference: str) -> EnvelopeReport:
    """The create's answer has no status. What was asked to be sent is processed first, then sent."""
    word = STILL_PROCESSING if state == "IN_PROCESS" else state
    return EnvelopeReport(
        provider_ref=ref, status=envelope_status(word), provider_status=word, reference=reference
    )


async def _send(exchange: Exchange, connection: Connection, ref: str, draft_status: str) -> EnvelopeReport:
    """An authored draft is prepared already and goes out at once; any other is prepared first."""
    await _change_state(exchange, connection, "send_draft", ref, StateChange(state="IN_PROCESS"))
    status = EnvelopeStatus.SENT if draft_status == AUTHORING else EnvelopeStatus.PROCESSING
    return EnvelopeReport(provider_ref=ref, status=status, provider_status="IN_PROCESS")


async def _change_state(
    exchange: Exchange, connection: Connection, operation: str, ref: str, change: StateChange
) -> None:
    await put_matching(
        exchange, connection, operation, agreement_path(ref), agreement_path(ref, "state"), change
    )


async def _events(exchange: Exchange, connection: Connection, ref: str) -> Events:
    return await read(exchange, connection, "audit_trail", agreement_path(ref, "events"), Events)


async def _found(
    exchange: Exchange, connection: Connection, row: ListedAgreement, reference: str
) -> EnvelopeReport:
    if row.status == STILL_PROCESSING:
        status = await processed_status(exchange, connection, "find_envelopes", row.id, (0.0, *WAITS_S))
        row = msgspec.structs.replace(row, status=status)
    events = (await _events(exchange, connection, row.id)).events if is_ambiguous_end(row.status) else ()
    return report_listed(row, reference, events)


def _may_have_changed(row: ListedAgreement, since: datetime) -> bool:
    shown = read_moment(row.display_date)
    return shown is None or shown > since - _LONGEST_LIFE


async def _listed(
    exchange: Exchange, connection: Connection, row: ListedAgreement, since: datetime
) -> EnvelopeReport:
    """Only recent ends are explained by a look at their events; older ones stay UNKNOWN, which moves nothing,
    or every sweep would read the events of a year's cancellations.
    """
    shown = read_moment(row.display_date)
    if not is_ambiguous_end(row.status) or (shown is not None and shown < since):
        return report_listed(row)
    return report_listed(row, events=(await _events(exchange, connection, row.id)).events)


async def _part_path(
    exchange: Exchange, connection: Connection, ref: str, part: Part, number: int
) -> tuple[str, dict[str, str]]:
    match part:
        case Part.COMBINED:
            query = {"attachSupportingDocuments": "true", "attachAuditReport": "false"}
            return agreement_path(ref, "combinedDocument"), query
        case Part.CERTIFICATE:
            return agreement_path(ref, "auditTrail"), {}
        case Part.DOCUMENT:
            documents = await read(
                exchange, connection, "download", agreement_path(ref, "documents"), Documents
            )
            return agreement_path(ref, "documents", _document_id(documents, number)), {}


def _document_id(documents: Documents, number: int) -> str:
    """By the label that we gave it, else by its place."""
    labelled = [each.id for each in documents.documents if each.label == f"doc{number}"]
    if labelled:
        return labelled[0]
    if 1 <= number <= len(documents.documents):
        return documents.documents[number - 1].id
    raise refuse("not_found", f"the agreement has no document {number}")
