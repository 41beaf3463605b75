"""The mails themselves: headers, names, TLS and login."""

import json

import pytest

from config.secret import Secret
from config.settings_notices import MailTls
from engine.notify.carriers import open_carriers
from normalizer.ids import Kind, print_id
from tests.engine.notify.desk import (
    ENVELOPE,
    LINK,
    RECIPIENT,
    make_request,
)
from tests.engine.notify.post import make_settings, open_post, parts_of
from tests.engine.notify.servers import (
    MailServer,
    mail_server,
    make_certificate,
    server_context,
)


async def test_notice_arrives_as_a_mail_that_says_who_asks_and_is_in_the_ledger(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        own = await post.desk.put(make_request())
        assert await post.send() == 1
    (message,) = server.received
    plain, html = parts_of(message)
    assert LINK in plain.replace("\r\n", "\n").split("\n")
    assert f'href="{LINK}"' in html
    printed = print_id(Kind.NOTICE, own)
    expected = {
        "From": "Grace Hopper via Countersign <no-reply@sign.example>",
        "To": "Ada Lovelace <ada@signer.example>",
        "Reply-To": "Grace Hopper <grace@sender.example>",
        "Subject": "Please sign: Framework agreement",
        "Message-ID": f"<{printed}@sign.example>",
        "Auto-Submitted": "auto-generated",
        "X-Report-Abuse-To": "abuse@sign.example",
        "List-Unsubscribe": f"<mailto:abuse@sign.example?subject=unsubscribe%20{printed}>",
        "Content-Language": "en",
    }
    assert {name: message[name] for name in expected} == expected
    row = await post.desk.row(own)
    assert (row["state"], row["content"], row["attempts"]) == ("sent", None, 1)
    (entry,) = await post.entries()
    assert entry["chain"] == f"env:{ENVELOPE}"
    assert entry["event_type"] == "notice_sent"
    assert entry["data"] == {
        "kind": "signing_request",
        "channel": "email",
        "attempts": 1,
        "recipient_id": print_id(Kind.RECIPIENT, RECIPIENT),
        "carrier_ref": f"<{printed}@sign.example>",
    }
    assert "ada@signer.example" not in json.dumps(entry)
    assert post.outcomes == [("email", "signing_request", "sent")]
    assert await post.send() == 0


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ('Ada "the first" <ada@evil.example>, x', "a\r\nBcc: spy@evil.example"),
        ("אדה לאבלייס", "הסכם מסגרת"),
        ("Zoë Müller-Österreicher " * 6, "Ü" * 200),
        ("=?utf-8?q?Ada=0d=0aBcc=3a_spy=40evil.example?=", "=?utf-8?q?a=0d=0aBcc=3a_spy=40evil.example?="),
        ("ü" * 30 + "<spy@evil.example>, x", "a"),
        ("a" * 60 + " [\\, <spy@evil.example>", "a"),
        ("", ""),
    ],
)
async def test_mail_with_names_of_any_kind_has_one_reader_and_no_header_of_theirs(
    store, tmp_path, name: str, subject: str
):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        values = {"subject": subject, "sender_name": name, "sender_email": "x@y.example", "link": LINK}
        await post.desk.put(make_request(name=name, values=values))
        await post.send()
    (message,) = server.received
    assert message["Bcc"] is None
    (reader,) = message["To"].addresses
    assert reader.addr_spec == "ada@signer.example"
    assert [one.addr_spec for one in message["Reply-To"].addresses] == ["x@y.example"]
    (sender,) = message["From"].addresses
    assert sender.addr_spec == "no-reply@sign.example"
    assert "@" not in sender.display_name
    assert subject.split("\r", maxsplit=1)[0].replace("=?", "= ?") in message["Subject"]


async def test_mail_server_with_login_gets_user_and_password(store, tmp_path):
    told = MailServer()
    async with mail_server(
        told, auth_required=True, auth_require_tls=False, authenticator=told.authenticate
    ) as server:
        right = make_settings(server.port, username="house", password=Secret("right"))
        post = await open_post(store, tmp_path, right)
        own = await post.desk.put(make_request())
        await post.send()
        assert (await post.desk.row(own))["state"] == "sent"
        assert told.logins == [(b"house", b"right")]
        wrong = make_settings(server.port, username="house", password=Secret("wrong-password"))
        post.carriers = open_carriers(wrong, post.desk.clock)
        own = await post.desk.put(make_request())
        await post.send()
        row = await post.desk.row(own)
        assert (row["state"], row["error"]) == ("waiting", "the mail server does not let us in (535)")


async def test_mail_is_not_sent_in_clear_when_starttls_is_asked_for_and_not_offered(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port, tls=MailTls.STARTTLS))
        own = await post.desk.put(make_request())
        await post.send()
    assert server.received == []
    assert (await post.desk.row(own))["state"] == "waiting"


async def test_mail_goes_over_starttls_to_a_server_whose_certificate_is_vouched_for(
    store, tmp_path, monkeypatch
):
    certificate = make_certificate(tmp_path)
    async with mail_server(tls_context=server_context(certificate), require_starttls=True) as server:
        post = await open_post(store, tmp_path, make_settings(server.port, tls=MailTls.STARTTLS))
        own = await post.desk.put(make_request())
        await post.send()
        row = await post.desk.row(own)
        assert (row["state"], server.received) == ("waiting", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await post.desk.make_due()
        await post.send()
        assert (await post.desk.row(own))["state"] == "sent"
        assert len(server.received) == 1
