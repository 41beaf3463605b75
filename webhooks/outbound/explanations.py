"""Why a delivery has not arrived, in one or two sentences that say what stands in its way and what to do.

The order of the reasons is the order in which they stop a delivery. Must never name a secret, a URL or what a
body holds; the receiver's own words appear only as the last attempt's error.
"""

from datetime import datetime

import asyncpg
from cryptography import x509

from normalizer.ids import Kind, print_id
from webhooks.outbound.delivery_state import DeliveryState

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


def explain(row: asyncpg.Record, tenant_share: int | None = None) -> str:
    """`row` has a delivery's columns and CIRCUMSTANCES. `tenant_share`: how many a deliverer sends at once of
    one tenant's.
    """
    match DeliveryState(row["state"]):
        case DeliveryState.SUCCEEDED:
            status = "took it" if row["last_status"] is None else f"answered {row['last_status']}"
            return f"The endpoint {status}."
        case DeliveryState.LEASED:
            return "A deliverer is sending it now."
        case DeliveryState.EXHAUSTED:
            return f"It was given up after {row['attempts']} attempts and is kept: replay it.{_last(row)}"
        case DeliveryState.CANCELLED:
            return "Its endpoint was deleted before it could be delivered."
        case DeliveryState.HELD:
            why = row["disabled_reason"] or "by its tenant"
            return f"Its endpoint is switched off ({why}); switching it on releases it.{_last(row)}"
        case DeliveryState.PENDING:
            return _pending(row, tenant_share)


def _pending(row: asyncpg.Record, tenant_share: int | None) -> str:
    trouble = _trouble(row)
    if trouble is not None:
        return trouble
    if row["breaker"] == "open" and row["breaker_until"] > row["now"]:
        return (
            f"The endpoint has failed {row['failures_in_row']} times in a row and is left in peace until"
            f" {_time(row['breaker_until'])}; then one delivery is tried, and the rest follows when it arrives."
            f" No attempt is used up meanwhile.{_last(row)}"
        )
    if row["breaker"] in {"open", "half_open"} and row["under_way"]:
        return (
            "The endpoint has failed and is tried with one delivery now; this one follows when that one"
            f" arrives.{_last(row)}"
        )
    if row["blocked_by"] is not None:
        return f"{_blocked(row)}{_last(row)}"
    if row["due_at"] > row["now"]:
        return f"It is tried again at {_time(row['due_at'])}.{_last(row)}"
    return f"{_queued(row, tenant_share)}{_last(row)}"


def _trouble(row: asyncpg.Record) -> str | None:
    """What keeps every request to this endpoint from being made: only its tenant can mend it."""
    again = f" It is tried again at {_time(row['due_at'])}."
    if row["last_error"].startswith(_NOT_SENT):
        reason = row["last_error"].removeprefix(_NOT_SENT)[:_MOST_WORDS].rstrip(".")
        return f"It cannot be sent: {reason}. Correct the endpoint.{again}"
    ended_at = _certificate_end(row["client_certificate"] or "")
    if ended_at is not None and ended_at <= row["now"]:
        return f"The endpoint's client certificate expired at {_time(ended_at)}: give it a valid one.{again}"
    return None


def _blocked(row: asyncpg.Record) -> str:
    which = f"{print_id(Kind.DELIVERY, row['blocked_by'])}, sequence {row['blocked_sequence']}"
    if row["blocked_state"] == DeliveryState.EXHAUSTED:
        return (
            f"An earlier event of the same envelope ({which}) was given up, and the endpoint holds the order:"
            " replay that one, or change the endpoint's `ordering`."
        )
    return (
        f"An earlier event of the same envelope has not arrived yet ({which}, {row['blocked_state']}); order"
        " is kept."
    )


def _queued(row: asyncpg.Record, tenant_share: int | None) -> str:
    """Due, and nothing is wrong: whose turn it is."""
    if row["rate_wait_s"] is not None and row["rate_wait_s"] > 0:
        return (
            f"The endpoint takes {row['rate_per_second']:g} deliveries a second and has had them: the next"
            f" goes in about {max(row['rate_wait_s'], 0.1):.1f} s."
        )
    if row["under_way"] is not None and row["under_way"] >= (row["max_in_flight"] or 1):
        return f"The endpoint has {row['under_way']} requests under way, as many as it may have at once."
    if tenant_share is not None and row["tenant_under_way"] >= tenant_share:
        return (
            f"{row['tenant_under_way']} deliveries of this tenant are under way, which is its share: it goes"
            " when one of them ends."
        )
    if row["replays"] and not row["attempts"]:
        return "It was asked for again and waits for its turn."
    if row["attempts"] or row["last_error"]:
        return "It is due to be tried again."
    return "It waits for its first attempt."


def _certificate_end(pem: str) -> datetime | None:
    """Of the first certificate; None when there is none, or none that can be read."""
    if not pem:
        return None
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc
    except ValueError:
        return None


def _last(row: asyncpg.Record) -> str:
    return f" Last attempt: {row['last_error'][:_MOST_WORDS]}." if row["last_error"] else ""


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
