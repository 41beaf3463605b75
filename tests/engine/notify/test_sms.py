"""Text messages over a real HTTP server: what is taken, what bounces, what is tried again."""

import json

import pytest

from config.secret import Secret
from config.settings_notices import SmsSettings
from engine.notify.notice import Channel
from tests.engine.notify.desk import (
    CODE,
    make_code,
)
from tests.engine.notify.post import make_settings, open_post
from tests.engine.notify.servers import (
    SmsServer,
    sms_server,
)


def sms_settings(server: SmsServer, **given) -> SmsSettings:
    given = {"url": server.url, "account": "AC1", "token": Secret("t0k"), "from_number": "+4930123"} | given
    return SmsSettings(**given)


def make_text_message(**given):
    return make_code(channel=Channel.SMS, address="+491701234567", **given)


async def test_text_message_is_handed_to_the_carrier_and_its_name_is_kept(store, tmp_path):
    async with sms_server() as server:
        post = await open_post(store, tmp_path, make_settings(1, sms=sms_settings(server)))
        own = await post.desk.put(make_text_message())
        assert await post.send() == 1
        await post.carriers.aclose()
    (message,) = server.received
    assert CODE in message.pop("Body")
    assert message == {
        "path": "/2010-04-01/Accounts/AC1/Messages.json",
        "user": "AC1",
        "password": "t0k",
        "To": "+491701234567",
        "From": "+4930123",
    }
    row = await post.desk.row(own)
    assert (row["state"], row["carrier_ref"]) == ("sent", "SM1")
    (entry,) = await post.entries()
    assert "491701234567" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("answer", "state", "error"),
    [
        ((400, {"code": 21614}), "bounced", "the carrier refused it (21614)"),
        ((400, {"code": 21602}), "failed", "the carrier refused it (21602)"),
        ((429, {"code": 20429}), "waiting", "the carrier asks for patience (429)"),
        ((401, {"code": 20003}), "waiting", "the carrier answered 401 (20003)"),
        ((503, {}), "waiting", "the carrier answered 503 (0)"),
        ((302, {}), "waiting", "the carrier answered 302 (0)"),
        ((201, {}), "waiting", "the carrier answered 201 (0)"),
    ],
)
async def test_text_message_that_is_not_taken_is_given_up_or_tried_again(
    store, tmp_path, answer, state: str, error: str
):
    async with sms_server(SmsServer(answer=answer)) as server:
        post = await open_post(store, tmp_path, make_settings(1, sms=sms_settings(server)))
        own = await post.desk.put(make_text_message())
        await post.send()
        await post.carriers.aclose()
    row = await post.desk.row(own)
    assert (row["state"], row["error"]) == (state, error)
