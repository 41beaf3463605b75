"""Networks and client certificates: who may post beside having the key, and whose word counts for it."""

import base64
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.settings import Settings
from gateway.tenants.inbound_rules import find_rule_problems
from normalizer.errors import ValidationFailed
from tests.webhooks.inbound.house import (
    CLIENT_ID,
    KEY,
    House,
    Placed,
    notification,
    open_house,
    serve,
    signed,
)
from webhooks.inbound.admission import admit
from webhooks.inbound.ports import Client, ClientCertificate, SenderRules

HEADER = "x-client-certificate"
SUBJECT = "CN=connect.example.com,O=Example Provider,C=US"


def certificate(subject: str = SUBJECT) -> bytes:
    """DER of a self-signed one: who vouches for it is the proxy's business."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string(subject)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


DER = certificate()
DIGEST = hashlib.sha256(DER).hexdigest()
FORMS = {
    "rfc 9440": f":{base64.b64encode(DER).decode()}:",
    "escaped pem": quote(ssl.DER_cert_to_PEM_cert(DER)),
    "sha-256": DIGEST.upper(),
    "forwarded": f'By=spiffe://x;Hash={DIGEST};Subject="C=US,O=Example Provider,CN=other"',
}


def with_proxy(settings: Settings, *proxies: str, header: str = HEADER) -> Settings:
    return msgspec.structs.replace(
        settings,
        http=msgspec.structs.replace(settings.http, trusted_proxies=proxies),
        inbox=msgspec.structs.replace(settings.inbox, client_certificate_header=header),
    )


async def status_of(house: House, placed: Placed, **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await house.post(placed.path, b"{}", signed(b"{}", KEY) | given)).status


@pytest.mark.parametrize(
    ("networks", "address", "is_let_in"),
    [
        ((), "198.51.100.7", True),
        (("203.0.113.0/24",), "203.0.113.9", True),
        (("203.0.113.0/24",), "203.0.114.9", False),
        (("203.0.113.0/24", "2001:db8::/32"), "2001:db8::1", True),
        (("203.0.113.0/24",), "2001:db8::1", False),
        (("0.0.0.0/0",), "", False),
        (("0.0.0.0/0",), "nonsense", False),
    ],
)
def test_address_is_let_in_from_its_networks_only(
    networks: tuple[str, ...], address: str, *, is_let_in: bool
) -> None:
    admission = admit(SenderRules(networks=networks), Client(address))
    assert (admission.refusal == "") is is_let_in
    assert bool(admission.network) is (is_let_in and bool(networks))


@pytest.mark.parametrize(
    ("rules", "shown", "refusal"),
    [
        (SenderRules(certificate_sha256=("a" * 64,)), None, "no client certificate"),
        (SenderRules(certificate_sha256=("a" * 64,)), ClientCertificate("b" * 64, ""), "another client"),
        (SenderRules(certificate_sha256=("b" * 64, "a" * 64)), ClientCertificate("a" * 64, ""), ""),
        (SenderRules(certificate_subject="CN=a"), ClientCertificate("a" * 64, "CN=b"), "another subject"),
        (SenderRules(certificate_subject="CN=a"), ClientCertificate("a" * 64, "CN=a"), ""),
        (
            SenderRules(certificate_sha256=("a" * 64,), certificate_subject="CN=a"),
            ClientCertificate("a" * 64, "CN=b"),
            "another subject",
        ),
    ],
)
def test_certificate_must_be_the_one_that_is_expected(
    rules: SenderRules, shown: ClientCertificate | None, refusal: str
) -> None:
    assert refusal in admit(rules, Client("203.0.113.9", shown)).refusal
    assert bool(admit(rules, Client("203.0.113.9", shown)).refusal) is bool(refusal)


async def test_post_from_another_network_is_refused_though_it_is_signed(gateway: House) -> None:
    placed = await gateway.docusign()
    await gateway.change(placed, allowed_networks=("203.0.113.0/24",))
    assert await status_of(gateway, placed) == 403
    assert await status_of(gateway, placed, x_forwarded_for="203.0.113.9") == 403
    assert await gateway.messages() == []


async def test_forwarded_address_counts_when_the_proxy_is_trusted(settings: Settings) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, allowed_networks=("203.0.113.0/24",))
        assert await status_of(house, placed, x_forwarded_for="203.0.113.9") == 200
        assert await status_of(house, placed, x_forwarded_for="203.0.113.9, 198.51.100.1") == 403
        (message,) = await house.messages()
        assert '"network": "203.0.113.0/24"' in message["verdict"]


async def test_challenge_is_answered_to_allowed_networks_only(gateway: House) -> None:
    placed = await gateway.adobe_sign()
    await gateway.change(placed, allowed_networks=("203.0.113.0/24",))
    headers = {"X-AdobeSign-ClientId": CLIENT_ID}
    async with gateway.http.get(gateway.base + placed.path, headers=headers) as answer:
        assert (answer.status, answer.headers.get("X-AdobeSign-ClientId")) == (403, None)
    assert await gateway.notify(placed, notification("AGREEMENT_CREATED", "CBJ-1")) == 403


@pytest.mark.parametrize("form", FORMS)
async def test_certificate_is_read_in_every_form_of_a_trusted_proxy(settings: Settings, form: str) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_sha256=(DIGEST,))
        assert await status_of(house, placed, **{HEADER: FORMS[form]}) == 200
        (message,) = await house.messages()
        assert DIGEST in message["verdict"]


async def test_certificate_of_another_is_refused_in_every_form(settings: Settings) -> None:
    other = certificate()
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_sha256=(DIGEST,))
        for wrong in (
            f":{base64.b64encode(other).decode()}:", "0" * 64, "", "::", ":!!:", "%%%", "Hash=1", DIGEST + ",x",
            f"Hash={DIGEST};Subject=\"CN=a\",Hash={'1' * 64}",
        ):  # fmt: skip
            assert await status_of(house, placed, **{HEADER: wrong}) == 403, wrong
        assert await house.messages() == []


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (r"CN=x\,O=Example Provider", "CN=x,O=Example Provider"),
        (r"CN=x\\,O=Example Provider", "CN=x,O=Example Provider"),
        (r"CN=x\\,O=Example Provider", r"CN=x\\,O=Example Provider"),
    ],
)
async def test_forwarded_name_with_a_comma_in_it_is_not_two_names(
    settings: Settings, subject: str, expected: str
) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_subject=expected)
        forwarded = f'Hash={"1" * 64};Subject="{subject}"'
        assert await status_of(house, placed, **{HEADER: forwarded}) == 403


async def test_forwarded_name_with_a_comma_in_it_is_let_in_as_itself(settings: Settings) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_subject=r"CN=x,O=Example\, Inc.")
        forwarded = rf'Hash={"1" * 64};Subject="CN=x,O=Example\, Inc."'
        assert await status_of(house, placed, **{HEADER: forwarded}) == 200


async def test_digest_or_certificate_in_a_forwarded_name_is_none(settings: Settings) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_sha256=(DIGEST,))
        pem = ssl.DER_cert_to_PEM_cert(DER).replace("\n", "")
        for subject in (f"CN=x;Hash={DIGEST};y", f"Hash={DIGEST}", f"CN=x,2.5.4.13={pem}", quote(pem)):
            forwarded = f'Subject="{subject}";Hash={"1" * 64}'
            assert await status_of(house, placed, **{HEADER: forwarded}) == 403


async def test_subject_must_be_the_expected_one(settings: Settings) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_subject=SUBJECT)
        assert await status_of(house, placed, **{HEADER: FORMS["rfc 9440"]}) == 200
        stranger = f":{base64.b64encode(certificate('CN=connect.example.com,O=Evil,C=US')).decode()}:"
        assert await status_of(house, placed, **{HEADER: stranger}) == 403


async def test_header_of_a_client_that_is_no_trusted_proxy_is_no_certificate(settings: Settings) -> None:
    for proxies, header in (((), HEADER), (("198.51.100.1",), HEADER), (("127.0.0.1",), "")):
        async with open_house(with_proxy(settings, *proxies, header=header)) as house, serve(house):
            placed = await house.docusign()
            await house.change(placed, client_certificate_sha256=(DIGEST,))
            assert await status_of(house, placed, **{HEADER: FORMS["sha-256"]}) == 403


async def test_header_that_is_there_twice_is_no_certificate(settings: Settings) -> None:
    async with open_house(with_proxy(settings, "127.0.0.1")) as house, serve(house):
        placed = await house.docusign()
        await house.change(placed, client_certificate_sha256=(DIGEST,))
        headers = [*signed(b"{}", KEY).items(), (HEADER, DIGEST), (HEADER, DIGEST)]
        async with house.http.post(house.base + placed.path, data=b"{}", headers=headers) as answer:
            assert answer.status == 403


async def test_refused_clients_are_counted_with_their_network(gateway: House) -> None:
    placed = await gateway.docusign()
    await gateway.change(placed, allowed_networks=("203.0.113.0/24",))
    for _ in range(3):
        await status_of(gateway, placed)
    await gateway.refusals_written()
    rows = await gateway.services.hub.fetch("SELECT reason, source, refused FROM inbound_refusals")
    assert [tuple(row.values()) for row in rows] == [
        ("address outside the allowed networks", "127.0.0.0/24", 3)
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"allowed_networks": ("203.0.113.7/24",)},
        {"allowed_networks": ("everybody",)},
        {"client_certificate_sha256": ("abc",)},
        {"client_certificate_subject": "nobody"},
    ],
)
async def test_rule_that_is_none_is_refused_and_says_where(house: House, given: dict[str, object]) -> None:
    placed = await house.docusign()
    with pytest.raises(ValidationFailed) as refused:
        await house.change(placed, **given)
    assert refused.value.findings[0].where.startswith("/" + next(iter(given)))


def test_rule_that_refuses_everything_is_told_in_words(settings: Settings) -> None:
    rules = SenderRules(certificate_sha256=(DIGEST,))
    assert "client_certificate_header is not set" in find_rule_problems(settings, rules)[0]
    assert "trusted_proxies is empty" in find_rule_problems(with_proxy(settings), rules)[0]
    assert find_rule_problems(with_proxy(settings, "127.0.0.1"), rules) == []
    assert find_rule_problems(settings, SenderRules(networks=("203.0.113.0/24",))) == []
