"""Every setting as a frozen struct: what may be configured, its type, range and default.

The meaning of each stands in defaults.toml, which a test compares with this module. Values come from TOML
files and the environment (`config.settings_source.load_settings`); a name that is not here is a start-up
error.
The sections signature, docusign and adobesign follow the design documents, section 9.1.
Must never read a file or the environment itself, and never hold a secret as plain text.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from config.secret import Secret
from config.settings_access import AccessSettings
from config.settings_documents import DocumentSettings
from config.settings_endpoints import EndpointSettings, RetentionSettings
from config.settings_inbox import InboxSettings
from config.settings_notices import MailSettings, NoticeSettings, SmsSettings
from config.settings_sealing import SealingSettings
from config.settings_signing import SigningSettings
from config.settings_spool import SpoolSettings
from config.settings_sweep import SweepSettings
from config.settings_verification import CertificateSettings, VerificationSettings

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Delays = Annotated[tuple[Annotated[float, msgspec.Meta(ge=0, le=604_800)], ...], msgspec.Meta(max_length=50)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=1024, le=2**31)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]

DAY_S = 86_400.0


class Mode(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ProviderEnvironment(StrEnum):
    PRODUCTION = "production"
    DEMO = "demo"


class GeneralSettings(msgspec.Struct, frozen=True, kw_only=True):
    mode: Mode = Mode.DEVELOPMENT
    public_base_url: str = "http://127.0.0.1:8400"
    data_dir: Path = Path(".countersign")
    blob_url: str | None = None
    master_key_file: Path | None = None
    master_key: Secret | None = None
    api_key: Secret | None = None
    loopback_allow_list: tuple[str, ...] = ()
    log_level: LogLevel = LogLevel.INFO


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    url: Secret | None = None
    owner_url: Secret | None = None
    hub_url: Secret | None = None
    pool_size: Count = 10
    acquire_timeout_s: Seconds = 10.0
    connect_timeout_s: Seconds = 10.0
    statement_timeout_s: Seconds = 30.0


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    url: Secret | None = None


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 8400
    workers: Count = 1
    body_bytes: Bytes = 1_048_576
    wait_s: Seconds = 30.0
    grace_s: Seconds = 30.0
    trusted_proxies: tuple[str, ...] = ()


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    requests_per_minute: Count = 600
    requests_burst: Count = 100
    inbound_per_minute: Count = 6000
    document_bytes: Bytes = 52_428_800
    documents_per_envelope: Count = 20
    recipients_per_envelope: Count = 100
    fields_per_envelope: Count = 2000
    endpoints_per_tenant: Count = 100


class IdempotencySettings(msgspec.Struct, frozen=True, kw_only=True):
    retention_s: Annotated[float, msgspec.Meta(ge=DAY_S)] = 7 * DAY_S
    claim_s: Seconds = 300.0


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    deadline_s: Seconds = 120.0
    look_up_delays_s: Delays = (30.0, 120.0, 600.0, 1800.0)
    sweep_every_s: Seconds = 10.0
    catch_up_after_s: Seconds = 3600.0


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    connect_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 30.0
    write_timeout_s: Seconds = 30.0
    pool_timeout_s: Seconds = 10.0
    total_timeout_s: Seconds = 120.0
    connections: Count = 32
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    breaker_failures: Count = 10
    breaker_window_s: Seconds = 60.0
    breaker_pause_s: Seconds = 30.0


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True):
    in_flight: Count = 256
    in_flight_per_tenant: Count = 128
    batch_size: Count = 64
    lease_s: Seconds = 60.0
    sweep_every_s: Seconds = 2.0
    connect_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 30.0
    total_timeout_s: Seconds = 30.0
    response_bytes: Bytes = 65_536
    default_schedule_delays_s: Delays = (1.0, 2.0, 4.0)
    standard_schedule_delays_s: Delays = (
        5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0,
    )  # fmt: skip
    jitter: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.2
    retry_after_cap_s: Seconds = 36_000.0


class SignatureSettings(msgspec.Struct, frozen=True, kw_only=True):
    default_provider: str = "docusign"
    default_expiration_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 30
    default_reminder_frequency_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 3
    require_part11_signatures: bool = False
    require_mfa_for_signatures: bool = True
    allow_self_signed_certs: bool = False
    certificate_key_size: Annotated[int, msgspec.Meta(ge=2048, le=8192)] = 2048
    audit_retention_days: Annotated[int, msgspec.Meta(ge=1)] = 2555
    blockchain_anchoring_enabled: bool = False


class DocuSignSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The default connection at this provider, when all of its required settings are given."""

    enabled: bool = True
    integration_key: str | None = None
    user_id: str | None = None
    account_id: str | None = None
    private_key_path: Path | None = None
    environment: ProviderEnvironment = ProviderEnvironment.PRODUCTION
    webhook_url: str | None = None
    webhook_secret: Secret | None = None

    REQUIRED = (
        "integration_key",
        "user_id",
        "account_id",
        "private_key_path",
        "webhook_url",
        "webhook_secret",
    )


class AdobeSignSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The default connection at this provider, when all of its required settings are given."""

    enabled: bool = True
    client_id: str | None = None
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    api_access_point: str = "https://api.na1.adobesign.com"
    webhook_url: str | None = None

    REQUIRED = ("client_id", "client_secret", "refresh_token", "webhook_url")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    countersign: GeneralSettings = GeneralSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    http: HttpSettings = HttpSettings()
    limit: LimitSettings = LimitSettings()
    document: DocumentSettings = DocumentSettings()
    idempotency: IdempotencySettings = IdempotencySettings()
    inbox: InboxSettings = InboxSettings()
    dispatch: DispatchSettings = DispatchSettings()
    sweep: SweepSettings = SweepSettings()
    provider: ProviderSettings = ProviderSettings()
    delivery: DeliverySettings = DeliverySettings()
    endpoint: EndpointSettings = EndpointSettings()
    retention: RetentionSettings = RetentionSettings()
    signature: SignatureSettings = SignatureSettings()
    docusign: DocuSignSettings = DocuSignSettings()
    adobesign: AdobeSignSettings = AdobeSignSettings()
    access: AccessSettings = AccessSettings()
    signing: SigningSettings = SigningSettings()
    sealing: SealingSettings = SealingSettings()
    notices: NoticeSettings = NoticeSettings()
    mail: MailSettings = MailSettings()
    sms: SmsSettings = SmsSettings()
    spool: SpoolSettings = SpoolSettings()
    verification: VerificationSettings = VerificationSettings()
    certificates: CertificateSettings = CertificateSettings()

    @property
    def is_production(self) -> bool:
        return self.countersign.mode is Mode.PRODUCTION

    @property
    def uses_embedded_stores(self) -> bool:
        """Whether the stores are ours to start: neither database nor Redis is named."""
        return self.database.url is None and self.redis.url is None


# What stands before a setting's name in the environment, per section.
ENVIRONMENT_PREFIXES = {
    "countersign": "COUNTERSIGN_",
    "database": "DATABASE_",
    "redis": "REDIS_",
    "http": "COUNTERSIGN_HTTP_",
    "limit": "COUNTERSIGN_LIMIT_",
    "document": "COUNTERSIGN_DOCUMENT_",
    "idempotency": "COUNTERSIGN_IDEMPOTENCY_",
    "inbox": "COUNTERSIGN_INBOX_",
    "dispatch": "COUNTERSIGN_DISPATCH_",
    "sweep": "COUNTERSIGN_SWEEP_",
    "provider": "COUNTERSIGN_PROVIDER_",
    "delivery": "COUNTERSIGN_DELIVERY_",
    "endpoint": "COUNTERSIGN_ENDPOINT_",
    "retention": "COUNTERSIGN_RETENTION_",
    "signature": "SIGNATURE_",
    "docusign": "DOCUSIGN_",
    "adobesign": "ADOBESIGN_",
    "access": "COUNTERSIGN_ACCESS_",
    "signing": "COUNTERSIGN_SIGNING_",
    "sealing": "COUNTERSIGN_SEALING_",
    "notices": "COUNTERSIGN_NOTICES_",
    "mail": "COUNTERSIGN_MAIL_",
    "sms": "COUNTERSIGN_SMS_",
    "spool": "COUNTERSIGN_SPOOL_",
    "verification": "COUNTERSIGN_VERIFICATION_",
    "certificates": "COUNTERSIGN_CERTIFICATES_",
}
