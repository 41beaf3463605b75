"""What is needed to tell of endpoints and deliveries: the ledger, the announcement, the mail to whoever watches.

All three are written in the transaction that changes the state, so each is told once or not at all. Must
never name more of an endpoint than its description and origin: its path and query may hold secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
from yarl import URL

from config.clock import Clock
from config.database import Transaction
from config.settings_endpoints import EndpointSettings
from config.vault import Vault
from engine.notify.notice import Notice, NoticeKind
from engine.notify.outbox import put_notice
from engine.ports import WakeJob
from normalizer.canonical import Json
from normalizer.events import Event
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound.facts import endpoint_event
from webhooks.outbound.ports import RecordEvents

_LONGEST_REASON = 300


class Watched(msgspec.Struct, frozen=True):
    """An endpoint as far as it is told of. `alert_email` may be empty: nobody wants mail."""

    tenant_id: UUID
    id: UUID
    url: str
    description: str
    alert_email: str

    @property
    def name(self) -> str:
        """How its tenant recognises it."""
        url = URL(self.url)
        port = "" if url.is_default_port() or url.explicit_port is None else f":{url.explicit_port}"
        origin = f"{url.scheme}://{url.host}{port}"
        return f"{self.description} ({origin})" if self.description else origin


def _wake_nobody(kind: str) -> None:
    """The job that sends notices runs every other second anyway."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Made at the composition root. `wake` tells the workers that a notice waits."""

    recorder: RecordEvents
    vault: Vault
    ids: Ids
    clock: Clock
    settings: EndpointSettings = field(default_factory=EndpointSettings)
    wake: WakeJob = _wake_nobody

    def endpoint_event(
        self, type_: LedgerType, tenant_id: UUID, endpoint_id: UUID, facts: Mapping[str, Json]
    ) -> Event:
        """An entry about an endpoint, announced with the same facts."""
        return endpoint_event(
            type_,
            self.ids,
            self.clock.now(),
            tenant_id=tenant_id,
            endpoint_id=endpoint_id,
            facts=facts,
            announcement={"endpoint_id": print_id(Kind.ENDPOINT, endpoint_id), **facts},
        )

    async def put_mail(self, tx: Transaction, kind: NoticeKind, endpoint: Watched, reason: str = "") -> None:
        """To the endpoint's alert address, if it has one; sent after the commit."""
        if not endpoint.alert_email:
            return
        values = {"endpoint": endpoint.name, "reason": reason[:_LONGEST_REASON]}
        notice = Notice(kind=kind, tenant_id=endpoint.tenant_id, address=endpoint.alert_email, values=values)
        await put_notice(self, tx, notice)
