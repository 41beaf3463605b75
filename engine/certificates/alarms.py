"""Tells before certificates end: once for each of the days that the settings name, to their contact and the ledger.

One run tells of the nearest passed day only: a certificate that is imported five days before its end raises one
alarm, not three. Revoked ones are past caring.
"""

import logging
import math
from uuid import UUID

from cryptography import x509

from engine.certificates.model import common_name, thumbprint
from engine.certificates.store import personal_owner
from engine.engine import Engine
from engine.notify.notice import Notice, NoticeKind
from engine.notify.outbox import put_notice
from engine.record import record
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.certificates")

_BATCH = 500
_DAY_S = 86_400


async def alarm_due(engine: Engine) -> int:
    """How many alarms were given. What one run leaves, the next finds."""
    days = sorted(set(engine.settings.certificates.alarm_days) | {0})
    rows = await engine.hub.fetch(
        "SELECT tenant_id, id FROM certificates, unnest($1::integer[]) AS day WHERE NOT revoked"
        " AND not_valid_after <= now() + make_interval(days => day) AND NOT day = ANY (alarms_given)"
        " AND not_valid_after <= now() + make_interval(days => $2)"
        " GROUP BY tenant_id, id, not_valid_after ORDER BY not_valid_after LIMIT $3",
        days,
        days[-1],
        _BATCH,
    )
    given = 0
    for row in rows:
        given += await _alarm(engine, row["tenant_id"], row["id"], days)
    return given


async def _alarm(engine: Engine, tenant_id: UUID, certificate_id: UUID, days: list[int]) -> bool:
    """Whether there was something to tell. Two runs at once tell it once: the row is locked."""
    async with engine.database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(
            "SELECT user_id, contact_email, certificate_pem, alarms_given, not_valid_after,"
            " extract(epoch FROM not_valid_after - now())::float8 AS left_s FROM certificates"
            " WHERE tenant_id = $1 AND id = $2 AND NOT revoked FOR UPDATE",
            tenant_id,
            certificate_id,
        )
        if row is None:
            return False
        left = max(0, math.ceil(row["left_s"] / _DAY_S))
        passed = [day for day in days if row["left_s"] <= day * _DAY_S]
        if not passed or passed[0] in row["alarms_given"]:
            return False
        await tx.driver.execute(
            "UPDATE certificates SET alarms_given = $3 WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            certificate_id,
            sorted({*row["alarms_given"], *passed}),
        )
        certificate = x509.load_pem_x509_certificate(row["certificate_pem"])
        event = _event(engine, tenant_id, certificate_id, certificate, left, row["user_id"])
        await record(engine, tx, [event])
        address = row["contact_email"] or (row["user_id"] if "@" in row["user_id"] else "")
        if address:
            values = {
                "certificate": common_name(certificate.subject),
                "days": str(left),
                "expires_at": row["not_valid_after"].isoformat(),
            }
            notice = Notice(
                kind=NoticeKind.CERTIFICATE_EXPIRING, tenant_id=tenant_id, address=address, values=values
            )
            await put_notice(engine, tx, notice)
        await tx.commit()
    logger.warning(
        "certificate.expiring certificate=%s days=%d", print_id(Kind.CERTIFICATE, certificate_id), left
    )
    return True


def _event(
    engine: Engine,
    tenant_id: UUID,
    certificate_id: UUID,
    certificate: x509.Certificate,
    left: int,
    user_id: str,
) -> Event:
    return Event(
        id=engine.ids.new(),
        type=LedgerType.CERTIFICATE_EXPIRING,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=ResourceType.CERTIFICATE,
        resource_id=print_id(Kind.CERTIFICATE, certificate_id),
        occurred_at=engine.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts={
            "sha256": thumbprint(certificate),
            "days": left,
            "not_valid_after": certificate.not_valid_after_utc.isoformat(),
        },
        personal=personal_owner(user_id),
    )
