"""Carriers that are down or silent open their breaker, each its own."""

from config.breaker import State
from engine.notify.notice import Channel, NoticeKind
from tests.engine.notify.desk import (
    make_request,
)
from tests.engine.notify.post import make_settings, open_post
from tests.engine.notify.servers import (
    MailServer,
    SmsServer,
    mail_server,
    sms_server,
)
from tests.engine.notify.test_sms import make_text_message, sms_settings


async def test_mail_server_that_is_down_opens_the_breaker_and_is_asked_again_after_its_pause(store, tmp_path):
    async with mail_server() as gone:
        port = gone.port
    post = await open_post(store, tmp_path, make_settings(port))
    for _ in range(30):
        await post.desk.put(make_request())
    await post.send()
    assert post.states == [("email", State.OPEN)]
    counts = {
        row["attempts"]: row["count"]
        for row in await store.hub.fetch("SELECT attempts, count(*) FROM engine_notices GROUP BY 1")
    }
    assert counts == {0: 10, 1: 20}  # nothing is claimed while the breaker is open
    await post.desk.make_due()
    assert await post.send() == 0
    post.desk.clock.advance(59.9)
    assert await post.send() == 0
    post.desk.clock.advance(0.2)
    async with mail_server(MailServer(port=port)) as back:
        assert await post.send() == 30
        assert len(back.received) == 30
    assert [state for _, state in post.states] == [State.OPEN, State.HALF_OPEN, State.CLOSED]


async def test_probe_that_fails_keeps_the_breaker_open_for_another_pause(store, tmp_path):
    async with mail_server() as gone:
        port = gone.port
    post = await open_post(store, tmp_path, make_settings(port))
    for _ in range(4):
        await post.desk.put(make_request())
    await post.send()
    post.desk.clock.advance(60)
    await post.desk.make_due()
    assert await post.send() == 2  # the probes alone
    assert [state for _, state in post.states] == [State.OPEN, State.HALF_OPEN, State.OPEN]
    assert post.carriers.room(Channel.EMAIL) == 0


async def test_carrier_that_hangs_opens_its_own_breaker_and_not_the_mails(store, tmp_path):
    async with sms_server(SmsServer(hang=True)) as server, mail_server() as mails:
        settings = make_settings(mails.port, sms=sms_settings(server, timeout_s=0.2))
        post = await open_post(store, tmp_path, settings)
        for _ in range(4):
            await post.desk.put(make_text_message())
        await post.desk.put(make_request(kind=NoticeKind.REMINDER))
        await post.send()
        assert post.states == [("sms", State.OPEN)]
        assert len(mails.received) == 1
        assert post.carriers.room(Channel.SMS) == 0
        post.desk.clock.advance(119)
        assert post.carriers.room(Channel.SMS) == 0
        post.desk.clock.advance(1)
        assert post.carriers.room(Channel.SMS) == 2
        await post.carriers.aclose()
