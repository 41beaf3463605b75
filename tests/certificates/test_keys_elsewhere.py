"""Keys at a signing service and in a device. The device is a stand-in: what is tested of it is our side, up to the
library's door; no PKCS#11 library is installed here.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from config.settings_verification import CertificateSettings
from engine.certificates.csc import CscPort
from engine.certificates.pkcs11 import Pkcs11Port
from engine.certificates.ports import CscKey, Pkcs11Key
from engine.development.authority_keys import Authority
from engine.sealing.errors import SealingFailed, SealTrouble
from tests.certificates.issued import pem
from tests.certificates.service import PIN, TOKEN, SigningService
from tests.gateway.world import API, Tenant, World, make_settings
from tests.sealing.authority import served
from tests.sealing.papers import make_pdf


@pytest.fixture
def gateway_settings(store: Any, redis_url: Any, certified_folder: Path) -> Any:
    allowed = CertificateSettings(csc_hosts=("127.0.0.1",), csc_timeout_s=5)
    return make_settings(store, redis_url, certified_folder, certificates=allowed)


def service_for(authority: Authority, version: str, name: str = "Remote Ada") -> SigningService:
    chain = (authority.issuing.certificate, authority.root.certificate)
    return SigningService(authority.issue(name), chain, version)


def key_at(url: str, **given: Any) -> dict[str, Any]:
    plain = {"type": "csc", "url": url, "credential_id": "cred-1", "token": TOKEN, "pin": PIN}
    return plain | given


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_key_at_a_signing_service_signs_a_document(
    version: str, world: World, acme: Tenant, authority: Authority
) -> None:
    service = service_for(authority, version)
    with served(lambda _: service.app()) as url:
        made = await acme.made({"key": key_at(url, version=version)}, "/certificates")
        assert (made["key_location"], made["info"]["subject_name"]) == ("csc", "Remote Ada")
        assert TOKEN not in str(made)
        source = (await acme.client.post(f"{API}/documents", content=make_pdf(1))).json()
        signed = await acme.made({}, f"/documents/{source['id']}/sign")
        report = (await acme.post("/verify", {"document_id": signed["document"]["id"]})).json()
        assert report["verdict"] == "development", report
        assert report["signatures"][0]["signer"] == "Remote Ada"
        assert service.signed == 1
        assert service.permits == {}  # each permission was for one digest and is used up
        rows = await world.services.hub.fetch("SELECT t::text AS line FROM certificates t")
        assert TOKEN.encode().hex() not in rows[0]["line"]
        # The service is away, or refuses: nothing is signed, and it may be tried again.
        for fault in (503, 401, f"{url}/elsewhere"):
            service.faults["signatures/signHash"] = fault
            told = await acme.post(f"/documents/{source['id']}/sign", {})
            assert (told.status_code, told.json()["code"]) == (503, "provider_unavailable"), fault
            assert TOKEN not in told.text
        assert service.signed == 1


async def test_a_wrong_pin_signs_nothing(authority: Authority) -> None:
    service = service_for(authority, "v1")
    with served(lambda _: service.app()) as url:
        key = CscKey(url=url, credential_id="cred-1", token=TOKEN, pin="0000")
        port = CscPort(key, CertificateSettings(csc_hosts=("127.0.0.1",)))
        with pytest.raises(SealingFailed) as refused:
            await port.sign(b"x", "sha256")
    assert refused.value.trouble is SealTrouble.KEY_UNAVAILABLE
    assert service.signed == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://signer.example.com",
        "https://signer.example.com.evil.org",
        "https://u:p@signer.example.com",
        "file:///etc/passwd",
        "https://other.example.com",
    ],
)
def test_a_service_that_the_settings_do_not_name_is_never_asked(url: str) -> None:
    key = CscKey(url=url, credential_id="c", token="t")
    with pytest.raises(SealingFailed):
        CscPort(key, CertificateSettings(csc_hosts=("signer.example.com", "169.254.169.254")))
    assert "'t'" not in repr(key)


async def test_a_device_is_asked_through_the_library_of_the_settings_alone(
    acme: Tenant, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = authority.issue("In a device")
    device = Pkcs11Key(token_label="card", key_label="signing", key_id="0a", pin="1234")
    assert "1234" not in repr(device)
    with pytest.raises(SealingFailed, match="pkcs11_library"):
        Pkcs11Port(device, own.certificate, CertificateSettings())
    settings = CertificateSettings(pkcs11_library=Path("/nowhere/libdevice.so"))
    port = Pkcs11Port(device, own.certificate, settings)
    assert await port.certificates() == (own.certificate,)
    monkeypatch.setitem(sys.modules, "pyhanko.sign.pkcs11", None)
    with pytest.raises(SealingFailed, match="not installed"):
        await port.sign(b"x", "sha256")
    asked: dict[str, Any] = {}

    class Session:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            asked["closed"] = True

    def open_session(library: str, **given: Any) -> Session:
        asked.update(given, library=library)
        return Session()

    class Signer:
        def __init__(self, _: Any, **given: Any) -> None:
            asked.update(given)

        async def async_sign_raw(self, content: bytes, _: str) -> bytes:
            return own.key.sign(content, ec.ECDSA(hashes.SHA256()))

    stand_in = SimpleNamespace(PKCS11Signer=Signer, open_pkcs11_session=open_session)
    monkeypatch.setitem(sys.modules, "pyhanko.sign.pkcs11", stand_in)
    signature = await port.sign(b"content", "sha256")
    own.certificate.public_key().verify(signature, b"content", ec.ECDSA(hashes.SHA256()))
    assert (asked["library"], asked["token_label"], asked["user_pin"]) == (
        "/nowhere/libdevice.so",
        "card",
        "1234",
    )
    assert (asked["key_label"], asked["key_id"], asked["closed"]) == ("signing", b"\n", True)
    # Over the API a tenant names a key, and never a library to be loaded.
    named = {"type": "pkcs11", "token_label": "card", "library": "/tmp/evil.so"}
    told = await acme.post("/certificates", {"certificate": pem(own.certificate), "key": named})
    assert told.status_code == 422
    made = await acme.made(
        {"certificate": pem(own.certificate), "key": {"type": "pkcs11", "token_label": "card"}},
        "/certificates",
    )
    assert made["key_location"] == "pkcs11"
