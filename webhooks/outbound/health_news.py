"""Tells of endpoints that fail, recover, or have failed for so long that they are switched off: each once.

What is to be told follows from the endpoint's row of health alone, and telling it changes that row in the
same transaction. So a process that dies before it told loses nothing, and two that come at once tell it once.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from config.database import Database, Transaction
from config.errors import StoreUnavailable
from engine.notify.notice import NoticeKind
from normalizer.canonical import Json
from normalizer.vocabulary import LedgerType
from webhooks.outbound.breaker import news_rules_of
from webhooks.outbound.health_report import Reporter, Watched

logger = logging.getLogger("countersign.deliverer")

_READ = (
    "SELECT e.url, e.description, e.alert_email, h.failures_in_row, h.failing_since, h.told_since,"
    " h.last_success_at, endpoint_news(h, $2::integer, $3, $4) AS news"
    " FROM webhook_endpoints e JOIN endpoint_health h ON h.endpoint_id = e.id WHERE e.id = $1 AND e.active"
)


async def find_news(hub: Database, reporter: Reporter) -> list[tuple[UUID, UUID]]:
    """Tenant and endpoint of what nobody has told yet."""
    rows = await hub.fetch(
        "SELECT tenant_id, endpoint_id FROM find_endpoint_news($1::double precision::integer, $2, $3)",
        *news_rules_of(reporter.settings),
    )
    return [(row["tenant_id"], row["endpoint_id"]) for row in rows]


async def tell_news(hub: Database, reporter: Reporter, endpoints: Iterable[tuple[UUID, UUID]]) -> int:
    """How many things were told. What cannot be told keeps nobody else from being told of."""
    told = 0
    for tenant_id, endpoint_id in endpoints:
        try:
            async with hub.transaction(tenant_id) as tx:
                news = await _tell(tx, reporter, tenant_id, endpoint_id)
                if news:
                    await tx.commit()
        except StoreUnavailable:
            raise
        except Exception:  # whatever one tenant's key, mail or ledger says
            logger.exception("nothing could be told of endpoint %s", endpoint_id)
            continue
        if news:
            told += 1
            logger.warning("endpoint.%s", news, extra={"endpoint_id": str(endpoint_id)})
    return told


async def _tell(tx: Transaction, reporter: Reporter, tenant_id: UUID, endpoint_id: UUID) -> str | None:
    # The endpoint before its health, as everybody else does.
    await tx.driver.execute("SELECT FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE", endpoint_id)
    await tx.driver.execute(
        "SELECT FROM endpoint_health WHERE endpoint_id = $1 FOR NO KEY UPDATE", endpoint_id
    )
    row = await tx.driver.fetchrow(_READ, endpoint_id, *news_rules_of(reporter.settings))
    if row is None:
        return None
    endpoint = Watched(tenant_id, endpoint_id, row["url"], row["description"], row["alert_email"])
    match row["news"]:
        case "failing":
            await _tell_failing(tx, reporter, endpoint, row)
        case "recovered":
            await _tell_recovered(tx, reporter, endpoint, row)
        case "disabled":
            await _switch_off(tx, reporter, endpoint, row)
    return row["news"] if isinstance(row["news"], str) else None


async def _tell_failing(tx: Transaction, reporter: Reporter, endpoint: Watched, row: asyncpg.Record) -> None:
    await tx.driver.execute(
        "UPDATE endpoint_health SET told_failing_at = now(), told_since = failing_since WHERE endpoint_id = $1",
        endpoint.id,
    )
    facts: dict[str, Json] = {
        "failures": row["failures_in_row"],
        "failing_since": _printed(row["failing_since"]),
    }
    event = reporter.endpoint_event(LedgerType.ENDPOINT_FAILING, endpoint.tenant_id, endpoint.id, facts)
    reason = f"{row['failures_in_row']} failures in a row since {_printed(row['failing_since'])}"
    await reporter.put_mail(tx, NoticeKind.ENDPOINT_FAILING, endpoint, reason)
    await reporter.recorder.record(tx, [event])


async def _tell_recovered(
    tx: Transaction, reporter: Reporter, endpoint: Watched, row: asyncpg.Record
) -> None:
    await tx.driver.execute(
        "UPDATE endpoint_health SET told_failing_at = NULL, told_since = NULL WHERE endpoint_id = $1",
        endpoint.id,
    )
    facts: dict[str, Json] = {
        "failing_since": _printed(row["told_since"]),
        "recovered_at": _printed(row["last_success_at"]),
    }
    event = reporter.endpoint_event(LedgerType.ENDPOINT_RECOVERED, endpoint.tenant_id, endpoint.id, facts)
    await reporter.put_mail(tx, NoticeKind.ENDPOINT_RECOVERED, endpoint)
    await reporter.recorder.record(tx, [event])


async def _switch_off(tx: Transaction, reporter: Reporter, endpoint: Watched, row: asyncpg.Record) -> None:
    days = reporter.settings.disabled_after_days
    reason = f"it has failed for {days} {'day' if days == 1 else 'days'} without one success"
    held = await switch_endpoint_off(tx, endpoint.tenant_id, endpoint.id, reason)
    if held is None:
        raise AssertionError("the endpoint was locked while it was active")
    facts: dict[str, Json] = {
        "reason": reason,
        "failures": row["failures_in_row"],
        "failing_since": _printed(row["failing_since"]),
        "held": held,
    }
    event = reporter.endpoint_event(LedgerType.ENDPOINT_DISABLED, endpoint.tenant_id, endpoint.id, facts)
    await reporter.put_mail(tx, NoticeKind.ENDPOINT_DISABLED, endpoint, reason)
    await reporter.recorder.record(tx, [event])


async def switch_endpoint_off(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, reason: str) -> int | None:
    """How many waiting deliveries are held now; None when it was off already."""
    switched = await tx.driver.fetchval(
        "UPDATE webhook_endpoints SET active = false, disabled_reason = $2, revision = revision + 1,"
        " updated_at = clock_timestamp() WHERE id = $1 AND active RETURNING id",
        endpoint_id,
        reason[:200],
    )
    if switched is None:
        return None
    return int(await tx.driver.fetchval("SELECT change_mailbox($1, $2, 'hold')", tenant_id, endpoint_id))


def _printed(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
