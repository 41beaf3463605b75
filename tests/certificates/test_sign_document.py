"""Signing a stored document outside an envelope, and what independent readers say of the result."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.development.authority_keys import Authority
from tests.certificates.issued import body
from tests.gateway.world import API, Tenant, World
from tests.sealing.papers import make_pdf, render
from tests.sealing.verdicts import has_pdfsig, pdfsig


async def stored(tenant: Tenant, content: bytes | None = None) -> dict[str, Any]:
    answer = await tenant.client.post(f"{API}/documents?name=contract.pdf", content=content or make_pdf(2))
    return answer.json()


async def certificate(tenant: Tenant, authority: Authority, name: str = "Ada", **given: Any) -> str:
    made = await tenant.made(body(authority, authority.issue(name), **given), "/certificates")
    return made["id"]


async def test_a_document_is_signed_into_a_new_one_that_both_readers_call_valid(
    acme: Tenant, authority: Authority, tmp_path: Path
) -> None:
    source, own = await stored(acme), await certificate(acme, authority)
    order = {"reason": "I agree", "location": "Oslo", "certificate_id": own}
    signed = await acme.made(order, f"/documents/{source['id']}/sign")
    assert (signed["certificate_id"], signed["level"]) == (own, "B-T")
    document = signed["document"]
    assert document["id"] != source["id"]
    content = (await acme.get(f"/documents/{document['id']}/content")).content
    assert content.startswith((await acme.get(f"/documents/{source['id']}/content")).content)
    report = (await acme.post("/verify", {"document_id": document["id"]})).json()
    (one,) = report["signatures"]
    assert (one["signer"], one["reason"], one["location"]) == ("Ada", "I agree", "Oslo")
    assert (one["signature_valid"], one["timestamp_valid"], one["is_certification"]) == (True, True, False)
    assert report["stored"]["kind"] == "signed"
    if not has_pdfsig():
        pytest.fail("pdfsig (poppler-utils) is not installed: the second reader's verdict is missing")
    (tmp_path / "signed.pdf").write_bytes(content)
    said = await asyncio.to_thread(pdfsig, tmp_path / "signed.pdf")
    assert "Signature is Valid" in said
    assert "ETSI.CAdES.detached" in said
    events = [one["event_type"] for one in (await acme.get("/audit/events")).json()["entries"]]
    assert events.count("certificate_used") == events.count("document_signed") == 1


async def test_a_signed_document_is_signed_again_by_another_and_both_stay_valid(
    acme: Tenant, authority: Authority
) -> None:
    source = await stored(acme)
    await certificate(acme, authority, "Ada", user_id="ada@example.com")
    await certificate(acme, authority, "Bob", user_id="bob@example.com")
    first = await acme.made({"user_id": "Ada@example.com"}, f"/documents/{source['id']}/sign")
    again = await acme.made({"user_id": "bob@example.com"}, f"/documents/{first['document']['id']}/sign")
    report = (await acme.post("/verify", {"document_id": again["document"]["id"]})).json()
    assert [one["signer"] for one in report["signatures"]] == ["Ada", "Bob"]
    assert report["verdict"] == "development", report


async def test_a_visible_signature_stands_where_it_was_asked_for(acme: Tenant, authority: Authority) -> None:
    source = await stored(acme)
    await certificate(acme, authority)
    place = {"page": 1, "x": 60, "y": 500, "width": 200, "height": 60}
    signed = await acme.made({"reason": "Seen", "place": place}, f"/documents/{source['id']}/sign")
    content = (await acme.get(f"/documents/{signed['document']['id']}/content")).content
    before, after = render(make_pdf(2)), render(content)
    scale = after.width / 595
    box = tuple(int(side * scale) for side in (60, 500, 260, 560))
    assert before.crop(box).getcolors() != after.crop(box).getcolors()
    for wrong in ({"page": 3}, {"x": 500}, {"width": 0}):
        answer = await acme.post(f"/documents/{source['id']}/sign", {"place": place | wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), wrong


async def test_a_revoked_ended_or_missing_certificate_signs_nothing(
    world: World, acme: Tenant, authority: Authority
) -> None:
    source = await stored(acme)
    path = f"/documents/{source['id']}/sign"
    assert (await acme.post(path, {})).json()["code"] == "certificate_unusable"
    own = await certificate(acme, authority)
    await acme.client.post(f"{API}/certificates/{own}/revoke", json={"reason": "lost"})
    for order in ({}, {"certificate_id": own}):
        told = await acme.post(path, order)
        assert (told.status_code, told.json()["code"]) == (422, "certificate_unusable")
        assert "revoked" in told.json()["detail"]
    stranger = await world.tenant("Stranger")
    theirs = await certificate(stranger, authority)
    assert (await acme.post(path, {"certificate_id": theirs})).status_code == 404
    count = await world.services.hub.fetchval("SELECT count(*) FROM document_signatures")
    assert count == 0


async def test_signing_needs_its_own_scope(world: World, acme: Tenant, authority: Authority) -> None:
    source = await stored(acme)
    await certificate(acme, authority)
    key = await acme.new_key("documents:write", "certificates:write")
    answer = await acme.client.post(
        f"{API}/documents/{source['id']}/sign",
        json={},
        headers={"authorization": f"Bearer {key.secret.reveal()}"},
    )
    assert answer.status_code == 403


async def test_a_certificate_for_seals_or_of_an_unnamed_person_signs_nothing(
    acme: Tenant, authority: Authority
) -> None:
    path = f"/documents/{(await stored(acme))['id']}/sign"
    seal = await certificate(acme, authority, "Acme seal", purpose="seal")
    adas = await certificate(acme, authority, "Ada", user_id="ada@example.com")
    for order, words in (
        ({"certificate_id": seal}, "seals envelopes"),
        ({"certificate_id": adas}, "on whose behalf"),
        ({"certificate_id": adas, "user_id": "bob@example.com"}, "on whose behalf"),
    ):
        told = await acme.post(path, order)
        assert (told.status_code, told.json()["code"]) == (422, "certificate_unusable"), order
        assert words in told.json()["detail"]
    signed = await acme.made({"certificate_id": adas, "user_id": "Ada@example.com"}, path)
    assert signed["certificate_id"] == adas
