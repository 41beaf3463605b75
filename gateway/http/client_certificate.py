"""The certificate that a client showed to our own proxy, which hands it on in a header.

Anybody can send a header: it is believed only when the connection's peer is a trusted proxy, and only when it is there
once, because a proxy that appends leaves what the client wrote in front. What cannot be read is no certificate.
Source: RFC 9440 (Client-Cert); RFC 4514 (subjects); Envoy's x-forwarded-client-cert; nginx, $ssl_client_escaped_cert.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509
from litestar.types import Scope

from gateway.http.client_address import is_trusted_peer
from webhooks.inbound.ports import ClientCertificate

_SHA256 = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}\Z")
_HASH = re.compile(r"(?:^|;)\s*Hash=([0-9a-fA-F]{64})\s*(?:;|\Z)", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_SUBJECT = re.compile(r'(?:^|;)\s*Subject="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_LONGEST = 16_384


def client_certificate(scope: Scope, header: str, trusted_proxies: Sequence[str]) -> ClientCertificate | None:
    """None without a header that a trusted proxy vouches for."""
    if not header or not is_trusted_peer(scope, trusted_proxies):
        return None
    wanted = header.lower().encode("latin-1", "replace")
    values = [value for name, value in scope["headers"] if name.lower() == wanted]
    if len(values) != 1 or len(values[0]) > _LONGEST:
        return None
    return _read(values[0].decode("latin-1").strip())


def normalize_subject(text: str) -> str | None:
    """One spelling for one name; None for what RFC 4514 does not know."""
    try:
        return x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _read(value: str) -> ClientCertificate | None:
    if _SHA256.match(value):
        return ClientCertificate(value.replace(":", "").lower(), "")
    if value.startswith(":") and value.endswith(":") and len(value) > 2:
        return _of_der(_decoded(value[1:-1]))
    pem = _PEM.match(unquote(value))  # at the beginning: further behind it may stand in somebody's name
    if pem is not None:
        return _of_der(_decoded("".join(pem[1].split())))
    return _of_forwarded(value)


def _of_forwarded(value: str) -> ClientCertificate | None:
    """One element of x-forwarded-client-cert. Several would be those of several hops: nobody says whose is whose."""
    plain = _QUOTED.sub('""', value)  # what stands in quotes is somebody's name, whatever it looks like
    digest, subject = _HASH.search(plain), _SUBJECT.search(value)
    if digest is None or "," in plain:
        return None
    return ClientCertificate(digest[1].lower(), _forwarded_subject(subject[1]) if subject else "")


def _forwarded_subject(text: str) -> str:
    """A name in RFC 4514's own letters: its backslashes stay, for a comma behind one is part of a name and begins no
    other. Two in a row may be the name's or the proxy's: that name is not known.
    """
    return "" if "\\\\" in text else normalize_subject(text) or ""


def _of_der(der: bytes | None) -> ClientCertificate | None:
    if not der:
        return None
    try:
        subject = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    except ValueError:
        return None
    return ClientCertificate(hashlib.sha256(der).hexdigest(), subject)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
