"""Asks timestamp authorities: several in order, each with a time-out and a rest after failures, and fails closed.

What an authority answers is judged before it is used (tokens.py). When no authority gives a good token,
SealingFailed says so and nothing is sealed: there is no seal without a timestamp. An authority that answers
wrongly is passed over like one that does not answer, and remembered for the log.
Source: RFC 3161 section 3.4 (HTTP); ETSI EN 319 422.
"""

import logging
import secrets
import ssl
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from asn1crypto import algos, cms, pem, tsp
from asn1crypto import x509 as asn1_x509
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError

from config.clock import Clock
from config.database import assert_no_open_transaction
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.tokens import TimestampResponse, TokenFacts, judge_token

logger = logging.getLogger("countersign.sealing")

_LARGEST_ANSWER = 65_536
_USUAL_TOKEN = 10_240
_FAILURES_BEFORE_REST = 2
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class Authority(Protocol):
    """One timestamp authority. `ask` sends a TimeStampReq's bytes and gives the TimeStampResp's; MUST raise
    SealingFailed(TIMESTAMP_UNAVAILABLE) when there is no answer in time.
    """

    name: str

    async def ask(self, query: bytes) -> bytes: ...


class HttpAuthority:
    def __init__(self, url: str, *, timeout_s: float, credentials: tuple[str, str] | None = None) -> None:
        self.name = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._auth = aiohttp.BasicAuth(*credentials) if credentials else None
        # Reading the system's root certificates takes longer than a timestamp.
        self._tls = ssl.create_default_context() if url.startswith("https:") else None

    async def ask(self, query: bytes) -> bytes:
        assert_no_open_transaction()
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout, auth=self._auth) as session,
                session.post(
                    self.name,
                    data=query,
                    headers={"Content-Type": _QUERY, "Accept": _REPLY},
                    allow_redirects=False,
                ) as response,
            ):
                body = await response.content.read(_LARGEST_ANSWER + 1)
                status, kind = response.status, response.content_type
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(f"no answer ({type(error).__name__})") from error
        if status != 200:
            raise _unavailable(f"it answered with status {status}")
        if kind != _REPLY or len(body) > _LARGEST_ANSWER:
            raise SealingFailed(SealTrouble.TIMESTAMP_REJECTED, "the answer is not a timestamp reply")
        return body


class _Rest:
    """When one authority may be asked again."""

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0


class Timestamps:
    """Every authority of this installation. Shared by threads; each call may run in a loop of its own."""

    def __init__(
        self, authorities: Sequence[Authority], clock: Clock, *, rest_s: float, roots: Sequence[Any] = ()
    ) -> None:
        self._authorities = tuple(authorities)
        self._clock = clock
        self._rest_s = rest_s
        self.roots = tuple(roots)
        self._rests: Mapping[str, _Rest] = {one.name: _Rest() for one in authorities}
        self._lock = threading.Lock()
        self._trusted: set[bytes] = set()
        self._last: TokenFacts | None = None

    async def stamp(self, digest: bytes, algorithm: str = "sha256") -> TokenFacts:
        """A good token over the digest from the first authority that gives one. Raises SealingFailed."""
        troubles: list[str] = []
        was_rejected = False
        for authority in self._authorities:
            if not self._may_ask(authority):
                troubles.append(f"{authority.name}: resting after failures")
                continue
            try:
                facts = await self._stamp_at(authority, digest, algorithm)
            except SealingFailed as error:
                self._note(authority, is_good=False)
                was_rejected |= error.trouble is SealTrouble.TIMESTAMP_REJECTED
                troubles.append(f"{authority.name}: {error.detail}")
                logger.warning("timestamp.failed authority=%s trouble=%s", authority.name, error.detail)
                continue
            self._note(authority, is_good=True)
            self._last = facts
            return facts
        trouble = SealTrouble.TIMESTAMP_REJECTED if was_rejected else SealTrouble.TIMESTAMP_UNAVAILABLE
        raise SealingFailed(trouble, "; ".join(troubles) or "no timestamp authority is configured")

    @property
    def token_room(self) -> int:
        """Bytes to leave for a token: plenty for what is usual, and for twice the last one."""
        return max(_USUAL_TOKEN, 2 * len(self._last.token) if self._last else 0)

    async def known_token(self) -> TokenFacts:
        """The last good token of this process, or one that is asked for now: it shows whose certificates
        stamp here.
        """
        if self._last is None:
            await self.stamp(bytes(32))
        if self._last is None:
            raise AssertionError("a stamp that succeeds is kept")
        return self._last

    async def _stamp_at(self, authority: Authority, digest: bytes, algorithm: str) -> TokenFacts:
        nonce = secrets.randbits(63) | 1 << 62
        query = tsp.TimeStampReq(
            {
                "version": "v1",
                "message_imprint": {
                    "hash_algorithm": algos.DigestAlgorithm({"algorithm": algorithm}),
                    "hashed_message": digest,
                },
                "nonce": nonce,
                "cert_req": True,
            }
        )
        answer = await authority.ask(query.dump())
        token = _token_of(answer)
        facts = judge_token(token, digest, algorithm, nonce, self._clock.now())
        await self._check_trust(facts)
        return facts

    async def _check_trust(self, facts: TokenFacts) -> None:
        """Whether the certificate leads to a configured root; without roots every authority that was named in
        the settings is trusted for what it is. Revocation is a matter of B-LTA, where the answers are kept.
        """
        if not self.roots or facts.certificate in self._trusted:
            return
        certificate = asn1_x509.Certificate.load(facts.certificate)
        context = ValidationContext(trust_roots=list(self.roots), moment=self._clock.now())
        validator = CertificateValidator(
            certificate, intermediate_certs=certificates_of(facts.token), validation_context=context
        )
        try:
            await validator.async_validate_usage(set(), {"time_stamping"}, extended_optional=False)
        except (PathError, ValueError) as error:
            raise SealingFailed(
                SealTrouble.TIMESTAMP_REJECTED, "its certificate leads to none of the trust roots"
            ) from error
        self._trusted.add(facts.certificate)

    def _may_ask(self, authority: Authority) -> bool:
        with self._lock:
            return self._rests[authority.name].until <= self._clock.monotonic()

    def _note(self, authority: Authority, *, is_good: bool) -> None:
        with self._lock:
            rest = self._rests[authority.name]
            rest.failures = 0 if is_good else rest.failures + 1
            resting = rest.failures >= _FAILURES_BEFORE_REST
            rest.until = self._clock.monotonic() + self._rest_s if resting else 0.0


class Stamper(TimeStamper):  # type: ignore[misc]  # the library's types are not followed
    """The same authorities as pyHanko asks for them; keeps what the tokens of one file say, in order."""

    def __init__(self, timestamps: Timestamps) -> None:
        super().__init__()
        self._timestamps = timestamps
        self.tokens: list[TokenFacts] = []

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> Any:
        facts = await self._timestamps.stamp(message_digest, md_algorithm)
        self.tokens.append(facts)
        # What pyHanko would learn from a token that it asks for only to measure it: costs a request each.
        self._register_dummy(md_algorithm, cms.ContentInfo.load(facts.token))
        return _Token.load(facts.token)


class _Token(cms.ContentInfo):  # type: ignore[misc]  # the library's types are not followed
    """A token that is written as it came. What only reads one may mark it as changed, and to encode such a
    nested structure anew takes asn1crypto 1.5 many seconds; its signature covers its bytes anyway.
    """

    def _is_mutated(self) -> bool:
        return False

    def dump(self, force: bool = False) -> bytes:
        return bytes(super().dump(force=False))


def certificates_of(token: bytes) -> list[Any]:
    signed = cms.ContentInfo.load(token)["content"]
    return [one.chosen for one in signed["certificates"] if isinstance(one.chosen, asn1_x509.Certificate)]


def load_roots(path: Path | None) -> tuple[Any, ...]:
    """The certificates of a PEM file. Raises ValueError for one that cannot be read."""
    if path is None:
        return ()
    content = path.read_bytes()
    return tuple(
        asn1_x509.Certificate.load(der)
        for kind, _, der in pem.unarmor(content, multiple=True)
        if kind == "CERTIFICATE"
    )


def _token_of(answer: bytes) -> bytes:
    try:
        response = TimestampResponse.load(answer)
        status = response["status"]
        kind = status["status"].native
        said = "; ".join(status["status_string"].native or ())
        failures = ", ".join(sorted(status["fail_info"].native or ()))
        if kind in {"granted", "granted_with_mods"}:
            return bytes(response["time_stamp_token"].dump())
    except (ValueError, TypeError, KeyError) as error:
        raise SealingFailed(SealTrouble.TIMESTAMP_REJECTED, "the answer cannot be read") from error
    raise SealingFailed(
        SealTrouble.TIMESTAMP_REJECTED, f"it refused: {said[:200] or failures or kind} ({failures or kind})"
    )


def _unavailable(detail: str) -> SealingFailed:
    return SealingFailed(SealTrouble.TIMESTAMP_UNAVAILABLE, detail)
