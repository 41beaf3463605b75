"""Who is at the other end of a ceremony's request, and how the ledger names them."""

import msgspec

from engine.model import EngineRecipient
from normalizer.events import Actor, ActorType, Source, SourceKind
from normalizer.ids import Kind, print_id

MOST_AGENT = 512
MOST_ADDRESS = 50
MOST_FORWARDED = 256


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """`ip_address` is the one that counts (derived from trusted proxies); `forwarded_for` is the raw header."""

    ip_address: str
    user_agent: str
    forwarded_for: str = ""
    request_id: str = ""


def actor_of(recipient: EngineRecipient, visitor: Visitor) -> Actor:
    return Actor(
        type=ActorType.RECIPIENT,
        id=print_id(Kind.RECIPIENT, recipient.id),
        name=recipient.name,
        email=recipient.email,
        ip_address=visitor.ip_address[:MOST_ADDRESS],
        user_agent=visitor.user_agent[:MOST_AGENT],
    )


def source_of(visitor: Visitor) -> Source:
    return Source(kind=SourceKind.CEREMONY, request_id=visitor.request_id)
