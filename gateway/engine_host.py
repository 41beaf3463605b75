"""Builds the signing engine out of the services' parts, and binds the providers that run on it.

The engine knows no gateway: its reports go into the inbox through a port, and its jobs are woken through another.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType

from adapters.kit.port import Adapter, InProcess
from config.blobs import BlobStore
from config.clock import Clock
from config.database import Database
from config.settings import Settings
from config.vault import Vault
from engine.ceremony.identity_client import HttpIdentityProvider
from engine.documents.examiners import Examiners
from engine.engine import Engine
from gateway.jobs.bell import JobBell
from gateway.jobs.waking import JobWaker
from ledger.personal import SubjectKeys
from normalizer.ids import Ids
from webhooks.inbound.emit import InboxEmitter


def open_engine(
    stack: AsyncExitStack,
    found: Mapping[str, Adapter],
    *,
    settings: Settings,
    clock: Clock,
    ids: Ids,
    database: Database,
    hub: Database,
    vault: Vault,
    blobs: BlobStore,
    subjects: SubjectKeys,
    pepper: bytes,
) -> Engine:
    """`stack` closes what waits in the background. There is one engine, and one provider that runs on it."""
    bell = JobBell(settings)
    stack.push_async_callback(bell.aclose)
    waker = JobWaker(hub, bell)
    stack.push_async_callback(waker.aclose)
    examiners = Examiners(settings.document.examiners)
    stack.push_async_callback(examiners.aclose)
    identity = None
    if settings.access.identity_url is not None:
        identity = HttpIdentityProvider(settings, clock)
        stack.push_async_callback(identity.aclose)
    (name,) = (one.name for one in found.values() if isinstance(one, InProcess))
    return Engine(
        settings=settings,
        clock=clock,
        ids=ids,
        database=database,
        hub=hub,
        vault=vault,
        blobs=blobs,
        subjects=subjects,
        emit=InboxEmitter(name, vault, ids, bell.ring_inbox),
        wake=waker,
        pepper=pepper,
        examiners=examiners,
        identity=identity,
    )


def bind_providers(found: Mapping[str, Adapter], engine: Engine) -> Mapping[str, Adapter]:
    return MappingProxyType(
        {name: one.bind(engine) if isinstance(one, InProcess) else one for name, one in found.items()}
    )
