"""A private authority for the tests: servers of 127.0.0.1 and localhost, and clients."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Issued:
    def __init__(self, certificate: x509.Certificate, key, chain: str = "") -> None:
        self.certificate = certificate
        self.key = key
        self.pem = certificate.public_bytes(Encoding.PEM).decode() + chain
        self.key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class TestAuthority:
    __test__ = False

    def __init__(self, name: str = "An authority of the tests") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.root = Issued(certificate, key)
        self.pem = self.root.pem

    def issue(self, name: str, *, since: timedelta = -DAY, until: timedelta = 10 * DAY, key=None) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.root.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
            .sign(self.root.key, hashes.SHA256())
        )
        return Issued(certificate, key)

    def server_context(self, *, asks_for: str | None = None) -> ssl.SSLContext:
        """`asks_for`: PEM of the authority that clients' certificates must come from; without one they are refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = self.issue("server")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(server.pem + server.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        if asks_for is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=asks_for)
        return context


@cache
def authority() -> TestAuthority:
    return TestAuthority()
