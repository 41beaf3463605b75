"""The certificate with which we show a receiver who we are (mutual TLS), and further authorities to trust.

Vetted before it is stored, so that a wrong key is told to whoever gave it, not found out at the first delivery.
A private key goes through the file system as ciphertext only: Python's TLS takes it from a file, so it is
written under a passphrase that lives for that moment. Must never show a key, and never switch off verification.
Source: RFC 8446 section 4.4.2 (the sender's certificate first, each next one certifies the one before).
"""

import itertools
import secrets
import ssl
import tempfile
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes

from config.secret import Secret
from normalizer.errors import Finding, ValidationFailed

LONGEST_CHAIN = 5
MOST_AUTHORITIES = 20
LONGEST_PEM = 65_536
SMALLEST_RSA_BITS = 2048

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateFacts(msgspec.Struct, frozen=True):
    """What may be shown of a certificate. `fingerprint`: SHA-256 of its DER, in hexadecimal."""

    subject: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    chain: int


def vet_client_certificate(pem: str, key: Secret, *, now: datetime) -> CertificateFacts:
    """The facts of the first certificate. Raises ValidationFailed when the chain is not in order, longer than
    five or expired, or when the key is encrypted, too weak or another certificate's.
    """
    chain = _read_chain(pem, "/client_certificate", LONGEST_CHAIN)
    leaf = chain[0]
    for place, (one, issuer) in enumerate(itertools.pairwise(chain), 1):
        if one.issuer != issuer.subject:
            raise _refuse(
                "/client_certificate",
                f"certificate {place + 1} has not issued certificate {place}",
                "Put the client's own certificate first, and each next one's issuer after it.",
            )
    facts = _facts(leaf, len(chain), "/client_certificate")
    if facts.not_after <= now:
        raise _refuse(
            "/client_certificate", f"it expired at {facts.not_after.isoformat()}", "Use a valid one."
        )
    if facts.not_before > now:
        raise _refuse(
            "/client_certificate", f"it is valid from {facts.not_before.isoformat()} on", "Use a valid one."
        )
    if _public_bytes(_read_key(key).public_key()) != _public_bytes(leaf.public_key()):
        raise _refuse("/client_key", "the key does not belong to the certificate", "Give the matching key.")
    return facts


def vet_server_ca(pem: str) -> tuple[CertificateFacts, ...]:
    """The facts of each further authority. Raises ValidationFailed when one cannot be read."""
    return tuple(_facts(one, 1, "/server_ca") for one in _read_chain(pem, "/server_ca", MOST_AUTHORITIES))


def read_expiry(pem: str) -> datetime:
    """When the first certificate of a vetted chain ends."""
    return _read_chain(pem, "/client_certificate", LONGEST_CHAIN)[0].not_valid_after_utc


def make_tls(certificate: str, key: Secret | None, server_ca: str) -> ssl.SSLContext:
    """A context for one endpoint: the system's authorities and `server_ca`, and our certificate when there is
    one. Takes tens of milliseconds and reads files: MUST run in a thread. Raises ValidationFailed.
    """
    context = ssl.create_default_context()
    try:
        if server_ca:
            context.load_verify_locations(cadata=server_ca)
        if certificate and key is not None:
            _show(context, certificate, _read_key(key))
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _refuse(
            "/client_certificate", f"TLS does not take it ({type(error).__name__})", "Use another one."
        ) from error
    return context


def _show(context: ssl.SSLContext, certificate: str, key: _Key) -> None:
    passphrase = secrets.token_bytes(32).hex().encode()
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    with tempfile.NamedTemporaryFile(prefix="countersign-tls-") as file:  # mode 0600, removed at once
        file.write(certificate.encode() + b"\n" + sealed)
        file.flush()
        context.load_cert_chain(file.name, password=passphrase)


def _read_chain(pem: str, pointer: str, most: int) -> list[x509.Certificate]:
    if len(pem) > LONGEST_PEM:
        raise _refuse(pointer, f"it is longer than {LONGEST_PEM} characters", "Leave out what is not needed.")
    if "PRIVATE KEY" in pem:
        raise _refuse(
            pointer, "it contains a private key", "Give certificates only; the key has its own field."
        )
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnicodeError) as error:
        raise _refuse(
            pointer, "this is not a certificate in PEM", "Use -----BEGIN CERTIFICATE-----."
        ) from error
    if len(chain) > most:
        raise _refuse(pointer, f"it has {len(chain)} certificates", f"Give at most {most}.")
    return chain


def _read_key(key: Secret) -> _Key:
    text = key.reveal()
    if len(text) > LONGEST_PEM:
        raise _refuse("/client_key", f"it is longer than {LONGEST_PEM} characters", "Give one private key.")
    try:
        read: PrivateKeyTypes = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise _refuse(
            "/client_key", "the key is encrypted", "Give it without a passphrase: it is sealed here."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refuse("/client_key", "this is not a private key in PEM", "Use PKCS #8 in PEM.") from error
    match read:
        case rsa.RSAPrivateKey() if read.key_size >= SMALLEST_RSA_BITS:
            return read
        case ec.EllipticCurvePrivateKey() | ed25519.Ed25519PrivateKey():
            return read
        case _:
            raise _refuse(
                "/client_key",
                "the key is of a kind or length that is not used for TLS",
                f"Use RSA of {SMALLEST_RSA_BITS} bits or more, an elliptic curve, or Ed25519.",
            )


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _facts(certificate: x509.Certificate, chain: int, pointer: str) -> CertificateFacts:
    try:
        certificate.public_key()  # so that nothing below meets a kind of key that cannot be read
        return CertificateFacts(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            chain=chain,
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refuse(pointer, "a certificate in it cannot be read", "Use another one.") from error


def _refuse(pointer: str, problem: str, remedy: str) -> ValidationFailed:
    return ValidationFailed(
        f"This certificate cannot be used: {problem}.", (Finding(pointer, problem, remedy),)
    )
