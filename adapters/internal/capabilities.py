"""What the engine can do, as data, and the check of one envelope against it.

Must never let a loss pass in silence: what the engine cannot do is refused by name.
"""

import msgspec

from adapters.kit.port import Connection, Limits
from normalizer.capabilities import DEFAULT_MEDIA_TYPES, Capabilities, Support, check_capabilities
from normalizer.envelope import Degradation, Envelope, SignatureLevel
from normalizer.errors import Finding, UnsupportedFeature, ValidationFailed
from normalizer.field import FieldType
from normalizer.recipient import LEVEL_METHOD, AuthenticationMethod, Recipient, Role

NAME = "internal"

CAPABILITIES = Capabilities(
    roles=dict.fromkeys(Role, Support.NATIVE),
    authentication={
        AuthenticationMethod.EMAIL: Support.NATIVE,
        AuthenticationMethod.EMAIL_OTP: Support.NATIVE,
        AuthenticationMethod.SMS: Support.NATIVE,
        AuthenticationMethod.ACCESS_CODE: Support.NATIVE,
        AuthenticationMethod.KNOWLEDGE: Support.NATIVE,
        AuthenticationMethod.ID_VERIFICATION: Support.NATIVE,
    },
    fields=dict.fromkeys(FieldType, Support.NATIVE),
    # Images are turned into PDF before they come here.
    media_types=DEFAULT_MEDIA_TYPES,
    max_document_bytes=50 * 1024 * 1024,
    max_subject=500,
    anchors=True,
    hybrid_routing=True,
    embedded_signing=True,
    # The tenant's own templates are expanded before an envelope is routed; the engine keeps none of its own.
    templates=False,
    correct_in_flight=True,
    resend=True,
    signed_webhooks=True,
    expiration_precision="exact",
    reminder_precision="whole hours",
    max_expiration_days=3650,
    several_methods=True,
    knowledge_questions=True,
    frame_origins=True,
    # Each signer's own key signs; whether that is an advanced signature depends on who holds the key (docs/sealing.md).
    signature_levels={SignatureLevel.SES: Support.NATIVE, SignatureLevel.AES: Support.DEGRADED},
)

# Nobody counts calls within one process; the figures only have to be out of the way.
LIMITS = Limits(min_poll_interval_s=0.1, calls_per_hour=1_000_000, burst_calls=100_000, burst_window_s=1.0)


def check(connection: Connection, envelope: Envelope) -> tuple[Degradation, ...]:
    """Raises UnsupportedFeature, or ValidationFailed for what a method needs and the envelope lacks."""
    own = connection.max_document_bytes or CAPABILITIES.max_document_bytes
    limited = msgspec.structs.replace(CAPABILITIES, max_document_bytes=own)
    lost = check_capabilities(NAME, limited, envelope)
    for recipient in envelope.recipients:
        _check_recipient(envelope, recipient)
    return lost


def _check_recipient(envelope: Envelope, recipient: Recipient) -> None:
    if recipient.role is Role.CARBON_COPY:
        if recipient.embedded:
            raise UnsupportedFeature(NAME, "embedded carbon copies")
        if envelope.fields_of(recipient):
            raise UnsupportedFeature(NAME, "fields of a carbon_copy")
    methods = set(recipient.methods)
    if recipient.role.acts:
        methods.add(LEVEL_METHOD[envelope.authentication_level])
    if AuthenticationMethod.SMS in methods and recipient.phone is None:
        raise _lacking(envelope, recipient, "phone", "Authentication by SMS needs a phone number.")
    if AuthenticationMethod.ACCESS_CODE in methods and recipient.access_code is None:
        raise _lacking(envelope, recipient, "access_code", "Authentication by access code needs a code.")
    if AuthenticationMethod.KNOWLEDGE in methods and not recipient.knowledge:
        problem = "Authentication by knowledge needs questions of the sender's."
        raise _lacking(envelope, recipient, "knowledge", problem)
    if recipient.role is Role.IN_PERSON and not (recipient.host_name and recipient.host_email):
        raise _lacking(
            envelope, recipient, "host_email", "An in-person signer needs a host, by name and e-mail."
        )


def _lacking(envelope: Envelope, recipient: Recipient, attribute: str, problem: str) -> ValidationFailed:
    where = f"/recipients/{envelope.recipients.index(recipient)}/{attribute}"
    return ValidationFailed("A recipient is incomplete.", (Finding(where, problem),))
