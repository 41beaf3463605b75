"""Rows of webhook_endpoints. Every statement names the tenant, and row-level security stands behind it."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
import msgspec

from config.database import Transaction
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.outbound.endpoint import Endpoint, OAuth, Ordering, Payload
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile
from webhooks.outbound.sinks.target import SinkKind

_COLUMNS = ", ".join(Endpoint.__struct_fields__)
_SEALED = frozenset(
    {
        "secret", "previous_secret", "signing_key", "previous_signing_key", "older_keys", "sensitive_headers",
        "client_key", "oauth_secret", "sink_secret",
    }
)  # fmt: skip
_GENERATIONS = frozenset({"previous_cutover_at", "older_verify_keys", "older_until"})
_WRITABLE = frozenset(Endpoint.__struct_fields__) | _SEALED | _GENERATIONS
_FIXED = frozenset({"tenant_id", "id", "next_sequence", "revision", "created_at", "updated_at"})
_JSON = frozenset({"filter", "headers", "oauth"})


async def insert_endpoint(
    tx: Transaction, tenant_id: UUID, endpoint_id: UUID, columns: Mapping[str, object]
) -> Endpoint:
    """`columns`: by name, sealed secrets among them; what is left out has the table's default."""
    given = {"tenant_id": tenant_id, "id": endpoint_id} | _prepare(columns)
    places = ", ".join(f"${place}" for place in range(1, len(given) + 1))
    row = await tx.driver.fetchrow(
        f"INSERT INTO webhook_endpoints ({', '.join(given)}) VALUES ({places}) RETURNING {_COLUMNS}",
        *given.values(),
    )
    return _endpoint(row)


async def read_endpoint(
    tx: Transaction, tenant_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> Endpoint:
    """Raises NotFound. `lock` keeps others from changing it until the transaction ends."""
    row = await tx.driver.fetchrow(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2"
        + (" FOR NO KEY UPDATE" if lock else ""),
        tenant_id,
        endpoint_id,
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return _endpoint(row)


async def list_endpoints(
    tx: Transaction, tenant_id: UUID, *, limit: int, after: UUID | None = None
) -> list[Endpoint]:
    rows = await tx.driver.fetch(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)"
        " ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    return [_endpoint(row) for row in rows]


async def count_endpoints(tx: Transaction, tenant_id: UUID) -> int:
    count = await tx.driver.fetchval(
        "SELECT count(*)::integer FROM webhook_endpoints WHERE tenant_id = $1", tenant_id
    )
    return int(count)


async def update_endpoint(
    tx: Transaction, tenant_id: UUID, endpoint_id: UUID, changes: Mapping[str, object]
) -> Endpoint:
    """Sets the named columns and moves the revision, so that every deliverer reads the row anew."""
    given = _prepare(changes)
    sets = ", ".join(f"{column} = ${place}" for place, column in enumerate(given, 3))
    row = await tx.driver.fetchrow(
        f"UPDATE webhook_endpoints SET {sets}, revision = revision + 1, updated_at = clock_timestamp()"
        f" WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
        tenant_id,
        endpoint_id,
        *given.values(),
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return _endpoint(row)


async def delete_endpoint(tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> None:
    """The secret goes with the row; deliveries and their attempts stay."""
    await tx.driver.execute(
        "DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2", tenant_id, endpoint_id
    )


async def read_sealed(tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> Mapping[str, bytes | None]:
    """Every sealed column as it is stored. Raises NotFound."""
    row = await tx.driver.fetchrow(
        f"SELECT {', '.join(sorted(_SEALED))} FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        endpoint_id,
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return dict(row)


async def change_mailbox(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, verb: str) -> int:
    """`hold`, `release` or `cancel` what waits for the endpoint; how many deliveries that were."""
    changed = await tx.driver.fetchval("SELECT change_mailbox($1, $2, $3)", tenant_id, endpoint_id, verb)
    return int(changed)


def _prepare(columns: Mapping[str, object]) -> dict[str, object]:
    """As the driver takes them: lists for arrays, text for JSON."""
    unknown = set(columns) - (_WRITABLE - _FIXED)
    if unknown:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    prepared: dict[str, object] = {}
    for name, value in columns.items():
        if value is not None and name in _JSON:
            prepared[name] = msgspec.json.encode(value).decode()
        else:
            prepared[name] = list(value) if isinstance(value, tuple) else value
    return prepared


def _endpoint(row: asyncpg.Record | None) -> Endpoint:
    if row is None:
        raise AssertionError("the statement returns a row")
    columns = dict(row)
    rate = columns["rate_per_second"]
    columns |= {
        "events": tuple(row["events"]),
        "retry_profile": RetryProfile(row["retry_profile"]),
        "retry_schedule": tuple(row["retry_schedule"]),
        "signature_profile": SignatureProfile(row["signature_profile"]),
        "filter": None
        if row["filter"] is None
        else msgspec.json.decode(row["filter"], type=dict[str, object]),
        "payload": Payload(row["payload"]),
        "headers": msgspec.json.decode(row["headers"], type=dict[str, str]),
        "sensitive_header_names": tuple(row["sensitive_header_names"]),
        # The column has six digits; the vetted value has at most three after the point.
        "rate_per_second": None if rate is None else round(rate, 3),
        "ordering": Ordering(row["ordering"]),
        "oauth": None if row["oauth"] is None else msgspec.json.decode(row["oauth"], type=OAuth),
        "sink": SinkKind(row["sink"]),
    }
    return Endpoint(**columns)
