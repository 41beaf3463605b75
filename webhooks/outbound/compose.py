"""A webhook's bytes: made of the stored event and the delivery row only, so every attempt sends the same.

Must never read a clock, a setting or the endpoint: what may differ between two attempts is not in the body. Nor must
an upgrade make a difference: a body is made in the version in which its event was recorded, and what a version makes
of an event once it makes for ever.
Source: Standard Webhooks 1.0.0, payload structure; the design documents (the payload is the wire's bytes).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from normalizer.catalogue.thin import thin_data
from normalizer.catalogue.versions import API_VERSION
from normalizer.ids import Kind, print_id

__all__ = ["API_VERSION", "FULL", "THIN", "LedgerReference", "compose_body", "message_id", "refer_to_ledger"]

FULL = "full"
THIN = "thin"

# By version: a new one gets a function of its own, and the old ones stay as they are.
_THIN_OF: Final[Mapping[str, Callable[[bytes], bytes]]] = {"2026-11-01": thin_data}


class LedgerReference(msgspec.Struct, frozen=True):
    """The ledger entry of the same fact: what the audit trail shows under this chain and number."""

    chain: str
    seq: int
    hash: bytes


def refer_to_ledger(chain: str | None, seq: int | None, digest: bytes | None) -> LedgerReference | None:
    """From an outbox row's columns; None for a row that knows no entry."""
    if chain is None or seq is None or digest is None:
        return None
    return LedgerReference(chain, seq, digest)


@lru_cache(maxsize=4096)
def _printed_tenant(tenant_id: UUID) -> str:
    return print_id(Kind.TENANT, tenant_id)


def message_id(event_id: UUID) -> str:
    """What webhook-id and the body's `id` say: the event's id, the same for every retry and endpoint."""
    return print_id(Kind.EVENT, event_id)


def compose_body(
    *,
    message: str,
    type_: str,
    occurred_at: datetime,
    tenant_id: UUID,
    sequence: int,
    data: bytes,
    payload: str = FULL,
    ledger: LedgerReference | None = None,
    version: str = API_VERSION,
) -> bytes:
    """`data` is the stored JSON object: it goes in as it is, or what is thin of it. Types, ids and the names of
    chains need no escaping. Raises ValueError for a payload or version of another name.
    """
    if version not in _THIN_OF:
        raise ValueError(f"{version!r} is no version that this process knows")
    if payload == THIN:
        data = _THIN_OF[version](data)
    elif payload != FULL:
        raise ValueError(f"{payload!r} is no payload")
    moment = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6]
    head = (
        f'{{"id":"{message}","type":"{type_}","timestamp":"{moment}Z",'
        f'"tenant_id":"{_printed_tenant(tenant_id)}","sequence":{sequence},'
        f'"api_version":"{version}","data":'
    )
    return b"".join((head.encode(), data, _tail(ledger)))


def _tail(ledger: LedgerReference | None) -> bytes:
    if ledger is None:
        return b"}"
    return (
        f',"ledger":{{"chain":"{ledger.chain}","seq":{ledger.seq},"hash":"{ledger.hash.hex()}"}}}}'.encode()
    )
