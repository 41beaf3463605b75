"""Every webhook type with the moment at which it is sent and the form of its `data`, by version.

Total: a type without an entry fails the tests. The descriptions are those of the vocabulary.
"""

from collections.abc import Mapping

import msgspec

from normalizer.catalogue import samples
from normalizer.catalogue.operational import (
    DeliveryExhaustedData,
    EndpointDisabledData,
    EndpointFailingData,
    EndpointRecoveredData,
    ThinDeliveryData,
    ThinEndpointDisabledData,
)
from normalizer.catalogue.payloads import (
    EndpointTestData,
    EnvelopeData,
    RecipientData,
    ThinEndpointData,
    ThinEnvelopeData,
    ThinRecipientData,
)
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import LEDGER_TYPE_OF, VOCABULARY, EventType


class Forms(msgspec.Struct, frozen=True):
    """One version's `data`: the structs that its schemas are made of, and an example of the full one."""

    full: type[msgspec.Struct]
    thin: type[msgspec.Struct]
    example: msgspec.Struct


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """`sent_when` says at which moment, and what a receiver may rely on then."""

    type: EventType
    sent_when: str
    forms: Mapping[str, Forms]

    @property
    def description(self) -> str:
        return VOCABULARY[LEDGER_TYPE_OF[self.type]].meaning

    @property
    def sentence(self) -> str:
        """`sent_when` as it stands in running text."""
        return f"Sent {self.sent_when[0].lower()}{self.sent_when[1:]}"


def _envelope(type_: EventType, status: EnvelopeStatus, sent_when: str, reason: str = "") -> Entry:
    forms = Forms(EnvelopeData, ThinEnvelopeData, samples.envelope_data(status, reason))
    return Entry(type=type_, sent_when=sent_when, forms={"2026-11-01": forms})


def _recipient(type_: EventType, status: RecipientStatus, sent_when: str, reason: str = "") -> Entry:
    forms = Forms(RecipientData, ThinRecipientData, samples.recipient_data(status, reason))
    return Entry(type=type_, sent_when=sent_when, forms={"2026-11-01": forms})


_E, _S, _R = EventType, EnvelopeStatus, RecipientStatus
_ENTRIES = (
    _envelope(
        _E.ENVELOPE_CREATED,
        _S.DRAFT,
        "As soon as an envelope is stored: as a draft, or on its way to a provider when it is to be sent at once.",
    ),
    _envelope(
        _E.ENVELOPE_SENT,
        _S.SENT,
        "When the provider has taken the envelope. From now on people may have been written to.",
    ),
    _envelope(
        _E.ENVELOPE_DELIVERED,
        _S.DELIVERED,
        "When everybody whose turn it is has opened the envelope. Left out when somebody finishes before.",
    ),
    _envelope(
        _E.ENVELOPE_SIGNED,
        _S.SIGNED,
        "Once per envelope, when the first of several recipients has finished. The other recipients' signatures are"
        " told by recipient.completed, the last by envelope.completed.",
    ),
    _envelope(
        _E.ENVELOPE_COMPLETED,
        _S.COMPLETED,
        "When every recipient has finished; only the provider or our own engine says so. The signed documents and the"
        " certificate can be downloaded. Nothing changes the envelope after it.",
    ),
    _envelope(
        _E.ENVELOPE_DECLINED,
        _S.DECLINED,
        "When a recipient's refusal has ended the envelope. `reason` is what the recipient wrote.",
        "The price is not what we agreed on.",
    ),
    _envelope(
        _E.ENVELOPE_VOIDED,
        _S.VOIDED,
        "When the sender has withdrawn the envelope, here or at the provider, and nobody can sign it any more.",
        "The contract was replaced by a newer one.",
    ),
    _envelope(
        _E.ENVELOPE_EXPIRED, _S.EXPIRED, "When the envelope's time has run out before everybody acted."
    ),
    _envelope(
        _E.ENVELOPE_FAILED,
        _S.FAILED,
        "When the provider could not go on with the envelope for good. `reason` is what it gave as a cause, if it did.",
        "The document cannot be read.",
    ),
    _envelope(
        _E.ENVELOPE_CORRECTED,
        _S.SENT,
        "After a correction of an envelope in flight, such as another e-mail address; here or at the provider.",
    ),
    _envelope(
        _E.ENVELOPE_RESENT,
        _S.SENT,
        "After the request was sent again to those who are still to act. The status stays what it was.",
    ),
    _envelope(
        _E.ENVELOPE_REMINDED,
        _S.SENT,
        "After a reminder went out by itself, as the envelope's reminders ask for. Not every provider tells of it.",
    ),
    _envelope(
        _E.ENVELOPE_PURGED,
        _S.COMPLETED,
        "When the provider has removed the documents from its store. Copies that you fetched before are not touched.",
    ),
    _envelope(
        _E.ENVELOPE_DELETED,
        _S.VOIDED,
        "When somebody has deleted the envelope in the account at the provider.",
    ),
    _recipient(
        _E.RECIPIENT_SENT,
        _R.SENT,
        "When it is a recipient's turn and the request to act has gone out to them.",
    ),
    _recipient(
        _E.RECIPIENT_DELIVERED, _R.DELIVERED, "When a recipient has opened the envelope for the first time."
    ),
    _recipient(
        _E.RECIPIENT_COMPLETED,
        _R.COMPLETED,
        "When a recipient has done what their role asks for: signed, approved, or taken note.",
    ),
    _recipient(
        _E.RECIPIENT_DECLINED,
        _R.DECLINED,
        "When a recipient has refused. The envelope's own end is told by envelope.declined.",
        "The price is not what we agreed on.",
    ),
    _recipient(
        _E.RECIPIENT_DELEGATED,
        _R.SENT,
        "When a recipient has handed over to somebody else. `recipient` names who is to act now.",
    ),
    _recipient(
        _E.RECIPIENT_REPLACED,
        _R.SENT,
        "When the sender has put another person in a recipient's place. `recipient` names who is to act now.",
    ),
    _recipient(
        _E.RECIPIENT_BOUNCED,
        _R.BOUNCED,
        "When the request came back. Correct the address, or the envelope waits for somebody who knows of nothing.",
        "550 no such mailbox",
    ),
    _recipient(
        _E.RECIPIENT_AUTHENTICATED,
        _R.SENT,
        "When a recipient has proved who they are by a method that the envelope or the provider asks for.",
    ),
    _recipient(
        _E.RECIPIENT_AUTH_FAILED,
        _R.AUTH_FAILED,
        "Each time a recipient has failed to prove who they are. Someone else may be trying.",
    ),
    Entry(
        type=_E.ENDPOINT_TEST,
        sent_when="When you ask for it: to the endpoint in question alone, past its filters, and not in the feed.",
        forms={"2026-11-01": Forms(EndpointTestData, ThinEndpointData, samples.ENDPOINT_TEST)},
    ),
    Entry(
        type=_E.ENDPOINT_FAILING,
        sent_when="When one of your endpoints has failed several times in a row and for some time. Once per failing"
        " period, to other endpoints that name this type.",
        forms={"2026-11-01": Forms(EndpointFailingData, ThinEndpointData, samples.ENDPOINT_FAILING)},
    ),
    Entry(
        type=_E.ENDPOINT_RECOVERED,
        sent_when="When an endpoint of which endpoint.failing was told has taken a delivery again.",
        forms={"2026-11-01": Forms(EndpointRecoveredData, ThinEndpointData, samples.ENDPOINT_RECOVERED)},
    ),
    Entry(
        type=_E.ENDPOINT_DISABLED,
        sent_when="When the gateway switched an endpoint off: it answered 410 or asked for it, or failed for days"
        " without one success. Its deliveries are held until you switch it on.",
        forms={
            "2026-11-01": Forms(EndpointDisabledData, ThinEndpointDisabledData, samples.ENDPOINT_DISABLED)
        },
    ),
    Entry(
        type=_E.DELIVERY_EXHAUSTED,
        sent_when="When a delivery has used up its attempts. It is kept: replay it once the endpoint works. Not told"
        " of deliveries that carried one of these operational types.",
        forms={"2026-11-01": Forms(DeliveryExhaustedData, ThinDeliveryData, samples.DELIVERY_EXHAUSTED)},
    ),
)

CATALOGUE: dict[EventType, Entry] = {entry.type: entry for entry in _ENTRIES}
