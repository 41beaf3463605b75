"""Sending over a real SMTP server: what is tried again, what is given up, and what the ledger keeps."""

import asyncio
import io
import logging
from uuid import UUID

import pytest

from config.logging import JsonFormatter
from engine.notify.carriers import Carriers
from engine.notify.letterhead import PLAIN, Letterhead
from engine.notify.notice import Channel, Notice
from tests.engine.notify.desk import (
    CODE,
    LINK,
    TENANT,
    make_code,
    make_request,
)
from tests.engine.notify.post import make_settings, open_post
from tests.engine.notify.servers import (
    MailServer,
    mail_server,
)


@pytest.mark.parametrize(
    "address", ["nobody", "a@b.example\r\nBcc: x@y.example", "@x.example", "a b@c.example"]
)
async def test_notice_to_what_is_no_address_bounces_without_a_call(store, tmp_path, address: str):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_request(address=address))
        await post.send()
        assert server.connections == 0
    assert (await post.desk.row(own))["state"] == "bounced"


async def test_notice_to_an_address_that_is_refused_for_good_bounces_and_the_ledger_says_so(store, tmp_path):
    async with mail_server(MailServer(replies={"RCPT": "550 5.1.1 no such user"})) as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_request())
        await post.send()
    row = await post.desk.row(own)
    assert (row["state"], row["content"], row["error"]) == ("bounced", None, "the address was refused (550)")
    (entry,) = await post.entries()
    assert entry["event_type"] == "notice_failed"
    assert entry["data"]["bounced"] is True
    assert post.carriers.room(Channel.EMAIL) is None


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (MailServer(replies={"RCPT": "451 4.7.1 greylisted"}), "the address was put off (451)"),
        (MailServer(replies={"DATA": "452 4.3.1 no room"}), "the mail server put the letter off (452)"),
        (MailServer(replies={"MAIL": "550 5.7.1 not you"}), "the mail server does not let us in (550)"),
        (MailServer(cut=True), "the mail server is not reached (SMTPServerDisconnected)"),
        (MailServer(hang=True), "the mail server did not answer in time"),
    ],
    ids=["greylisted", "full", "sender refused", "cut inside DATA", "slow"],
)
async def test_notice_that_cannot_be_handed_over_now_is_tried_again_and_given_up_after_the_last_try(
    store, tmp_path, server: MailServer, why: str
):
    async with mail_server(server):
        post = await open_post(store, tmp_path, make_settings(server.port, timeout_s=0.3))
        own = await post.desk.put(make_request())
        assert await post.send() == 1
        row = await post.desk.row(own)
        assert (row["state"], row["attempts"], row["error"]) == ("waiting", 1, why)
        wait = await store.hub.fetchval(
            "SELECT extract(epoch FROM due_at - now())::float8 FROM engine_notices WHERE id = $1", own
        )
        assert 0 < wait <= 5
        assert await post.send() == 0  # not before the pause is over
        for _ in range(2):
            await post.desk.make_due()
            await post.send()
    row = await post.desk.row(own)
    assert (row["state"], row["attempts"], row["content"]) == ("failed", 3, None)
    (entry,) = await post.entries()
    assert (entry["event_type"], entry["data"]["reason"]) == ("notice_failed", why)
    assert [outcome for _, _, outcome in post.outcomes] == ["retry", "retry", "failed"]


async def test_letter_that_the_server_refuses_for_good_is_given_up_at_once_and_is_no_bounce(store, tmp_path):
    async with mail_server(MailServer(replies={"DATA": "554 5.7.1 spam"})) as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_request())
        await post.send()
    assert (await post.desk.row(own))["state"] == "failed"
    assert (await post.entries())[0]["data"]["bounced"] is False


async def test_worker_that_dies_after_sending_leaves_a_notice_that_goes_out_again_under_the_same_id(
    store, tmp_path
):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_request())
        # What a worker did that died before it could note the answer: claimed, and handed over.
        await store.hub.fetch("SELECT * FROM claim_notices($1, 'email', 10, 60)", UUID(int=5))
        await post.carriers.carry(own, make_request())
        assert await post.send() == 0  # its lease holds
        await post.desk.make_due()
        assert await post.send() == 1
    first, second = server.received
    assert first["Message-ID"] == second["Message-ID"]
    assert (await post.desk.row(own))["attempts"] == 2


async def test_notice_is_claimed_by_one_of_two_workers(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        for _ in range(6):
            await post.desk.put(make_request())
        counts = await asyncio.gather(post.send(), post.send())
    assert sum(counts) == 6
    assert len({message["Message-ID"] for message in server.received}) == len(server.received) == 6


async def test_notice_that_was_taken_back_while_it_was_sent_stays_taken_back(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_request())
        carry = post.carriers.carry

        async def carry_and_cancel(notice_id, notice, letterhead):
            ref = await carry(notice_id, notice)
            await store.hub.execute("UPDATE engine_notices SET state = 'cancelled', claim_id = NULL")
            return ref

        post.carriers.carry = carry_and_cancel
        await post.send()
    assert (await post.desk.row(own))["state"] == "cancelled"
    assert await post.entries() == []
    assert post.outcomes == [("email", "signing_request", "lost")]


async def test_codes_go_before_letters_that_have_waited_longer(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        for _ in range(25):
            await post.desk.put(make_request())
        code = await post.desk.put(make_code())
        row = await store.hub.fetchrow("SELECT id FROM claim_notices($1, 'email', 1, 60)", UUID(int=5))
    assert row["id"] == code


async def test_code_that_has_run_out_is_not_sent_any_more(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_code())
        await store.hub.execute("UPDATE engine_notices SET good_until = now() - interval '1 second'")
        await post.send()
    assert server.received == []
    assert (await post.desk.row(own))["state"] == "failed"


async def test_neither_a_code_nor_a_link_nor_an_address_is_in_a_log_line(store, tmp_path):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        async with mail_server(MailServer(replies={"RCPT": "451 try ada@signer.example later"})) as server:
            post = await open_post(store, tmp_path, make_settings(server.port))
            await post.desk.put(make_code())
            await post.desk.put(make_request())
            await post.send()
            server.replies.clear()
            await post.desk.make_due()
            await post.send()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    lines = [line for line in stream.getvalue().splitlines() if '"mail.log"' not in line]
    ours = "\n".join(line for line in lines if '"logger": "countersign' in line or "notice.tried" in line)
    assert ours.count("notice.tried") == 4
    assert server.received
    for secret in (CODE, LINK, "ada@signer.example", "Ada Lovelace"):
        assert secret not in ours


async def test_notice_without_a_mail_server_is_given_up_and_says_so(store, tmp_path):
    post = await open_post(store, tmp_path, make_settings(1, host=None))
    own = await post.desk.put(make_request())
    await post.send()
    row = await post.desk.row(own)
    assert (row["state"], row["error"]) == ("failed", "no mail server is set")


async def test_notice_whose_content_was_changed_in_the_database_is_given_up(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own, other = await post.desk.put(make_request()), await post.desk.put(make_code())
        await store.hub.execute(
            "UPDATE engine_notices SET content = (SELECT content FROM engine_notices WHERE id = $2) WHERE id = $1",
            own,
            other,
        )
        await post.send()
    assert (await post.desk.row(own))["state"] == "failed"
    assert len(server.received) == 1


async def test_ended_notices_of_one_tenant_are_not_the_others(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        await post.desk.put(make_request())
        await post.send()
    async with store.app.transaction(UUID(int=99)) as tx:
        assert await tx.driver.fetch("SELECT * FROM engine_notices") == []
    async with store.app.transaction(TENANT) as tx:
        assert len(await tx.driver.fetch("SELECT * FROM engine_notices")) == 1


class Fragile:
    """Meets a mistake of ours in one reader's letters."""

    def __init__(self) -> None:
        self.carried: list[str] = []

    async def carry(self, notice_id: UUID, notice: Notice, letterhead: Letterhead = PLAIN) -> str:
        if notice.address.startswith("odd@"):
            raise LookupError(notice.values["link"])
        self.carried.append(notice.address)
        return "taken"

    async def aclose(self) -> None: ...


async def test_notice_that_cannot_be_written_holds_up_no_other_and_ends_after_its_tries(
    store, tmp_path, caplog
):
    post = await open_post(store, tmp_path, make_settings(1))
    fragile = Fragile()
    pauses = {Channel.EMAIL: 60.0, Channel.SMS: 60.0}
    carriers = {Channel.EMAIL: fragile, Channel.SMS: fragile}
    post.carriers = Carriers(carriers, pauses, post.desk.clock)
    odd = await post.desk.put(make_request(address="odd@signer.example"))
    await post.desk.put(make_request())
    text = await post.desk.put(make_code(channel=Channel.SMS, address="+4915123456789"))
    await post.send()
    assert fragile.carried == ["ada@signer.example", "+4915123456789"]
    assert (await post.desk.row(text))["state"] == "sent"
    for _ in range(2):
        await post.desk.make_due()
        await post.send()
    row = await post.desk.row(odd)
    assert (row["state"], row["attempts"], row["error"]) == ("failed", 3, "an error inside (LookupError)")
    assert "notice.failed_inside error=LookupError" in caplog.text
    assert LINK not in caplog.text
