"""Connect messages: verified over the exact bytes, then read into events.

Must never parse before the signature is checked, accept without a key, or bind a key to a header's number:
the numbers shift when a key is removed. The signature has no time in it, so a replay verifies for ever;
`dedupe_key` makes it one fact.
Source: DocuSign Connect, JSON SIM event model and HMAC validation.
"""

import base64
import binascii
import hashlib
import hmac
import re

import msgspec

from adapters.docusign import answers, mapping
from adapters.docusign.answers import Text, moment, text
from adapters.docusign.credentials import credentials_of
from adapters.docusign.mapping import EventRow, event_row, report_of
from adapters.kit.port import Connection, RawRequest, Reply, Verdict
from config.secret import Secret
from normalizer.envelope import EnvelopeReport, RecipientReport
from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent, ReportedDocument
from normalizer.status import EnvelopeStatus

_SIGNATURE = re.compile(r"x-docusign-signature-[0-9]{1,4}\Z")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_MAX_SIGNATURES = 100  # an account has at most so many keys
_DIGEST_BYTES = 32


class _EventData(answers.Answer, frozen=True, kw_only=True):
    account_id: Text = None
    envelope_id: Text = None
    recipient_id: Text = None
    reassigned_recipient_id: Text = None
    envelope_summary: answers.Envelope | None = None


class _Message(answers.Answer, frozen=True, kw_only=True):
    event: str
    generated_date_time: Text = None
    data: _EventData | None = None


def verify(request: RawRequest, connection: Connection) -> Verdict:
    """Any signature header may match any live key; every pair is compared, so that time tells nothing."""
    keys = _keys(connection)
    if not keys:
        return Verdict(False, -1, "this connection has no webhook key")
    signatures = _signatures(request)
    if not signatures:
        return Verdict(False, -1, "no signature that could be one")
    matched = -1
    for index, key in enumerate(keys):
        expected = hmac.new(key, request.body, hashlib.sha256).digest()
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and matched < 0:
                matched = index
    if matched < 0:
        return Verdict(False, -1, "no signature matches any live key")
    own = credentials_of(connection).account_id.lower()
    # Messages name the account's GUID; a connection by its number says nothing that could be compared.
    account = own if _GUID.match(own) else ""
    return Verdict(True, matched, "signature matches", "hmac_sha256", account)


def acknowledge(verdict: Verdict) -> Reply:
    """Any 2xx counts as taken; 401 marks the whole configuration as failing, which a forger is welcome to."""
    return Reply(200) if verdict.authentic else Reply(401)


def refuse_challenge() -> Reply:
    """DocuSign asks nothing before it posts."""
    return Reply(405, (("allow", "POST"),))


def parse(body: bytes) -> tuple[ProviderEvent, ...]:
    """One SIM message is one event; () for what is not about an envelope. Raises PayloadMalformed."""
    message = _decode(body)
    data = message.data or _EventData()
    envelope_id = text(data.envelope_id).lower()
    row = event_row(message.event)
    if not envelope_id:
        if message.event.casefold() in mapping.EVENTS:
            raise PayloadMalformed(f"The event {message.event[:80]} names no envelope.")
        return ()
    report = _report(data, envelope_id)
    person = _person(report, text(data.recipient_id))
    successor = _successor(data, report)
    status = _status(row, report)
    return (
        ProviderEvent(
            type=mapping.type_of(row, status),
            provider_event=message.event,
            dedupe_key=_dedupe_key(message, data),
            provider_ref=envelope_id,
            occurred_at=moment(message.generated_date_time),
            reference=report.reference if report else "",
            status=status,
            recipient_status=row.recipient_status,
            recipient_email=person.email if person else "",
            recipient_ref=text(data.recipient_id),
            recipient_id=person.recipient_id if person else None,
            new_recipient_email=text(successor.email),
            new_recipient_name=text(successor.name),
            reason=_reason(row, report, person),
            report=report,
            # Without the summary nobody can tell a void from an expiry: it must be asked for.
            confirm=row.status is EnvelopeStatus.VOIDED and report is None,
            account=text(data.account_id).lower(),
            documents=_documents(data.envelope_summary),
        ),
    )


def _keys(connection: Connection) -> tuple[bytes, ...]:
    own = credentials_of(connection).webhook_secret
    secrets: tuple[Secret, ...] = (*connection.webhook_keys, *((own,) if own else ()))
    # The secret is used as text, not base64-decoded; quotes are what copying it from a page leaves around it.
    keys = (secret.reveal().strip().strip("\"'").encode() for secret in secrets)
    return tuple(key for key in keys if key)


def _signatures(request: RawRequest) -> tuple[bytes, ...]:
    """Values that are a SHA-256 in strict base64; a bounded number, so that nobody makes us work."""
    values = [value for name, value in request.headers if _SIGNATURE.match(name.lower())]
    found = []
    for value in values[:_MAX_SIGNATURES]:
        try:
            digest = base64.b64decode(value.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            continue
        if len(digest) == _DIGEST_BYTES:
            found.append(digest)
    return tuple(found)


def _decode(body: bytes) -> _Message:
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        raise PayloadMalformed(
            "This is legacy XML; only JSON messages are understood.",
            remedy="Set the Connect configuration's data format to JSON, event message delivery SIM.",
        )
    try:
        return msgspec.json.decode(body, type=_Message)
    except msgspec.MsgspecError as error:
        raise PayloadMalformed(f"This is not a Connect SIM message: {error}") from error


def _report(data: _EventData, envelope_id: str) -> EnvelopeReport | None:
    """The summary's view; a summary that speaks of another envelope is not about this event."""
    summary = data.envelope_summary
    if summary is None or not text(summary.status):
        return None
    if not summary.envelope_id:
        summary = msgspec.structs.replace(summary, envelope_id=envelope_id)
    if summary.envelope_id.lower() != envelope_id:
        raise PayloadMalformed("The message names one envelope and its summary another.")
    return report_of(summary)


def _documents(summary: answers.Envelope | None) -> tuple[ReportedDocument, ...] | None:
    """Without the certificate of completion, which is listed beside what was sent."""
    listed = summary.envelope_documents if summary else None
    if listed is None:
        return None
    return tuple(
        ReportedDocument(text(one.name)) for one in listed if text(one.type).casefold() in {"", "content"}
    )


def _person(report: EnvelopeReport | None, recipient_ref: str) -> RecipientReport | None:
    if report is None or not recipient_ref:
        return None
    return next((person for person in report.recipients if person.provider_ref == recipient_ref), None)


def _successor(data: _EventData, report: EnvelopeReport | None) -> answers.Delegation:
    """Who acts instead: the recipient that the message names, or what the recipient's own entry says."""
    named = _person(report, text(data.reassigned_recipient_id))
    if named is not None:
        return answers.Delegation(name=named.name, email=named.email)
    recipients = data.envelope_summary.recipients if data.envelope_summary else None
    for _, member in recipients.each() if recipients and data.recipient_id else ():
        if text(member.recipient_id) == text(data.recipient_id) and member.delegated_to:
            return member.delegated_to[-1]
    return answers.Delegation()


def _status(row: EventRow, report: EnvelopeReport | None) -> EnvelopeStatus | None:
    """What the event says, made finer by the summary: voided may be expired, and a recipient who has
    completed makes an envelope signed only when the recipient had to act.
    """
    if row.status is EnvelopeStatus.VOIDED and report and report.status is EnvelopeStatus.EXPIRED:
        return EnvelopeStatus.EXPIRED
    if row.status is None and report and report.status is EnvelopeStatus.SIGNED:
        return EnvelopeStatus.SIGNED
    return row.status


def _reason(row: EventRow, report: EnvelopeReport | None, person: RecipientReport | None) -> str:
    if person and person.reason:
        return person.reason
    return report.reason if report and row.status else ""


def _dedupe_key(message: _Message, data: _EventData) -> str:
    """A redelivery changes `retryCount` and so the bytes, but none of these; the date as it was written."""
    return "|".join(
        (
            text(data.account_id).lower(),
            text(data.envelope_id).lower(),
            message.event.casefold(),
            text(data.recipient_id),
            text(message.generated_date_time),
        )
    )
