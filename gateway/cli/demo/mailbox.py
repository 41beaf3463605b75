"""The mailboxes of the demo's people, read as they would be: the newest mail, its link, the code in it.

Knows the development mail server's list only. Must never take a link or a code from anywhere else.
"""

import re
from typing import Any

import httpx

from gateway.cli.demo.client import PATIENCE_S
from gateway.cli.demo.timeline import DemoFailed

_LINK = re.compile(r"https?://\S+/sign/[\w-]{30,}")
_CODE = re.compile(r"(?<!\d)(\d{3})[ \u2009\u202f]?(\d{3})(?!\d)")
_WAIT_S = 30


class Mailbox:
    """Of one reader: every mail is read once."""

    def __init__(self, client: httpx.AsyncClient, url: str, email: str) -> None:
        self._client = client
        self._api = f"{url}/mail/api"
        self._email = email
        self._read = 0

    async def link(self) -> str:
        """The address of the signing page in the next mail that has one."""
        return (await self._next(_LINK, "an invitation"))[0]

    async def code(self) -> str:
        return "".join((await self._next(_CODE, "a code")).groups())

    async def _next(self, wanted: re.Pattern[str], what: str) -> "re.Match[str]":
        for _ in range(int(PATIENCE_S / _WAIT_S)):
            mails = await self._unread()
            for mail in sorted(mails, key=lambda one: int(one["number"])):
                self._read = int(mail["number"])
                found = wanted.search(mail["text"])
                if found is not None:
                    return found
        raise DemoFailed(f"the mail server has no mail to {self._email} with {what} after {PATIENCE_S:.0f} s")

    async def _unread(self) -> list[dict[str, Any]]:
        asked = {"to": self._email, "after": str(self._read), "wait_s": str(_WAIT_S)}
        answer = await self._client.get(self._api, params=asked)
        answer.raise_for_status()
        mails: list[dict[str, Any]] = answer.json()
        return mails
