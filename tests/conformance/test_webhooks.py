"""Webhooks of every provider tell the same story in the same words, and a forged one tells nothing."""

import msgspec
import pytest

from adapters.kit.port import Adapter, RawRequest
from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent
from normalizer.status import EnvelopeStatus, RecipientStatus, advance, advance_recipient
from normalizer.vocabulary import EventType
from tests.conformance.envelopes import contract, person
from tests.conformance.stage import Stage

_S, _R = EnvelopeStatus, RecipientStatus
# No webhook of some providers says that an envelope as a whole was opened.
_TOLD_BY_ALL = frozenset({_S.SENT, _S.SIGNED, _S.COMPLETED, _S.DECLINED, _S.VOIDED, _S.EXPIRED})

ANN, BOB = "ann@people.example", "bob@people.example"
BEGINNING = [("envelope", _S.SENT), (ANN, _R.SENT)]
STORIES: dict[str, list[tuple[str, str]]] = {
    "completed": [
        *BEGINNING,
        (ANN, _R.DELIVERED),
        (ANN, _R.COMPLETED),
        ("envelope", _S.SIGNED),
        (BOB, _R.SENT),
        (BOB, _R.DELIVERED),
        (BOB, _R.COMPLETED),
        ("envelope", _S.COMPLETED),
    ],
    "declined": [*BEGINNING, (ANN, _R.DELIVERED), (ANN, _R.DECLINED), ("envelope", _S.DECLINED)],
    "voided": [*BEGINNING, ("envelope", _S.VOIDED)],
    "expired": [*BEGINNING, ("envelope", _S.EXPIRED)],
}


async def play(stage: Stage, story: str) -> str:
    envelope = contract(stage.blobs, person("ann", 1), person("bob", 2))
    ref = await stage.sent(envelope)
    match story:
        case "completed":
            for email in (ANN, BOB):
                await stage.hand.view(ref, email)
                await stage.hand.sign(ref, email)
        case "declined":
            await stage.hand.view(ref, ANN)
            await stage.hand.decline(ref, ANN, "Wrong price")
        case "voided":
            await stage.done("void_envelope", ref, "Sent by mistake")
        case "expired":
            await stage.hand.expire(ref)
    await stage.receiver.until(lambda: any(is_end(event) for event in stage.receiver.events_of(ref)))
    return ref


def is_end(event: ProviderEvent) -> bool:
    return event.status is not None and event.status.is_terminal


def told(events: list[ProviderEvent]) -> list[tuple[str, str]]:
    """The moves that the events make, forward only, as the gateway would apply them."""
    story: list[tuple[str, str]] = []
    envelope, recipients = _S.PROCESSING, {}
    for event in events:
        email = event.recipient_email
        if event.recipient_status is not None and email:
            before = recipients.get(email, _R.PENDING)
            after = advance_recipient(before, event.recipient_status)
            recipients[email] = after
            if after is not before:
                story.append((email, after))
        if event.status in _TOLD_BY_ALL:
            after_all = advance(envelope, event.status)
            if after_all is not envelope:
                story.append(("envelope", after_all))
            envelope = after_all
    return story


@pytest.mark.parametrize("story", STORIES)
async def test_story_is_told_alike_by_every_provider(stage: Stage, story: str) -> None:
    ref = await play(stage, story)
    told_story = told(stage.receiver.events_of(ref))
    assert _in_any_order_of_beginning(told_story) == _in_any_order_of_beginning(STORIES[story])


def _in_any_order_of_beginning(story: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sent as a whole and sent to the first are one moment: either message may come first."""
    return sorted(story[:2]) + story[2:]


@pytest.mark.parametrize(
    ("story", "types"),
    [
        (
            "completed",
            {EventType.RECIPIENT_SENT, EventType.RECIPIENT_DELIVERED, EventType.RECIPIENT_COMPLETED},
        ),
        ("completed", {EventType.ENVELOPE_COMPLETED}),
        ("declined", {EventType.ENVELOPE_DECLINED}),
        ("voided", {EventType.ENVELOPE_VOIDED}),
        ("expired", {EventType.ENVELOPE_EXPIRED}),
    ],
)
async def test_event_types_are_of_our_vocabulary(stage: Stage, story: str, types: set[EventType]) -> None:
    ref = await play(stage, story)
    events = stage.receiver.events_of(ref)
    assert types <= {event.type for event in events}
    assert all(event.provider_event and event.dedupe_key and event.occurred_at for event in events)
    last = next(event for event in events if is_end(event))
    assert last.reason == {"declined": "Wrong price", "voided": "Sent by mistake"}.get(story, last.reason)


async def test_events_name_our_recipient_where_they_are_about_one(stage: Stage) -> None:
    envelope = contract(stage.blobs, person("ann"))
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, ANN)
    await stage.receiver.until(lambda: any(is_end(event) for event in stage.receiver.events_of(ref)))
    about = [event for event in stage.receiver.events_of(ref) if event.recipient_status is not None]
    assert about
    assert {event.recipient_id for event in about} == {envelope.recipients[0].id}
    assert {event.recipient_email for event in about} == {ANN}


async def test_authentic_posts_are_taken_and_never_come_twice(stage: Stage) -> None:
    ref = await play(stage, "completed")
    events = stage.receiver.events_of(ref)
    assert stage.receiver.refused == []
    assert len({event.dedupe_key for event in events}) == len(events)


async def test_duplicate_has_the_same_key_and_another_event_has_not(stage: Stage) -> None:
    await stage.hand.break_next("duplicate_webhook", "completed")
    ref = await play(stage, "completed")

    def ends() -> list[ProviderEvent]:
        return [event for event in stage.receiver.events_of(ref) if is_end(event)]

    await stage.receiver.until(lambda: len(ends()) >= 2)
    first, second = ends()[:2]
    assert first.dedupe_key == second.dedupe_key
    others = {event.dedupe_key for event in stage.receiver.events_of(ref) if not is_end(event)}
    assert first.dedupe_key not in others


async def test_forged_post_is_refused_and_not_acknowledged(stage: Stage) -> None:
    await play(stage, "voided")
    for post in stage.receiver.kept[:2]:
        assert stage.adapter.verify(post, stage.connection).authentic
        forged = stage.hand.forgeries(post)
        assert forged
        for forgery in forged:
            verdict = stage.adapter.verify(forgery, stage.connection)
            assert (verdict.authentic, verdict.key_index) == (False, -1)
            assert verdict.reason
            assert stage.adapter.acknowledge(forgery, stage.connection, verdict).status >= 400


async def test_signed_post_with_any_byte_changed_is_refused(stage: Stage) -> None:
    if not stage.adapter.capabilities.signed_webhooks:
        pytest.skip("the provider signs nothing; its posts are confirmed by a read")
    await play(stage, "voided")
    post = stage.receiver.kept[0]
    for place in range(0, len(post.body), max(1, len(post.body) // 50)):
        changed = post.body[:place] + bytes([post.body[place] ^ 0x20]) + post.body[place + 1 :]
        forged = msgspec.structs.replace(post, body=changed)
        assert not stage.adapter.verify(forged, stage.connection).authentic


async def test_unsigned_end_must_be_confirmed_by_a_read(stage: Stage) -> None:
    if stage.adapter.capabilities.signed_webhooks:
        pytest.skip("the provider signs its posts")
    ref = await play(stage, "completed")
    assert all(event.confirm for event in stage.receiver.events_of(ref) if is_end(event))


async def test_challenge_of_a_stranger_is_not_approved(stage: Stage) -> None:
    for headers in ((), (("x-adobesign-clientid", "stranger"),), (("authorization", "Bearer x"),)):
        reply = stage.adapter.challenge(RawRequest(method="GET", headers=headers, body=b""), stage.connection)
        assert reply.status >= 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"42",
        b'"text"',
        b"{}",
        b"<xml/>",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"event": "never-heard-of"}',
        b'{"event": 7, "data": []}',
        b'{"event": "AGREEMENT_CREATED", "agreement": null}',
        b'{"event": "envelope-completed", "data": null}',
    ],
)
def test_body_that_is_no_message_is_malformed_or_nothing(adapter: Adapter, body: bytes) -> None:
    try:
        events = adapter.parse(body)
    except PayloadMalformed:
        return
    assert events == ()
