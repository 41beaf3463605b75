"""Compares an entry's columns with its body: every column is in the body or computed from it.

Must never repair or guess: what differs is reported as it stands.
"""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from ledger.chain import Violation
from normalizer.canonical import NotCanonical, canonical_bytes


class Columns(msgspec.Struct, frozen=True):
    """What an entry's row says about its body."""

    v: int
    tenant_id: UUID
    event_id: UUID
    event_type: str
    resource_type: str
    resource_id: str
    occurred_at: datetime


class _Resource(msgspec.Struct, frozen=True):
    type: str
    id: str


class _Claims(msgspec.Struct, frozen=True):
    v: int
    tenant_id: str
    event_id: str
    event_type: str
    occurred_at: str
    resource: _Resource


_decode_claims = msgspec.json.Decoder(_Claims).decode
_decode_any = msgspec.json.Decoder().decode


def compare_columns(columns: Columns, body: bytes) -> list[Violation]:
    """One violation per column that is not what the body says; `not_canonical` for a body that has another
    form than the one that its content is written in.
    """
    event_id = str(columns.event_id)
    try:
        claims = _decode_claims(body)
        canonical = canonical_bytes(_decode_any(body)) == body
    except (msgspec.MsgspecError, NotCanonical, UnicodeDecodeError, RecursionError):
        return [Violation(event_id, "not_canonical", "a canonical body of version 1", "another")]
    found = []
    if not canonical:
        found.append(
            Violation(event_id, "not_canonical", "the canonical form of its content", "another form")
        )
    occurred_at = columns.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    for name, expected, actual in (
        ("v", str(claims.v), str(columns.v)),
        ("tenant_id", claims.tenant_id, str(columns.tenant_id)),
        ("event_id", claims.event_id, event_id),
        ("event_type", claims.event_type, columns.event_type),
        ("resource_type", claims.resource.type, columns.resource_type),
        ("resource_id", claims.resource.id, columns.resource_id),
        ("occurred_at", claims.occurred_at, occurred_at),
    ):
        if expected != actual:
            found.append(Violation(event_id, "column_mismatch", f"{name}: {expected}", f"{name}: {actual}"))
    return found
