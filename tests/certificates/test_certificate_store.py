"""Certificates over the API: what is taken, what is refused and why, and what nobody ever gets back."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.certificates.alarms import alarm_due
from engine.certificates.sealing_keys import StoreKeys
from engine.development.authority_keys import Authority
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.keys import InstallationKeys
from engine.sealing.sealer import sealer_of
from tests.certificates import issued
from tests.certificates.issued import CANARY, as_pkcs12, body, home_made, key_pem, pem
from tests.gateway.world import Tenant, World

_KEYS_OF_THE_DESIGN = {
    "serial_number",
    "subject_name",
    "issuer_name",
    "not_valid_before",
    "not_valid_after",
    "public_key_algorithm",
    "signature_algorithm",
    "key_usage",
    "is_valid",
    "revocation_status",
    "thumbprint_sha256",
}


async def imported(tenant: Tenant, authority: Authority, name: str = "Ada", **given: Any) -> dict[str, Any]:
    return await tenant.made(body(authority, authority.issue(name), **given), "/certificates")


async def test_a_certificate_is_told_with_the_keys_of_the_design_and_changed(
    acme: Tenant, authority: Authority
) -> None:
    made = await imported(acme, authority, user_id="Ada@Example.com", label="office")
    assert made["info"].keys() == _KEYS_OF_THE_DESIGN
    assert (made["info"]["subject_name"], made["info"]["is_valid"]) == ("Ada", True)
    assert set(made["info"]["key_usage"]) == {"digital_signature", "non_repudiation"}
    assert (made["user_id"], made["key_location"]) == ("ada@example.com", "vault")
    path = f"/certificates/{made['id']}"
    changed = await acme.client.patch(
        f"/api/v1/signatures{path}", json={"label": "home", "is_preferred": True}
    )
    assert (changed.json()["label"], changed.json()["is_preferred"]) == ("home", True)
    assert (await acme.get(path)).json() == changed.json()
    assert len((await acme.get("/certificates?user_id=ada@example.com")).json()["certificates"]) == 1
    assert (await acme.get("/certificates?user_id=")).json() == {"certificates": []}


async def test_pkcs12_and_a_closed_key_open_with_their_passphrase_only(
    acme: Tenant, authority: Authority
) -> None:
    one, other = authority.issue("By file"), authority.issue("By key")
    file = base64.b64encode(as_pkcs12(authority, one, CANARY)).decode()
    wrong = await acme.post("/certificates", {"pkcs12": file, "passphrase": "no"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "certificate_refused")
    assert (await acme.made({"pkcs12": file, "passphrase": CANARY}, "/certificates"))["info"]["is_valid"]
    closed = {"certificate": pem(other.certificate), "private_key": key_pem(other.key, CANARY)}
    assert (await acme.post("/certificates", closed)).status_code == 422
    assert await acme.made(closed | {"passphrase": CANARY}, "/certificates")


def _refusals(authority: Authority) -> dict[str, tuple[dict[str, Any], str]]:
    stranger = ec.generate_private_key(ec.SECP256R1())

    def given(**how: Any) -> dict[str, Any]:
        made, key = home_made(authority, **how)
        return {"certificate": pem(made), "private_key": key_pem(key)}

    good, _ = home_made(authority)
    alone, own = home_made()
    return {
        "another key": (
            {"certificate": pem(good), "private_key": key_pem(stranger)},
            "not this certificate's",
        ),
        "expired": (given(begins=timedelta(days=-9), ends=timedelta(days=-1)), "expired on"),
        "not yet": (given(begins=timedelta(days=2)), "not valid before"),
        "weak RSA": (given(key=issued.weak_rsa()), "1024 bits"),
        "weak curve": (given(key=ec.generate_private_key(ec.SECP192R1())), "curve secp192r1"),
        "wrong usage": (given(usage=False), "key usage"),
        "no usage": (given(usage=None), "key usage"),
        "for servers": (given(purposes=issued.TLS_ONLY), "not for signing documents"),
        "an authority": (given(is_authority=True), "issues others"),
        "self-signed": ({"certificate": pem(alone), "private_key": key_pem(own)}, "self-signed"),
        "a stranger beside it": (
            given() | {"certificate": pem(good, alone), "private_key": key_pem(stranger)},
            "",
        ),
        "no certificate": ({"certificate": "x", "private_key": key_pem(stranger)}, "no PEM certificate"),
        "no key": ({"certificate": pem(good)}, "where the key lies"),
        "nothing": ({}, "where the key lies"),
        "both": ({"certificate": pem(good), "pkcs12": "AAAA"}, "where the key lies"),
    }


async def test_what_must_not_sign_is_refused_with_its_reason_and_nothing_is_kept(
    acme: Tenant, authority: Authority
) -> None:
    for what, (content, reason) in _refusals(authority).items():
        answer = await acme.post("/certificates", content)
        assert (answer.status_code, answer.json()["code"]) == (422, "certificate_refused"), what
        assert reason in str(answer.json()["findings"]), (what, answer.json())
    assert (await acme.get("/certificates")).json() == {"certificates": []}


async def test_a_serial_number_of_an_issuer_is_taken_once(
    world: World, acme: Tenant, authority: Authority
) -> None:
    own = authority.issue("Once")
    await acme.made(body(authority, own), "/certificates")
    again = await acme.post("/certificates", body(authority, own))
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    stranger = await world.tenant("Stranger")
    assert (await stranger.post("/certificates", body(authority, own))).status_code == 201


async def test_no_table_and_no_answer_holds_a_key_or_a_passphrase(
    world: World, acme: Tenant, authority: Authority
) -> None:
    own = authority.issue("Secret holder")
    content = {"pkcs12": base64.b64encode(as_pkcs12(authority, own, CANARY)).decode(), "passphrase": CANARY}
    made = await acme.post("/certificates", content, headers={"idempotency-key": "once"})
    number = own.key.private_numbers().private_value.to_bytes(32, "big")
    pkcs8 = own.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    tables = await world.services.hub.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND has_table_privilege(oid, 'SELECT')"
    )
    assert "certificates" in {row["relname"] for row in tables}
    for row in tables:
        for line in await world.services.hub.fetch(f"SELECT t::text AS line FROM {row['relname']} t"):
            for secret in (number.hex(), pkcs8.hex(), CANARY, CANARY.encode().hex()):
                assert secret not in line["line"], row["relname"]
    assert "PRIVATE" not in made.text
    read = await acme.get(f"/certificates/{made.json()['id']}")
    assert "PRIVATE" not in read.text


async def test_another_tenant_sees_and_revokes_nothing(
    world: World, acme: Tenant, authority: Authority
) -> None:
    path = f"/certificates/{(await imported(acme, authority))['id']}"
    stranger = await world.tenant("Stranger")
    assert (await stranger.get(path)).status_code == 404
    answer = await stranger.post(f"{path}/revoke", {"reason": "spite"})
    assert answer.status_code == 404
    assert (await acme.get(path)).json()["revoked"] is False


async def test_a_revocation_needs_a_reason_and_is_recorded_once(acme: Tenant, authority: Authority) -> None:
    path = f"/certificates/{(await imported(acme, authority))['id']}"
    assert (await acme.post(f"{path}/revoke", {"reason": " "})).status_code == 422
    for _ in range(2):
        told = await acme.post(f"{path}/revoke", {"reason": "lost"})
        assert (told.status_code, told.json()["revocation_reason"]) == (200, "lost")
    assert told.json()["info"]["revocation_status"] == "revoked"
    events = (await acme.get("/audit/events")).json()["entries"]
    assert [one["event_type"] for one in events].count("certificate_revoked") == 1


async def test_a_tenants_own_certificate_seals_and_a_revoked_one_is_not_replaced_in_silence(
    world: World, acme: Tenant, authority: Authority
) -> None:
    engine = world.services.engine
    keys = sealer_of(engine).keys
    assert isinstance(keys, StoreKeys)
    installation = await InstallationKeys(engine.settings).key_for_seal(acme.id)
    assert (await keys.key_for_seal(acme.id)).certificate == installation.certificate
    made = await imported(acme, authority, "Acme seal", purpose="seal")
    key = await keys.key_for_seal(acme.id)
    assert (key.certificate_id, pem(key.certificate) in made["certificate"]) == (made["id"], True)
    assert await key.sign(b"x", "sha256")
    await acme.client.post(f"/api/v1/signatures/certificates/{made['id']}/revoke", json={"reason": "lost"})
    with pytest.raises(SealingFailed) as refused:
        await keys.key_for_seal(acme.id)
    assert refused.value.trouble is SealTrouble.CERTIFICATE_UNSUITABLE


async def test_the_preferred_certificate_signs_before_the_longest_valid(
    world: World, acme: Tenant, authority: Authority
) -> None:
    from engine.certificates.open_key import get_signing_certificate

    engine = world.services.engine
    long = await acme.made(body(authority, authority.issue("Long", days=300)), "/certificates")
    short = await acme.made(body(authority, authority.issue("Short", days=50)), "/certificates")
    assert describe_id(await get_signing_certificate(engine, acme.id)) == long["id"]
    await acme.client.patch(f"/api/v1/signatures/certificates/{short['id']}", json={"is_preferred": True})
    assert describe_id(await get_signing_certificate(engine, acme.id)) == short["id"]
    entries = (await acme.get("/audit/events")).json()["entries"]
    changes = [one["details"] for one in entries if one["event_type"] == "certificate_changed"]
    assert [one["is_preferred"] for one in changes] == [True]
    with pytest.raises(SealingFailed) as missing:
        await get_signing_certificate(engine, acme.id, "nobody@example.com")
    assert missing.value.trouble is SealTrouble.CERTIFICATE_MISSING


def describe_id(stored: Any) -> str:
    from normalizer.ids import Kind, print_id

    return print_id(Kind.CERTIFICATE, stored.id)


async def test_an_end_is_announced_once_for_each_day_of_the_settings(
    world: World, acme: Tenant, authority: Authority
) -> None:
    engine, hub = world.services.engine, world.services.hub
    await imported(acme, authority, "Far", user_id="far@example.com")
    made = await acme.made(
        body(authority, authority.issue("Near", days=29.5), contact_email="ops@example.com"), "/certificates"
    )
    assert [await alarm_due(engine), await alarm_due(engine)] == [1, 0]
    await hub.execute(
        "UPDATE certificates SET not_valid_after = now() + interval '6 days' WHERE contact_email <> ''"
    )
    assert [await alarm_due(engine), await alarm_due(engine)] == [1, 0]
    await hub.execute(
        "UPDATE certificates SET not_valid_after = now() - interval '1 hour' WHERE contact_email <> ''"
    )
    assert [await alarm_due(engine), await alarm_due(engine)] == [1, 0]
    kinds = await hub.fetch("SELECT kind FROM engine_notices")
    assert [row["kind"] for row in kinds] == ["certificate_expiring"] * 3
    events = (await acme.get("/audit/events")).json()["entries"]
    told = [one for one in events if one["event_type"] == "certificate_expiring"]
    assert {one["resource_id"] for one in told} == {made["id"]}
    assert [one["details"]["days"] for one in told] == [30, 6, 0]
    await acme.client.post(f"/api/v1/signatures/certificates/{made['id']}/revoke", json={"reason": "old"})
    await hub.execute("UPDATE certificates SET alarms_given = '{}'")
    assert await alarm_due(engine) == 0
