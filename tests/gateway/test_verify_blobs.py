"""Stored documents are read again: damage is found, told once, and heals when the bytes come back."""

from collections.abc import AsyncIterator
from typing import Any

import obstore

from gateway.envelopes.verify_blobs import verify_all, verify_due
from normalizer.ids import Kind, read_id
from tests.gateway.bodies import envelope
from tests.gateway.test_document_examination import house  # noqa: F401 - a fixture
from tests.gateway.world import Tenant, World


async def age(world: World, days: int) -> None:
    for table, column in (("documents", "created_at"), ("document_examinations", "examined_at")):
        await world.services.hub.execute(
            f"UPDATE {table} SET {column} = now() - make_interval(days => {days})"
        )
    await world.services.hub.execute("UPDATE engine_envelopes SET created_at = now() - interval '40 days'")


async def damage_events(world: World) -> list[Any]:
    return await world.services.hub.fetch(
        "SELECT chain_id FROM ledger_entries WHERE event_type = 'blob_damaged'"
    )


async def test_stored_documents_are_read_again_when_they_are_due_and_not_before(
    world: World, acme: Tenant
) -> None:
    await acme.made(envelope())
    assert (await verify_due(world.services)).checked == 0
    await age(world, 31)
    await world.services.hub.execute("DELETE FROM blob_checks")
    found = await verify_due(world.services)
    assert (found.checked, found.damaged, found.past_retention) == (1, 0, 0)
    assert (await verify_due(world.services)).checked == 0


async def test_a_damaged_document_is_told_once_in_the_envelopes_chain_and_heals(
    world: World, acme: Tenant
) -> None:
    made = await acme.made(envelope())
    own = read_id(Kind.DOCUMENT, made["documents"][0]["id"])
    key = await world.services.hub.fetchval("SELECT blob_key FROM documents WHERE id = $1", own)
    objects = world.services.blobs._objects._store
    whole = bytes(obstore.get(objects, key).bytes())
    obstore.put(objects, key, whole[:-1] + bytes([whole[-1] ^ 1]))
    for _ in range(2):
        found = await verify_all(world.services, acme.id)
        assert (found.checked, found.damaged) == (1, 1)
    (event,) = await damage_events(world)
    assert event["chain_id"] == f"env:{read_id(Kind.ENVELOPE, made['id'])}"
    metrics = (await acme.client.get("/metrics")).text
    assert "countersign_blobs_damaged 1.0" in metrics
    obstore.put(objects, key, whole)
    assert (await verify_all(world.services)).damaged == 0
    assert "countersign_blobs_damaged 0.0" in (await acme.client.get("/metrics")).text
    obstore.delete(objects, key)
    assert (await verify_all(world.services)).damaged == 1
    assert len(await damage_events(world)) == 2, "it was good in between: this is news"


async def test_what_the_engine_keeps_is_on_the_list_too(world: World, house: Tenant) -> None:  # noqa: F811
    await house.made(envelope(send=True))
    found = await verify_all(world.services)
    assert found.damaged == 0
    keys = await world.services.hub.fetch("SELECT blob_key FROM engine_documents")
    listed = await world.services.hub.fetch("SELECT blob_key FROM blob_checks")
    assert {row["blob_key"] for row in keys} <= {row["blob_key"] for row in listed}


async def test_a_file_that_a_recipient_attached_is_read_again_too(
    world: World,
    house: Tenant,  # noqa: F811
) -> None:
    await house.made(envelope(send=True))
    hub = world.services.hub
    field = await hub.fetchrow("SELECT tenant_id, engine_id, id FROM engine_fields LIMIT 1")
    blob = await world.services.blobs.put(field["tenant_id"], _once(b"a passport"))
    await hub.execute(
        "INSERT INTO attachments (tenant_id, engine_id, field_id, blob_key, name, media_type, sha256, size_bytes)"
        " VALUES ($1, $2, $3, $4, 'passport.png', 'image/png', repeat('0', 64), 10)",
        *field.values(),
        blob.key,
    )
    assert (await verify_all(world.services)).damaged == 0, "no field names it"
    await hub.execute(
        "UPDATE engine_fields SET attachment_blob_key = $2 WHERE id = $1", field["id"], blob.key
    )
    assert (await verify_all(world.services)).damaged == 1


async def test_a_former_version_of_a_sealed_document_is_read_again_too(
    world: World,
    house: Tenant,  # noqa: F811
) -> None:
    await house.made(envelope(send=True))
    hub = world.services.hub
    own = await hub.fetchrow("SELECT tenant_id, id FROM engine_envelopes")
    blob = await world.services.blobs.put(own["tenant_id"], _once(b"sealed once"))
    await hub.execute(
        "INSERT INTO engine_seals (tenant_id, engine_id, id, part, level, blob_key, sha256, size_bytes)"
        " VALUES ($1, $2, gen_random_uuid(), 'document', 'B-LTA', $3, repeat('0', 64), 11)",
        *own.values(),
        blob.key,
    )
    assert (await verify_all(world.services)).damaged == 1


async def test_what_is_older_than_it_must_be_kept_is_counted_and_kept(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope())
    await age(world, 4000)
    assert (await verify_all(world.services)).past_retention == 1
    document = made["documents"][0]["id"]
    assert (await acme.get(f"/documents/{document}/content")).status_code == 200


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
