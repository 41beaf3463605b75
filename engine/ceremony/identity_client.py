"""The identity provider over HTTP: starts a check, and fetches its verdict from server to server.

`POST {url}/checks {"reference", "name", "return_url"}` -> 201 `{"id", "url"}`; `GET {url}/checks/{id}` -> 200
`{"id", "reference", "status": pending | passed | failed}`; a bearer key in both. Must never believe an answer about
another check, and never keep more of it than the verdict.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from config.breaker import BreakerOptions, Breakers, CircuitOpen
from config.clock import Clock
from config.database import assert_no_open_transaction
from config.errors import ConfigError
from config.settings import Settings
from engine.ports import IdentityVerdict, StartedCheck
from normalizer.errors import ProviderContractBroken, ProviderUnavailable

_NAME = "identity provider"
_LONGEST_ANSWER = 65_536
_REF = re.compile(r"[A-Za-z0-9_.~-]{1,200}\Z")


class _Started(msgspec.Struct):
    id: str
    url: str


class _Told(msgspec.Struct):
    id: str
    reference: str
    status: IdentityVerdict


_Answer = TypeVar("_Answer", _Started, _Told)


class HttpIdentityProvider:
    """One per process; `aclose` closes its connections."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        url = settings.access.identity_url or ""
        self._loopback = settings.countersign.loopback_allow_list
        if not is_safe_address(url, self._loopback):
            raise ConfigError("COUNTERSIGN_ACCESS_IDENTITY_URL is no https address")
        self._url = url.rstrip("/")
        self._key = settings.access.identity_key
        self._timeout_s = settings.access.identity_timeout_s
        self._breakers = Breakers(clock, BreakerOptions(window_s=60.0, minimum_calls=5, open_s=30.0))
        self._session: aiohttp.ClientSession | None = None

    async def start(self, reference: str, name: str, return_url: str) -> StartedCheck:
        body = {"reference": reference, "name": name, "return_url": return_url}
        answer = await self._call("POST", "/checks", 201, msgspec.json.encode(body))
        started = _decode(answer, _Started)
        if not _REF.match(started.id) or not is_safe_address(started.url, self._loopback):
            raise ProviderContractBroken(_NAME, "The identity provider named no page that can be gone to.")
        return StartedCheck(started.id, started.url)

    async def verdict(self, ref: str, reference: str) -> IdentityVerdict:
        told = _decode(await self._call("GET", f"/checks/{ref}", 200), _Told)
        if (told.id, told.reference) != (ref, reference):
            raise ProviderContractBroken(_NAME, "The identity provider answered about another check.")
        return told.status

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _call(self, method: str, path: str, wanted: int, body: bytes | None = None) -> bytes:
        assert_no_open_transaction()
        try:
            permit = self._breakers.admit(_NAME)
        except CircuitOpen as error:
            raise _unavailable(error.retry_after_s) from error
        with permit:
            try:
                async with asyncio.timeout(self._timeout_s):
                    status, answer = await self._send(method, path, body)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                permit.failed()
                raise _unavailable() from error
            if status >= 500 or status == 429:
                permit.failed()
                raise _unavailable()
            permit.succeeded()
        if status != wanted:
            raise ProviderContractBroken(_NAME, f"The identity provider answered {status}.")
        return answer

    async def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.reveal()}"
        async with self._session.request(
            method, self._url + path, data=body, headers=headers, allow_redirects=False
        ) as response:
            return response.status, await response.content.read(_LONGEST_ANSWER)


def is_safe_address(url: str, loopback_allow_list: Sequence[str]) -> bool:
    """https; plain http only where the development allow-list says so."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    if not host or parts.username is not None or any(ord(letter) <= 32 for letter in url):
        return False
    if parts.scheme == "https":
        return True
    named = f"{host}:{port or 80}"
    return parts.scheme == "http" and (named in loopback_allow_list or f"{host}:*" in loopback_allow_list)


def _decode(answer: bytes, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.DecodeError as error:
        raise ProviderContractBroken(_NAME, "The identity provider's answer cannot be read.") from error


def _unavailable(retry_after_s: float = 5.0) -> ProviderUnavailable:
    return ProviderUnavailable(
        _NAME, "The identity provider does not answer now.", retry_after_s=retry_after_s
    )
