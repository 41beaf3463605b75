"""What is taken as a client's certificate and key, and what is refused, and in which words."""

import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from config.secret import Secret
from normalizer.errors import ValidationFailed
from tests.webhooks.outbound.sinks.certificates import DAY, authority
from webhooks.outbound.client_certificate import (
    LONGEST_CHAIN,
    make_tls,
    vet_client_certificate,
    vet_server_ca,
)


def refuse(pem: str, key: str) -> tuple[str, str]:
    with pytest.raises(ValidationFailed) as refused:
        vet_client_certificate(pem, Secret(key), now=datetime.now(UTC))
    [finding] = refused.value.findings
    assert finding.remedy
    assert "PRIVATE" not in str(refused.value)
    return finding.where, finding.problem


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["EC", "Ed25519", "RSA"],
)
def test_a_certificate_and_its_key_are_taken_and_their_facts_told(key):
    issued = authority().issue("tenant 7", key=key)
    facts = vet_client_certificate(
        issued.pem + authority().pem, Secret(issued.key_pem), now=datetime.now(UTC)
    )
    assert (facts.subject, facts.issuer) == ("CN=tenant 7", "CN=An authority of the tests")
    assert (facts.chain, facts.not_after) == (2, issued.certificate.not_valid_after_utc)
    context = make_tls(issued.pem, Secret(issued.key_pem), "")
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_another_certificates_key_is_refused():
    one, other = authority().issue("one"), authority().issue("other")
    assert refuse(one.pem, other.key_pem)[0] == "/client_key"


def test_an_expired_certificate_is_refused():
    issued = authority().issue("old", since=-2 * DAY, until=-timedelta(minutes=1))
    pointer, problem = refuse(issued.pem, issued.key_pem)
    assert (pointer, problem[:10]) == ("/client_certificate", "it expired")


def test_a_certificate_of_the_future_is_refused():
    issued = authority().issue("new", since=DAY)
    assert "valid from" in refuse(issued.pem, issued.key_pem)[1]


def test_an_encrypted_key_is_refused():
    issued = authority().issue("sealed")
    sealed = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    assert refuse(issued.pem, sealed.decode()) == ("/client_key", "the key is encrypted")


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 1024), dsa.generate_private_key(1024)], ids=["RSA 1024", "DSA"]
)
def test_a_weak_or_unusual_key_is_refused(key):
    issued = authority().issue("tenant")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert refuse(issued.pem, pem.decode())[0] == "/client_key"


def test_a_chain_in_disorder_or_too_long_is_refused():
    issued, other = authority().issue("tenant"), authority().issue("other")
    assert "has not issued" in refuse(issued.pem + other.pem, issued.key_pem)[1]
    assert refuse(issued.pem * (LONGEST_CHAIN + 1), issued.key_pem)[1].startswith("it has 6")


@pytest.mark.parametrize(
    "pem", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ä"]
)
def test_what_is_no_certificate_is_refused(pem: str):
    assert refuse(pem, authority().issue("tenant").key_pem)[0] == "/client_certificate"
    with pytest.raises(ValidationFailed):
        vet_server_ca(pem)


@pytest.mark.parametrize(
    "key", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "ä"]
)
def test_what_is_no_key_is_refused(key: str):
    assert refuse(authority().issue("tenant").pem, key)[0] == "/client_key"


def test_a_key_among_the_certificates_is_refused_before_it_is_stored():
    issued = authority().issue("tenant")
    assert "private key" in refuse(issued.pem + issued.key_pem, issued.key_pem)[1]
    with pytest.raises(ValidationFailed):
        vet_server_ca(issued.pem + issued.key_pem)


def test_a_key_is_never_on_disk_in_the_clear(monkeypatch, tmp_path: Path):
    issued = authority().issue("tenant")
    written: list[tuple[str, int]] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    real = ssl.SSLContext.load_cert_chain

    def look(self, path, *more, **options):
        written.append((Path(path).read_text(), os.stat(path).st_mode & 0o777))
        return real(self, path, *more, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look)
    make_tls(issued.pem, Secret(issued.key_pem), "")
    [(text, mode)] = written
    assert "BEGIN ENCRYPTED PRIVATE KEY" in text
    assert "BEGIN PRIVATE KEY" not in text
    assert mode == 0o600
    assert list(tmp_path.iterdir()) == []
