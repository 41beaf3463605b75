"""The hub. `record` writes every change of state; inbound takes providers' webhooks; outbound serves tenants.

Its truth is in PostgreSQL: Redis only wakes workers, and losing it costs latency, never data. Must never
import the gateway: what runs against the layers comes through ports that the composition root fills.
"""
