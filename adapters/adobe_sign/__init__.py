"""Adobe Acrobat Sign: the adapter as the rest of the house sees it. Thin: every method is told elsewhere.

Must never do more than hand on. Source: see README.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from adapters.adobe_sign import authorize as authorization
from adapters.adobe_sign import credentials, errors, inbound, losses, operations, webhook_check
from adapters.adobe_sign.capabilities import CAPABILITIES, LIMITS
from adapters.adobe_sign.credentials import Credentials
from adapters.kit.exchange import Exchange, ProviderResponse, SavedBlob
from adapters.kit.port import (
    Adapter,
    Authorization,
    ChangePage,
    Connection,
    Created,
    CredentialField,
    CredentialHealth,
    Decision,
    Part,
    RawRequest,
    RecipientCorrection,
    Reply,
    SandboxSpec,
    SendMode,
    Verdict,
    WebhookFinding,
)
from normalizer.envelope import AuditRecord, Degradation, Envelope, EnvelopeReport
from normalizer.events import ProviderEvent
from normalizer.recipient import Recipient


class AdobeSign:
    name = losses.NAME
    title = "Adobe Acrobat Sign"
    webhook_path = "adobe-sign"
    capabilities = CAPABILITIES
    limits = LIMITS
    sandbox = SandboxSpec("adapters.adobe_sign.sandbox")
    credential_fields: tuple[CredentialField, ...] = credentials.CREDENTIAL_FIELDS
    settings_prefix = "ADOBESIGN_"

    def decode_credentials(self, raw: bytes) -> Credentials:
        return credentials.decode_credentials(raw)

    def credentials_from_settings(self, settings: Mapping[str, str]) -> bytes | None:
        return credentials.credentials_from_settings(settings)

    def account_key(self, connection: Connection) -> str:
        return credentials.account_key(connection)

    def allowed_host(self, host: str, connection: Connection) -> bool:
        return credentials.allowed_host(host, connection)

    def authorization_headers(self, authorization: Authorization) -> tuple[tuple[str, str], ...]:
        return (("Authorization", f"Bearer {authorization.token.reveal()}"),)

    def classify(self, operation: str, response: ProviderResponse) -> Decision:
        return errors.classify(operation, response)

    def limit_headers(self, response: ProviderResponse) -> tuple[int, float] | None:
        """The provider has no such headers: it only says how long to wait once it throttles."""
        return None

    def check(self, connection: Connection, envelope: Envelope) -> Sequence[Degradation]:
        return losses.check_envelope(connection, envelope)

    async def authorize(self, exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
        return await authorization.authorize(exchange, connection, now)

    async def create_envelope(
        self, exchange: Exchange, connection: Connection, envelope: Envelope, mode: SendMode, now: datetime
    ) -> Created:
        return await operations.create_envelope(exchange, connection, envelope, mode, now)

    async def send_draft(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport:
        return await operations.send_draft(exchange, connection, provider_ref)

    async def discard_draft(self, exchange: Exchange, connection: Connection, provider_ref: str) -> None:
        await operations.discard_draft(exchange, connection, provider_ref)

    async def find_envelopes(
        self, exchange: Exchange, connection: Connection, reference: str, since: datetime
    ) -> tuple[EnvelopeReport, ...]:
        """`since` has no effect: the provider finds a reference whatever its age."""
        return await operations.find_envelopes(exchange, connection, reference)

    async def get_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport:
        return await operations.get_envelope(exchange, connection, provider_ref)

    async def list_changes(
        self, exchange: Exchange, connection: Connection, since: datetime, cursor: str
    ) -> ChangePage:
        return await operations.list_changes(exchange, connection, since, cursor)

    async def void_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str, reason: str
    ) -> EnvelopeReport:
        return await operations.void_envelope(exchange, connection, provider_ref, reason)

    async def resend(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipients: tuple[Recipient, ...],
        note: str,
    ) -> None:
        await operations.resend(exchange, connection, provider_ref, recipients, note)

    async def correct_recipient(
        self, exchange: Exchange, connection: Connection, provider_ref: str, correction: RecipientCorrection
    ) -> None:
        await operations.correct_recipient(exchange, connection, provider_ref, correction)

    async def download(
        self, exchange: Exchange, connection: Connection, provider_ref: str, part: Part, number: int
    ) -> SavedBlob:
        return await operations.download(exchange, connection, provider_ref, part, number)

    async def audit_trail(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> tuple[AuditRecord, ...]:
        return await operations.audit_trail(exchange, connection, provider_ref)

    async def signing_url(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipient: Recipient,
        return_url: str,
        origins: tuple[str, ...] = (),
    ) -> str:
        """The provider has no return address per URL, so `return_url` has no effect (README.md)."""
        return await operations.signing_url(exchange, connection, provider_ref, recipient)

    async def check_credentials(self, exchange: Exchange, connection: Connection) -> CredentialHealth:
        return await authorization.check_credentials(exchange, connection)

    def idle_limit(self, connection: Connection) -> timedelta | None:
        return credentials.idle_limit(connection)

    async def check_webhooks(
        self, exchange: Exchange, connection: Connection, open_refs: Sequence[str]
    ) -> tuple[WebhookFinding, ...]:
        return await webhook_check.check_webhooks(exchange, connection, open_refs)

    async def repair_webhooks(
        self, exchange: Exchange, connection: Connection, findings: Sequence[WebhookFinding]
    ) -> tuple[WebhookFinding, ...]:
        return await webhook_check.repair_webhooks(exchange, connection, findings)

    def verify(self, request: RawRequest, connection: Connection) -> Verdict:
        return inbound.verify(request, connection)

    def challenge(self, request: RawRequest, connection: Connection) -> Reply:
        return inbound.challenge(request, connection)

    def acknowledge(self, request: RawRequest, connection: Connection, verdict: Verdict) -> Reply:
        return inbound.acknowledge(connection, verdict)

    def parse(self, body: bytes) -> tuple[ProviderEvent, ...]:
        return inbound.parse(body)


ADAPTER: Adapter = AdobeSign()
