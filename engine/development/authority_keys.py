"""The development authority's keys and certificates: a root, an issuing authority, and what they issue.

Everything names itself "DEVELOPMENT - no legal effect". The folder holds private keys (mode 0600) and is made
once; two processes may open it at the same time. Certificates name where their status is answered only while
such a service runs at `base_url`: what is issued without one is not asked about.
Must never be used in production: `open_authority` refuses.
Source: RFC 5280; RFC 6960 section 4.2.2.2 (responder); RFC 3161 section 2.3 (critical, sole key purpose).
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

from config.errors import ConfigError
from config.settings import Mode

logger = logging.getLogger("countersign.development")

LABEL = "Countersign DEVELOPMENT - no legal effect"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_SERIALS_AT_ONCE = 1000
_YEARS_CA, _DAYS_LEAF = 20, 365
_CONTENT_KEY_USAGE = {"digital_signature": True, "content_commitment": True}


class Issued(msgspec.Struct, frozen=True):
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: PrivateKey

    def __repr__(self) -> str:
        return f"Issued({self.certificate.subject.rfc4514_string()})"


class _State(msgspec.Struct):
    base_url: str = ""
    next_timestamp: int = 1
    revoked: dict[str, str] = {}  # serial in hexadecimal: when, ISO 8601


class Authority:
    def __init__(self, folder: Path, base_url: str) -> None:
        self.folder = folder
        self.base_url = base_url
        self.root = _load(folder, "root")
        self.issuing = _load(folder, "issuing")
        self.seal = _load(folder, "seal")
        self.timestamps = _load(folder, "timestamps")
        self.responder = _load(folder, "responder")
        self._serials: Iterator[int] = iter(())

    def next_serial(self) -> int:
        """Of a timestamp: never given twice, whatever happens to the process."""
        for serial in self._serials:
            return serial
        with _locked(self.folder) as state:
            first = state.next_timestamp
            state.next_timestamp += _SERIALS_AT_ONCE
        self._serials = iter(range(first, first + _SERIALS_AT_ONCE))
        return next(self._serials)

    def issue(
        self,
        common_name: str,
        *,
        days: float = _DAYS_LEAF,
        key: PrivateKey | None = None,
        not_before: datetime | None = None,
    ) -> Issued:
        """A certificate for signing documents: for seals, for signers, and for tests (`days` negative: one
        that has expired).
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        usage = _usage(**_CONTENT_KEY_USAGE)
        status = _status_at(self.base_url, "issuing")
        certificate = _issue(
            self.issuing, common_name, key, usage, (), status, days=days, not_before=not_before
        )
        return Issued(certificate, key)

    def revoke(self, certificate: x509.Certificate) -> None:
        with _locked(self.folder) as state:
            state.revoked[f"{certificate.serial_number:x}"] = datetime.now(UTC).isoformat()

    def revoked(self) -> dict[int, datetime]:
        with _locked(self.folder) as state:
            return {int(serial, 16): datetime.fromisoformat(when) for serial, when in state.revoked.items()}


def open_authority(folder: Path, base_url: str | None = None, *, mode: Mode = Mode.DEVELOPMENT) -> Authority:
    """Makes what is missing. `base_url` None: as the folder has it; another one than before: the leaves are
    issued anew with it. Raises ConfigError in production.
    """
    if mode is Mode.PRODUCTION:
        raise ConfigError("production: the development certificate authority must not be used")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder) as state:
        wanted = state.base_url if base_url is None else base_url.rstrip("/")
        if not (folder / "root.pem").exists():
            logger.warning("a development certificate authority is made in %s: no legal effect", folder.name)
            _make_authorities(folder)
        leaves = ("responder", "timestamps", "seal")
        if wanted != state.base_url or not all(_is_fresh(folder, name) for name in leaves):
            _make_leaves(folder, wanted)
            state.base_url = wanted
    return Authority(folder, wanted)


def _make_authorities(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = _usage(key_cert_sign=True, crl_sign=True)
    root = _issue(None, f"{LABEL}: root", key, usage, (), {}, days=_YEARS_CA * 365, path_length=1)
    _write_key(folder / "issuing.key", ec.generate_private_key(ec.SECP256R1()))
    _save(folder, "root", Issued(root, key))


def _make_leaves(folder: Path, base_url: str) -> None:
    """And the issuing authority's certificate, for the key that it has: it names a list of its own."""
    key = _load_key(folder / "issuing.key")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    status = _status_at(base_url, "root", with_answers=False)
    certificate = _issue(
        _load(folder, "root"),
        f"{LABEL}: issuing",
        key,
        usage,
        (),
        status,
        days=_YEARS_CA * 365 - 1,
        path_length=0,
    )
    issuing = Issued(certificate, key)
    _save(folder, "issuing", issuing)
    status = _status_at(base_url, "issuing")
    for name, usage, purposes, places in (
        ("responder", _usage(digital_signature=True), (Purpose.OCSP_SIGNING,), {}),
        ("timestamps", _usage(digital_signature=True), (Purpose.TIME_STAMPING,), status),
        ("seal", _usage(**_CONTENT_KEY_USAGE), (), status),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        _save(folder, name, Issued(_issue(issuing, f"{LABEL}: {name}", key, usage, purposes, places), key))


def _status_at(base_url: str, issuer: str, *, with_answers: bool = True) -> dict[str, str]:
    """Where the status is listed (crl), answered (ocsp), and where the issuer's certificate lies."""
    if not base_url:
        return {}
    places = {"crl": f"{base_url}/{issuer}.crl"}
    if with_answers:
        places |= {"ocsp": f"{base_url}/ocsp", "issuer": f"{base_url}/{issuer}.der"}
    return places


def _issue(
    issuer: Issued | None,
    common_name: str,
    key: PrivateKey,
    usage: x509.KeyUsage,
    purposes: tuple[x509.ObjectIdentifier, ...],
    status: Mapping[str, str],
    *,
    days: float = _DAYS_LEAF,
    path_length: int | None = None,
    not_before: datetime | None = None,
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, LABEL),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )
    begin = not_before or datetime.now(UTC) - timedelta(minutes=5)
    end = begin + timedelta(days=abs(days))
    if days < 0:  # over already
        begin, end = begin - timedelta(days=-days + 1), begin - timedelta(days=1)
    signing_key = issuer.key if issuer is not None else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(path_length is not None, path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
    if Purpose.OCSP_SIGNING in purposes:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return _with_status(builder, status).sign(signing_key, SHA256())


def _with_status(builder: x509.CertificateBuilder, status: Mapping[str, str]) -> x509.CertificateBuilder:
    accesses = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(status[name]))
        for method, name in ((Access.OCSP, "ocsp"), (Access.CA_ISSUERS, "issuer"))
        if name in status
    ]
    if accesses:
        builder = builder.add_extension(x509.AuthorityInformationAccess(accesses), critical=False)
    if "crl" in status:
        list_at = x509.UniformResourceIdentifier(status["crl"])
        points = [x509.DistributionPoint([list_at], None, None, None)]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    return builder


def _usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _is_fresh(folder: Path, name: str) -> bool:
    """There, and good for another month."""
    path = folder / f"{name}.pem"
    if not path.exists():
        return False
    end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return end > datetime.now(UTC) + timedelta(days=30)


def _load(folder: Path, name: str) -> Issued:
    certificate = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
    return Issued(certificate, _load_key(folder / f"{name}.key"))


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path.name} of the development authority is not its own; remove the folder")
    return key


def _save(folder: Path, name: str, issued: Issued) -> None:
    _write_key(folder / f"{name}.key", issued.key)
    _write(folder / f"{name}.pem", issued.certificate.public_bytes(Encoding.PEM))


def _write_key(path: Path, key: PrivateKey) -> None:
    _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by its owner alone."""
    draft = path.with_suffix(path.suffix + ".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[_State]:
    """The state, to be read and changed by one process at a time; written when the block ends well."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / "state.json"
        before = path.read_bytes() if path.exists() else b"{}"
        state = msgspec.json.decode(before, type=_State)
        yield state
        after = msgspec.json.encode(state)
        if after != before:
            _write(path, after)
    finally:
        os.close(lock)
