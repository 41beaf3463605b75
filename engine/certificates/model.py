"""A certificate as it is stored, and what is said of it. The private key is in neither."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from config.vault import Place


class Purpose(StrEnum):
    SEAL = "seal"
    SIGN = "sign"


class KeyLocation(StrEnum):
    VAULT = "vault"
    PKCS11 = "pkcs11"
    CSC = "csc"


class RevocationStatus(StrEnum):
    """`unknown`: nobody was asked, or nobody answered."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class StoredCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `user_id` empty: the tenant's own. `encrypted_private_key` opens in its own row only."""

    tenant_id: UUID
    id: UUID
    user_id: str
    purpose: Purpose
    label: str
    contact_email: str
    is_preferred: bool
    certificate_pem: bytes
    chain_pem: bytes
    key_location: KeyLocation
    encrypted_private_key: bytes
    not_valid_before: datetime
    not_valid_after: datetime
    revoked: bool
    revoked_at: datetime | None
    revocation_reason: str | None
    alarms_given: tuple[int, ...]
    created_at: datetime

    def __repr__(self) -> str:
        return f"StoredCertificate({self.id})"

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_pem)

    @property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        return tuple(x509.load_pem_x509_certificates(self.chain_pem)) if self.chain_pem else ()


class CertificateInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The design's keys. `serial_number` is decimal."""

    serial_number: str
    subject_name: str
    issuer_name: str
    not_valid_before: datetime
    not_valid_after: datetime
    public_key_algorithm: str
    signature_algorithm: str
    key_usage: tuple[str, ...]
    is_valid: bool
    revocation_status: RevocationStatus
    thumbprint_sha256: str


def describe(
    stored: StoredCertificate, now: datetime, status: RevocationStatus = RevocationStatus.UNKNOWN
) -> CertificateInfo:
    """`status` is what the issuer says; what was revoked here is revoked whatever it says."""
    certificate = stored.certificate
    return CertificateInfo(
        serial_number=str(certificate.serial_number),
        subject_name=common_name(certificate.subject),
        issuer_name=common_name(certificate.issuer),
        not_valid_before=certificate.not_valid_before_utc,
        not_valid_after=certificate.not_valid_after_utc,
        public_key_algorithm=key_algorithm(certificate),
        signature_algorithm=certificate.signature_algorithm_oid._name,  # noqa: SLF001 - the library's only name
        key_usage=key_usages(certificate),
        is_valid=not stored.revoked and stored.not_valid_before <= now < stored.not_valid_after,
        revocation_status=RevocationStatus.REVOKED if stored.revoked else status,
        thumbprint_sha256=thumbprint(certificate),
    )


def common_name(name: x509.Name) -> str:
    """The common name, or the whole name of one that has none."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def key_algorithm(certificate: x509.Certificate) -> str:
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits):
            return f"RSA-{bits}"
        case ec.EllipticCurvePublicKey(curve=curve):
            return f"EC-{curve.name}"
    return "unknown"


def key_usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    named = {
        "digital_signature": usage.digital_signature,
        "non_repudiation": usage.content_commitment,
        "key_encipherment": usage.key_encipherment,
        "data_encipherment": usage.data_encipherment,
        "key_agreement": usage.key_agreement,
        "key_cert_sign": usage.key_cert_sign,
        "crl_sign": usage.crl_sign,
    }
    return tuple(name for name, is_set in named.items() if is_set)


def thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_place(certificate_id: UUID) -> Place:
    return Place("certificates", "encrypted_private_key", certificate_id)
