"""Why a delivery has not arrived, in one to three sentences that say what stands in its way and what to do.

The order of the reasons is the order in which they stop a delivery. Must never name a secret, a URL or what a
body holds; the receiver's own words appear only as the last attempt's error.
"""

from datetime import datetime

import asyncpg
from cryptography import x509

from normalizer.ids import Kind, print_id
from webhooks.outbound.delivery_state import DeliveryState
from webhooks.outbound.reason import ORDER_HELD, Reason

_NOT_SENT = "not sent: "
_MOST_WORDS = 300

# What `explain` reads of a delivery `d` beside its own columns; JOINS brings the rest, and $1 is the tenant.
CIRCUMSTANCES = (
    "e.active, e.disabled_reason, e.max_in_flight, e.rate_per_second, e.ordering, e.client_certificate,"
    " h.breaker, h.breaker_until, h.failures_in_row, now() AS now,"
    " block.id AS blocked_by, block.sequence AS blocked_sequence, block.state AS blocked_state,"
    " CASE WHEN d.state = 'pending' AND d.due_at <= now() THEN (SELECT count(*) FROM deliveries l"
    "  WHERE l.endpoint_id = d.endpoint_id AND l.state = 'leased') END AS under_way,"
    " (SELECT count(*) FROM webhook_endpoints t JOIN deliveries l ON l.endpoint_id = t.id AND l.state = 'leased'"
    "  WHERE t.tenant_id = $1) AS tenant_under_way,"
    " (1 - least(greatest(1, ceil(e.rate_per_second)), coalesce(h.tokens + e.rate_per_second"
    "  * greatest(0, extract(epoch FROM now() - h.tokens_at)::double precision), 1))) / e.rate_per_second"
    "  AS rate_wait_s"
)
# The one whose end a delivery waits for: the first open one of its envelope; where the order is held, also one that
# was given up.
JOINS = (
    " LEFT JOIN webhook_endpoints e ON e.tenant_id = d.tenant_id AND e.id = d.endpoint_id"
    " LEFT JOIN endpoint_health h ON h.tenant_id = d.tenant_id AND h.endpoint_id = d.endpoint_id"
    " LEFT JOIN LATERAL (SELECT b.id, b.sequence, b.state FROM deliveries b"
    "  WHERE b.tenant_id = d.tenant_id AND b.endpoint_id = d.endpoint_id AND b.order_key = d.order_key"
    "  AND b.sequence < d.sequence AND b.state IN ('pending', 'leased', 'held', 'exhausted')"
    "  AND (b.state <> 'exhausted' OR e.ordering = 'hold')"
    "  ORDER BY b.sequence LIMIT 1) block"
    " ON d.state = 'pending' AND d.order_key IS NOT NULL AND e.ordering <> 'none'"
)


def explain(row: asyncpg.Record, tenant_share: int | None = None) -> tuple[Reason, ...]:
    """`row` has a delivery's columns and CIRCUMSTANCES. `tenant_share`: how many a deliverer sends at once of
    one tenant's.
    """
    match DeliveryState(row["state"]):
        case DeliveryState.SUCCEEDED:
            status = row["last_status"]
            return (Reason("took") if status is None else Reason("answered", {"status": str(status)}),)
        case DeliveryState.LEASED:
            return (Reason("sending"),)
        case DeliveryState.EXHAUSTED:
            return (*_given_up(row), *_last(row))
        case DeliveryState.CANCELLED:
            return (Reason("endpoint_deleted"),)
        case DeliveryState.HELD:
            why = row["disabled_reason"]
            return (Reason("held", {"why": why}) if why else Reason("held_by_tenant"), *_last(row))
        case DeliveryState.PENDING:
            return _pending(row, tenant_share)


def _given_up(row: asyncpg.Record) -> tuple[Reason, ...]:
    if row["active"] is None:
        return (Reason("given_up_deleted"),)
    attempts = row["attempts"]
    given_up = Reason("given_up_once") if attempts == 1 else Reason("given_up", {"attempts": str(attempts)})
    return (given_up,) if row["active"] else (given_up, Reason("switch_on_first"))


def _pending(row: asyncpg.Record, tenant_share: int | None) -> tuple[Reason, ...]:
    trouble = _trouble(row)
    if trouble is not None:
        return (trouble, *_retry(row))
    if row["breaker"] == "open" and row["breaker_until"] > row["now"]:
        failures = {"failures": str(row["failures_in_row"]), "until": row["breaker_until"]}
        return (Reason("breaker_open", failures), *_last(row))
    if row["breaker"] in {"open", "half_open"} and row["under_way"]:
        return (Reason("breaker_probing"), *_last(row))
    if row["blocked_by"] is not None:
        return (_blocked(row), *_last(row))
    if row["due_at"] is not None and row["due_at"] > row["now"]:
        return (*_retry(row), *_last(row))
    return (_queued(row, tenant_share), *_last(row))


def _trouble(row: asyncpg.Record) -> Reason | None:
    """What keeps every request to this endpoint from being made: only its tenant can mend it."""
    if row["last_error"].startswith(_NOT_SENT):
        why = row["last_error"].removeprefix(_NOT_SENT)[:_MOST_WORDS].rstrip(".")
        return Reason("not_sendable", {"why": why})
    ended_at = _certificate_end(row["client_certificate"] or "")
    if ended_at is not None and ended_at <= row["now"]:
        return Reason("certificate_ended", {"ended_at": ended_at})
    return None


def _blocked(row: asyncpg.Record) -> Reason:
    which = {
        "delivery": print_id(Kind.DELIVERY, row["blocked_by"]),
        "sequence": str(row["blocked_sequence"]),
    }
    if row["blocked_state"] == DeliveryState.EXHAUSTED:
        return Reason(ORDER_HELD, which)
    return Reason("order_kept", {**which, "state": row["blocked_state"]})


def _queued(row: asyncpg.Record, tenant_share: int | None) -> Reason:
    """Due, and nothing is wrong: whose turn it is."""
    if row["rate_wait_s"] is not None and row["rate_wait_s"] > 0:
        wait = f"{max(row['rate_wait_s'], 0.1):.1f}"
        return Reason("rate", {"rate": f"{row['rate_per_second']:g}", "wait": wait})
    if row["under_way"] is not None and row["under_way"] >= (row["max_in_flight"] or 1):
        return Reason("endpoint_full", {"count": str(row["under_way"])})
    if tenant_share is not None and row["tenant_under_way"] >= tenant_share:
        return Reason("tenant_full", {"count": str(row["tenant_under_way"])})
    if row["replays"] and not row["attempts"]:
        return Reason("asked_again")
    if row["attempts"] or row["last_error"]:
        return Reason("retry_due")
    return Reason("first")


def _certificate_end(pem: str) -> datetime | None:
    """Of the first certificate; None when there is none, or none that can be read."""
    if not pem:
        return None
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc
    except ValueError:
        return None


def _retry(row: asyncpg.Record) -> tuple[Reason, ...]:
    return () if row["due_at"] is None else (Reason("retry_at", {"at": row["due_at"]}),)


def _last(row: asyncpg.Record) -> tuple[Reason, ...]:
    error = row["last_error"][:_MOST_WORDS]
    return (Reason("last_attempt", {"error": error}),) if error else ()
