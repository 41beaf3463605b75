"""What the sweeps found, for Prometheus: read from SQL, because workers keep the counts and gateways are scraped.

Labels have few values: the provider and the kind of finding.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.database import Database
from config.errors import StoreUnavailable
from gateway.metrics import REGISTRY

_KINDS = ("behind", "ahead", "contradicting", "unknown", "gone")
_FIGURES = (
    "SELECT c.provider, sum(s.walks)::bigint AS walks, sum(s.missed)::bigint AS missed, sum(s.late)::bigint AS late,"
    " sum(s.webhook_repairs)::bigint AS repairs,"
    " count(*) FILTER (WHERE c.active AND c.receive_webhooks AND s.webhooks <> '[]') AS broken,"
    " count(*) FILTER (WHERE s.refused_since IS NOT NULL) AS refused,"
    " COALESCE(max(extract(epoch FROM now() - COALESCE(s.last_whole_at, s.created_at)))"
    "  FILTER (WHERE c.active), 0)::float8 AS lag, "
    + ", ".join(f"sum(s.{kind})::bigint AS {kind}" for kind in _KINDS)
    + " FROM connection_sweeps s JOIN connections c ON c.tenant_id = s.tenant_id AND c.id = s.connection_id"
    " GROUP BY c.provider ORDER BY c.provider"
)


class SweepFigures:
    """The last figures that were read; none before the first reading."""

    def __init__(self) -> None:
        self._rows: list[Mapping[str, Any]] = []

    async def refresh(self, hub: Database) -> None:
        """Old figures stay while the store is away."""
        try:
            rows = await hub.fetch(_FIGURES)
        except StoreUnavailable:
            return
        self._rows = [dict(row) for row in rows]

    def collect(self) -> Iterable[Metric]:
        drift = CounterMetricFamily(
            "countersign_drift_findings",
            "Where a provider knew otherwise, by kind; behind was repaired",
            labels=["provider", "kind"],
        )
        webhooks = CounterMetricFamily(
            "countersign_missed_webhooks",
            "Repaired envelopes by whether the provider's own message came: missed or late",
            labels=["provider", "webhook"],
        )
        walks = CounterMetricFamily(
            "countersign_sweeps", "Lists of changes that were read to their end", labels=["provider"]
        )
        repairs = CounterMetricFamily(
            "countersign_webhook_repairs", "Repairs of providers' webhook configurations", labels=["provider"]
        )
        broken = GaugeMetricFamily(
            "countersign_webhook_configurations_broken",
            "Connections whose provider's webhook configuration has something wrong",
            labels=["provider"],
        )
        refused = GaugeMetricFamily(
            "countersign_connections_refused",
            "Connections whose credentials the provider refuses",
            labels=["provider"],
        )
        lag = GaugeMetricFamily(
            "countersign_sweep_lag_seconds",
            "Longest time since an active connection's changes were read to the end",
            labels=["provider"],
        )
        for row in self._rows:
            own = [str(row["provider"])]
            for kind in _KINDS:
                drift.add_metric([*own, kind], float(row[kind]))
            for verdict in ("missed", "late"):
                webhooks.add_metric([*own, verdict], float(row[verdict]))
            walks.add_metric(own, float(row["walks"]))
            repairs.add_metric(own, float(row["repairs"]))
            broken.add_metric(own, float(row["broken"]))
            refused.add_metric(own, float(row["refused"]))
            lag.add_metric(own, float(row["lag"]))
        return (drift, webhooks, walks, repairs, broken, refused, lag)


SWEEPS = SweepFigures()
REGISTRY.register(SWEEPS)
