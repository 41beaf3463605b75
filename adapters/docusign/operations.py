"""Every operation of the port, as coroutines over one Exchange.

Must never repeat a request that is not Effect.NONE, nor decide what an error means: troubles.py does.
Source: eSignature REST API v2.1.
"""

from datetime import UTC, datetime

import msgspec

from adapters.docusign import answers, mapping
from adapters.docusign.auth import userinfo_request
from adapters.docusign.credentials import credentials_of
from adapters.docusign.definition import REFERENCE_FIELD, content_of
from adapters.docusign.requests import (
    decode,
    decode_created,
    envelope_path,
    read,
    refuse_embedded,
    write,
)
from adapters.docusign.uploads import upload_large_documents
from adapters.docusign.wire import EnvelopeIds, EnvelopeUpdate
from adapters.kit.exchange import Effect, Exchange, ProviderRequest, SavedBlob
from adapters.kit.outcome import Interruption, Rejected, Unknown
from adapters.kit.port import ChangePage, Connection, Created, CredentialHealth, Part, SendMode
from normalizer.envelope import AuditRecord, Envelope, EnvelopeReport
from normalizer.errors import Finding, ProviderContractBroken, ValidationFailed
from normalizer.status import EnvelopeStatus

_SHOWN = {"include": "recipients,custom_fields"}
_PAGE = 100
_MAX_REASON = 200  # DocuSign cuts what is longer, which would change what the sender said
_MAX_DOWNLOAD = 200 * 1024 * 1024


async def create_envelope(
    exchange: Exchange,
    connection: Connection,
    envelope: Envelope,
    mode: SendMode,
    now: datetime,
    workflows: dict[str, str],
) -> Created:
    uploads = await upload_large_documents(exchange, envelope)
    content = content_of(connection, envelope, mode, now, uploads, workflows)
    answer = await exchange(write("create_envelope", "POST", "/envelopes", content, Effect.CREATES))
    summary = decode_created(answer, answers.EnvelopeSummary)
    if not summary.envelope_id:
        refuse_embedded("create_envelope", answer)
        raise Interruption(Unknown("The create was answered without an envelope id."))
    await exchange.learned(summary.envelope_id.lower())
    refuse_embedded("create_envelope", answer, summary.envelope_id.lower())
    report = _summary_report(summary, envelope.reference)
    return Created(report.provider_ref, report)


async def send_draft(exchange: Exchange, provider_ref: str) -> EnvelopeReport:
    return await _update(exchange, "send_draft", provider_ref, EnvelopeUpdate(status="sent"))


async def void_envelope(exchange: Exchange, provider_ref: str, reason: str) -> EnvelopeReport:
    """Raises ValidationFailed for a reason that is empty or over 200 characters."""
    reason = reason.strip()
    if not 1 <= len(reason) <= _MAX_REASON:
        problem = f"A reason has 1 to {_MAX_REASON} characters; this has {len(reason)}."
        raise ValidationFailed("The void reason does not fit.", (Finding("/reason", problem),))
    body = EnvelopeUpdate(status="voided", voided_reason=reason)
    report = await _update(exchange, "void_envelope", provider_ref, body)
    return msgspec.structs.replace(report, reason=reason)


async def discard_draft(exchange: Exchange, provider_ref: str) -> None:
    """Reads first: the recycle bin would void an envelope that has been sent meanwhile."""
    report = await get_envelope(exchange, provider_ref)
    if report.provider_status.casefold() == "deleted":
        return
    if report.status is not EnvelopeStatus.DRAFT:
        raise Interruption(
            Rejected(
                code="state_conflict",
                provider_code="NOT_A_DRAFT",
                detail=f"The envelope is {report.provider_status} and no longer a draft.",
                status=200,
            )
        )
    body = EnvelopeIds(envelope_ids=(provider_ref,))
    answer = await exchange(write("discard_draft", "PUT", "/folders/recyclebin", body))
    refuse_embedded("discard_draft", answer)


async def find_envelopes(exchange: Exchange, reference: str, since: datetime) -> tuple[EnvelopeReport, ...]:
    """By transaction id (seven days) and by our hidden custom field (for ever), each envelope once."""
    by_transaction = await _list(exchange, "find_envelopes", {"transaction_ids": reference} | _SHOWN)
    wanted = {"from_date": _date(since), "custom_field": f"{REFERENCE_FIELD}={reference}"}
    by_field = await _list(exchange, "find_envelopes", wanted | _SHOWN)
    found = {report.provider_ref: report for report in _transactions(by_transaction, reference)}
    for envelope in (*(by_transaction.envelopes or ()), *(by_field.envelopes or ())):
        report = mapping.report_of(envelope)
        # Never adopt a stranger because a filter was not applied: the reference itself must have come back.
        if report.reference == reference:
            found[report.provider_ref] = report
    return tuple(found[ref] for ref in sorted(found))


async def get_envelope(exchange: Exchange, provider_ref: str) -> EnvelopeReport:
    answer = await exchange(read("get_envelope", envelope_path(provider_ref), _SHOWN))
    report = mapping.report_of(decode(answer, answers.Envelope))
    if report.provider_ref != provider_ref.lower():
        raise ProviderContractBroken("docusign", "Asked for one envelope, DocuSign answered with another.")
    return report


async def list_changes(exchange: Exchange, since: datetime, cursor: str) -> ChangePage:
    """One call for many envelopes: the reconcile sweep's, which must not ask for each one."""
    query = {"from_date": _date(since), "order_by": "last_modified", "order": "asc", "count": str(_PAGE)}
    start = {"start_position": cursor} if cursor else {}
    listed = await _list(exchange, "list_changes", query | start | _SHOWN)
    return ChangePage(
        reports=tuple(mapping.report_of(envelope) for envelope in listed.envelopes or ()),
        cursor=_next_start(listed),
    )


async def download(exchange: Exchange, provider_ref: str, part: Part, number: int) -> SavedBlob:
    """`combined` leaves the certificate out, whatever the account's default: it is a part of its own."""
    name = str(number) if part is Part.DOCUMENT else part.value
    answer = await exchange(
        ProviderRequest(
            operation="download",
            method="GET",
            path=envelope_path(provider_ref, "documents", name),
            effect=Effect.NONE,
            query=(("certificate", "false"),) if part is Part.COMBINED else (),
            headers=(("accept", "application/pdf"),),
            save=True,
            max_response_bytes=_MAX_DOWNLOAD,
        )
    )
    if answer.saved is None or not answer.saved.first_bytes.startswith(b"%PDF"):
        raise ProviderContractBroken("docusign", f"The {part} download is not a PDF.")
    return answer.saved


async def audit_trail(exchange: Exchange, provider_ref: str) -> tuple[AuditRecord, ...]:
    answer = await exchange(read("audit_trail", envelope_path(provider_ref, "audit_events")))
    events = decode(answer, answers.AuditEvents).audit_events or ()
    return tuple(mapping.audit_record(event) for event in events)


async def check_credentials(exchange: Exchange, connection: Connection) -> CredentialHealth:
    """Asks who we are and then for the account: a token alone does not show that the account lets us in."""
    user = decode(await exchange(userinfo_request(credentials_of(connection))), answers.UserInfo)
    account = decode(await exchange(read("check_credentials", "")), answers.AccountInformation)
    name = answers.text(account.account_name)
    guid = answers.text(account.account_id_guid) or credentials_of(connection).account_id
    return CredentialHealth(account=guid, detail=f"{name}, as {answers.text(user.email)}")


async def _update(
    exchange: Exchange, operation: str, provider_ref: str, body: EnvelopeUpdate
) -> EnvelopeReport:
    answer = await exchange(write(operation, "PUT", envelope_path(provider_ref), body))
    refuse_embedded(operation, answer)
    return EnvelopeReport(
        provider_ref=provider_ref.lower(),
        status=mapping.ENVELOPE_STATUS[body.status],
        provider_status=body.status,
    )


async def _list(exchange: Exchange, operation: str, query: dict[str, str]) -> answers.EnvelopesInformation:
    return decode(await exchange(read(operation, "/envelopes", query)), answers.EnvelopesInformation)


def _transactions(listed: answers.EnvelopesInformation, reference: str) -> tuple[EnvelopeReport, ...]:
    """What the look-up by transaction id says beside its envelopes: an id and a status each."""
    return tuple(
        mapping.report_of(
            answers.Envelope(
                envelope_id=answers.text(status.envelope_id),
                status=status.status,
                transaction_id=status.transaction_id,
            )
        )
        for status in listed.envelope_transaction_statuses or ()
        if status.envelope_id and answers.text(status.transaction_id) == reference
    )


def _summary_report(summary: answers.EnvelopeSummary, reference: str) -> EnvelopeReport:
    envelope = answers.Envelope(
        envelope_id=summary.envelope_id,
        status=summary.status,
        transaction_id=reference,
        status_changed_date_time=summary.status_date_time,
    )
    return mapping.report_of(envelope)


def _next_start(listed: answers.EnvelopesInformation) -> str:
    end, total = answers.text(listed.end_position), answers.text(listed.total_set_size)
    if end.isdigit() and total.isdigit() and listed.envelopes and int(end) + 1 < int(total):
        return str(int(end) + 1)
    return ""


def _date(since: datetime) -> str:
    """With an explicit offset: a date without one is read in the server's own time zone."""
    return since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
