"""A mailbox that is refused for good: the envelope knows, the gateway is told, and only when it is still theirs."""

import json

import pytest

from tests.engine.notify.desk import ENGINE_ID, ENVELOPE, RECIPIENT, TENANT, make_request
from tests.engine.notify.post import Post, make_settings, open_post
from tests.engine.notify.servers import MailServer, mail_server


async def put_envelope(post: Post, *, status: str = "sent", recipient_status: str = "sent") -> None:
    await post.desk.store.hub.execute(
        "INSERT INTO engine_envelopes (tenant_id, id, connection_id, envelope_id, reference, status, subject,"
        " verification_code) VALUES ($1, $2, $3, $4, 'r', $5, 's', 'v')",
        TENANT,
        ENGINE_ID,
        ENVELOPE,
        ENVELOPE,
        status,
    )
    await post.desk.store.hub.execute(
        "INSERT INTO engine_recipients (tenant_id, engine_id, id, position, name, email, role, routing_order, status,"
        " authentication) VALUES ($1, $2, $3, 0, 'Ada', 'Ada@signer.example', 'signer', 1, $4, '{email}')",
        TENANT,
        ENGINE_ID,
        RECIPIENT,
        recipient_status,
    )


async def bounce(post: Post, **given) -> str:
    async with mail_server(MailServer(replies={"RCPT": "550 5.1.1 no such user"}, port=0)) as server:
        post.carriers = type(post)(post.desk, make_settings(server.port)).carriers
        await post.desk.put(make_request(**given))
        await post.send()
    return await post.desk.store.hub.fetchval("SELECT status FROM engine_recipients WHERE id = $1", RECIPIENT)


async def test_bounced_invitation_makes_the_recipient_unreachable_and_tells_the_gateway(store, tmp_path):
    post = await open_post(store, tmp_path, make_settings(1))
    await put_envelope(post)
    assert await bounce(post) == "bounced"
    (body,) = post.desk.emitted
    (fact,) = json.loads(body)["happenings"]
    assert (fact["word"], fact["status"], fact["place"]) == ("recipient_bounced", "bounced", str(RECIPIENT))
    (entry,) = await post.entries()
    assert entry["event_type"] == "notice_failed"


@pytest.mark.parametrize(
    ("envelope", "recipient", "address"),
    [
        ("voided", "sent", "ada@signer.example"),
        ("sent", "delivered", "ada@signer.example"),
        ("sent", "sent", "an-earlier@address.example"),
    ],
    ids=["ended", "opened already", "address corrected meanwhile"],
)
async def test_bounce_of_what_is_no_longer_so_changes_nothing(
    store, tmp_path, envelope: str, recipient: str, address: str
):
    post = await open_post(store, tmp_path, make_settings(1))
    await put_envelope(post, status=envelope, recipient_status=recipient)
    assert await bounce(post, address=address) == recipient
    assert post.desk.emitted == []
    assert [entry["event_type"] for entry in await post.entries()] == ["notice_failed"]
