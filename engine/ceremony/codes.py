"""Codes by mail and text message: six digits, sent to one recipient for one purpose, good for minutes and one use.

Kept as a keyed hash that is bound to code, recipient and method. Only the newest counts. Must never write a code
anywhere but into the sealed notice that carries it.
Source: NIST SP 800-63B, 5.1.3 (out-of-band codes; text messages are restricted: offer another way).
"""

import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.keyed_hash import Purpose, keyed_hash
from engine.ceremony.limits import DAY_S, HOUR_S, NOBODY, Counter, address_subject, take_allowance
from engine.ceremony.methods import sms_price
from engine.engine import Engine
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient
from engine.notify.notice import Channel, Notice, NoticeKind
from engine.notify.outbox import put_notice
from normalizer.errors import TooManyTries, UnsupportedFeature
from normalizer.recipient import AuthenticationMethod

CODE_METHODS = frozenset({AuthenticationMethod.EMAIL_OTP, AuthenticationMethod.SMS})
_DIGITS = 6


class Tried(msgspec.Struct, frozen=True):
    """`tries_left` of the newest code; 0 also when there is none that could be right."""

    is_right: bool
    tries_left: int


def masked_target(recipient: EngineRecipient, method: AuthenticationMethod) -> str:
    """Where the code goes, as far as the page may show it: "a•••@example.com", "••• ••67"."""
    if method is AuthenticationMethod.SMS:
        return f"••• ••{recipient.phone_number[-2:]}"
    local, _, host = recipient.email.rpartition("@")
    return f"{local[:1]}•••@{host}"


async def check_sends(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
) -> None:
    """Raises TooManyTries when this recipient has had the codes of the window, or of the day."""
    settings = engine.settings.access
    now = engine.clock.now()
    rows = await tx.driver.fetch(
        "SELECT sent_at FROM ceremony_codes WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
        " AND method = $4 AND sent_at > $5 ORDER BY sent_at DESC",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        method.value,
        now - timedelta(seconds=DAY_S),
    )
    sent = [row["sent_at"] for row in rows]
    for most, window_s in (
        (settings.code_sends, settings.code_sends_window_s),
        (settings.code_sends_per_day, DAY_S),
    ):
        free_at = sent[most - 1] + timedelta(seconds=window_s) if len(sent) >= most else now
        if free_at > now:
            raise TooManyTries(max(1, round((free_at - now).total_seconds())))


async def take_sends(
    engine: Engine,
    tenant_id: UUID,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
    visitor: Visitor,
) -> None:
    """Takes one code out of what the visitor's address, the tenant and the phone may have, and its price out of
    what the tenant may spend. Raises TooManyTries; UnsupportedFeature for a country that gets no codes.
    """
    settings = engine.settings.access
    price = 0
    if method is AuthenticationMethod.SMS:
        known = sms_price(engine.settings, recipient.phone_country_code)
        if known is None:
            raise UnsupportedFeature("the signing engine", "codes by text message to this country")
        price = known
    address = address_subject(engine, visitor.ip_address)
    await take_allowance(
        engine, Counter.SENDS_FROM_ADDRESS, address, HOUR_S, settings.code_sends_per_ip_hourly
    )
    if method is AuthenticationMethod.SMS:
        phone = keyed_hash(engine, Purpose.PHONE, recipient.phone_country_code, recipient.phone_number)
        most = settings.code_sends_per_phone_daily
        await take_allowance(engine, Counter.SENDS_TO_PHONE, phone, DAY_S, most, tenant_id=NOBODY)
        spend = settings.sms_daily_spend_cents
        await take_allowance(engine, Counter.SMS_SPEND, b"", DAY_S, spend, tenant_id=tenant_id, amount=price)
    most = settings.code_sends_per_tenant_hourly
    await take_allowance(engine, Counter.SENDS_OF_TENANT, b"", HOUR_S, most, tenant_id=tenant_id)


async def put_code(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
) -> datetime:
    """Until when the new code is good. It is on its way when the caller's transaction commits."""
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
    own, now = engine.ids.new(), engine.clock.now()
    settings = engine.settings.access
    is_sms = method is AuthenticationMethod.SMS
    good_s = settings.sms_code_s if is_sms else settings.email_code_s
    await tx.driver.execute(
        "INSERT INTO ceremony_codes (tenant_id, id, engine_id, recipient_id, method, code_hash, sent_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        envelope.tenant_id,
        own,
        envelope.id,
        recipient.id,
        method.value,
        _hash(engine, envelope, recipient, method, own, code),
        now,
        now + timedelta(seconds=good_s),
    )
    values = {
        "code": code,
        "minutes": str(max(1, int(good_s // 60))),
        "subject": envelope.subject,
        "sender_name": envelope.sender_name,
        "organisation": await tx.driver.fetchval("SELECT engine_organisation($1)", envelope.tenant_id) or "",
    }
    await put_notice(engine, tx, _notice(envelope, recipient, values, is_sms=is_sms))
    return now + timedelta(seconds=good_s)


async def try_code(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
    given: str,
) -> Tried:
    """Uses up one try of the newest code, and the code when it is right. The caller holds the envelope's lock."""
    most, now = engine.settings.access.code_tries, engine.clock.now()
    row = await tx.driver.fetchrow(
        "SELECT id, code_hash, tries, expires_at, used_at FROM ceremony_codes WHERE tenant_id = $1 AND engine_id = $2"
        " AND recipient_id = $3 AND method = $4 ORDER BY sent_at DESC, id DESC LIMIT 1",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        method.value,
    )
    if row is None or row["used_at"] is not None or row["expires_at"] <= now or row["tries"] >= most:
        return Tried(is_right=False, tries_left=0)
    typed = "".join(given.split()).replace("-", "")
    hashed = _hash(engine, envelope, recipient, method, row["id"], typed)
    is_right = hmac.compare_digest(hashed, row["code_hash"])
    await tx.driver.execute(
        "UPDATE ceremony_codes SET tries = tries + 1, used_at = $3 WHERE tenant_id = $1 AND id = $2",
        envelope.tenant_id,
        row["id"],
        now if is_right else None,
    )
    return Tried(is_right=is_right, tries_left=most - row["tries"] - 1)


def _hash(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
    own: UUID,
    code: str,
) -> bytes:
    return keyed_hash(
        engine, Purpose.CODE, envelope.tenant_id, envelope.id, recipient.id, method.value, own, code
    )


def _notice(
    envelope: EngineEnvelope, recipient: EngineRecipient, values: dict[str, str], *, is_sms: bool
) -> Notice:
    phone = f"+{recipient.phone_country_code}{recipient.phone_number}"
    return Notice(
        kind=NoticeKind.CODE,
        tenant_id=envelope.tenant_id,
        connection_id=envelope.connection_id,
        engine_id=envelope.id,
        envelope_id=envelope.envelope_id,
        recipient_id=recipient.id,
        channel=Channel.SMS if is_sms else Channel.EMAIL,
        address=phone if is_sms else recipient.email,
        name=recipient.name,
        language=recipient.language or envelope.language,
        values=values,
    )
