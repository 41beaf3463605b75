"""Certificates of every sort, good and bad, with their keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CANARY = "canary-passphrase"


def key_pem(key: Any, passphrase: str = "") -> str:
    shield = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, shield).decode()


def pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def as_pkcs12(authority: Any, issued: Any, passphrase: str) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"signer",
        issued.key,
        issued.certificate,
        [authority.issuing.certificate, authority.root.certificate],
        BestAvailableEncryption(passphrase.encode()),
    )


def body(authority: Any, issued: Any, **given: Any) -> dict[str, Any]:
    """What the API takes."""
    chain = pem(issued.certificate, authority.issuing.certificate, authority.root.certificate)
    return {"certificate": chain, "private_key": key_pem(issued.key)} | given


def home_made(
    authority: Any = None,
    *,
    key: Any = None,
    name: str = "Home made",
    usage: bool | None = True,
    purposes: tuple[Any, ...] = (),
    is_authority: bool = False,
    hash_algorithm: Any = None,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=300),
) -> tuple[x509.Certificate, Any]:
    """By the development authority, or without one self-signed. `usage`: for signing, for nothing, or not said."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.issuing.certificate.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    )
    if usage is not None:
        flags = dict.fromkeys(
            (
                "content_commitment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=usage, key_encipherment=not usage, **flags), critical=True
        )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    signing_key = authority.issuing.key if authority else key
    return builder.sign(signing_key, hash_algorithm or hashes.SHA256()), key


def weak_rsa() -> Any:
    return rsa.generate_private_key(65537, 1024)


TLS_ONLY = (ExtendedKeyUsageOID.SERVER_AUTH,)
