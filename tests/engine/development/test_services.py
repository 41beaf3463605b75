"""The development services as the demo and the tests use them: over their ports, from one process."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import aiosmtplib
import pytest
import pytest_asyncio

from config.clock import SystemClock
from config.errors import ConfigError
from config.secret import Secret
from config.settings import Mode
from config.settings_notices import MailSettings, MailTls, NoticeSettings, SmsSettings
from engine.development.server import Running, open_services
from engine.development.sms_sandbox import ACCOUNT, FROM_NUMBER, TOKEN
from engine.notify.carrier import CarrierAway, Undeliverable
from engine.notify.mail import MailCarrier
from engine.notify.notice import Channel
from engine.notify.sms import SmsCarrier
from tests.engine.notify.desk import CODE, LINK, RECIPIENT, make_code, make_request


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with open_services(tmp_path, 0, 0, Mode.DEVELOPMENT) as running:
        yield running


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def make_mailer(running: Running) -> MailCarrier:
    settings = MailSettings(host="127.0.0.1", port=running.smtp_port, tls=MailTls.NONE)
    return MailCarrier(settings, NoticeSettings(), SystemClock())


def make_texter(running: Running, **given) -> SmsCarrier:
    given = {"account": ACCOUNT, "token": Secret(TOKEN), "from_number": FROM_NUMBER} | given
    return SmsCarrier(SmsSettings(url=running.services["sms"], **given), product="Countersign")


async def test_mail_that_was_sent_is_listed_shown_and_its_link_can_be_clicked(running: Running, http):
    await make_mailer(running).carry(RECIPIENT, make_request())
    mail = running.services["mail"]
    async with http.get(f"{mail}/api", params={"to": "Ada@Signer.example"}) as answer:
        (kept,) = await answer.json()
    assert (kept["recipients"], kept["subject"]) == (
        ["ada@signer.example"],
        "Please sign: Framework agreement",
    )
    assert LINK in kept["text"]
    async with http.get(f"{mail}/") as answer:
        assert "Please sign: Framework agreement" in await answer.text()
    async with http.get(f"{mail}/{kept['number']}") as answer:
        page = await answer.text()
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
        assert f'<a href="{LINK}"' in page
    async with http.get(f"{mail}/{kept['number']}/html") as answer:
        assert f'href="{LINK}"' in await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_mails_script_is_shown_inert(running: Running, http):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "a@x.example",
        "b@x.example",
        "<script>alert(1)</script>",
    )
    message.set_content("plain")
    message.add_alternative(
        "<html><head></head><body><script>alert(2)</script></body></html>", subtype="html"
    )
    await aiosmtplib.send(message, hostname="127.0.0.1", port=running.smtp_port, start_tls=False)
    mail = running.services["mail"]
    for path in ("/", "/1"):
        async with http.get(mail + path) as answer:
            assert "<script>" not in await answer.text()
    async with http.get(f"{mail}/1/html") as answer:
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "allow-scripts" not in answer.headers["Content-Security-Policy"]


async def test_list_of_mails_waits_for_one_that_comes_later(running: Running, http):
    url = f"{running.services['mail']}/api?to=ada@signer.example&after=0&wait_s=20"
    waiting = asyncio.create_task(http.get(url).__aenter__())
    await make_mailer(running).carry(RECIPIENT, make_request())
    answer = await waiting
    assert len(await answer.json()) == 1
    answer.release()


async def test_mails_are_forgotten_on_request(running: Running, http):
    await make_mailer(running).carry(RECIPIENT, make_request())
    async with http.delete(f"{running.services['mail']}/api") as answer:
        assert answer.status == 204
    async with http.get(f"{running.services['mail']}/") as answer:
        assert "No mail yet" in await answer.text()
    async with http.get(f"{running.services['mail']}/7") as answer:
        assert answer.status == 404


async def test_text_message_that_was_sent_is_listed(running: Running, http):
    texter = make_texter(running)
    notice = make_code(channel=Channel.SMS, address="+491701234567")
    sid = await texter.carry(RECIPIENT, notice)
    await texter.aclose()
    async with http.get(f"{running.services['sms']}/api", params={"to": "+491701234567"}) as answer:
        (kept,) = await answer.json()
    assert (kept["sid"], kept["sender"]) == (sid, FROM_NUMBER)
    assert CODE in kept["text"]
    async with http.get(f"{running.services['sms']}/") as answer:
        assert CODE in await answer.text()


@pytest.mark.parametrize(
    ("number", "bounced"), [("+15005550001", True), ("+15005550009", True), ("nonsense", True)]
)
async def test_text_message_to_a_number_that_is_none_bounces(running: Running, number: str, bounced: bool):
    texter = make_texter(running)
    with pytest.raises(Undeliverable) as refused:
        await texter.carry(RECIPIENT, make_code(channel=Channel.SMS, address=number))
    assert refused.value.bounced is bounced
    await texter.aclose()


async def test_text_message_with_a_wrong_token_is_not_taken(running: Running):
    texter = make_texter(running, token=Secret("wrong"))
    with pytest.raises(CarrierAway, match="401"):
        await texter.carry(RECIPIENT, make_code(channel=Channel.SMS, address="+491701234567"))
    await texter.aclose()


async def test_authority_is_reached_under_the_same_address(running: Running, http):
    async with http.get(f"{running.services['authority']}/root.pem") as answer:
        assert "BEGIN CERTIFICATE" in await answer.text()
    async with http.get(f"{running.url}/") as answer:
        text = await answer.text()
        assert all(f'href="/{name}/"' in text for name in ("mail", "sms", "authority"))


async def test_identity_check_leads_to_its_own_page_and_back(running: Running, http):
    check = {"reference": "r", "name": "Ada", "return_url": "http://127.0.0.1:9/back"}
    async with http.post(f"{running.services['identity']}/checks", json=check) as answer:
        begun = await answer.json()
    assert begun["url"].startswith(running.services["identity"])
    async with http.post(begun["url"], data={"verdict": "passed"}, allow_redirects=False) as answer:
        assert answer.headers["location"] == check["return_url"]
    async with http.get(f"{running.services['identity']}/checks/{begun['id']}") as answer:
        assert (await answer.json())["status"] == "passed"


async def test_services_refuse_production(tmp_path: Path):
    with pytest.raises(ConfigError, match="production"):
        async with open_services(tmp_path, 0, 0, Mode.PRODUCTION):
            pass


async def test_process_says_where_it_listens_and_ends_on_a_signal(tmp_path: Path):
    command = [sys.executable, "-m", "engine.development", "--json", "--folder", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "COUNTERSIGN_DATA_DIR": str(tmp_path)}
    )
    line = json.loads(await process.stdout.readline())
    async with aiohttp.ClientSession() as session, session.get(line["services"]["mail"] + "/api") as answer:
        assert await answer.json() == []
    assert line["credentials"]["sms_account"] == ACCOUNT
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
