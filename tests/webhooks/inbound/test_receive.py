"""The door: who is let in, how everybody is answered, and that nothing authentic is lost."""

import asyncio
import gzip
import json
from dataclasses import replace

import msgspec
import pytest

from adapters.kit.port import RawRequest
from config.errors import StoreUnavailable
from config.vault import Place
from gateway.tenants.find_sender import SenderDirectory
from tests.webhooks.inbound.house import (
    CLIENT_ID,
    KEY,
    House,
    LaterClock,
    connect_message,
    eventually,
    notification,
    open_house,
    serve,
    signed,
)


async def refusals(house: House) -> dict[str, int]:
    rows = await eventually(
        lambda: house.services.hub.fetch("SELECT reason, refused FROM inbound_refusals"), within_s=10
    )
    return {row["reason"]: row["refused"] for row in rows}


async def test_signed_message_is_kept_with_its_exact_bytes_and_answered(gateway: House) -> None:
    placed = await gateway.docusign()
    body = b'{ "event" :\t"envelope-sent"\r\n, "odd": "\xc3\xa9" }'
    assert await gateway.deliver(placed, body) == 200
    (message,) = await gateway.messages()
    assert (message["state"], message["tenant_id"], message["key_index"]) == ("received", placed.tenant_id, 0)
    assert body not in message["body"]
    vault = gateway.services.vault
    opened = await vault.decrypt(
        gateway.services.hub,
        placed.tenant_id,
        Place("inbox_messages", "body", message["id"]),
        message["body"],
    )
    headers = json.loads(
        await vault.decrypt(
            gateway.services.hub, placed.tenant_id, Place("inbox_messages", "headers", message["id"]),
            message["headers"],
        )
    )  # fmt: skip
    assert opened == body
    assert ["x-docusign-signature-1", signed(body, KEY)["X-DocuSign-Signature-1"]] in headers


@pytest.mark.parametrize(
    "headers",
    [{}, signed(b"another body", KEY), signed(b"{}", "another key"), {"X-DocuSign-Signature-1": "nonsense"}],
    ids=["unsigned", "other body", "other key", "nonsense"],
)
async def test_forged_message_is_refused_and_leaves_no_message(gateway: House, headers) -> None:
    placed = await gateway.docusign()
    assert (await gateway.post(placed.path, b"{}", headers)).status == 401
    assert await gateway.messages() == []
    assert sum((await refusals(gateway)).values()) == 1


async def test_connection_without_a_key_refuses_everything(gateway: House) -> None:
    placed = await gateway.docusign()
    await gateway.rotate(placed)
    assert await gateway.deliver(placed, b"{}", "") == 401
    assert await gateway.messages() == []


async def test_key_of_another_tenant_is_refused(gateway: House) -> None:
    ours, theirs = await gateway.docusign(None, "our-key-1"), await gateway.docusign(None, "their-key-1")
    assert await gateway.deliver(ours, b"{}", "their-key-1") == 401
    assert await gateway.deliver(theirs, b"{}", "their-key-1") == 200
    (message,) = await gateway.messages()
    assert message["tenant_id"] == theirs.tenant_id


async def test_body_changed_at_any_offset_is_refused(gateway: House) -> None:
    placed = await gateway.docusign()
    body = connect_message("envelope-completed", await gateway.envelope(placed))
    headers = signed(body, KEY)
    for offset in range(0, len(body), 7):
        changed = body[:offset] + bytes([body[offset] ^ 1]) + body[offset + 1 :]
        assert (await gateway.post(placed.path, changed, headers)).status == 401
    assert (await gateway.post(placed.path, body, headers)).status == 200
    assert len(await gateway.messages()) == 1


async def test_all_live_keys_are_accepted_and_a_retired_one_is_refused_soon(settings, house: House) -> None:
    clock = LaterClock()
    find = SenderDirectory(replace(house.services, clock=clock)).find
    placed = await house.docusign(None, "old-key-1", "new-key-1")
    path_key = placed.path.rpartition("/")[2]
    before = await find(path_key)
    assert before is not None
    await house.rotate(placed, "new-key-1")
    clock.shift = 3.1
    after = await find(path_key)
    assert after is not None
    for sender, expected in ((before, [True, True]), (after, [False, True])):
        verdicts = [
            sender.adapter.verify(
                RawRequest(
                    method="POST",
                    headers=tuple((k.lower(), v) for k, v in signed(b"{}", key).items()),
                    body=b"{}",
                ),
                sender.connection,
            ).authentic
            for key in ("old-key-1", "new-key-1")
        ]
        assert verdicts == expected


async def test_unknown_path_and_another_providers_path_are_not_found(gateway: House) -> None:
    placed = await gateway.docusign()
    foreign = placed.path.replace("docusign", "adobe-sign")
    for path in ("/webhooks/signatures/docusign/" + "x" * 43, foreign, "/webhooks/signatures/docusign/short"):
        assert (await gateway.post(path, b"{}", signed(b"{}", KEY))).status == 404
    assert await refusals(gateway) == {"no connection under this path": 3}


async def test_connection_that_takes_no_webhooks_is_not_found(gateway: House) -> None:
    placed = await gateway.docusign()
    await gateway.services.hub.execute("UPDATE connections SET receive_webhooks = false")
    assert await gateway.deliver(placed, b"{}") == 404


async def test_same_bytes_again_are_counted_and_answered(gateway: House) -> None:
    placed = await gateway.docusign()
    body = connect_message("envelope-sent", await gateway.envelope(placed))
    statuses = await asyncio.gather(*(gateway.deliver(placed, body) for _ in range(20)))
    assert set(statuses) == {200}
    (message,) = await gateway.messages()
    assert message["duplicates"] == 19


async def test_same_bytes_on_two_connections_are_two_messages(gateway: House) -> None:
    tenant = await gateway.tenant()
    placed = [await gateway.docusign(tenant), await gateway.docusign(tenant)]
    assert [await gateway.deliver(one, b"{}") for one in placed] == [200, 200]
    assert len(await gateway.messages()) == 2


async def test_body_over_the_limit_is_refused_and_one_at_the_limit_is_kept(settings, store) -> None:
    small = msgspec.structs.replace(
        settings, inbox=msgspec.structs.replace(settings.inbox, body_bytes=100_000)
    )
    async with open_house(small) as house, serve(house):
        placed = await house.docusign()
        assert await house.deliver(placed, b" " * 100_000) == 200
        assert await house.deliver(placed, b" " * 100_001) == 413
        assert [message["body_bytes"] for message in await house.messages()] == [100_000]


async def test_compressed_body_is_kept_as_it_came(gateway: House) -> None:
    placed = await gateway.docusign()
    body = gzip.compress(b"{}")
    answer = await gateway.post(placed.path, body, signed(body, KEY) | {"Content-Encoding": "gzip"})
    assert answer.status == 200
    assert (await gateway.messages())[0]["body_bytes"] == len(body)


async def test_adobe_challenge_echoes_our_client_id_and_refuses_another(gateway: House) -> None:
    placed = await gateway.adobe_sign()
    for client_id, status in ((CLIENT_ID, 200), ("foreign", 403)):
        async with gateway.http.get(
            gateway.base + placed.path, headers={"X-AdobeSign-ClientId": client_id}
        ) as answer:
            assert answer.status == status
            assert answer.headers.get("X-AdobeSign-ClientId") == (client_id if status == 200 else None)
            if status == 200:
                assert await answer.json() == {"xAdobeSignClientId": client_id}


async def test_adobe_post_is_echoed_and_one_of_another_client_refused(gateway: House) -> None:
    placed = await gateway.adobe_sign()
    body = notification("AGREEMENT_CREATED", "CBJ-1")
    answer = await gateway.post(placed.path, body, {"X-AdobeSign-ClientId": CLIENT_ID})
    assert (answer.status, answer.headers["X-AdobeSign-ClientId"]) == (200, CLIENT_ID)
    assert await gateway.notify(placed, body, "foreign") == 403
    assert len(await gateway.messages()) == 1


async def test_docusign_path_answers_no_challenge(gateway: House) -> None:
    placed = await gateway.docusign()
    async with gateway.http.get(gateway.base + placed.path) as answer:
        assert answer.status == 405


async def test_connection_over_its_limit_is_told_to_come_again_and_others_are_not(settings) -> None:
    limited = msgspec.structs.replace(
        settings, limit=msgspec.structs.replace(settings.limit, inbound_per_minute=3)
    )
    async with open_house(limited) as house, serve(house):
        placed, other = await house.docusign(), await house.docusign()
        for _ in range(5):
            assert await house.deliver(placed, b"{}", "forged") == 401
        statuses = [await house.deliver(placed, b"%d" % number) for number in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = await house.post(placed.path, b"{}", signed(b"{}", KEY))
        assert 1 <= int(answer.headers["Retry-After"]) <= 20
        assert await house.deliver(other, b"{}") == 200
        assert len(await house.messages()) == 4


async def test_message_that_cannot_be_made_durable_is_not_acknowledged(house: House) -> None:
    hub = house.services.hub

    class Away:
        def __getattr__(self, name: str):
            return getattr(hub, name)

        async def fetch(self, *_: object):
            raise StoreUnavailable("away")

    placed = await house.docusign()
    broken = replace(house.services, hub=Away())
    house.services = broken
    async with serve(house):
        assert await house.deliver(placed, b"{}") == 503


async def test_sender_that_hangs_up_in_the_middle_leaves_nothing(gateway: House) -> None:
    placed = await gateway.docusign()
    address = gateway.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(address[0], int(address[1]))
    head = f"POST {placed.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in signed(b"{}", KEY).items())
    writer.write(head.encode() + b"\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await gateway.deliver(placed, b"{}") == 200
    assert len(await gateway.messages()) == 1
    assert reader is not None


async def test_body_that_is_declared_too_large_is_refused_before_it_is_sent(gateway: House) -> None:
    placed = await gateway.docusign()
    address = gateway.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(address[0], int(address[1]))
    writer.write(f"POST {placed.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n".encode())
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await writer.wait_closed()
