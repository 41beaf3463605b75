"""Has a provider check who the recipient is: begun here, done on the provider's pages, asked for by this server.

Kept are the provider's reference and the verdict; no picture, no date of birth, nothing of the document. What the
browser brings back decides nothing: it only says when to ask.
"""

from datetime import timedelta
from uuid import UUID

from config.database import Transaction
from engine.ceremony.authenticate import (
    AnswerResult,
    NotAsked,
    Verdict,
    check_address,
    count_address,
    settle,
)
from engine.ceremony.limits import DAY_S
from engine.ceremony.lockout import find_lock
from engine.ceremony.sessions import Session, lock_passed
from engine.engine import Engine
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient
from engine.ports import IdentityProvider, IdentityVerdict
from engine.store import lock_envelope
from normalizer.errors import TooManyTries, UnsupportedFeature
from normalizer.recipient import AuthenticationMethod

_METHOD = AuthenticationMethod.ID_VERIFICATION
_VERDICTS = {
    IdentityVerdict.PENDING: Verdict.OPEN,
    IdentityVerdict.PASSED: Verdict.RIGHT,
    IdentityVerdict.FAILED: Verdict.WRONG,
}


async def begin_identity(engine: Engine, session: Session, visitor: Visitor) -> str:
    """The provider's page where the recipient goes now; it leads back to the session's authentication step.

    Raises NotAsked when it is not next, TooManyTries, ProviderUnavailable, ProviderContractBroken.
    """
    provider = _provider(engine)
    await check_address(engine, visitor)
    own, now = engine.ids.new(), engine.clock.now()
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope = await lock_envelope(tx, session.tenant_id, session.engine_id)
        recipient = envelope.recipient(session.recipient_id)
        if await _check_asked(engine, tx, recipient, session):
            raise NotAsked
        await _check_starts(engine, tx, envelope, recipient)
        await tx.driver.execute(
            "INSERT INTO identity_checks (tenant_id, id, engine_id, recipient_id, session_id, started_at)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            session.tenant_id,
            own,
            session.engine_id,
            session.recipient_id,
            session.id,
            now,
        )
        await tx.commit()
    base = engine.settings.countersign.public_base_url.rstrip("/")
    # The reference is ours alone: it tells the provider neither tenant nor envelope.
    started = await provider.start(own.hex, recipient.name, f"{base}/sign/s/{session.handle}/authenticate")
    async with engine.database.transaction(session.tenant_id) as tx:
        await tx.driver.execute(
            "UPDATE identity_checks SET provider_ref = $3 WHERE tenant_id = $1 AND id = $2",
            session.tenant_id,
            own,
            started.ref,
        )
        await tx.commit()
    return started.url


async def end_identity(engine: Engine, session: Session, visitor: Visitor) -> AnswerResult:
    """What the provider found in the session's newest check: passed, not, or (neither) not decided yet.

    Raises NotAsked without a check, TooManyTries, ProviderUnavailable, ProviderContractBroken.
    """
    provider = _provider(engine)
    await check_address(engine, visitor)
    own, ref = await _newest(engine, session)
    told = await provider.verdict(ref, own.hex)
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope = await lock_envelope(tx, session.tenant_id, session.engine_id)
        recipient = envelope.recipient(session.recipient_id)
        if await _check_asked(engine, tx, recipient, session):
            return AnswerResult(passed=True)
        verdict = _VERDICTS[told]
        if verdict is not Verdict.OPEN and not await _decide(engine, tx, session, own, told):
            return AnswerResult(passed=False)  # another request has counted this very verdict
        locked_until = await find_lock(engine, tx, envelope, recipient)
        if locked_until is not None:
            return AnswerResult(passed=False, tries_left=0, locked_until=locked_until)
        result = await settle(engine, tx, envelope, recipient, session, _METHOD, visitor, verdict)
        await tx.commit()
    if verdict is Verdict.WRONG:
        await count_address(engine, visitor)
    return result


async def has_open_check(engine: Engine, session: Session) -> bool:
    """Whether the session's newest check was begun and has no verdict yet: `end_identity` asks for it."""
    async with engine.database.transaction(session.tenant_id) as tx:
        verdict = await tx.driver.fetchval(
            "SELECT verdict FROM identity_checks WHERE tenant_id = $1 AND session_id = $2 AND provider_ref <> ''"
            " ORDER BY started_at DESC, id DESC LIMIT 1",
            session.tenant_id,
            session.id,
        )
    return bool(verdict == IdentityVerdict.PENDING.value)


async def _check_asked(engine: Engine, tx: Transaction, recipient: EngineRecipient, session: Session) -> bool:
    """Whether it is passed already. Raises NotAsked when it is not next."""
    passed = await lock_passed(engine, tx, session)
    if _METHOD in passed:
        return True
    if next((one for one in recipient.authentication if one not in passed), None) is not _METHOD:
        raise NotAsked
    return False


async def _check_starts(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient
) -> None:
    """Checks cost money: raises TooManyTries when the recipient is locked or has begun too many."""
    now = engine.clock.now()
    locked_until = await find_lock(engine, tx, envelope, recipient)
    if locked_until is not None:
        raise TooManyTries(max(1, round((locked_until - now).total_seconds())))
    begun = await tx.driver.fetchval(
        "SELECT count(*) FROM identity_checks WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
        " AND started_at > $4",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        now - timedelta(seconds=DAY_S),
    )
    if begun >= engine.settings.access.identity_starts_per_day:
        raise TooManyTries(3600)


async def _newest(engine: Engine, session: Session) -> tuple[UUID, str]:
    async with engine.database.transaction(session.tenant_id) as tx:
        row = await tx.driver.fetchrow(
            "SELECT id, provider_ref FROM identity_checks WHERE tenant_id = $1 AND session_id = $2"
            " AND provider_ref <> '' ORDER BY started_at DESC, id DESC LIMIT 1",
            session.tenant_id,
            session.id,
        )
    if row is None:
        raise NotAsked
    return row["id"], row["provider_ref"]


async def _decide(
    engine: Engine, tx: Transaction, session: Session, own: UUID, told: IdentityVerdict
) -> bool:
    """Writes the verdict; False when it is written already."""
    done = await tx.driver.execute(
        "UPDATE identity_checks SET verdict = $3, decided_at = $4 WHERE tenant_id = $1 AND id = $2"
        " AND verdict = 'pending'",
        session.tenant_id,
        own,
        told.value,
        engine.clock.now(),
    )
    return done == "UPDATE 1"


def _provider(engine: Engine) -> IdentityProvider:
    if engine.identity is None:
        raise UnsupportedFeature("the signing engine", "checks of identity (no provider is connected)")
    return engine.identity
