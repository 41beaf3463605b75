"""The DocuSign adapter: the port, each member handed to the module that does it.

Must never hold state of a tenant; what is kept is which identity checks an account offers (identity.py).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from adapters.docusign import auth, connect_check, inbound, operations, people, troubles
from adapters.docusign import credentials as accounts
from adapters.docusign.capabilities import CAPABILITIES, LIMITS, NAME, check
from adapters.docusign.credentials import CREDENTIAL_FIELDS, Credentials, credentials_of
from adapters.docusign.identity import WorkflowMemory
from adapters.kit.exchange import Exchange, ProviderResponse, SavedBlob
from adapters.kit.port import (
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


class DocuSign:
    name = NAME
    title = "DocuSign"
    webhook_path = "docusign"
    capabilities = CAPABILITIES
    limits = LIMITS
    sandbox = SandboxSpec("adapters.docusign.sandbox")
    credential_fields: tuple[CredentialField, ...] = CREDENTIAL_FIELDS
    settings_prefix = "DOCUSIGN_"

    def __init__(self) -> None:
        self._workflows = WorkflowMemory()

    # -- the connection -----------------------------------------------------------------------------------

    def decode_credentials(self, raw: bytes) -> Credentials:
        return accounts.decode_credentials(raw)

    def credentials_from_settings(self, settings: Mapping[str, str]) -> bytes | None:
        return accounts.credentials_from_settings(settings)

    def account_key(self, connection: Connection) -> str:
        credentials = credentials_of(connection)
        account = credentials.account_id or credentials.user_id
        return f"{credentials.api_url or credentials.oauth_url}|{account}"

    def allowed_host(self, host: str, connection: Connection) -> bool:
        return accounts.is_allowed_host(host, connection)

    def authorization_headers(self, authorization: Authorization) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {authorization.token.reveal()}"),)

    async def authorize(self, exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
        return await auth.authorize(exchange, connection, now)

    async def check_credentials(self, exchange: Exchange, connection: Connection) -> CredentialHealth:
        return await operations.check_credentials(exchange, connection)

    # -- errors and limits --------------------------------------------------------------------------------

    def classify(self, operation: str, response: ProviderResponse) -> Decision:
        return troubles.classify(operation, response)

    def limit_headers(self, response: ProviderResponse) -> tuple[int, float] | None:
        return troubles.limit_headers(response)

    def check(self, connection: Connection, envelope: Envelope) -> Sequence[Degradation]:
        return check(connection, envelope)

    # -- envelopes ----------------------------------------------------------------------------------------

    async def create_envelope(
        self, exchange: Exchange, connection: Connection, envelope: Envelope, mode: SendMode, now: datetime
    ) -> Created:
        account = self.account_key(connection)
        workflows = await self._workflows.workflows_for(exchange, account, envelope, now)
        return await operations.create_envelope(exchange, connection, envelope, mode, now, workflows)

    async def send_draft(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport:
        return await operations.send_draft(exchange, provider_ref)

    async def discard_draft(self, exchange: Exchange, connection: Connection, provider_ref: str) -> None:
        await operations.discard_draft(exchange, provider_ref)

    async def find_envelopes(
        self, exchange: Exchange, connection: Connection, reference: str, since: datetime
    ) -> tuple[EnvelopeReport, ...]:
        return await operations.find_envelopes(exchange, reference, since)

    async def get_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport:
        return await operations.get_envelope(exchange, provider_ref)

    async def list_changes(
        self, exchange: Exchange, connection: Connection, since: datetime, cursor: str
    ) -> ChangePage:
        return await operations.list_changes(exchange, since, cursor)

    async def void_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str, reason: str
    ) -> EnvelopeReport:
        return await operations.void_envelope(exchange, provider_ref, reason)

    async def download(
        self, exchange: Exchange, connection: Connection, provider_ref: str, part: Part, number: int
    ) -> SavedBlob:
        return await operations.download(exchange, provider_ref, part, number)

    async def audit_trail(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> tuple[AuditRecord, ...]:
        return await operations.audit_trail(exchange, provider_ref)

    # -- recipients ---------------------------------------------------------------------------------------

    async def resend(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipients: tuple[Recipient, ...],
        note: str,
    ) -> None:
        await people.resend(exchange, provider_ref, recipients, note)

    async def correct_recipient(
        self, exchange: Exchange, connection: Connection, provider_ref: str, correction: RecipientCorrection
    ) -> None:
        await people.correct_recipient(exchange, provider_ref, correction)

    async def signing_url(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipient: Recipient,
        return_url: str,
        origins: tuple[str, ...] = (),
    ) -> str:
        return await people.signing_url(exchange, provider_ref, recipient, return_url)

    # -- webhooks -----------------------------------------------------------------------------------------

    async def check_webhooks(
        self, exchange: Exchange, connection: Connection, open_refs: Sequence[str]
    ) -> tuple[WebhookFinding, ...]:
        return await connect_check.check_webhooks(exchange, connection, open_refs)

    async def repair_webhooks(
        self, exchange: Exchange, connection: Connection, findings: Sequence[WebhookFinding]
    ) -> tuple[WebhookFinding, ...]:
        return await connect_check.repair_webhooks(exchange, findings)

    def verify(self, request: RawRequest, connection: Connection) -> Verdict:
        return inbound.verify(request, connection)

    def challenge(self, request: RawRequest, connection: Connection) -> Reply:
        return inbound.refuse_challenge()

    def acknowledge(self, request: RawRequest, connection: Connection, verdict: Verdict) -> Reply:
        return inbound.acknowledge(verdict)

    def parse(self, body: bytes) -> tuple[ProviderEvent, ...]:
        return inbound.parse(body)
