"""Prometheus metrics: what an operator looks at first. Labels have few values and nothing personal."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from adapters.kit.breaker import State
from adapters.kit.observe import CallRecord

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
    "Changes of a provider's circuit breaker, by the state it went to",
    ["provider", "state"],
    registry=REGISTRY,
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


def observe_provider_call(record: CallRecord) -> None:
    PROVIDER_CALLS.labels(record.provider, record.operation, record.outcome).inc()
    PROVIDER_SECONDS.labels(record.provider, record.operation).observe(record.duration_ms / 1000)


def observe_circuit(key: str, state: State) -> None:
    """`key` is "provider/account"; the account is no label, there may be thousands."""
    CIRCUITS.labels(key.partition("/")[0], state.value).inc()


def render() -> bytes:
    text: bytes = generate_latest(REGISTRY)
    return text
