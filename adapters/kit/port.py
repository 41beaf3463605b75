"""The port: what a provider's folder must declare, in MUST and MAY.

A folder `adapters/<name>/` exposes `ADAPTER: Adapter` in its __init__. Everything else finds it there: the
registry, the conformance suite, the settings, the capability table. Adding a provider edits nothing else.
Must never be given a database, a queue or a web framework: operations get an Exchange, inbound gets bytes.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec

from adapters.kit.exchange import Exchange, ProviderResponse, SavedBlob
from config.secret import Secret
from normalizer.capabilities import Capabilities
from normalizer.envelope import AuditRecord, Degradation, Envelope, EnvelopeReport
from normalizer.events import ProviderEvent
from normalizer.recipient import Recipient


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's account at a provider, ready for use. `credentials` is the adapter's own struct, decoded
    from the vault. `webhook_url` is where this provider must post for this connection; empty: no webhooks.
    `webhook_keys` are all live inbound keys. `max_document_bytes` and `poll_interval_s` 0: the adapter's own limits.
    `version` moves with every change, and tokens belong to one version: they lead to the account they were made for.
    """

    id: str
    tenant_id: str
    version: int = 0
    credentials: Any
    webhook_url: str = ""
    webhook_keys: tuple[Secret, ...] = ()
    max_document_bytes: int = 0
    poll_interval_s: int = 0
    allow_loopback: bool = False


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What the executor puts on requests and caches per connection, single-flight, until shortly before
    `expires_at`. `api_base` ends without a slash; relative paths are appended to it.
    """

    token: Secret
    expires_at: datetime
    api_base: str


class SendMode(StrEnum):
    SEND = "send"  # create and send at once
    DRAFT = "draft"  # create only; a later send_draft sends


class Created(msgspec.Struct, frozen=True):
    """`report.status` DRAFT, PROCESSING or SENT, as the provider says."""

    provider_ref: str
    report: EnvelopeReport


class ChangePage(msgspec.Struct, frozen=True):
    """`cursor` empty: no more pages."""

    reports: tuple[EnvelopeReport, ...]
    cursor: str = ""


class Part(StrEnum):
    """What to download. DOCUMENT needs a document number (1-based order in the envelope)."""

    COMBINED = "combined"
    DOCUMENT = "document"
    CERTIFICATE = "certificate"


class RecipientCorrection(msgspec.Struct, frozen=True, kw_only=True):
    """What changes for one recipient of an envelope in flight; empty stays as it is."""

    recipient: Recipient
    name: str = ""
    email: str = ""


class CredentialHealth(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    detail: str


class DecisionKind(StrEnum):
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    THROTTLED = "throttled"
    AUTH_EXPIRED = "auth_expired"  # refresh the token once and repeat
    AUTH_FAILED = "auth_failed"
    BASE_MOVED = "base_moved"  # the account lives on another host now: authorize again and repeat
    UNKNOWN = "unknown"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What an error answer means, from the adapter's errors.toml. `code` is ours, e.g. "not_found",
    "state_conflict", "validation", "permission", "quota". `per_object`: throttled for this one object; the
    rest of the account may go on.
    """

    kind: DecisionKind
    code: str = ""
    provider_code: str = ""
    detail: str = ""
    retry_after_s: float = 0.0
    per_object: bool = False


class RawRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A post as it came in: exact bytes, header names lower case, repeated names kept in order."""

    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Verdict(msgspec.Struct, frozen=True):
    """`key_index`: which of the connection's keys matched, -1 when none. `reason` is safe to log. `scheme`: by what
    kind of proof, e.g. "hmac_sha256". `account`: whose the connection is at the provider; "" when it does not know.
    """

    authentic: bool
    key_index: int
    reason: str
    scheme: str = ""
    account: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds between look-ups of one object that the provider tolerates, and calls per window as defaults
    until its headers say better.
    """

    min_poll_interval_s: float
    calls_per_hour: int
    burst_calls: int
    burst_window_s: float


class SandboxSpec(msgspec.Struct, frozen=True):
    """`module` is run with `python -m`; it prints one JSON line {"name","url","credentials"} when ready."""

    module: str


class CredentialField(msgspec.Struct, frozen=True):
    """One credential, for the administrators' API and console."""

    name: str
    meaning: str
    secret: bool = False
    required: bool = True


class Adapter(Protocol):
    """One provider. Operations MUST be coroutines that only await `exchange`; they MUST call
    `exchange.learned(ref)` as soon as a create answered; they MUST NOT catch Interruption except to
    translate a documented code. Mapping tables MUST be total.
    """

    name: str  # "docusign"; also the segment of the inbound path
    title: str  # "DocuSign"
    webhook_path: str  # "docusign", "adobe-sign"
    capabilities: Capabilities
    limits: Limits
    credential_fields: tuple[CredentialField, ...]
    settings_prefix: str  # "DOCUSIGN_"

    @property
    def sandbox(self) -> SandboxSpec | None:
        """None: it runs in this process, and nothing is to be started."""

    def decode_credentials(self, raw: bytes) -> Any:
        """The adapter's own frozen credentials struct, from JSON. Raises ValidationFailed."""

    def credentials_from_settings(self, settings: Mapping[str, str]) -> bytes | None:
        """JSON credentials from the provider's design settings (names without prefix), or None when unset."""

    def account_key(self, connection: Connection) -> str:
        """What breaker and limiter are kept by, besides the provider: the account at the provider."""

    def allowed_host(self, host: str, connection: Connection) -> bool:
        """Whether requests may go to this host: the provider's own, or one that the connection names."""

    def authorization_headers(self, authorization: Authorization) -> tuple[tuple[str, str], ...]: ...

    def classify(self, operation: str, response: ProviderResponse) -> Decision:
        """What a response outside `accept` means, by the provider's error code first and status second."""

    def limit_headers(self, response: ProviderResponse) -> tuple[int, float] | None:
        """(calls remaining, seconds until the window resets) from the response's headers, if it says so."""

    def check(self, connection: Connection, envelope: Envelope) -> Sequence[Degradation]:
        """Degradations that this envelope would get. Raises
        UnsupportedFeature. Includes check_capabilities and the provider's own limits.
        """

    async def authorize(self, exchange: Exchange, connection: Connection, now: datetime) -> Authorization: ...

    async def create_envelope(
        self, exchange: Exchange, connection: Connection, envelope: Envelope, mode: SendMode, now: datetime
    ) -> Created: ...

    async def send_draft(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport: ...

    async def discard_draft(self, exchange: Exchange, connection: Connection, provider_ref: str) -> None: ...

    async def find_envelopes(
        self, exchange: Exchange, connection: Connection, reference: str, since: datetime
    ) -> tuple[EnvelopeReport, ...]:
        """Every envelope at the provider that carries our reference, drafts too."""

    async def get_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> EnvelopeReport: ...

    async def list_changes(
        self, exchange: Exchange, connection: Connection, since: datetime, cursor: str
    ) -> ChangePage: ...

    async def void_envelope(
        self, exchange: Exchange, connection: Connection, provider_ref: str, reason: str
    ) -> EnvelopeReport: ...

    async def resend(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipients: tuple[Recipient, ...],
        note: str,
    ) -> None:
        """Asks again everybody whose turn it is; with `recipients`, only those."""

    async def correct_recipient(
        self, exchange: Exchange, connection: Connection, provider_ref: str, correction: RecipientCorrection
    ) -> None: ...

    async def download(
        self, exchange: Exchange, connection: Connection, provider_ref: str, part: Part, number: int
    ) -> SavedBlob: ...

    async def audit_trail(
        self, exchange: Exchange, connection: Connection, provider_ref: str
    ) -> tuple[AuditRecord, ...]: ...

    async def signing_url(
        self,
        exchange: Exchange,
        connection: Connection,
        provider_ref: str,
        recipient: Recipient,
        return_url: str,
        origins: tuple[str, ...] = (),
    ) -> str:
        """The address by which an embedded recipient signs now. `origins` are those that may frame it; they
        MUST be () unless the capability frame_origins is there.
        """
        ...

    async def check_credentials(self, exchange: Exchange, connection: Connection) -> CredentialHealth: ...

    def verify(self, request: RawRequest, connection: Connection) -> Verdict:
        """Whether these exact bytes come from the provider. No default: MUST fail closed without a key."""

    def challenge(self, request: RawRequest, connection: Connection) -> Reply:
        """The answer to the provider's GET that asks whether we want its webhooks."""

    def acknowledge(self, request: RawRequest, connection: Connection, verdict: Verdict) -> Reply:
        """The provider's own form of 2xx for an authentic post, and of refusal for any other."""

    def parse(self, body: bytes) -> tuple[ProviderEvent, ...]:
        """The events of an authentic post; () for a kind that we do not act on. Raises PayloadMalformed."""


@runtime_checkable
class InProcess(Protocol):
    """A provider that runs in this process: it declares facts as it is found, and acts once it is bound.

    Operations of an unbound one MUST fail loudly. `bind` MUST return a new adapter, and MUST raise TypeError for
    a host that it does not run on; the composition root knows what each needs.
    """

    def bind(self, host: object) -> Adapter: ...


class WebhookFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with how the provider tells us of changes. `code` is the finding's name for
    machines ("inactive", "missing", "points_elsewhere", "unsigned", "unacknowledged", "undelivered" ...), `says`
    tells people what it is and what to do. `ref` is the provider's id of what is wrong, when it has one;
    `provider_refs` are envelopes that it concerns. `repairable`: `repair_webhooks` knows how.
    """

    code: str
    says: str
    ref: str = ""
    provider_refs: tuple[str, ...] = ()
    repairable: bool = False


@runtime_checkable
class WebhookAdministration(Protocol):
    """Optional: a provider whose webhook configuration can be read and mended through its API.

    Only what leads to `connection.webhook_url`, or was made by us for another address, MAY be found or changed;
    other people's registrations at the same account MUST be left alone.
    """

    async def check_webhooks(
        self, exchange: Exchange, connection: Connection, open_refs: Sequence[str]
    ) -> tuple[WebhookFinding, ...]:
        """What is wrong now; () when all is well. `open_refs`: envelopes of ours that are not at their end. MUST
        change nothing.
        """
        ...

    async def repair_webhooks(
        self, exchange: Exchange, connection: Connection, findings: Sequence[WebhookFinding]
    ) -> tuple[WebhookFinding, ...]:
        """Mends what is repairable and returns what was mended. Mending twice MUST be harmless. One that cannot
        be mended MUST NOT keep the others from it.
        """
        ...


@runtime_checkable
class ExpiringGrant(Protocol):
    """Optional: a provider whose credentials die when they are not used for long."""

    def idle_limit(self, connection: Connection) -> timedelta | None:
        """How long these credentials live without use; None: for ever."""
        ...


class BlobSource(Protocol):
    """Where the executor reads and keeps documents; config.blobs bound to one tenant."""

    def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        """The document from that byte on. A part of a large one must not cost what lies before it."""
        ...

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        """(key, sha256 hex, size in bytes). Leaves nothing behind when the iterator raises."""
