"""The certificate of completion as pages for people. Every fact of it; the JSON beside it holds the same.

Must never shorten a value: a long one goes on over lines and pages.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import segno
from pyhanko.pdf_utils.writer import PdfFileWriter

from engine.sealing.completion_facts import (
    Completion,
    ConsentFacts,
    DocumentFacts,
    EntryFacts,
    RecipientFacts,
    SignatureFacts,
)
from engine.sealing.level_facts import OwnCertificateFacts
from engine.sealing.sheets import Sheets
from engine.sealing.stamps import print_moment
from engine.sealing.typefaces import Typefaces

_QR_SIDE = 92.0
_MOST_FACTS = 2000  # letters of one event's facts on paper; the JSON has all of them


def draw_completion(
    facts: Completion, pictures: Mapping[str, bytes], faces: Typefaces
) -> tuple[PdfFileWriter, int]:
    """The pages in an open writer, and how many letters had no font. `pictures`: PNGs by signature id."""
    sheets = Sheets(faces)
    _draw_head(sheets, facts)
    _draw_documents(sheets, facts)
    _draw_recipients(sheets, facts, pictures)
    _draw_values(sheets, facts)
    _draw_attachments(sheets, facts)
    _draw_proof(sheets, facts)
    _draw_events(sheets, facts)
    _draw_disclosures(sheets, facts)
    return sheets.close(f"Certificate of completion  {facts.envelope_id}"), sheets.escaped


def _draw_head(sheets: Sheets, facts: Completion) -> None:
    code = segno.make(facts.verify_url, error="m", micro=False)
    sheets.squares([list(row) for row in code.matrix_iter(border=2)], side=_QR_SIDE)
    sheets.paragraph("Certificate of completion", size=20, bold=True)
    sheets.paragraph("Check this certificate and its documents:")
    sheets.paragraph(facts.verify_url)
    sheets.paragraph(f"Verification code: {facts.verification_code}")
    sheets.gap(26)
    sheets.heading("Envelope")
    sheets.pair("Subject", facts.subject)
    sheets.pair("Envelope", facts.envelope_id)
    sheets.pair("Status", facts.status)
    sheets.pair("Message", facts.message)
    sheets.pair("Created", print_moment(facts.created_at))
    sheets.pair("Sent", print_moment(facts.sent_at))
    sheets.pair("Sealed", print_moment(facts.sealed_at))
    sheets.pair("Signature level", f"{facts.level}\n{facts.level_reason}")
    sheets.heading("Sender")
    sheets.pair("Name", facts.sender_name)
    sheets.pair("E-mail", facts.sender_email)
    sheets.pair("Organisation", facts.organisation)
    sheets.pair("User", facts.sender_id)
    sheets.pair("IP address", facts.sender_ip_address)


def _draw_documents(sheets: Sheets, facts: Completion) -> None:
    sheets.heading(f"Documents ({len(facts.documents)})")
    for document in facts.documents:
        _draw_document(sheets, document)


def _draw_document(sheets: Sheets, document: DocumentFacts) -> None:
    sheets.paragraph(document.name, size=9.5, bold=True)
    sheets.pair("Pages", str(document.page_count))
    sheets.pair("SHA-256 as sent", document.original_sha256)
    sheets.pair("SHA-256 as shown", document.shown_sha256)
    sheets.pair("SHA-256 as sealed", document.sealed_sha256)
    sheets.pair("Size as sealed", f"{document.sealed_size} bytes, PAdES {document.sealed_level}")
    sheets.pair(
        "Timestamp",
        f"{document.timestamp} by {document.timestamp_authority}, serial {document.timestamp_serial}",
    )
    if document.escaped_letters:
        sheets.pair(
            "Letters without a font", f"{document.escaped_letters} written as code points, such as [U+5C71]"
        )
    sheets.gap()


def _draw_recipients(sheets: Sheets, facts: Completion, pictures: Mapping[str, bytes]) -> None:
    sheets.heading(f"Recipients ({len(facts.recipients)})")
    for one in facts.recipients:
        sheets.paragraph(one.name, size=9.5, bold=True)
        _draw_person(sheets, one)
        _draw_own_certificate(sheets, one.own_certificate)
        for mark in one.signatures:
            _draw_signature(sheets, mark, pictures)
        for consent in one.consents:
            _draw_consent(sheets, consent)
        sheets.gap()


def _draw_person(sheets: Sheets, one: RecipientFacts) -> None:
    sheets.pair("Recipient", one.id)
    sheets.pair("Name as typed", one.signed_name)
    sheets.pair("E-mail", one.email)
    sheets.pair("Role, order", f"{one.role}, {one.routing_order}")
    sheets.pair("Status", one.status)
    sheets.pair("Authentication asked", ", ".join(one.authentication))
    sheets.pair("Meaning of signature", one.meaning)
    sheets.pair("In the presence of", one.host)
    if one.delegated_from:
        reason = f": {one.delegation_reason}" if one.delegation_reason else ""
        sheets.pair("Acts for", f"{one.delegated_from}{reason}")
    sheets.pair("Reason", one.reason)
    sheets.pair("Asked", print_moment(one.sent_at))
    sheets.pair("Opened", print_moment(one.delivered_at))
    sheets.pair("Finished", _in_both_zones(one.completed_at, one.time_zone))
    sheets.pair("IP address", one.ip_address)
    sheets.pair("Browser", one.user_agent)
    sheets.pair("Place (with consent)", one.geolocation)


def _draw_signature(sheets: Sheets, mark: SignatureFacts, pictures: Mapping[str, bytes]) -> None:
    how = {"draw": "drawn", "typed": "typed", "upload": "uploaded"}.get(mark.type, mark.type)
    words = f' "{mark.text}"' if mark.text else ""
    sheets.pair(mark.purpose.capitalize(), f"{how}{words}, {print_moment(mark.created_at)}\n{mark.id}")
    sheets.pair("SHA-256 of picture", mark.sha256)
    if mark.id in pictures:
        sheets.picture(pictures[mark.id])


def _draw_own_certificate(sheets: Sheets, own: OwnCertificateFacts | None) -> None:
    if own is None:
        return
    place = {"vault": "the operator's vault", "pkcs11": "a device", "csc": "a signing service"}
    sheets.pair("Signed with the key of", f"{own.subject}\nserial {own.serial}, issued by {own.issuer}")
    sheets.pair("SHA-256 of certificate", own.sha256)
    sheets.pair(
        "Key, use",
        f"in {place.get(own.key_location, 'an unknown place')}; used {print_moment(own.signed_at)}",
    )
    sheets.pair("Released by intent", own.intent_sha256)


def _draw_consent(sheets: Sheets, consent: ConsentFacts) -> None:
    sheets.pair(
        "Electronic records",
        f"{consent.outcome} {print_moment(consent.decided_at)} by {consent.method}; disclosure "
        f"{consent.disclosure_id} {consent.version} ({consent.language}), shown {print_moment(consent.shown_at)}; "
        f"demonstration of access: {consent.demonstration}; from {consent.ip_address or 'an unknown address'}",
    )
    sheets.pair("SHA-256 of disclosure", consent.sha256)
    if consent.withdrawn_at is not None:
        sheets.pair("Withdrawn", print_moment(consent.withdrawn_at))


def _draw_values(sheets: Sheets, facts: Completion) -> None:
    names = {one.id: one.name for one in facts.recipients}
    if facts.values:
        sheets.heading(f"Values ({len(facts.values)})")
    for value in facts.values:
        about = f"{value.label or value.type}, page {value.page}"
        cut = "\n(stands shortened in the document)" if value.is_cut else ""
        who = f"\n{names.get(value.recipient, value.recipient)}, {value.document}"
        sheets.pair(about, f"{value.value}{cut}{who}")


def _draw_attachments(sheets: Sheets, facts: Completion) -> None:
    names = {one.id: one.name for one in facts.recipients}
    if facts.attachments:
        sheets.heading(f"Attachments ({len(facts.attachments)})")
    for one in facts.attachments:
        sheets.paragraph(one.name, size=9.5, bold=True)
        about = f"{one.label}, " if one.label else ""
        sheets.pair("Added", f"{about}by {names.get(one.recipient, one.recipient)}")
        sheets.pair("Size", f"{one.size_bytes} bytes, {one.media_type}")
        sheets.pair("SHA-256", one.sha256)
        carried = (
            f"in this file, as {one.carried_as}"
            if one.carried_as
            else "with the envelope (too large for here)"
        )
        sheets.pair("Kept", carried)


def _draw_proof(sheets: Sheets, facts: Completion) -> None:
    sheets.heading("Seal and audit chain")
    sheets.pair("Sealed with", facts.seal.subject)
    sheets.pair("Issued by", facts.seal.issuer)
    sheets.pair("Serial", facts.seal.serial)
    sheets.pair("SHA-256", facts.seal.sha256)
    sheets.pair("Valid until", print_moment(facts.seal.not_after))
    if facts.chain is None:
        return
    chain = facts.chain
    sheets.pair("Chain", chain.chain_id)
    sheets.pair("Head", f"entry {chain.head_seq}\n{chain.head_hash}")
    sheets.pair("Verified", f"{chain.entries_verified} entries, unbroken, before anything was sealed")
    sheets.pair(
        "Timestamp over head",
        f"{print_moment(chain.token_at)} by {chain.authority}, serial {chain.token_serial}",
    )
    sheets.paragraph(
        "The attachments hold these facts as JSON with a signature, and the timestamp over the chain's head "
        "(RFC 3161, over SHA-256 of its 32 bytes).",
        size=7.5,
    )


def _draw_events(sheets: Sheets, facts: Completion) -> None:
    sheets.heading(f"Events ({len(facts.events)})")
    sheets.paragraph(
        "Entries of the envelope's audit chain when this certificate was made, each with its hash and its "
        "predecessor's. What is recorded later follows in the chain.",
        size=7.5,
    )
    for event in facts.events:
        _draw_event(sheets, event)


def _draw_event(sheets: Sheets, event: EntryFacts) -> None:
    who = event.actor if event.actor == event.actor_id else f"{event.actor} ({event.actor_id})"
    where = f" from {event.ip_address}" if event.ip_address else ""
    details = ", ".join(f"{name}: {_plain(value)}" for name, value in sorted(event.facts.items()))
    if len(details) > _MOST_FACTS:
        details = f"{details[:_MOST_FACTS]} \u2026 (all of it in the JSON)"
    sheets.pair(
        f"{event.seq}  {event.type}",
        "\n".join(
            line
            for line in (
                f"{print_moment(event.occurred_at)}  {who}{where}",
                event.resource,
                details,
                f"hash {event.hash}",
                f"previous {event.previous_hash}",
            )
            if line
        ),
        size=7.0,
    )


def _draw_disclosures(sheets: Sheets, facts: Completion) -> None:
    for disclosure in facts.disclosures:
        sheets.heading(f"Disclosure {disclosure.id} {disclosure.version} ({disclosure.language})")
        sheets.paragraph(f"SHA-256 {disclosure.sha256}", size=7.5)
        for title, text in disclosure.paragraphs:
            if title:
                sheets.paragraph(title, bold=True)
            sheets.paragraph(text)


def _in_both_zones(moment: datetime | None, zone: str) -> str:
    if moment is None:
        return ""
    try:
        local = moment.astimezone(ZoneInfo(zone)) if zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        local = None  # what a browser claims need not be a zone that is known here
    there = f"\n{local.strftime('%Y-%m-%d %H:%M:%S')} {zone}" if local is not None else ""
    return print_moment(moment) + there


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
