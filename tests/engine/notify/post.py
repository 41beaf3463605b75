"""The outbox with its carriers, as the job has them."""

import json
from email.message import EmailMessage

from config.breaker import State
from config.settings import Settings
from config.settings_notices import MailSettings, MailTls, NoticeSettings, SmsSettings
from engine.notify.carriers import Carriers, open_carriers
from engine.notify.send import send_due
from tests.engine.notify.desk import (
    Desk,
    open_desk,
)


def make_settings(port: int, *, sms: SmsSettings | None = None, **mail) -> Settings:
    given = {"host": "127.0.0.1", "port": port, "tls": MailTls.NONE, "from_address": "no-reply@sign.example"}
    return Settings(
        mail=MailSettings(**given | mail),
        sms=sms or SmsSettings(),
        notices=NoticeSettings(retry_delays_s=(5.0, 60.0), report_abuse_address="abuse@sign.example"),
    )


class Post:
    """The outbox with its carriers, as the job has them."""

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self.desk = desk
        self.outcomes: list[tuple[str, str, str]] = []
        self.states: list[tuple[str, State]] = []
        self.carriers: Carriers = open_carriers(
            settings, desk.clock, (lambda *told: self.outcomes.append(told),)
        )
        self.carriers.listen(lambda key, state: self.states.append((key, state)))

    async def send(self) -> int:
        return await send_due(self.desk.engine, self.carriers)

    async def entries(self) -> list[dict]:
        rows = await self.desk.store.hub.fetch("SELECT chain_id, body FROM ledger_entries ORDER BY seq")
        return [{"chain": row["chain_id"], **json.loads(row["body"])} for row in rows]


async def open_post(store, tmp_path, settings: Settings) -> Post:
    return Post(await open_desk(store, tmp_path, settings), settings)


def parts_of(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    return plain.get_content(), html.get_content()
