"""A provider in memory, with the adapter's port and without a network: it does what the test tells it.

It borrows capabilities from a real declaration. `answers` are used up first, one per create: an outcome that
ends the call, or a function. What it holds is what "the provider" knows.
"""

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from adapters.docusign import ADAPTER as MODEL
from adapters.kit.exchange import Exchange, SavedBlob
from adapters.kit.outcome import Failure, Interruption, Rejected
from adapters.kit.port import (
    Authorization,
    ChangePage,
    Connection,
    Created,
    CredentialField,
    CredentialHealth,
    Decision,
    DecisionKind,
    Limits,
    RawRequest,
    Reply,
    SandboxSpec,
    SendMode,
    Verdict,
)
from config.secret import Secret
from normalizer.capabilities import check_capabilities
from normalizer.envelope import Degradation, Envelope, EnvelopeReport
from normalizer.status import EnvelopeStatus

Answer = Failure | Exception | Callable[["FakeProvider", Exchange, Envelope], Awaitable[Any]]


class FakeProvider:
    settings_prefix = "FAKE_"
    sandbox = SandboxSpec("none")
    limits = Limits(min_poll_interval_s=0, calls_per_hour=10**6, burst_calls=10**6, burst_window_s=1)
    credential_fields = (CredentialField("token", "any"),)

    def __init__(self, name: str, **capabilities: Any) -> None:
        self.name = name
        self.title = name.title()
        self.webhook_path = name
        self.capabilities = msgspec.structs.replace(MODEL.capabilities, **capabilities)
        self.answers: list[Answer] = []
        self.find_failures: list[Failure] = []
        self.send_failures: list[Failure] = []
        self.hidden: set[str] = set()  # not found by a search: the index lags
        self.held: dict[str, EnvelopeReport] = {}
        self.changes: list[
            ChangePage | Failure
        ] = []  # the list of changes, a page per call; empty when used up
        self.asked_since: list[tuple[datetime, str]] = []
        self.calls: list[str] = []
        self.outgoing: list[Envelope] = []
        self._numbers = itertools.count(1)

    def sent(self) -> list[EnvelopeReport]:
        return [
            one for one in self.held.values() if one.status is not EnvelopeStatus.DRAFT and not _is_dead(one)
        ]

    def hold(self, reference: str, status: EnvelopeStatus, ref: str = "") -> str:
        ref = ref or f"{self.name}-{next(self._numbers)}"
        self.held[ref] = EnvelopeReport(
            provider_ref=ref, status=status, provider_status=str(status), reference=reference
        )
        return ref

    def decode_credentials(self, raw: bytes) -> Any:
        return msgspec.json.decode(raw)

    def credentials_from_settings(self, settings: Any) -> bytes | None:
        return None

    def account_key(self, connection: Connection) -> str:
        return connection.id

    def allowed_host(self, host: str, connection: Connection) -> bool:
        return False

    def authorization_headers(self, authorization: Authorization) -> tuple[tuple[str, str], ...]:
        return ()

    def classify(self, operation: str, response: Any) -> Decision:
        return Decision(kind=DecisionKind.UNKNOWN)

    def limit_headers(self, response: Any) -> None:
        return None

    def check(self, connection: Connection, envelope: Envelope) -> tuple[Degradation, ...]:
        return check_capabilities(self.name, self.capabilities, envelope)

    async def authorize(self, exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
        return Authorization(
            token=Secret("t"), expires_at=datetime.now(UTC) + timedelta(hours=1), api_base=""
        )

    async def create_envelope(
        self, exchange: Exchange, connection: Connection, envelope: Envelope, mode: SendMode, now: datetime
    ) -> Created:
        self.calls.append(f"create {mode}")
        self.outgoing.append(envelope)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                return await answer(self, exchange, envelope)
            raise Interruption(answer)
        return await self.make(exchange, envelope, mode)

    async def make(self, exchange: Exchange, envelope: Envelope, mode: SendMode = SendMode.SEND) -> Created:
        status = EnvelopeStatus.SENT if mode is SendMode.SEND else EnvelopeStatus.DRAFT
        ref = self.hold(envelope.reference, status)
        await exchange.learned(ref)
        return Created(ref, self.held[ref])

    async def send_draft(self, exchange: Exchange, connection: Connection, ref: str) -> EnvelopeReport:
        self.calls.append(f"send_draft {ref}")
        if self.send_failures:
            raise Interruption(self.send_failures.pop(0))
        if self._get(ref).status is not EnvelopeStatus.DRAFT:
            raise Interruption(_rejected("state_conflict"))
        return self._set(ref, EnvelopeStatus.SENT)

    async def discard_draft(self, exchange: Exchange, connection: Connection, ref: str) -> None:
        self.calls.append(f"discard_draft {ref}")
        if self._get(ref).status is not EnvelopeStatus.DRAFT:
            raise Interruption(_rejected("state_conflict"))
        self._set(ref, EnvelopeStatus.VOIDED)

    async def find_envelopes(
        self, exchange: Exchange, connection: Connection, reference: str, since: datetime
    ) -> tuple[EnvelopeReport, ...]:
        self.calls.append("find")
        if self.find_failures:
            raise Interruption(self.find_failures.pop(0))
        return tuple(
            one for ref, one in self.held.items() if one.reference == reference and ref not in self.hidden
        )

    async def get_envelope(self, exchange: Exchange, connection: Connection, ref: str) -> EnvelopeReport:
        self.calls.append(f"get {ref}")
        return self._get(ref)

    async def list_changes(
        self, exchange: Exchange, connection: Connection, since: datetime, cursor: str
    ) -> ChangePage:
        self.calls.append("list")
        self.asked_since.append((since, cursor))
        page = self.changes.pop(0) if self.changes else ChangePage(())
        if not isinstance(page, ChangePage):
            raise Interruption(page)
        return page

    async def void_envelope(
        self, exchange: Exchange, connection: Connection, ref: str, reason: str
    ) -> EnvelopeReport:
        self.calls.append(f"void {ref}")
        return self._set(ref, EnvelopeStatus.VOIDED)

    async def resend(self, exchange: Exchange, connection: Connection, ref: str, who: Any, note: str) -> None:
        self.calls.append(f"resend {len(who)}")

    async def correct_recipient(
        self, exchange: Exchange, connection: Connection, ref: str, correction: Any
    ) -> None:
        self.calls.append(f"correct {correction.name} {correction.email}")

    async def download(
        self, exchange: Exchange, connection: Connection, ref: str, part: Any, number: int
    ) -> SavedBlob:
        raise NotImplementedError

    async def audit_trail(self, exchange: Exchange, connection: Connection, ref: str) -> tuple[Any, ...]:
        return ()

    async def signing_url(
        self,
        exchange: Exchange,
        connection: Connection,
        ref: str,
        recipient: Any,
        return_url: str,
        origins: tuple[str, ...] = (),
    ) -> str:
        self.calls.append(f"signing_url {origins}")
        return f"https://sign.example/{ref}?secret-link"

    async def check_credentials(self, exchange: Exchange, connection: Connection) -> CredentialHealth:
        return CredentialHealth(account="a", detail="d")

    def verify(self, request: RawRequest, connection: Connection) -> Verdict:
        return Verdict(False, -1, "fake")

    def challenge(self, request: RawRequest, connection: Connection) -> Reply:
        return Reply(405)

    def acknowledge(self, request: RawRequest, connection: Connection, verdict: Verdict) -> Reply:
        return Reply(401)

    def parse(self, body: bytes) -> tuple[Any, ...]:
        return ()

    def _get(self, ref: str) -> EnvelopeReport:
        if ref not in self.held:
            raise Interruption(_rejected("not_found"))
        return self.held[ref]

    def _set(self, ref: str, status: EnvelopeStatus) -> EnvelopeReport:
        self.held[ref] = msgspec.structs.replace(self._get(ref), status=status, provider_status=str(status))
        return self.held[ref]


def _rejected(code: str) -> Rejected:
    return Rejected(code=code, provider_code=code.upper(), detail=code, status=400)


def _is_dead(report: EnvelopeReport) -> bool:
    return report.status in {EnvelopeStatus.VOIDED, EnvelopeStatus.EXPIRED, EnvelopeStatus.FAILED}
