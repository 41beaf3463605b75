"""What the built-in engine's adapter promises without an engine: it declares, translates, and lets nobody in."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from adapters.internal import ADAPTER
from adapters.internal.mapping import EVENT
from adapters.internal.troubles import answering
from adapters.kit.outcome import Interruption, NotSent, Rejected, Unknown
from adapters.kit.port import Connection, InProcess, RawRequest
from adapters.kit.scripted import ScriptedExchange
from config.errors import BlobDamaged, StoreUnavailable
from engine.documents.examiners import ExaminerLost
from engine.envelopes.report import STATUS, Happening, Message, Word
from engine.model import EngineStatus
from normalizer.envelope import EnvelopeReport
from normalizer.errors import InvalidTransition, NotFound, PayloadMalformed, ValidationFailed
from normalizer.recipient import AuthenticationMethod
from normalizer.status import EnvelopeStatus, RecipientStatus

CONNECTION = Connection(
    id=str(UUID(int=1)), tenant_id=str(UUID(int=2)), credentials=ADAPTER.decode_credentials(b"{}")
)
MOMENT = datetime(2026, 1, 15, tzinfo=UTC)


def report(*happenings: Happening, status: EnvelopeStatus = EnvelopeStatus.SENT) -> bytes:
    return msgspec.json.encode(
        Message(
            engine_id=UUID(int=3),
            reference="env_1",
            happenings=happenings,
            report=EnvelopeReport(provider_ref=str(UUID(int=3)), status=status, provider_status="sent"),
        )
    )


def happened(word: Word, **changes: object) -> Happening:
    return Happening(**({"word": word, "key": f"key of {word}", "at": MOMENT} | changes))


def test_every_word_of_the_engines_has_a_meaning() -> None:
    assert set(EVENT) == set(Word)
    assert set(STATUS) == set(EngineStatus)


def test_message_becomes_one_event_per_thing_that_happened() -> None:
    place = UUID(int=9)
    body = report(
        happened(
            Word.RECIPIENT_AUTHENTICATED, place=place, email="a@b.example", method=AuthenticationMethod.SMS
        ),
        happened(Word.RECIPIENT_FINISHED, place=place, status=RecipientStatus.COMPLETED, ip_address="::1"),
        status=EnvelopeStatus.SIGNED,
    )
    proved, finished = ADAPTER.parse(body)
    assert (proved.provider_event, proved.status, proved.recipient_id) == (
        "recipient_authenticated/sms",
        None,
        place,
    )
    assert (finished.status, finished.recipient_status, finished.ip_address) == (
        EnvelopeStatus.SIGNED,
        RecipientStatus.COMPLETED,
        "::1",
    )
    assert {proved.provider_ref, finished.provider_ref} == {str(UUID(int=3))}
    assert proved.dedupe_key != finished.dedupe_key


def test_word_that_nobody_knows_is_malformed_and_not_guessed() -> None:
    body = report(happened(Word.ENVELOPE_SENT)).replace(b'"word":"envelope_sent"', b'"word":"exploded"')
    with pytest.raises(PayloadMalformed):
        ADAPTER.parse(body)


def test_whoever_posts_is_refused_with_or_without_a_true_report() -> None:
    for body in (b"", b"{}", report(happened(Word.ENVELOPE_COMPLETED))):
        request = RawRequest(method="POST", headers=(("authorization", "Bearer x"),), body=body)
        verdict = ADAPTER.verify(request, CONNECTION)
        assert (verdict.authentic, verdict.key_index) == (False, -1)
        assert ADAPTER.acknowledge(request, CONNECTION, verdict).status == 403
        assert ADAPTER.challenge(request, CONNECTION).status == 404
    assert not ADAPTER.allowed_host("localhost", CONNECTION)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'{"token": "canary"}', b"\xff"])
def test_credentials_are_refused_so_that_no_secret_is_kept_by_mistake(raw: bytes) -> None:
    with pytest.raises(ValidationFailed) as refused:
        ADAPTER.decode_credentials(raw)
    assert "canary" not in f"{refused.value} {refused.value.findings}"


async def test_adapter_that_is_not_bound_fails_loudly() -> None:
    assert isinstance(ADAPTER, InProcess)
    with pytest.raises(RuntimeError, match="not bound"):
        await ADAPTER.get_envelope(ScriptedExchange(ADAPTER, []), CONNECTION, str(UUID(int=3)))
    with pytest.raises(TypeError):
        ADAPTER.bind(object())


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (InvalidTransition("voided", "sent"), (Rejected, "state_conflict")),
        (NotFound("envelope", "x"), (Rejected, "not_found")),
        (ValidationFailed("x", code="document_refused"), (Rejected, "document_refused")),
        (ValidationFailed("x"), (Rejected, "validation")),
        (BlobDamaged("x"), (Rejected, "document_damaged")),
        (ExaminerLost("x"), (NotSent, "")),
        (StoreUnavailable("lost before"), (NotSent, "")),
        (StoreUnavailable("lost at COMMIT", outcome_unknown=True), (Unknown, "")),
    ],
)
def test_trouble_of_the_engines_is_told_as_what_may_be_done_next(
    raised: Exception, outcome: tuple[type, str]
) -> None:
    with pytest.raises(Interruption) as interruption, answering():
        raise raised
    told = interruption.value.outcome
    assert (type(told), getattr(told, "code", "")) == outcome


def test_mistake_of_ours_is_not_told_as_the_callers() -> None:
    with pytest.raises(KeyError), answering():
        raise KeyError("x")
