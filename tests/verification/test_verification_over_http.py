"""Verification by API and on the public page, through the real gateway."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings_verification import VerificationSettings
from engine.development.authority_keys import open_authority
from tests.gateway.world import API, Tenant, World, make_settings
from tests.verification import papers

PDF = {"content-type": "application/pdf"}


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's folder, whose development authority it trusts."""
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def own_seal(own_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return papers.seal_paper(open_authority(own_folder / "authority"), tmp_path_factory.mktemp("own"))


@pytest.fixture
def gateway_settings(store: Any, redis_url: Any, own_folder: Path) -> Any:
    small = VerificationSettings(file_bytes=1_000_000, public_per_minute=6)
    return make_settings(store, redis_url, own_folder, verification=small)


async def verified(tenant: Tenant, content: bytes, **given: Any) -> Any:
    return await tenant.client.post(f"{API}/verify", content=content, headers=PDF, **given)


async def test_a_sealed_file_is_verified_with_the_keys_of_the_design_and_recorded(
    world: World, acme: Tenant, own_seal: bytes
) -> None:
    answer = await verified(acme, own_seal)
    report = answer.json()
    assert (answer.status_code, report["verdict"]) == (200, "development")
    (one,) = report["signatures"]
    design = {
        "signer",
        "signature_valid",
        "certificate_valid",
        "revocation_status",
        "timestamp_valid",
        "signing_time",
        "reason",
        "location",
    }
    assert design <= one.keys()
    assert one["signature_valid"] is True
    audit = (await acme.get("/audit/events")).json()
    assert "certificate_verified" in [entry["event_type"] for entry in audit["entries"]]


async def test_a_changed_file_is_told_altered(acme: Tenant, own_seal: bytes) -> None:
    report = (await verified(acme, papers.overlay(own_seal))).json()
    assert (report["verdict"], report["signatures"][0]["signature_valid"]) == ("altered", False)


async def test_a_stored_document_is_verified_by_its_id_and_compared_with_its_digest(
    acme: Tenant, own_seal: bytes
) -> None:
    stored = (await acme.client.post(f"{API}/documents", content=own_seal)).json()
    report = (await acme.post("/verify", {"document_id": stored["id"]})).json()
    assert (report["verdict"], report["matches_stored"]) == ("development", True)
    assert report["sha256"] == stored["sha256"]


async def test_another_tenants_document_is_not_there(world: World, acme: Tenant, own_seal: bytes) -> None:
    stored = (await acme.client.post(f"{API}/documents", content=own_seal)).json()
    stranger = await world.tenant("Stranger")
    assert (await stranger.post("/verify", {"document_id": stored["id"]})).status_code == 404


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", PDF, 400),
        (b"x" * 1_000_001, PDF, 413),
        (b'{"document": 1}', {"content-type": "application/json"}, 400),
        (b"no pdf at all", PDF, 200),
    ],
)
async def test_a_body_that_cannot_be_verified_is_refused_or_called_damaged(
    content: bytes, headers: dict[str, str], status: int, acme: Tenant
) -> None:
    answer = await acme.client.post(f"{API}/verify", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["verdict"] == "damaged"


async def test_verification_over_the_api_needs_a_key_with_the_scope(world: World, acme: Tenant) -> None:
    key = await acme.new_key("webhooks:read")
    async with visitor(world) as client:
        assert (await client.post(f"{API}/verify", content=b"x", headers=PDF)).status_code == 401
        told = await client.post(
            f"{API}/verify", content=b"x", headers=PDF | {"authorization": f"Bearer {key.secret.reveal()}"}
        )
        assert told.status_code == 403


def visitor(world: World, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app), base_url="http://127.0.0.1", headers=headers
    )


async def sent(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    return await client.post("/verify", files={"file": ("contract.pdf", content, "application/pdf")})


async def test_the_public_page_asks_judges_and_keeps_its_policy(world: World, own_seal: bytes) -> None:
    async with visitor(world) as client:
        blank = await client.get("/verify")
        assert blank.status_code == 200
        assert 'name="file"' in blank.text
        assert "default-src 'none'" in blank.headers["content-security-policy"]
        assert blank.headers["cache-control"] == "no-store"
        good = await sent(client, own_seal)
        assert good.status_code == 200, good.text
        assert "no legal effect" in good.text
        bad = await sent(client, papers.overlay(own_seal))
        assert "Altered after signing" in bad.text
        assert "Some readers still call such a signature valid" in bad.text


async def test_the_public_page_speaks_german_to_whoever_asks_for_it(world: World, own_seal: bytes) -> None:
    async with visitor(world, **{"accept-language": "fr;q=0.9, de-AT, en"}) as client:
        assert "Nach der Unterschrift verändert" in (await sent(client, papers.overlay(own_seal))).text


async def test_the_public_page_refuses_what_is_too_large_missing_or_too_often(world: World) -> None:
    async with visitor(world) as client:
        assert (await sent(client, b"x" * 1_100_000)).status_code == 413
        assert (await sent(client, b"x" * 1_000_001)).status_code == 413
        assert (await client.post("/verify", data={"code": "x"})).status_code == 422
        codes = [(await sent(client, b"no pdf")).status_code for _ in range(6)]
    assert codes[0] == 200
    assert codes[-1] == 429


async def test_a_code_tells_state_dates_and_digests_and_nobodys_name(world: World, acme: Tenant) -> None:
    code = "abcdefgh-code_1234567890"
    await make_envelope(world, acme, code)
    async with visitor(world) as client:
        moved = await client.post("/verify/code", data={"code": f" {code} "})
        assert (moved.status_code, moved.headers["location"]) == (303, f"/verify/{code}")
        page = await client.get(f"/verify/{code}")
        assert page.status_code == 200
        assert "completed" in page.text
        assert "a" * 64 in page.text
        for private in ("Secret merger", "ada@example.com", "Ada", "Acme"):
            assert private not in page.text
        for wrong in ("nothing-of-ours-1234", "x", "../../etc/passwd", "%00"):
            assert (await client.get(f"/verify/{wrong}")).status_code in {400, 404}


async def test_a_file_that_was_sealed_here_is_found_by_its_digest(
    world: World, acme: Tenant, own_seal: bytes
) -> None:
    import hashlib

    await make_envelope(world, acme, "abcdefgh-code", hashlib.sha256(own_seal).hexdigest())
    report = (await verified(acme, own_seal)).json()
    assert (report["matches_stored"], report["stored"]["kind"]) == (True, "document")
    async with visitor(world) as client:
        assert "Exactly the file that was sealed here" in (await sent(client, own_seal)).text
    stranger = await world.tenant("Stranger")
    assert (await verified(stranger, own_seal)).json()["stored"] is None


async def make_envelope(world: World, tenant: Tenant, code: str, sha256: str = "a" * 64) -> None:
    """A completed one of the engine, as the sealing leaves it."""
    ids = world.services.ids
    engine_id, document_id = ids.new(), ids.new()
    hub = world.services.hub
    await hub.execute(
        "INSERT INTO engine_envelopes (tenant_id, id, connection_id, envelope_id, reference, status, subject,"
        " sender_name, sender_email, verification_code, completed_at)"
        " VALUES ($1, $2, $2, $2, 'r', 'completed', 'Secret merger', 'Ada', 'ada@example.com', $3, now())",
        tenant.id,
        engine_id,
        code,
    )
    await hub.execute(
        "INSERT INTO engine_documents (tenant_id, engine_id, id, position, name, source_blob_key, source_sha256,"
        " blob_key, sha256, size_bytes, page_count, pages, sealed_blob_key, sealed_sha256, sealed_size)"
        " VALUES ($1, $2, $3, 0, 'Secret merger.pdf', 'b', '', 'b', '', 1, 1, '[]', 'b', $4, 1)",
        tenant.id,
        engine_id,
        document_id,
        sha256,
    )
    await hub.execute(
        "INSERT INTO engine_seals (tenant_id, engine_id, id, part, document_id, level, blob_key, sha256, size_bytes,"
        " certificate_serial, timestamp_authority, stamped_at)"
        " VALUES ($1, $2, $3, 'document', $4, 'B-T', 'b', $5, 1, 'abc123', 'TSA', now())",
        tenant.id,
        engine_id,
        ids.new(),
        document_id,
        sha256,
    )
