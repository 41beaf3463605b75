"""Text messages over HTTP, by a carrier that speaks Twilio's Messages API (several do, our sandbox too).

`POST {url}/2010-04-01/Accounts/{account}/Messages.json`, form To, From, Body, HTTP Basic; 201 with a `sid`.
The API knows no idempotency key: a message whose answer was lost may go out twice, never not at all.
Source: https://www.twilio.com/docs/messaging/api/message-resource (create), .../docs/api/errors (codes).
"""

import asyncio
import base64
from uuid import UUID

import aiohttp
import msgspec

from config.settings_notices import SmsSettings
from engine.notify.carrier import CarrierAway, Deferred, Undeliverable
from engine.notify.letterhead import PLAIN, Letterhead
from engine.notify.notice import Notice
from engine.notify.texts import write_sms

_LONGEST_ANSWER = 65_536
# Twilio's codes for a number that will never take a text message of ours.
_BAD_NUMBER = frozenset(
    {
        21211,  # invalid 'To' number
        21214,  # 'To' number cannot be reached
        21408,  # no permission for the region
        21610,  # the reader has unsubscribed
        21612,  # no route from this sender to this number
        21614,  # not a mobile number
        30003,  # unreachable handset
        30005,  # unknown handset
        30006,  # landline
    }
)


class _Answer(msgspec.Struct):
    """201: `sid`. Otherwise `code`, Twilio's own."""

    sid: str = ""
    code: int = 0


class SmsCarrier:
    def __init__(self, settings: SmsSettings, *, product: str) -> None:
        self._settings, self._product = settings, product
        self._session: aiohttp.ClientSession | None = None

    async def carry(self, notice_id: UUID, notice: Notice, letterhead: Letterhead = PLAIN) -> str:
        """The carrier's sid."""
        settings = self._settings
        if not settings.url:
            raise Undeliverable("no carrier of text messages is set")
        form = {
            "To": notice.address,
            "From": settings.from_number,
            "Body": write_sms(notice, product=self._product),
        }
        try:
            async with asyncio.timeout(settings.timeout_s):
                status, answer = await self._post(settings.url, form)
        except TimeoutError as error:
            raise CarrierAway("the carrier did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise CarrierAway(f"the carrier is not reached ({type(error).__name__})") from error
        return _read(status, answer)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, url: str, form: dict[str, str]) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        settings = self._settings
        account = f"{settings.account}:{settings.token.reveal() if settings.token else ''}"
        async with self._session.post(
            f"{url.rstrip('/')}/2010-04-01/Accounts/{settings.account}/Messages.json",
            data=form,
            headers={"authorization": f"Basic {base64.b64encode(account.encode()).decode('ascii')}"},
            allow_redirects=False,
        ) as response:
            return response.status, await response.content.read(_LONGEST_ANSWER)


def _read(status: int, answer: bytes) -> str:
    try:
        told = msgspec.json.decode(answer, type=_Answer)
    except msgspec.DecodeError:
        told = _Answer()
    if status in {200, 201} and told.sid:
        return told.sid
    if status == 429:
        raise Deferred("the carrier asks for patience (429)")
    if status == 400:
        raise Undeliverable(f"the carrier refused it ({told.code})", bounced=told.code in _BAD_NUMBER)
    # 401 and 403 too: the account is wrong, whoever we write to.
    raise CarrierAway(f"the carrier answered {status} ({told.code})")
