"""What use cases need, built once by the composition root and passed on; and who is calling.

Must never be reached through a global: a use case gets its Services as its first argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import redis.asyncio

from adapters.kit.executor import Executor
from adapters.kit.port import Adapter
from config.blobs import BlobStore
from config.clock import Clock
from config.database import Database
from config.settings import Settings
from config.vault import Vault
from engine.engine import Engine
from engine.notify.carriers import Carriers
from gateway.envelopes.grouped_writes import GroupedWrites
from gateway.routing.memory import RoutingMemory
from gateway.tenants.connection_cache import ConnectionCache
from ledger.personal import SubjectKeys
from normalizer.events import Actor, Source
from normalizer.ids import Ids
from webhooks.outbound.endpoints import EndpointDesk
from webhooks.outbound.feed_watch import FeedWatch
from webhooks.outbound.replay import ReplayDesk
from webhooks.outbound.replay_job_desk import ReplayJobDesk
from webhooks.outbound.replay_job_run import ReplayRunner
from webhooks.record import Recorder

SYSTEM_TENANT = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Services:
    """`database` is the app role, bound by row-level security; `hub` sees every tenant and is for sweeps,
    the inbox, key look-up and administrators.
    """

    settings: Settings
    clock: Clock
    ids: Ids
    database: Database
    hub: Database
    redis: "redis.asyncio.Redis"
    vault: Vault
    blobs: BlobStore
    recorder: Recorder
    writes: GroupedWrites
    subjects: SubjectKeys
    pepper: bytes = field(repr=False)
    engine: Engine
    carriers: Carriers
    executor: Executor
    adapters: Mapping[str, Adapter]
    connections: ConnectionCache
    routings: RoutingMemory
    endpoints: EndpointDesk
    feeds: FeedWatch
    replays: ReplayDesk
    replay_jobs: ReplayJobDesk
    replay_runner: ReplayRunner


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated call: whose data, which key, and which person acts through it."""

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[str]
    actor: Actor
    source: Source
