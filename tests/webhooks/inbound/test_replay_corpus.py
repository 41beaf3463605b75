"""What somebody might post again or change: 500 and more cases, each refused or without effect.

| kind | what is posted | what becomes of it |
|---|---|---|
| byte of the body | a signed message with one byte changed, at each offset | 401 |
| byte of the signature | its signature with one character changed, at each offset | 401 |
| retired key | signed with a key that was rotated out | 401 |
| another tenant's key | signed with a live key of another tenant | 401 |
| another connection's path | a genuine message of one connection, posted to another of the same tenant | 401 |
| same key, another path | the same where both connections share a key (one integrator's key) | kept, parked: no envelope |
| same key, another account | a message of another account's that the shared key signed | kept, quarantined |
| used again | the same bytes again | 200, counted, no second effect |
| redelivered | the same fact in other bytes, signed | 200, no second effect |
| old timestamp | genuine and older than any retry; the provider says otherwise | 200, as the provider says |
| ahead of its time | likewise, beyond the tolerance of 300 s | 200, as the provider says |
| another client id | unsigned provider: another application's id, none, or two | 403 |
| forged end | unsigned provider: our id, and an end that the provider does not confirm | 200, as the provider says |
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from normalizer.status import EnvelopeStatus
from tests.webhooks.inbound.house import (
    CLIENT_ID,
    KEY,
    House,
    Placed,
    connect_message,
    notification,
    signed,
)

SHARED = "integrator-key-of-all"
Post = tuple[str, bytes, dict[str, str]]
# kind: (posts at least, statuses that are right)
TABLE = {
    "byte of the body": (150, {401}),
    "byte of the signature": (40, {401}),
    "retired key": (40, {401}),
    "another tenant's key": (40, {401}),
    "another connection's path": (40, {401}),
    "same key, another path": (30, {200}),
    "same key, another account": (30, {200}),
    "used again": (40, {200}),
    "redelivered": (40, {200}),
    "old timestamp": (30, {200}),
    "ahead of its time": (10, {200}),
    "another client id": (30, {403}),
    "forged end": (10, {200}),
}


def moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")


def days_ago(*days: float) -> list[str]:
    return [moment(datetime.now(UTC) - timedelta(days=one)) for one in days]


def changed(body: bytes, offset: int) -> bytes:
    return body[:offset] + bytes([body[offset] ^ 1]) + body[offset + 1 :]


async def post_all(house: House, posts: Sequence[Post]) -> Counter[int]:
    gate = asyncio.Semaphore(16)

    async def post(one: Post) -> int:
        async with gate:
            return (await house.post(*one)).status

    return Counter(await asyncio.gather(*(post(one) for one in posts)))


def with_key(placed: Placed, key: str, count: int, ref: str) -> list[Post]:
    """Different facts, so that none is a duplicate of another."""
    bodies = [
        connect_message("envelope-completed", ref, at=at)
        for at in days_ago(*(0.01 + number / 1000 for number in range(count)))
    ]
    return [(placed.path, body, signed(body, key)) for body in bodies]


def test_table_has_at_least_500_cases() -> None:
    assert sum(count for count, _ in TABLE.values()) >= 500


@pytest.mark.parametrize("kind", ["byte of the body", "byte of the signature"])
async def test_message_changed_in_one_byte_at_any_offset_is_refused(gateway: House, kind: str) -> None:
    placed = await gateway.docusign()
    ref = await gateway.envelope(placed)
    body = connect_message("envelope-completed", ref)
    headers = signed(body, KEY)
    if kind == "byte of the body":
        posts = [(placed.path, changed(body, offset), headers) for offset in range(len(body))]
    else:
        name, value = next(iter(headers.items()))
        # "z" for "A": the last character has two bits that say nothing, so a neighbour would be the same digest.
        wrong = [value[:n] + ("A" if value[n] != "A" else "z") + value[n + 1 :] for n in range(len(value))]
        posts = [(placed.path, body, {name: one}) for one in wrong]
    await refused(gateway, kind, posts, ref)


@pytest.mark.parametrize("kind", ["retired key", "another tenant's key", "another connection's path"])
async def test_message_of_a_wrong_key_or_path_is_refused(gateway: House, kind: str) -> None:
    placed = await gateway.docusign(None, "live-key-1")
    await gateway.docusign(None, "their-key-1")
    twin = await gateway.docusign(placed.tenant_id, "twin-key-1")
    ref = await gateway.envelope(placed)
    if kind == "retired key":
        await gateway.rotate(placed, "live-key-1", "retired-key-1")
        await gateway.rotate(placed, "live-key-1")
    key = {"retired key": "retired-key-1", "another tenant's key": "their-key-1"}.get(kind, "live-key-1")
    posts = with_key(twin if kind == "another connection's path" else placed, key, TABLE[kind][0], ref)
    await refused(gateway, kind, posts, ref)


async def test_post_in_another_applications_name_is_refused(gateway: House) -> None:
    placed = await gateway.adobe_sign()
    ref = await gateway.envelope(placed, "adobe_sign", "CBJ-1")
    wrong = ["", "foreign", CLIENT_ID + "x", CLIENT_ID.upper(), f"{CLIENT_ID},{CLIENT_ID}"]
    posts = [
        (
            placed.path,
            notification("AGREEMENT_WORKFLOW_COMPLETED", ref, number=n),
            {"X-AdobeSign-ClientId": one},
        )
        for n in range(6)
        for one in wrong
    ]
    await refused(gateway, "another client id", posts, ref)


@pytest.mark.parametrize("kind", ["same key, another path", "same key, another account"])
async def test_message_that_a_shared_key_signed_has_no_effect_elsewhere(gateway: House, kind: str) -> None:
    ours, theirs = await gateway.docusign(None, SHARED), await gateway.docusign(None, SHARED)
    ref = await gateway.envelope(theirs)
    count = TABLE[kind][0]
    if kind == "same key, another path":
        posts, state = with_key(ours, SHARED, count, ref), "parked"
    else:
        bodies = [
            connect_message("envelope-completed", ref, at=at, account="99999999-9999-4999-8999-999999999999")
            for at in days_ago(*(0.01 + number / 1000 for number in range(count)))
        ]
        posts, state = [(theirs.path, body, signed(body, SHARED)) for body in bodies], "quarantined"
    await without_effect(gateway, kind, posts, ref, ("processing", []))
    assert set(await gateway.states()) == {state}


@pytest.mark.parametrize("kind", ["used again", "redelivered"])
async def test_message_that_comes_again_has_no_second_effect(gateway: House, kind: str) -> None:
    placed = await gateway.docusign()
    ref = await gateway.envelope(placed)
    again = range(TABLE[kind][0])
    bodies = [
        connect_message("envelope-reminder-sent", ref, retry=number if kind == "redelivered" else 0)
        for number in again
    ]
    posts = [(placed.path, body, signed(body, KEY)) for body in bodies]
    await without_effect(gateway, kind, posts, ref, ("processing", ["envelope_reminded"]))
    if kind == "used again":
        assert [message["duplicates"] for message in await gateway.messages()] == [len(bodies) - 1]


@pytest.mark.parametrize("kind", ["old timestamp", "ahead of its time"])
async def test_message_out_of_its_time_has_no_effect_that_the_provider_does_not_confirm(
    gateway: House, kind: str
) -> None:
    placed = await gateway.docusign()
    ref = await gateway.envelope(placed)
    gateway.connect.says = EnvelopeStatus.SENT
    count = TABLE[kind][0]
    ages = (
        [16.1 + 60 * n for n in range(count)]
        if kind == "old timestamp"
        else [-0.005 * (n + 1) for n in range(count)]
    )
    bodies = [connect_message("envelope-completed", ref, at=at) for at in days_ago(*ages)]
    posts = [(placed.path, body, signed(body, KEY)) for body in bodies]
    await without_effect(gateway, kind, posts, ref, ("sent", ["envelope_sent"]))
    assert gateway.connect.asked == 1  # however many of them come: the provider's limit of polling holds


async def test_end_that_nobody_signed_has_no_effect_that_the_provider_does_not_confirm(
    gateway: House,
) -> None:
    placed = await gateway.adobe_sign()
    ref = await gateway.envelope(placed, "adobe_sign", "CBJ-1")
    gateway.adobe.says = EnvelopeStatus.SENT
    ends = ["AGREEMENT_WORKFLOW_COMPLETED", "AGREEMENT_REJECTED", "AGREEMENT_EXPIRED", "AGREEMENT_RECALLED"]
    posts = [
        (placed.path, notification(ends[n % 4], ref, number=n), {"X-AdobeSign-ClientId": CLIENT_ID})
        for n in range(TABLE["forged end"][0])
    ]
    await without_effect(gateway, "forged end", posts, ref, ("sent", ["envelope_sent"]))
    assert gateway.adobe.asked == 1


@pytest.mark.parametrize(
    "end",
    ["AGREEMENT_WORKFLOW_COMPLETED", "AGREEMENT_REJECTED", "AGREEMENT_EXPIRED", "AGREEMENT_RECALLED"],
)
async def test_each_end_that_nobody_signed_and_the_provider_denies_leaves_people_as_they_were(
    gateway: House, end: str
) -> None:
    placed = await gateway.adobe_sign()
    ref = await gateway.envelope(placed, "adobe_sign", "CBJ-1")
    gateway.adobe.says = EnvelopeStatus.SENT
    assert await gateway.notify(placed, notification(end, ref)) == 200
    await gateway.processor.process_due()
    assert ((await gateway.status(ref))[0], await gateway.ledger_types(ref)) == ("sent", ["envelope_sent"])


async def test_message_within_the_tolerance_has_its_effect(gateway: House) -> None:
    """The control: the same posts, unchanged and in time."""
    placed = await gateway.docusign()
    for at in [moment(datetime.now(UTC) + timedelta(seconds=200)), *days_ago(0, 1, 15.9)]:
        ref = await gateway.envelope(placed)
        assert await gateway.deliver(placed, connect_message("envelope-completed", ref, at=at)) == 200
        await gateway.processor.process_due()
        assert (await gateway.status(ref))[0] == "completed"
    assert gateway.connect.asked == 0


async def refused(house: House, kind: str, posts: Sequence[Post], ref: str) -> None:
    least, statuses = TABLE[kind]
    answered = await post_all(house, posts)
    assert len(posts) >= least
    assert set(answered) == statuses
    assert await house.messages() == []
    assert (await house.status(ref))[0] == "processing"


async def without_effect(
    house: House, kind: str, posts: Sequence[Post], ref: str, expected: tuple[str, list[str]]
) -> None:
    """`expected`: the status afterwards, and all entries of the envelope's chain."""
    least, statuses = TABLE[kind]
    answered = await post_all(house, posts)
    assert len(posts) >= least
    assert set(answered) == statuses
    for _ in range(2):
        await house.processor.process_due()
        await house.due_now()
    assert ((await house.status(ref))[0], await house.ledger_types(ref)) == expected
