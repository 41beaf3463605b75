"""Holds webhook bodies against the catalogue: strictly, as a member that no schema names is a fault of ours."""

import functools
from typing import Any

import msgspec
from jsonschema import Draft202012Validator

from config.database import Database
from normalizer.catalogue.schemas import FULL, THIN, body_schema
from normalizer.vocabulary import EventType
from webhooks.outbound.compose import compose_body, message_id, refer_to_ledger


@functools.cache
def validator(type_: EventType, payload: str) -> Draft202012Validator:
    schema = body_schema(type_, payload)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(strict(schema), format_checker=Draft202012Validator.FORMAT_CHECKER)


def strict(schema: Any) -> Any:
    """The schema without its leave to hold members that it does not name."""
    if isinstance(schema, dict):
        closed = {name: strict(value) for name, value in schema.items()}
        return closed | {"additionalProperties": False} if schema.get("type") == "object" else closed
    if isinstance(schema, list | tuple):
        return [strict(one) for one in schema]
    return schema


def faults_of(body: dict[str, Any], payload: str) -> list[str]:
    """What the catalogue has against a decoded body."""
    found = validator(EventType(body["type"]), payload).iter_errors(body)
    return [f"{body['type']} {payload} {fault.json_path}: {fault.message}" for fault in found]


async def faults_of_everything_announced(hub: Database, *groups: str) -> list[str]:
    """Of every event that was recorded in a database, in the bodies that endpoints would get. What a test put into
    the outbox by hand, past the ledger, is its own affair. `groups`: only types that begin so."""
    rows = await hub.fetch(
        "SELECT DISTINCT ON (type, data) id, tenant_id, type, occurred_at, data, chain_id, ledger_seq, ledger_hash"
        " FROM outbox_events WHERE chain_id IS NOT NULL"
        " AND (cardinality($1::text[]) = 0 OR split_part(type, '.', 1) = ANY ($1))",
        list(groups),
    )
    return [
        fault
        for row in rows
        for payload in (FULL, THIN)
        for fault in faults_of(
            msgspec.json.decode(
                compose_body(
                    message=message_id(row["id"]),
                    type_=row["type"],
                    occurred_at=row["occurred_at"],
                    tenant_id=row["tenant_id"],
                    sequence=1,
                    data=row["data"],
                    payload=payload,
                    ledger=refer_to_ledger(row["chain_id"], row["ledger_seq"], row["ledger_hash"]),
                )
            ),
            payload,
        )
    ]
