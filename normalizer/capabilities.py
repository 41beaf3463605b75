"""What a provider can do, as data, and what an envelope needs: loss is refused or told, never silent.

Source: the providers' own documentation, read into each adapter's CAPABILITIES declaration.
"""

from enum import StrEnum

import msgspec

from normalizer.document import DOCX, PDF
from normalizer.envelope import Degradation, Envelope, SignatureLevel
from normalizer.errors import UnsupportedFeature
from normalizer.field import FieldType
from normalizer.recipient import LEVEL_METHOD, AuthenticationMethod, Role


class Support(StrEnum):
    NATIVE = "native"
    EMULATED = "emulated"  # the provider has no such thing; the adapter builds it from others, and says so
    DEGRADED = "degraded"  # there, but weaker


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Absent from a mapping means refused. `expiration` and `reminders` say the precision in words.

    `several_methods`: one recipient may have to pass more than one. `knowledge_questions`: the sender's own.
    `frame_origins`: a signing URL can be bound to the origins that may frame it. `signature_levels`: what can be asked
    of the provider beyond its usual signature.
    """

    roles: dict[Role, Support]
    authentication: dict[AuthenticationMethod, Support]
    fields: dict[FieldType, Support]
    media_types: frozenset[str]
    max_document_bytes: int
    max_subject: int
    anchors: bool
    hybrid_routing: bool
    embedded_signing: bool
    templates: bool
    correct_in_flight: bool
    resend: bool
    signed_webhooks: bool
    expiration_precision: str
    reminder_precision: str
    max_expiration_days: int
    several_methods: bool = False
    knowledge_questions: bool = False
    frame_origins: bool = False
    signature_levels: dict[SignatureLevel, Support] = msgspec.field(
        default_factory=lambda: {SignatureLevel.SES: Support.NATIVE}
    )


def check_capabilities(
    provider: str, capabilities: Capabilities, envelope: Envelope
) -> tuple[Degradation, ...]:
    """The weaker forms that this envelope would get. Raises UnsupportedFeature for the first loss refused."""
    lost: list[Degradation] = []

    def need(support: Support | None, feature: str) -> None:
        if support is None:
            raise UnsupportedFeature(provider, feature)
        if support is not Support.NATIVE:
            lost.append(Degradation(feature=feature, asked=feature.partition(" ")[2], given=support))

    for role in dict.fromkeys(recipient.role for recipient in envelope.recipients):
        need(capabilities.roles.get(role), f"role {role}")
    methods = [method for recipient in envelope.recipients for method in recipient.methods]
    methods.append(LEVEL_METHOD[envelope.authentication_level])
    for method in dict.fromkeys(methods):
        need(capabilities.authentication.get(method), f"authentication {method}")
    need(
        capabilities.signature_levels.get(envelope.signature_level),
        f"signature_level {envelope.signature_level}",
    )
    for kind in dict.fromkeys(field.type for field in envelope.fields):
        need(capabilities.fields.get(kind), f"field {kind}")
    for document in envelope.documents:
        if document.media_type not in capabilities.media_types:
            raise UnsupportedFeature(provider, f"media type {document.media_type}")
        if document.size_bytes > capabilities.max_document_bytes:
            raise UnsupportedFeature(
                provider,
                f"documents over {capabilities.max_document_bytes} bytes",
                f"{document.name} has {document.size_bytes} bytes; {provider} takes "
                f"{capabilities.max_document_bytes}.",
            )
    _check_switches(provider, capabilities, envelope)
    return tuple(dict.fromkeys(lost))


def _check_switches(provider: str, capabilities: Capabilities, envelope: Envelope) -> None:
    if len(envelope.subject) > capabilities.max_subject:
        raise UnsupportedFeature(provider, f"subjects over {capabilities.max_subject} characters")
    if not capabilities.anchors and any(field.anchor for field in envelope.fields):
        raise UnsupportedFeature(provider, "anchors")
    if not capabilities.embedded_signing and any(recipient.embedded for recipient in envelope.recipients):
        raise UnsupportedFeature(provider, "embedded signing")
    if not capabilities.several_methods and any(len(one.methods) > 1 for one in envelope.recipients):
        raise UnsupportedFeature(provider, "several methods of authentication for one recipient")
    if not capabilities.knowledge_questions and any(one.knowledge for one in envelope.recipients):
        raise UnsupportedFeature(provider, "the sender's own knowledge questions")
    if envelope.template_ref and not capabilities.templates:
        raise UnsupportedFeature(provider, "templates")
    orders = [recipient.routing_order for recipient in envelope.recipients if recipient.role.acts]
    is_hybrid = len(set(orders)) > 1 and len(set(orders)) < len(orders)
    if is_hybrid and not capabilities.hybrid_routing:
        raise UnsupportedFeature(provider, "hybrid routing (parallel groups in sequence)")


DEFAULT_MEDIA_TYPES = frozenset({PDF})
CONVERTING_MEDIA_TYPES = frozenset({PDF, DOCX})
