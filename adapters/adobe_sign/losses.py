"""What an envelope would lose at this provider: refused, or told as a degradation. Nothing is dropped here
or later without standing in this file.

Source: developer guide of 2026-04-29; README.md explains each loss.
"""

from collections.abc import Iterator

import msgspec

from adapters.adobe_sign.capabilities import CAPABILITIES, DEFAULT_DOCUMENT_BYTES, LARGEST_DOCUMENT_BYTES
from adapters.adobe_sign.fields import in_order
from adapters.adobe_sign.mapping import locale
from adapters.kit.port import Connection
from normalizer.capabilities import check_capabilities
from normalizer.envelope import Degradation, Envelope
from normalizer.errors import UnsupportedFeature
from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Role

NAME = "adobe_sign"
DAILY_HOURS, WEEKLY_HOURS = 24, 168


def check_envelope(connection: Connection, envelope: Envelope) -> tuple[Degradation, ...]:
    """Every weaker form this envelope would get. Raises UnsupportedFeature for the first that is refused."""
    limit = min(connection.max_document_bytes or DEFAULT_DOCUMENT_BYTES, LARGEST_DOCUMENT_BYTES)
    capabilities = msgspec.structs.replace(CAPABILITIES, max_document_bytes=limit)
    declared = check_capabilities(NAME, capabilities, envelope)
    _refuse_unplaceable_fields(envelope)
    told = (*_losses(envelope), *_mail_losses(connection, envelope))
    return declared + tuple(dict.fromkeys(told))


def reminder_frequency(every_hours: int) -> str:
    """Daily up to a day, weekly beyond: never more often than asked where the provider has the choice."""
    return "DAILY_UNTIL_SIGNED" if every_hours <= DAILY_HOURS else "WEEKLY_UNTIL_SIGNED"


def is_silent(envelope: Envelope) -> bool:
    """Whether the provider is told to mail nobody: its switch is for the whole agreement."""
    return all(recipient.embedded and recipient.role.acts for recipient in envelope.recipients)


def _refuse_unplaceable_fields(envelope: Envelope) -> None:
    placed = [field for field in envelope.fields if field.anchor is None]
    if placed and envelope.template_ref:
        raise UnsupportedFeature(
            NAME,
            "fields with coordinates beside a template",
            "A template's pages come first and their number is not known; use anchors, or put the fields "
            "into the template.",
        )
    # Coordinates count from the bottom of a page of the merged document, so every page before matters too, and
    # none that follows.
    documents = in_order(envelope)
    with_fields = {field.document_id for field in placed}
    last = max((place for place, each in enumerate(documents) if each.id in with_fields), default=-1)
    for document in documents[: last + 1]:
        if not document.pages:
            raise UnsupportedFeature(
                NAME,
                "fields with coordinates on documents without known page sizes",
                f"The pages of {document.name} are not known; send it as PDF, or use anchors.",
            )
    if any(field.anchor and field.type is FieldType.RADIO for field in envelope.fields):
        raise UnsupportedFeature(NAME, "anchored radio buttons")


def _losses(envelope: Envelope) -> Iterator[Degradation]:
    yield from _routing_losses(envelope)
    yield from _timing_losses(envelope)
    yield from _language_losses(envelope)
    if any(recipient.embedded for recipient in envelope.recipients) and not is_silent(envelope):
        yield Degradation("embedded signing", "no e-mail to embedded recipients", "everybody is mailed")
    if envelope.template_ref and any(recipient.template_role for recipient in envelope.recipients):
        yield Degradation("template roles", "fields by role name", "fields by the order of recipients")


def _routing_losses(envelope: Envelope) -> Iterator[Degradation]:
    acting = {recipient.routing_order for recipient in envelope.recipients if recipient.role.acts}
    for copy in (recipient for recipient in envelope.recipients if recipient.role is Role.CARBON_COPY):
        if acting and copy.routing_order > min(acting):
            yield Degradation(
                "routing order of carbon copies", f"order {copy.routing_order}", "mailed at start and end"
            )
        if copy.authentication is not AuthenticationMethod.EMAIL:
            yield Degradation("authentication of carbon copies", copy.authentication, "e-mail")
        if copy.note:
            yield Degradation("note to carbon copies", "private note", "the envelope's message")


def _timing_losses(envelope: Envelope) -> Iterator[Degradation]:
    reminders = envelope.reminders
    if reminders is not None and reminders.every_hours not in {DAILY_HOURS, WEEKLY_HOURS}:
        given = "daily" if reminders.every_hours <= DAILY_HOURS else "weekly"
        yield Degradation("reminder cadence", f"every {reminders.every_hours} hours", given)
    if reminders is not None and reminders.first_after_hours < 1:
        yield Degradation("first reminder", f"after {reminders.first_after_hours} hours", "after 1 hour")
    if envelope.expiration is not None and envelope.expiration.warn_days:
        yield Degradation(
            "expiry warning", f"{envelope.expiration.warn_days} days before", "no warning by the provider"
        )


def _mail_losses(connection: Connection, envelope: Envelope) -> Iterator[Degradation]:
    """Whoever sends and signs may get no mail that asks, as others have reported; a signing URL works."""
    sender = connection.credentials.api_user.casefold()
    for recipient in envelope.recipients:
        if sender and recipient.role.acts and recipient.email.casefold() == sender:
            yield Degradation("mail to the sender", "asked by e-mail", "perhaps no e-mail; use a signing URL")


def _language_losses(envelope: Envelope) -> Iterator[Degradation]:
    if envelope.language and not locale(envelope.language):
        yield Degradation("language", envelope.language, "the account's default")
    for recipient in envelope.recipients:
        if recipient.language and locale(recipient.language) != locale(envelope.language):
            yield Degradation("language per recipient", recipient.language, "the envelope's language")
