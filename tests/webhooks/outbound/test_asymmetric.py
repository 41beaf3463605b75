"""v1a from end to end: a key per endpoint, published, rotated with the secret, and what a signature test shows."""

from datetime import timedelta

import pytest
import svix.webhooks
from standardwebhooks import Webhook

from config.secret import Secret
from normalizer.errors import Conflict, NotFound, ValidationFailed
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Receiver
from tests.webhooks.outbound.test_sign import naive_design_signature
from webhooks.outbound.endpoint import Endpoint
from webhooks.outbound.key_ring import KEY_COLUMNS, PublicKeys, open_old_generations, read_public_keys
from webhooks.outbound.sign import SigningKeys, print_public_key, public_key
from webhooks.outbound.vaulted import SecretColumn, open_seed
from webhooks.verify import NotVerified, verify_any

URL = "http://127.0.0.1:9/hook"


async def published(hub: Hub, endpoint: Endpoint) -> PublicKeys:
    return await read_public_keys(hub.store.hub, endpoint.id, now=hub.clock.now())


def printed(*keys: bytes | None) -> list[str]:
    return [print_public_key(key) for key in keys if key is not None]


async def test_a_delivery_is_verified_by_the_published_key_alone(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    stranger = await hub.endpoint(tenant, URL, active=False)
    async with hub.delivering():
        [sent] = await hub.emit(tenant)
        await hub.until(lambda: receiver.requests)
    [request] = receiver.requests
    keys = await published(hub, made.endpoint)
    assert keys == PublicKeys(made.endpoint.verify_key, None, None)
    verified = verify_any(request.headers, request.body, printed(keys.current))
    assert (verified.id, verified.scheme) == (sent, "v1a")
    assert verify_any(request.headers, request.body, made.secret.reveal()).scheme == "v1"
    for library in (Webhook, svix.webhooks.Webhook):
        library(made.secret.reveal()).verify(request.body, request.headers)
    timestamp, own = request.headers["X-Signature-Timestamp"], made.secret.reveal()
    assert request.headers["X-Signature-Signature"] == naive_design_signature(own, timestamp, request.body)
    with pytest.raises(NotVerified):
        verify_any(request.headers, request.body, printed(stranger.endpoint.verify_key))


async def test_both_generations_verify_by_either_key_until_the_overlap_ends(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
    during = await published(hub, rotated.endpoint)
    assert (during.current, during.previous) == (rotated.endpoint.verify_key, made.endpoint.verify_key)
    assert during.previous_until == rotated.endpoint.previous_until
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.until(lambda: receiver.requests)
        await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(0))
        await hub.emit(tenant)
        await hub.until(lambda: len(receiver.requests) == 2)
    first, second = receiver.requests
    for key in printed(made.endpoint.verify_key, rotated.endpoint.verify_key):
        assert verify_any(first.headers, first.body, key).scheme == "v1a"
        with pytest.raises(NotVerified):
            verify_any(second.headers, second.body, key)
    after = await published(hub, made.endpoint)
    assert after.previous is None
    assert verify_any(second.headers, second.body, printed(after.current)).scheme == "v1a"


async def test_the_next_design_signature_stands_beside_the_old_one_until_the_cutover(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.until(lambda: receiver.requests)
        await hub.desk.activate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
        await hub.emit(tenant)
        await hub.until(lambda: len(receiver.requests) == 2)
    before, after = receiver.requests
    signed = before.headers["X-Signature-Timestamp"].encode() + b"." + before.body
    assert before.headers["X-Signature-Signature"] == SigningKeys(made.secret).design(signed)
    assert before.headers["X-Signature-Signature-Next"] == SigningKeys(rotated.secret).design(signed)
    assert "X-Signature-Signature-Next" not in after.headers
    with pytest.raises(Conflict):
        await hub.desk.activate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)


async def test_a_rotation_within_the_overlap_of_another_takes_no_key_away(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    second = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
    third = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(hours=48))
    keys = [one.endpoint.verify_key for one in (third, second, made)]
    during = await published(hub, made.endpoint)
    assert (during.current, during.previous, [key for key, _ in during.older]) == (keys[0], keys[1], keys[2:])
    assert during.older[0][1] == second.endpoint.previous_until
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.until(lambda: receiver.requests)
        await hub.store.hub.execute(
            "UPDATE webhook_endpoints SET older_until = ARRAY[now() - interval '1 s'], revision = revision + 1"
        )
    [request] = receiver.requests
    for one in (made, second, third):
        Webhook(one.secret.reveal()).verify(request.body, request.headers)
        assert verify_any(request.headers, request.body, printed(one.endpoint.verify_key)).scheme == "v1a"
    timestamp = request.headers["X-Signature-Timestamp"]
    assert request.headers["X-Signature-Signature"] == naive_design_signature(
        made.secret.reveal(), timestamp, request.body
    )
    assert (await published(hub, made.endpoint)).older == ()


async def test_a_third_rotation_keeps_what_still_signs_and_drops_what_has_ended(hub: Hub):
    """By the clock of the desk: the second's overlap has ended, the first's has not."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, URL)
    now = hub.clock.now()
    second = await hub.desk.rotate_secret(
        tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(hours=48)
    )
    third = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(hours=1))
    await hub.store.hub.execute(
        "UPDATE webhook_endpoints SET previous_until = $1", now - timedelta(seconds=1)
    )
    fourth = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
    row = await hub.store.hub.fetchrow(f"SELECT {KEY_COLUMNS} FROM webhook_endpoints")
    old = await open_old_generations(hub.vault, hub.store.hub, row, now=now)
    assert [one.secret for one in old] == [third.secret.reveal(), made.secret.reveal()]
    assert second.secret.reveal() not in repr(old)
    assert (await published(hub, made.endpoint)).current == fourth.endpoint.verify_key


async def test_a_sixth_secret_is_refused_until_one_ends_or_all_old_ones_are_ended(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, URL)
    for hours in (5, 24, 24, 24):
        await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(hours=hours))
    first = (await published(hub, made.endpoint)).older[-1][1]
    with pytest.raises(Conflict) as refused:
        await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
    assert refused.value.detail == "5 secrets sign already, as many as may beside a new one."
    assert f"{first:%Y-%m-%dT%H:%M:%SZ}" in refused.value.remedy
    assert "overlap_hours 0" in refused.value.remedy
    last = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(0))
    assert await published(hub, made.endpoint) == PublicKeys(last.endpoint.verify_key, None, None)
    await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)


async def test_an_endpoint_older_than_v1a_gets_its_key_at_its_next_rotation(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET signing_key = NULL, verify_key = NULL")
    assert await published(hub, made.endpoint) == PublicKeys(None, None, None)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.until(lambda: receiver.requests)
        rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
        await hub.emit(tenant)
        await hub.until(lambda: len(receiver.requests) == 2)
    old, new = receiver.requests
    assert "v1a" not in old.headers["webhook-signature"]
    assert [one.split(",")[0] for one in new.headers["webhook-signature"].split(" ")] == ["v1", "v1", "v1a"]
    assert verify_any(new.headers, new.body, printed(rotated.endpoint.verify_key)).scheme == "v1a"
    assert (await published(hub, made.endpoint)).previous is None


async def test_the_seed_is_sealed_and_belongs_to_the_public_key(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, URL)
    row = await hub.store.hub.fetchrow("SELECT signing_key, verify_key FROM webhook_endpoints")
    seed = await open_seed(
        hub.vault, hub.store.hub, tenant, made.endpoint.id, SecretColumn.SIGNING_KEY, row["signing_key"]
    )
    assert (public_key(seed), len(seed)) == (row["verify_key"], 32)
    assert seed not in row["signing_key"]


async def test_a_signature_test_shows_what_a_delivery_would_carry(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, URL)
    body = b'{"id":"evt_9","type":"envelope.sent","data":{}}'
    alone = await hub.desk.test_signature(tenant, made.endpoint.id, body, message="evt_9")
    assert alone.previous is None
    for key in (made.secret.reveal(), *printed(made.endpoint.verify_key)):
        assert verify_any(alone.headers, body, key).id == "evt_9"
    Webhook(made.secret.reveal()).verify(body, dict(alone.headers))
    rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
    both = await hub.desk.test_signature(
        tenant, made.endpoint.id, body, message="evt_9", timestamp=1767323045
    )
    assert both.previous is not None
    signatures = both.headers["webhook-signature"].split(" ")
    assert signatures == [both.current.v1, both.previous.v1, both.current.v1a, both.previous.v1a]
    assert both.headers["X-Signature-Signature"] == both.previous.design
    assert both.headers["X-Signature-Signature-Next"] == both.current.design
    assert both.headers["X-Signature-Event"] == "envelope.sent"
    assert both.current.design == SigningKeys(rotated.secret).design(b"1767323045." + body)
    assert await hub.deliveries() == []
    assert await hub.ledger_types(tenant) == ["endpoint_created", "endpoint_secret_rotated"]


async def test_a_signature_test_is_the_tenants_own_and_takes_no_id_with_a_dot(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, URL)
    with pytest.raises(NotFound):
        await hub.desk.test_signature(await hub.tenant(), made.endpoint.id, b"{}", message="evt_1")
    for message in ("", "a.b", "ä", "a\nb"):
        with pytest.raises(ValidationFailed):
            await hub.desk.test_signature(tenant, made.endpoint.id, b"{}", message=message)
    with pytest.raises(NotFound):
        await read_public_keys(hub.store.hub, hub.ids.new(), now=hub.clock.now())


async def test_a_tenants_own_secret_has_a_key_of_ours_beside_it(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    own = Secret("our-own-secret-of-30-bytes-long")
    made = await hub.endpoint(tenant, receiver.url, secret=own)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.until(lambda: receiver.requests)
    [request] = receiver.requests
    for key in (own.reveal(), made.standard_secret.reveal(), *printed(made.endpoint.verify_key)):
        verify_any(request.headers, request.body, key)
