"""Reads what somebody imports (PEM, or PKCS#12 with its passphrase) and refuses what must not sign.

The key is compared with the certificate here, once: whoever signs later need not. Must never keep a passphrase,
and never say more of a key than that it does not fit.
Source: RFC 5280 sections 4.2.1.3, 4.2.1.9, 4.2.1.12; ETSI TS 119 312 (key sizes).
"""

from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from config.settings import SignatureSettings
from engine.certificates.model import key_usages
from normalizer.errors import Finding, ValidationFailed

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_WEAK_HASHES = {"md5", "sha1"}
# Purposes that exclude signing documents when nothing else is named.
_OTHER_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.OCSP_SIGNING,
}
_MOST_ISSUERS = 10


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """`issuers` nearest first. `private_key` None: it lies elsewhere. Does not show it."""

    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...] = ()
    private_key: PrivateKey | None = None

    def __repr__(self) -> str:
        return f"Material({self.certificate.subject.rfc4514_string()})"

    def key_bytes(self) -> bytes:
        """PKCS#8, to be encrypted at once."""
        if self.private_key is None:
            raise ValueError("the key lies elsewhere")
        return self.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def read_pem(certificate: bytes, private_key: bytes | None, passphrase: bytes | None) -> Material:
    """The certificate first, its issuers behind it. Raises ValidationFailed."""
    try:
        certificates = x509.load_pem_x509_certificates(certificate)
    except ValueError as error:
        raise refused("/certificate", "It holds no PEM certificate.") from error
    key = None
    if private_key is not None:
        try:
            key = _usable(load_pem_private_key(private_key, passphrase), "/private_key")
        except (ValueError, TypeError) as error:
            raise refused(
                "/private_key", "It is no private key in PEM, or the passphrase does not open it."
            ) from error
    return _material(certificates[0], certificates[1:], key)


def read_pkcs12(content: bytes, passphrase: bytes | None) -> Material:
    """Raises ValidationFailed."""
    try:
        found = pkcs12.load_pkcs12(content, passphrase)
    except (ValueError, TypeError) as error:
        raise refused("/pkcs12", "It is no PKCS#12 file, or the passphrase does not open it.") from error
    if found.cert is None or found.key is None:
        raise refused("/pkcs12", "It holds no certificate with its private key.")
    others = [one.certificate for one in found.additional_certs]
    return _material(found.cert.certificate, others, _usable(found.key, "/pkcs12"))


def load_key(content: bytes) -> PrivateKey:
    """A key that was checked when it was imported. Raises ValueError, TypeError."""
    key = load_der_private_key(content, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError("the key is neither RSA nor elliptic")
    return key


def check_material(material: Material, settings: SignatureSettings, now: datetime) -> None:
    """Raises ValidationFailed with everything that speaks against the certificate."""
    certificate = material.certificate
    problems = [
        *_validity(certificate, now),
        *_strength(certificate, settings.certificate_key_size),
        *_usage(certificate),
    ]
    if is_self_signed(certificate) and not settings.allow_self_signed_certs:
        problems.append("It is self-signed: nobody but its owner vouches for it.")
    if problems:
        raise ValidationFailed(
            "The certificate cannot be taken into the store.",
            tuple(Finding("/certificate", problem) for problem in problems),
            code="certificate_refused",
        )


def is_self_signed(certificate: x509.Certificate) -> bool:
    return _is_issued_by(certificate, certificate)


def refused(where: str, problem: str) -> ValidationFailed:
    finding = Finding(where, problem)
    return ValidationFailed(
        "The certificate cannot be taken into the store.", (finding,), code="certificate_refused"
    )


def _material(
    certificate: x509.Certificate, others: list[x509.Certificate], key: PrivateKey | None
) -> Material:
    if key is not None and key.public_key() != certificate.public_key():
        raise refused("/private_key", "It is not this certificate's key.")
    return Material(certificate=certificate, issuers=_in_order(certificate, others), private_key=key)


def _in_order(certificate: x509.Certificate, others: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """From the certificate upwards; a certificate that issued none of these is a mistake."""
    left, chain, below = list(others), [], certificate
    if len(left) > _MOST_ISSUERS:
        raise refused("/certificate", f"More than {_MOST_ISSUERS} issuers come with it.")
    while left and not is_self_signed(below):
        above = next((one for one in left if _is_issued_by(below, one)), None)
        if above is None:
            break
        left.remove(above)
        chain.append(above)
        below = above
    if left:
        raise refused("/certificate", "A certificate comes with it that is none of its issuers.")
    return tuple(chain)


def _is_issued_by(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _usable(key: object, where: str) -> PrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise refused(where, "The key is neither RSA nor elliptic.")
    return key


def _validity(certificate: x509.Certificate, now: datetime) -> list[str]:
    if now >= certificate.not_valid_after_utc:
        return [f"It expired on {certificate.not_valid_after_utc.date()}."]
    if now < certificate.not_valid_before_utc:
        return [f"It is not valid before {certificate.not_valid_before_utc.date()}."]
    return []


def _strength(certificate: x509.Certificate, least_bits: int) -> list[str]:
    problems = []
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits):
            if bits < least_bits:
                problems.append(f"Its RSA key has {bits} bits; at least {least_bits} are needed.")
        case ec.EllipticCurvePublicKey(curve=curve):
            if curve.name not in _CURVES:
                problems.append(f"Its curve {curve.name} is none of {', '.join(sorted(_CURVES))}.")
        case _:
            problems.append("Its key is neither RSA nor elliptic.")
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name in _WEAK_HASHES:
        problems.append("It is signed with a weak algorithm.")
    return problems


def _usage(certificate: x509.Certificate) -> list[str]:
    problems = []
    if not {"digital_signature", "non_repudiation"} & set(key_usages(certificate)):
        problems.append("Its key usage names neither digitalSignature nor contentCommitment.")
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            problems.append("It is an authority's certificate, which issues others.")
    except x509.ExtensionNotFound:
        pass  # without them it is no authority's (RFC 5280, 4.2.1.9)
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return problems
    if set(purposes) <= _OTHER_PURPOSES:
        problems.append("Its extended key usage is not for signing documents.")
    return problems
