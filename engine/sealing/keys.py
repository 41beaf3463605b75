"""Which key seals for a tenant, and which signs for a person; and that an expired one never does.

The port is what a certificate store implements. Here are the key of the installation's settings, and the one
that development makes for itself.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.settings import Settings
from engine.development.authority_keys import open_authority
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.signer import LocalKey, SealingKey, load_local_key


class SealingKeys(Protocol):
    """Both raise SealingFailed(CERTIFICATE_MISSING) when there is none. The caller checks the validity.

    `key_for_signer` MUST be that person's own and nobody else's: a key that the house uses for several people
    makes no advanced signature.
    """

    async def key_for_seal(self, tenant_id: UUID) -> SealingKey: ...

    async def key_for_signer(self, tenant_id: UUID, engine_id: UUID, recipient_id: UUID) -> SealingKey: ...


class InstallationKeys:
    """One certificate for every tenant, from the settings' files; in development one that is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def key_for_seal(self, tenant_id: UUID) -> SealingKey:
        sealing = self._settings.sealing
        if sealing.certificate_file is not None and sealing.key_file is not None:
            password = sealing.key_password.reveal().encode() if sealing.key_password else None
            return _load(sealing.certificate_file, sealing.key_file, password)
        if self._settings.is_production:
            raise SealingFailed(
                SealTrouble.CERTIFICATE_MISSING, "[sealing] certificate_file and key_file are not set"
            )
        return development_key(self._settings)

    async def key_for_signer(self, tenant_id: UUID, engine_id: UUID, recipient_id: UUID) -> SealingKey:
        raise SealingFailed(SealTrouble.CERTIFICATE_MISSING, "the recipient has no certificate of their own")


def development_folder(settings: Settings) -> Path:
    """Where the development authority keeps its keys: the same for every process of this data folder."""
    return settings.countersign.data_dir.absolute() / "authority"


def development_key(settings: Settings) -> SealingKey:
    """Read anew each time: the authority may have issued another certificate meanwhile."""
    authority = open_authority(development_folder(settings), mode=settings.countersign.mode)
    issuers = (authority.issuing.certificate, authority.root.certificate)
    return LocalKey(authority.seal.certificate, issuers, authority.seal.key)


def check_validity(key: SealingKey, now: datetime) -> None:
    """Raises SealingFailed for a certificate that is not valid now or must not sign documents."""
    certificate = key.certificate
    if now >= certificate.not_valid_after_utc:
        end = certificate.not_valid_after_utc.date()
        raise SealingFailed(SealTrouble.CERTIFICATE_EXPIRED, f"the certificate expired on {end}")
    if now < certificate.not_valid_before_utc:
        raise SealingFailed(SealTrouble.CERTIFICATE_UNSUITABLE, "the certificate is not valid yet")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not (usage.digital_signature or usage.content_commitment):
        raise SealingFailed(SealTrouble.CERTIFICATE_UNSUITABLE, "the certificate is not for signatures")


def tells_its_status(certificates: Sequence[Any]) -> bool:
    """Whether every certificate but a root says where its revocation is answered or listed (asn1crypto's)."""
    return all(
        one.self_signed in {"yes", "maybe"} or one.ocsp_urls or one.crl_distribution_points
        for one in certificates
    )


def chain_of(key: SealingKey) -> list[Any]:
    """The certificate and its issuers as asn1crypto has them."""
    return [
        asn1_x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in (key.certificate, *key.issuers)
    ]


@cache
def _load(certificate_file: Path, key_file: Path, password: bytes | None) -> LocalKey:
    return load_local_key(certificate_file, key_file, password)
