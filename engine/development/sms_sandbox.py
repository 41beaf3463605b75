"""A carrier of text messages that keeps every message and sends none: the part of Twilio's Messages API that we
call, with a page and a JSON list of what came.

Numbers behave as the carrier's magic test numbers do: +15005550001 is invalid, +15005550009 is no mobile phone.
Source: https://www.twilio.com/docs/iam/test-credentials (test numbers), .../docs/messaging/api/message-resource.
"""

import base64
import binascii
import hmac
import itertools
import re
from collections import deque
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
from aiohttp import web

from engine.development.pages import render_page, secured

ACCOUNT = "AC" + "0" * 32
TOKEN = "development-token-of-no-value"  # noqa: S105  (printed on a page; opens nothing but this sandbox)
FROM_NUMBER = "+15005550006"

_MOST = 500
_MAGIC = {"+15005550001": 21211, "+15005550002": 21612, "+15005550004": 21610, "+15005550009": 21614}
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


class KeptText(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    sid: str
    received_at: datetime
    to: str
    sender: str
    text: str


class TextBox:
    def __init__(self) -> None:
        self._texts: deque[KeptText] = deque(maxlen=_MOST)
        self._numbers = itertools.count(1)

    def keep(self, to: str, sender: str, text: str) -> KeptText:
        kept = KeptText(
            number=next(self._numbers),
            sid=f"SM{uuid4().hex}",
            received_at=datetime.now(UTC),
            to=to,
            sender=sender,
            text=text,
        )
        self._texts.append(kept)
        return kept

    def list_texts(self, to: str = "", after: int = 0) -> list[KeptText]:
        """Newest first."""
        return [one for one in reversed(self._texts) if one.number > after and to in {"", one.to}]

    def clear(self) -> None:
        self._texts.clear()


_BOX = web.AppKey("box", TextBox)


def sms_app(box: TextBox) -> web.Application:
    app = web.Application()
    app[_BOX] = box
    app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", _take)
    app.router.add_get("/", _list)
    app.router.add_get("/api", _list_json)
    app.router.add_delete("/api", _clear)
    return app


async def _take(request: web.Request) -> web.Response:
    if request.match_info["account"] != ACCOUNT or not _is_ours(request.headers.get("Authorization", "")):
        return _refuse(401, 20003, "Authenticate")
    form = await request.post()
    to, sender, text = (str(form.get(name, "")) for name in ("To", "From", "Body"))
    if to in _MAGIC:
        return _refuse(400, _MAGIC[to], "The 'To' number is one that is always refused.")
    if not _NUMBER.fullmatch(to):
        return _refuse(400, 21211, "The 'To' number is not a valid phone number.")
    if sender != FROM_NUMBER:
        return _refuse(400, 21212, f"The 'From' number is not {FROM_NUMBER}.")
    if not text:
        return _refuse(400, 21602, "Message body is required.")
    if len(text) > 1600:
        return _refuse(400, 21617, "The message body is longer than 1600 characters.")
    kept = request.app[_BOX].keep(to, sender, text)
    answer = {
        "sid": kept.sid,
        "status": "queued",
        "to": to,
        "from": sender,
        "body": text,
        "account_sid": ACCOUNT,
    }
    return web.json_response(answer, status=201)


async def _list(request: web.Request) -> web.Response:
    return render_page("texts.html", title="Text messages", texts=request.app[_BOX].list_texts())


async def _list_json(request: web.Request) -> web.Response:
    """`to`, `after` (a number): messages as JSON, newest first."""
    to, after = request.query.get("to", ""), int(request.query.get("after", "0"))
    texts = request.app[_BOX].list_texts(to, after)
    return secured(web.Response(body=msgspec.json.encode(texts), content_type="application/json"))


async def _clear(request: web.Request) -> web.Response:
    request.app[_BOX].clear()
    return web.Response(status=204)


def _refuse(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "status": status}, status=status)


def _is_ours(authorization: str) -> bool:
    try:
        given = base64.b64decode(authorization.removeprefix("Basic "), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, f"{ACCOUNT}:{TOKEN}".encode())
