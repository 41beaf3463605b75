"""Use cases of an endpoint's keys: rotate them, change over now, show what they make of a body.

A rotation moves the secret and the Ed25519 key together; each generation signs until its own overlap ends, also
where the next rotation comes before that. What a key would
sign is shown to whoever may rotate it, and to nobody who may only read: it is as good as the key for that body.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import msgspec

from config.clock import Clock
from config.database import Database, Transaction
from config.secret import Secret
from config.vault import Vault
from normalizer.canonical import Json
from normalizer.errors import Conflict, Finding, ValidationFailed
from normalizer.events import Actor, Event, Source
from normalizer.ids import Ids
from normalizer.vocabulary import LedgerType
from webhooks.outbound import endpoint_store as rows
from webhooks.outbound.endpoint import Endpoint, ShownOnce
from webhooks.outbound.facts import endpoint_event
from webhooks.outbound.key_ring import (
    KEY_COLUMNS,
    OldGeneration,
    open_key_ring,
    open_old_generations,
    seal_older,
)
from webhooks.outbound.ports import RecordEvents
from webhooks.outbound.sign import (
    SigningKeys,
    make_secret,
    make_seed,
    public_key,
    sign,
    standard_form,
    vet_secret,
)
from webhooks.outbound.vaulted import SecretColumn, open_secret, open_seed, seal_secret, seal_seed

# Every one of them signs every message, and a header has its bounds.
MOST_GENERATIONS = 5

LONGEST_OVERLAP = timedelta(days=7)
USUAL_OVERLAP = timedelta(hours=24)


class Generation(msgspec.Struct, frozen=True):
    """What one generation of keys makes of the message. `v1a` None: it has no Ed25519 key."""

    v1: str
    v1a: str | None
    design: str


class SignatureTest(msgspec.Struct, frozen=True):
    """`headers`: what an attempt at this moment would carry."""

    message: str
    timestamp: int
    headers: Mapping[str, str]
    current: Generation
    previous: Generation | None


class EndpointKeys:
    """`database` is the app role's, so that row-level security stands behind every statement."""

    def __init__(
        self, database: Database, vault: Vault, recorder: RecordEvents, ids: Ids, clock: Clock
    ) -> None:
        self._database = database
        self._vault = vault
        self._recorder = recorder
        self._ids = ids
        self._clock = clock

    async def rotate_secret(
        self,
        tenant_id: UUID,
        endpoint_id: UUID,
        actor: Actor,
        source: Source,
        *,
        secret: Secret | None = None,
        overlap: timedelta = USUAL_OVERLAP,
        cutover: timedelta | None = None,
    ) -> ShownOnce:
        """Both secrets sign the standard header for `overlap`, and older ones until their own overlap ends; the
        design's header, which has room for one signature, changes over after `cutover` (half of the overlap unless
        said otherwise). No overlap ends every older secret at once. Raises Conflict when too many sign already.
        """
        cutover = overlap / 2 if cutover is None else cutover
        _vet_times(overlap, cutover)
        new_secret = vet_secret(secret.reveal()) if secret is not None else make_secret()
        now = self._clock.now()
        async with self._database.transaction(tenant_id) as tx:
            before = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            row = await self._read_keys(tx, tenant_id, endpoint_id)
            old = await open_old_generations(self._vault, tx, row, now=now) if overlap else []
            _vet_generations(old)
            columns = await self._next_generation(tx, before, new_secret)
            columns |= await seal_older(self._vault, tx, tenant_id, endpoint_id, old)
            columns |= {
                "previous_until": now + overlap,
                "cutover_at": now + cutover,
                "previous_cutover_at": before.cutover_at,
            }
            endpoint = await rows.update_endpoint(tx, tenant_id, endpoint_id, columns)
            facts: dict[str, Json] = {
                "own_secret": secret is not None,
                "overlap_s": int(overlap.total_seconds()),
                "cutover_s": int(cutover.total_seconds()),
            }
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_SECRET_ROTATED, endpoint, actor, source, facts)]
            )
            await tx.commit()
        return ShownOnce(endpoint, new_secret, standard_form(new_secret))

    async def activate_secret(
        self, tenant_id: UUID, endpoint_id: UUID, actor: Actor, source: Source
    ) -> Endpoint:
        """Lets the design's header change over to the new secret now."""
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            now = self._clock.now()
            if endpoint.cutover_at is None or endpoint.cutover_at <= now:
                raise Conflict("No change of secret is under way.", remedy="Rotate the secret first.")
            endpoint = await rows.update_endpoint(tx, tenant_id, endpoint_id, {"cutover_at": now})
            facts: dict[str, Json] = {"cutover_s": 0}
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_SECRET_ROTATED, endpoint, actor, source, facts)]
            )
            await tx.commit()
        return endpoint

    async def test_signature(
        self, tenant_id: UUID, endpoint_id: UUID, body: bytes, *, message: str, timestamp: int | None = None
    ) -> SignatureTest:
        """What the endpoint's keys make of these bytes. Sends nothing and stores nothing."""
        if not message or "." in message or not message.isascii() or not message.isprintable():
            raise ValidationFailed(
                "This is no message id.", (Finding("/id", "printable ASCII without a dot"),)
            )
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await rows.read_endpoint(tx, tenant_id, endpoint_id)
            row = await self._read_keys(tx, tenant_id, endpoint_id)
            ring = await open_key_ring(self._vault, tx, row)
        now = self._clock.now()
        second = int(now.timestamp()) if timestamp is None else timestamp
        headers = sign(
            ring,
            endpoint.signature_profile,
            message=message,
            type_=_type_of(body),
            body=body,
            now=now,
            timestamp=second,
        )
        live, _ = ring.at(now)
        generations = [_generation(keys, message, second, body) for keys in live]
        return SignatureTest(
            message, second, headers, generations[0], generations[1] if len(live) > 1 else None
        )

    async def _read_keys(self, tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> asyncpg.Record:
        row = await tx.driver.fetchrow(
            f"SELECT {KEY_COLUMNS} FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            endpoint_id,
        )
        if row is None:
            raise AssertionError("the endpoint was read in this transaction")
        return row

    async def _next_generation(
        self, tx: Transaction, before: Endpoint, new_secret: Secret
    ) -> dict[str, object]:
        sealed = await rows.read_sealed(tx, before.tenant_id, before.id)
        place = (self._vault, tx, before.tenant_id, before.id)
        old_secret, old_seed = sealed["secret"], sealed["signing_key"]
        if old_secret is None:
            raise AssertionError("an endpoint has a secret")
        old = await open_secret(*place, SecretColumn.CURRENT, old_secret)
        seed = make_seed()
        return {
            "secret": await seal_secret(*place, SecretColumn.CURRENT, new_secret),
            "previous_secret": await seal_secret(*place, SecretColumn.PREVIOUS, old),
            "signing_key": await seal_seed(*place, SecretColumn.SIGNING_KEY, seed),
            "verify_key": public_key(seed),
            "previous_signing_key": None
            if old_seed is None
            else await seal_seed(
                *place,
                SecretColumn.PREVIOUS_SIGNING_KEY,
                await open_seed(*place, SecretColumn.SIGNING_KEY, old_seed),
            ),
            "previous_verify_key": before.verify_key,
        }

    def _event(
        self,
        type_: LedgerType,
        endpoint: Endpoint,
        actor: Actor,
        source: Source,
        facts: Mapping[str, Json],
        *,
        announcement: Mapping[str, Json] | None = None,
    ) -> Event:
        return endpoint_event(
            type_,
            self._ids,
            self._clock.now(),
            tenant_id=endpoint.tenant_id,
            endpoint_id=endpoint.id,
            actor=actor,
            source=source,
            facts=facts,
            announcement=announcement,
        )


def _vet_times(overlap: timedelta, cutover: timedelta) -> None:
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ValidationFailed(
            "The overlap is 0 to 7 days.", (Finding("/overlap_hours", "between 0 and 168"),)
        )
    if not timedelta(0) <= cutover <= overlap:
        raise ValidationFailed(
            "The cutover lies within the overlap.", (Finding("/cutover_hours", "between 0 and the overlap"),)
        )


def _vet_generations(old: Sequence[OldGeneration]) -> None:
    """`old`: those before the current one, which a rotation adds to them."""
    if len(old) + 2 > MOST_GENERATIONS:
        first = min(one.until for one in old)
        raise Conflict(
            f"{len(old) + 1} secrets sign already, as many as may beside a new one.",
            remedy=f"Wait until the overlap of the oldest ends ({first:%Y-%m-%dT%H:%M:%SZ}), or rotate with"
            " overlap_hours 0: that ends every older secret at once.",
        )


def _generation(keys: SigningKeys, message: str, timestamp: int, body: bytes) -> Generation:
    signed = b"".join((f"{timestamp}.".encode(), body))
    standard = b"".join((f"{message}.".encode(), signed))
    return Generation(keys.standard(standard), keys.asymmetric(standard), keys.design(signed))


def _type_of(body: bytes) -> str:
    """What X-Signature-Event would say; empty for what is no webhook."""
    try:
        return msgspec.json.decode(body, type=_Typed).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


class _Typed(msgspec.Struct):
    type: str
