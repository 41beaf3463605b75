"""The outbox of notices: with the state or not at all, sealed, and taken back when nobody needs it."""

import pytest

from engine.notify.notice import Notice, NoticeKind
from engine.notify.outbox import SEND_NOTICES, cancel_notices, put_notice
from tests.engine.notify.desk import CODE, ENGINE_ID, LINK, RECIPIENT, TENANT, Desk, make_code, make_request


async def test_notice_that_is_put_shows_nothing_of_its_values_in_the_database(desk: Desk):
    own = await desk.put(make_request())
    await desk.put(make_code())
    whole = str(await desk.store.hub.fetch("SELECT n::text, content FROM engine_notices n"))
    dump = await desk.store.hub.fetchval(
        "SELECT string_agg(encode(content, 'escape'), '') FROM engine_notices"
    )
    for secret in (LINK, CODE, "ada@signer.example", "Ada Lovelace", "Framework agreement"):
        assert secret not in whole
        assert secret not in dump
    row = await desk.row(own)
    assert (row["state"], row["kind"], row["channel"], row["engine_id"]) == (
        "waiting",
        "signing_request",
        "email",
        ENGINE_ID,
    )
    assert LINK not in repr(make_request())


async def test_notice_wakes_the_job_after_the_commit_and_not_after_a_rollback(desk: Desk):
    async with desk.store.app.transaction(TENANT) as tx:
        await put_notice(desk.engine, tx, make_request())
    assert desk.woken == []
    assert await desk.store.hub.fetchval("SELECT count(*) FROM engine_notices") == 0
    await desk.put(make_request())
    assert desk.woken == [SEND_NOTICES]


async def test_invitations_of_an_ended_envelope_are_taken_back_and_news_are_not(desk: Desk):
    request = await desk.put(make_request())
    news = await desk.put(make_request(kind=NoticeKind.VOIDED, values={"reason": "withdrawn"}))
    async with desk.store.app.transaction(TENANT) as tx:
        assert await cancel_notices(tx, TENANT, ENGINE_ID) == 1
        await tx.commit()
    cancelled, kept = await desk.row(request), await desk.row(news)
    assert (cancelled["state"], cancelled["content"]) == ("cancelled", None)
    assert (kept["state"], kept["content"] is not None) == ("waiting", True)


async def test_invitations_of_one_recipient_alone_are_taken_back(desk: Desk):
    own = await desk.put(make_request())
    other = await desk.put(make_request(recipient_id=TENANT))
    async with desk.store.app.transaction(TENANT) as tx:
        assert await cancel_notices(tx, TENANT, ENGINE_ID, RECIPIENT) == 1
        await tx.commit()
    assert [(await desk.row(one))["state"] for one in (own, other)] == ["cancelled", "waiting"]


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (NoticeKind.CODE, {"code": "123456"}, "minutes"),
        (NoticeKind.REMINDER, {"link": ""}, "link"),
        (NoticeKind.EXPIRED, {"colour": "red"}, "colour"),
    ],
)
def test_notice_that_misses_a_value_or_has_an_unknown_one_is_refused(kind: NoticeKind, values, said: str):
    with pytest.raises(ValueError, match=said):
        Notice(kind=kind, tenant_id=TENANT, address="a@b.example", values=values)
