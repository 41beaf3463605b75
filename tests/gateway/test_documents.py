"""Documents coming in: by content, within limits, streamed, and nothing kept of what was refused."""

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.settings import LimitSettings, Settings
from gateway.envelopes.documents import upload_document
from normalizer.ids import Kind, read_id
from tests.gateway import papers
from tests.gateway.bodies import envelope, field, inline, signer
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import API, OPERATOR, Tenant, World, open_world

UPLOAD = f"{API}/documents"


async def upload(tenant: Tenant, content: Any, **given: Any) -> Any:
    return await tenant.client.post(UPLOAD, content=content, **given)


async def blobs(world: World) -> int:
    import obstore

    return sum(len(batch) for batch in obstore.list(world.services.blobs._objects._store))


PDFS = {
    "a4": (papers.pdf(), 1),
    "letter": (papers.pdf(pages=3, size=papers.LETTER), 3),
    "rotated": (papers.pdf(rotate=90), 1),
    "late header": (b"\n\n junk before the header \n" + papers.pdf(), 1),
    "3 MB": (papers.pdf(padding=3_000_000), 1),
}


async def test_a_pdf_is_taken_with_its_digest_and_pages_and_given_back_whole(acme: Tenant) -> None:
    for what, (content, pages) in PDFS.items():
        answer = await upload(acme, content, params={"name": "../../etc/Vertrag ü.pdf"})
        document = answer.json()
        assert (answer.status_code, document["page_count"], document["size_bytes"]) == (
            201,
            pages,
            len(content),
        ), what
        assert document["sha256"] == hashlib.sha256(content).hexdigest(), what
        assert document["name"] == "Vertrag ü.pdf"
        back = await acme.get(f"/documents/{document['id']}/content")
        assert back.content == content, what
        assert back.headers["x-content-sha256"] == document["sha256"]
        assert back.headers["content-disposition"].startswith("attachment;")
        assert (await acme.get(f"/documents/{document['id']}")).json() == document


async def test_a_rotated_page_is_measured_as_it_is_displayed(world: World, acme: Tenant) -> None:
    made = (await upload(acme, papers.pdf(rotate=90))).json()
    row = await world.services.hub.fetchval(
        "SELECT pages::text FROM documents WHERE id = $1", read_id(Kind.DOCUMENT, made["id"])
    )
    (width, height), *_ = msgspec.json.decode(row)
    assert width > height


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
async def test_an_image_becomes_a_pdf_and_keeps_its_own_digest(acme: Tenant, kind: str) -> None:
    content = papers.image(kind)
    document = (await upload(acme, content)).json()
    assert (document["media_type"], document["page_count"]) == ("application/pdf", 1)
    assert document["source_media_type"] == f"image/{kind.lower()}"
    assert document["source_sha256"] == hashlib.sha256(content).hexdigest()
    back = await acme.get(f"/documents/{document['id']}/content")
    assert back.content.startswith(b"%PDF")
    assert hashlib.sha256(back.content).hexdigest() == document["sha256"]
    types = [one["event_type"] for one in (await acme.get("/audit/events")).json()["entries"]]
    assert types[-3:-1] == ["document_uploaded", "document_modified"]


async def test_a_docx_is_taken_and_goes_only_to_providers_that_convert(world: World, acme: Tenant) -> None:
    from normalizer.document import DOCX, PDF

    document = (await upload(acme, papers.docx())).json()
    assert (document["media_type"], document["page_count"]) == (DOCX, None)
    fake = world.fake("alpha")
    fake.capabilities = msgspec.structs.replace(fake.capabilities, media_types=frozenset({PDF}))
    refused = await acme.post("/envelopes", envelope(documents=[{"document_id": document["id"]}], send=True))
    assert (refused.status_code, refused.json()["code"], refused.json()["provider"]) == (
        422,
        "unsupported_feature",
        "alpha",
    )
    fake.capabilities = msgspec.structs.replace(fake.capabilities, media_types=frozenset({PDF, DOCX}))
    sent = await acme.post("/envelopes", envelope(documents=[{"document_id": document["id"]}], send=True))
    assert sent.status_code == 201


BAD = {
    "text": b"just some words " * 100,
    "html": b"<html>" * 300,
    "encrypted": papers.encrypted_pdf(),
    "broken": papers.broken_pdf(),
    "broken and large": papers.broken_pdf() * 200,
    "zip": papers.docx(name="something/else.xml"),
    "broken zip": papers.docx()[:-30],
    "broken png": papers.image("PNG")[:60],
    "broken jpeg": papers.image("JPEG")[:100],
    "short": b"%P",
}


async def test_what_cannot_be_signed_is_refused_with_a_remedy_and_leaves_no_bytes(
    world: World, acme: Tenant
) -> None:
    for what, content in BAD.items():
        answer = await upload(acme, content)
        assert (answer.status_code, answer.json()["code"]) == (422, "document_refused"), what
        inside = await acme.post("/envelopes", envelope(documents=[inline(content)]))
        assert (inside.status_code, inside.json()["code"]) == (422, "document_refused"), what
    assert await blobs(world) == 0
    assert await world.services.hub.fetchval("SELECT count(*) FROM documents") == 0


async def test_an_empty_upload_is_refused(world: World, acme: Tenant) -> None:
    assert (await upload(acme, b"")).status_code == 400
    assert await blobs(world) == 0


async def pieces(content: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def test_a_document_over_the_limit_is_refused_413_and_one_at_the_limit_taken(
    gateway_settings: Settings,
) -> None:
    content = papers.pdf(padding=2_000_000)
    settings = msgspec.structs.replace(gateway_settings, limit=LimitSettings(document_bytes=len(content)))
    large = content + b"\n"
    async with open_world(settings, FakeProvider("alpha")) as world:
        tenant = await world.tenant()
        for headers in ({}, {"idempotency-key": "k"}):
            for body in (large, pieces(large)):
                refused = await upload(tenant, body, headers=headers)
                assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
        assert await blobs(world) == 0
        for headers in ({}, {"idempotency-key": "k"}):
            assert (await upload(tenant, content, headers=headers)).status_code == 201
        assert (await upload(tenant, pieces(content))).status_code == 201


async def test_an_upload_that_breaks_off_leaves_nothing(world: World, acme: Tenant) -> None:
    content = papers.pdf(padding=2_000_000)

    async def breaks_off() -> AsyncIterator[bytes]:
        async for piece in pieces(content[:1_000_000]):
            yield piece
        raise ConnectionError("gone")

    caller = msgspec.structs.replace(OPERATOR, tenant_id=acme.id)
    with pytest.raises(ConnectionError):
        await upload_document(world.services, caller, "a.pdf", breaks_off())
    assert await blobs(world) == 0


async def test_a_length_that_lies_is_refused_and_leaves_nothing(world: World, acme: Tenant) -> None:
    answer = await upload(acme, pieces(papers.pdf()), headers={"content-length": "999999"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert await blobs(world) == 0


async def test_bytes_of_an_envelope_that_is_not_made_are_removed(world: World, acme: Tenant) -> None:
    documents = [inline(), inline(b"no pdf", "b.txt")]
    assert (await acme.post("/envelopes", envelope(documents=documents))).status_code == 422
    world.fake("alpha").capabilities = msgspec.structs.replace(world.fake("alpha").capabilities, fields={})
    assert (await acme.post("/envelopes", envelope(send=True))).status_code == 422
    assert await blobs(world) == 0


async def test_a_document_is_in_one_envelope_and_named_once(acme: Tenant) -> None:
    document = {"document_id": (await upload(acme, papers.pdf())).json()["id"]}
    twice = await acme.post("/envelopes", envelope(documents=[document, document]))
    assert (twice.status_code, twice.json()["findings"][0]["where"]) == (422, "/documents/0/document_id")
    assert (await acme.post("/envelopes", envelope(documents=[document]))).status_code == 201
    for send in (False, True):
        again = await acme.post("/envelopes", envelope(documents=[document], send=send))
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert again.json()["detail"].endswith(f"an envelope: {document['document_id']}.")


@pytest.mark.parametrize(
    ("number", "megabytes"), [(8, 24), pytest.param(20, 47, marks=pytest.mark.long)], ids=["short", "long"]
)
async def test_large_uploads_at_once_stay_in_little_memory(
    gateway_settings: Settings, tmp_path: Path, number: int, megabytes: int
) -> None:
    """Stored on disk, as an installation does: some megabytes for each, not all of its bytes."""
    settings = msgspec.structs.replace(
        gateway_settings,
        countersign=msgspec.structs.replace(gateway_settings.countersign, blob_url=tmp_path.as_uri()),
    )
    size = megabytes * 1024 * 1024
    head = papers.pdf()
    filler = b"%" + b"x" * 65534 + b"\n"

    async def large() -> AsyncIterator[bytes]:
        yield b"%PDF-1.7\n"
        for _ in range(size // len(filler)):
            yield filler
        yield head

    async with open_world(settings, FakeProvider("alpha")) as world:
        tenant = await world.tenant()
        caller = msgspec.structs.replace(OPERATOR, tenant_id=tenant.id)
        await upload_document(world.services, caller, "warm.pdf", large())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        made = await asyncio.gather(
            *(upload_document(world.services, caller, f"{n}.pdf", large()) for n in range(number))
        )
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert {one.page_count for one in made} == {1}
    assert grown < 15 * number, f"{grown:.0f} MB more for {number} uploads of {megabytes} MB"


async def test_a_field_on_a_page_that_is_not_there_or_over_its_edge_stops_sending(acme: Tenant) -> None:
    for place, where in (({"page": 2}, "/page"), ({"x": 580}, ""), ({"y": 830}, "")):
        answer = await acme.post(
            "/envelopes", envelope(send=True, recipients=[signer(fields=[field(**place)])])
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "not_ready")
        assert answer.json()["findings"][0]["where"].endswith(where)
