"""What the engine is given from above: where its reports go, and how a background job is woken.

The engine knows no gateway: it puts what happened into the inbox, in its own transaction, as a provider's
webhook would come in; the composition root injects how.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from config.database import Transaction


class EmitEvent(Protocol):
    """Keeps one report of the engine's for the connection, in the caller's transaction.

    MUST exist when the transaction commits and not otherwise, and MUST wake a worker after the commit.
    """

    async def __call__(self, tx: Transaction, connection_id: UUID, body: bytes) -> None: ...


class IdentityVerdict(StrEnum):
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


class StartedCheck(msgspec.Struct, frozen=True):
    """`ref` is the provider's name of the check, `url` where the person goes now."""

    ref: str
    url: str


class IdentityProvider(Protocol):
    """Somebody who checks who a person is, on pages of their own. Raises ProviderUnavailable and
    ProviderContractBroken; MUST NOT be asked with a transaction open.
    """

    async def start(self, reference: str, name: str, return_url: str) -> StartedCheck: ...

    async def verdict(self, ref: str, reference: str) -> IdentityVerdict:
        """What the provider says itself. MUST NOT come from the person's browser."""
        ...

    async def aclose(self) -> None: ...


# Tells the workers that a job of this kind has something to do. A hint: it may be lost and must not raise.
WakeJob = Callable[[str], None]
