"""Prometheus metrics: what an operator looks at first. Labels have few values and nothing personal."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from adapters.kit.observe import CallRecord
from config.breaker import State

REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "countersign_http_requests_total",
    "Requests by route and status",
    ["method", "route", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "countersign_http_request_seconds",
    "Time to answer, by route",
    ["method", "route"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PROVIDER_CALLS = Counter(
    "countersign_provider_calls_total",
    "Requests to providers by outcome",
    ["provider", "operation", "outcome"],
    registry=REGISTRY,
)
PROVIDER_SECONDS = Histogram(
    "countersign_provider_call_seconds",
    "Time of a provider's answer",
    ["provider", "operation"],
    registry=REGISTRY,
)
CIRCUITS = Counter(
    "countersign_circuit_changes_total",
    "Changes of a circuit breaker (a provider's, of email, sms or blobs), by the state it went to",
    ["provider", "state"],
    registry=REGISTRY,
)
NOTICES = Counter(
    "countersign_notices_total",
    "Mails and text messages that were tried, by what became of them",
    ["channel", "kind", "outcome"],
    registry=REGISTRY,
)
OLDEST_NOTICE = Gauge(
    "countersign_notice_oldest_seconds",
    "Age of the oldest mail or text message that waits",
    registry=REGISTRY,
)
FAILED_NOTICES = Gauge(
    "countersign_notices_failed", "Mails and text messages given up within the last hour", registry=REGISTRY
)
SPOOLED = Gauge(
    "countersign_spooled_documents", "Documents that wait for the blob store in a folder", registry=REGISTRY
)
INBOUND = Counter(
    "countersign_inbound_messages_total",
    "Provider webhooks by verdict",
    ["provider", "verdict"],
    registry=REGISTRY,
)
OLDEST_DUE = Gauge(
    "countersign_delivery_oldest_due_seconds", "Age of the oldest delivery that is due", registry=REGISTRY
)
UNDELIVERED = Gauge("countersign_deliveries", "Deliveries by state", ["state"], registry=REGISTRY)
INBOX = Gauge("countersign_inbox_messages", "Inbox messages by state", ["state"], registry=REGISTRY)
UNSETTLED = Gauge("countersign_envelopes_unsettled", "Envelopes whose dispatch is open", registry=REGISTRY)
SEALS_DELAYED = Gauge(
    "countersign_seals_delayed",
    "Envelopes that everybody signed and three attempts did not seal",
    registry=REGISTRY,
)
BLOBS_DAMAGED = Gauge(
    "countersign_blobs_damaged", "Stored documents that are not what was stored", registry=REGISTRY
)
CERTIFICATES_ENDING = Gauge(
    "countersign_certificates_ending",
    "Certificates of the store, not revoked, that have ended or end within 30 days",
    registry=REGISTRY,
)


def observe_provider_call(record: CallRecord) -> None:
    PROVIDER_CALLS.labels(record.provider, record.operation, record.outcome).inc()
    PROVIDER_SECONDS.labels(record.provider, record.operation).observe(record.duration_ms / 1000)


def observe_notice(channel: str, kind: str, outcome: str) -> None:
    NOTICES.labels(channel, kind, outcome).inc()


def observe_circuit(key: str, state: State) -> None:
    """`key` is "provider/account", or a carrier or store by its name. The account is no label: there may be
    thousands.
    """
    CIRCUITS.labels(key.partition("/")[0], state.value).inc()


def render() -> bytes:
    text: bytes = generate_latest(REGISTRY)
    return text
