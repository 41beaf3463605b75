"""What a connection asks of whoever posts to it, beside the signature: networks and a client certificate.

Must never keep a rule that nothing can meet without saying so: `find_rule_problems` is for people and the doctor.
"""

import ipaddress
import re
from collections.abc import Sequence

from cryptography import x509

from config.settings import Settings
from normalizer.errors import Finding, ValidationFailed
from webhooks.inbound.ports import SenderRules

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MOST = 200
_NO_HEADER = (
    "The connection expects a client certificate and [inbox] client_certificate_header is not set: every message is"
    " refused. Name the header in which the proxy hands the certificate on."
)
_NO_PROXY = (
    "The connection expects a client certificate and [http] trusted_proxies is empty: every message is refused. Name"
    " the proxy's address."
)


def checked_networks(given: Sequence[str]) -> list[str]:
    """In one spelling each, without repetitions. Raises ValidationFailed for what is no network."""
    found: list[str] = []
    findings = []
    for place, text in enumerate(given):
        try:
            found.append(str(ipaddress.ip_network(text.strip())))
        except ValueError:
            findings.append(
                Finding(f"/allowed_networks/{place}", "Write a network as 203.0.113.0/24 or 2001:db8::/32.")
            )
    if len(given) > _MOST:
        findings.append(Finding("/allowed_networks", f"At most {_MOST} networks."))
    if findings:
        raise ValidationFailed("The networks cannot be used.", tuple(findings))
    return list(dict.fromkeys(found))


def checked_digests(given: Sequence[str]) -> list[str]:
    """Lower case, without colons. Raises ValidationFailed."""
    found = [one.strip().replace(":", "").lower() for one in given]
    findings = tuple(
        Finding(f"/client_certificate_sha256/{place}", "Write the SHA-256 of the certificate in hexadecimal.")
        for place, one in enumerate(found)
        if not _SHA256.match(one)
    )
    if findings:
        raise ValidationFailed("The certificates cannot be used.", findings)
    return list(dict.fromkeys(found))


def checked_subject(given: str) -> str:
    """In one spelling; "" asks for none. Raises ValidationFailed."""
    if not given.strip():
        return ""
    try:
        return x509.Name.from_rfc4514_string(given.strip()).rfc4514_string()
    except ValueError as error:
        finding = Finding("/client_certificate_subject", "Write it as CN=connect.example.com,O=Example,C=US.")
        raise ValidationFailed("The subject cannot be used.", (finding,)) from error


def find_rule_problems(settings: Settings, rules: SenderRules) -> list[str]:
    """Rules that refuse every message as the gateway is configured, in words, with what to do."""
    if not (rules.certificate_sha256 or rules.certificate_subject):
        return []
    if not settings.inbox.client_certificate_header:
        return [_NO_HEADER]
    if not settings.http.trusted_proxies:
        return [_NO_PROXY]
    return []
