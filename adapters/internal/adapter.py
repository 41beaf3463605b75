"""The built-in engine's adapter: the port, each member handed to the module that does it.

As the registry finds it, it declares what it can do and can do nothing: operations need the engine that the
composition root binds it to. Must never reach another tenant than the connection's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from adapters.internal import credentials as nothing
from adapters.internal import inbound, operations
from adapters.internal.capabilities import CAPABILITIES, LIMITS, NAME, check
from adapters.internal.credentials import Credentials
from adapters.kit.exchange import Exchange, ProviderResponse, SavedBlob
from adapters.kit.outcome import AuthFailed, Interruption
from adapters.kit.port import (
    Authorization,
    ChangePage,
    Connection,
    Created,
    CredentialField,
    CredentialHealth,
    Decision,
    DecisionKind,
    Part,
    RawRequest,
    RecipientCorrection,
    Reply,
    SandboxSpec,
    SendMode,
    Verdict,
)
from engine.engine import Engine
from normalizer.envelope import AuditRecord, Degradation, Envelope, EnvelopeReport
from normalizer.events import ProviderEvent
from normalizer.recipient import Recipient


class Internal:
    name = NAME
    title = "Built-in engine"
    webhook_path = "internal"
    capabilities = CAPABILITIES
    limits = LIMITS
    sandbox: SandboxSpec | None = None  # it is its own: nothing is to be started
    credential_fields: tuple[CredentialField, ...] = ()
    settings_prefix = "INTERNAL_"

    def __init__(self, engine: Engine | None = None) -> None:
        self._bound = engine

    def bind(self, host: object) -> Self:
        """Raises TypeError for a host that is no engine."""
        if not isinstance(host, Engine):
            raise TypeError("this provider runs on the signing engine")
        return type(self)(host)

    @property
    def _engine(self) -> Engine:
        if self._bound is None:
            raise RuntimeError("the built-in engine is not bound: the composition root binds it")
        return self._bound

    # -- the connection -----------------------------------------------------------------------------------

    def decode_credentials(self, raw: bytes) -> Credentials:
        return nothing.decode_credentials(raw)

    def credentials_from_settings(self, settings: Mapping[str, str]) -> bytes | None:
        return None

    def account_key(self, connection: Connection) -> str:
        return connection.tenant_id

    def allowed_host(self, host: str, connection: Connection) -> bool:
        return False

    def authorization_headers(self, authorization: Authorization) -> tuple[tuple[str, str], ...]:
        return ()

    async def authorize(self, exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
        raise Interruption(AuthFailed("", "the built-in engine gives no tokens"))

    async def check_credentials(self, exchange: Exchange, connection: Connection) -> CredentialHealth:
        return await operations.check_credentials(self._engine, connection)

    # -- errors and limits --------------------------------------------------------------------------------

    def classify(self, operation: str, response: ProviderResponse) -> Decision:
        return Decision(kind=DecisionKind.UNKNOWN, detail="the built-in engine is not asked over HTTP")

    def limit_headers(self, response: ProviderResponse) -> tuple[int, float] | None:
        return None

    def check(self, connection: Connection, envelope: Envelope) -> Sequence[Degradation]:
        return check(connection, envelope)

    # -- envelopes ----------------------------------------------------------------------------------------

    async def create_envelope(
        self, exchange: Exchange, connection: Connection, envelope: Envelope, mode: SendMode, now: datetime
    ) -> Created:
        is_sent = mode is SendMode.SEND
        return await operations.create_envelope(self._engine, exchange, connection, envelope, is_sent=is_sent)

    async def send_draft(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport:
        return await operations.send_draft(self._engine, connection, provider_ref)

    async def discard_draft(self, exchange: Exchange, connection: Connection, provider_ref: str) -> None:
        await operations.discard_draft(self._engine, connection, provider_ref)

    async def find_envelopes(
        self, exchange: Exchange, connection: Connection, reference: str, since: datetime
    ) -> tuple[EnvelopeReport, ...]:
        return await operations.find_envelopes(self._engine, connection, reference)

    async def get_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport:
        return await operations.get_envelope(self._engine, connection, provider_ref)

    async def list_changes(
        self, exchange: Exchange, connection: Connection, since: datetime, cursor: str
    ) -> ChangePage:
        return await operations.list_changes(self._engine, connection, since, cursor)

    async def void_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str, reason: str
    ) -> EnvelopeReport:
        return await operations.void_envelope(self._engine, connection, provider_ref, reason)

    async def download(
        self, exchange: Exchange, connection: Connection, provider_ref: str, part: Part, number: int
    ) -> SavedBlob:
        return await operations.download(self._engine, connection, provider_ref, part, number)

    async def audit_trail(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> tuple[AuditRecord, ...]:
        return await operations.audit_trail(self._engine, connection, provider_ref)

    # -- recipients ---------------------------------------------------------------------------------------

    async def resend(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipients: tuple[Recipient, ...],
        note: str,
    ) -> None:
        await operations.ask_again(self._engine, connection, provider_ref, recipients, note)

    async def correct_recipient(
        self, exchange: Exchange, connection: Connection, provider_ref: str, correction: RecipientCorrection
    ) -> None:
        await operations.correct_recipient(self._engine, connection, provider_ref, correction)

    async def signing_url(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipient: Recipient,
        return_url: str,
        origins: tuple[str, ...] = (),
    ) -> str:
        return await operations.signing_url(
            self._engine, connection, provider_ref, recipient, return_url, origins
        )

    # -- webhooks -----------------------------------------------------------------------------------------

    def verify(self, request: RawRequest, connection: Connection) -> Verdict:
        return inbound.verify(request)

    def challenge(self, request: RawRequest, connection: Connection) -> Reply:
        return inbound.challenge()

    def acknowledge(self, request: RawRequest, connection: Connection, verdict: Verdict) -> Reply:
        return inbound.acknowledge()

    def parse(self, body: bytes) -> tuple[ProviderEvent, ...]:
        return inbound.parse(body)
