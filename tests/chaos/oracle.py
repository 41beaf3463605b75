"""What must hold after every fault, read from SQL, from the providers' own books and from the receiver's.

I1 every acknowledged command is in SQL, once. I2 at most one sent envelope at the providers for each of ours.
I3 every event reached every endpoint or was given up with a reason, under one id and with the same bytes. I4
every chain verifies. I7 nothing leaves a terminal state, and provider and gateway agree. I9 nothing is stuck.
I8, no secret in a log or dump, is in secrecy.py; I5 awaits checkpoints, I6 is the isolation tests' matter.
Source: the design's oracle for fault tests.
"""

import json
import re
from collections import Counter
from uuid import UUID

import msgspec

from config.database import Database
from ledger.check import check_tenant
from normalizer.ids import Kind, print_id, read_id
from normalizer.status import TERMINAL
from tests.chaos.house import ChaosHouse, until
from tests.chaos.load import Load
from tests.chaos.receiver import Recorder

_OURS = re.compile(r"env_[0-9a-z]+")
_ADOBE = {"OUT_FOR_SIGNATURE": {"sent", "delivered"}, "SIGNED": {"completed"}, "CANCELLED": {"voided"}}
_DOCUSIGN = {
    "sent": {"sent"},
    "delivered": {"delivered"},
    "completed": {"completed"},
    "voided": {"voided"},
    "declined": {"declined"},
}
# What is open, with how many of it there are. All must come to nothing.
_OPEN = {
    "dispatches": "SELECT count(*) FROM envelopes WHERE dispatch_state IN ('creating', 'unknown')",
    "orphans": "SELECT count(*) FROM dispatch_attempts WHERE orphan = 'left'",
    "events to fan out": "SELECT count(*) FROM outbox_pending",
    "deliveries": "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'leased')",
    "inbox": "SELECT count(*) FROM inbox_messages WHERE state IN ('received', 'processing', 'parked')",
    "lost leases": "SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < clock_timestamp()",
    "dead letters": "SELECT count(*) FROM inbox_messages WHERE state IN ('dead', 'unprocessable', 'quarantined')",
    "dead jobs": "SELECT count(*) FROM jobs WHERE state = 'dead'",
    "open keys": "SELECT count(*) FROM idempotency_keys WHERE completed_at IS NULL"
    " AND locked_until > clock_timestamp()",
}


class AtProvider(msgspec.Struct, frozen=True, kw_only=True):
    """One envelope in a provider's own books. `was_sent`: a signer has been asked."""

    provider: str
    ref: str
    ours: str
    status: str
    was_sent: bool


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """`lost` and `doubled` must be 0; `repeated` webhooks are allowed, and counted."""

    acknowledged: int
    lost: int
    doubled: int
    events: int
    repeated: int
    ledger_entries: int


async def quiesce(house: ChaosHouse) -> None:
    """I9: waits until nothing is under way any more, at us or between us and the providers."""
    state = {"still": ""}

    async def is_quiet() -> bool:
        waiting = [f"{(await house.sql(query))[0][0]} {name}" for name, query in _OPEN.items()]
        waiting = [one for one in waiting if not one.startswith("0 ")]
        if not waiting:
            waiting = await disagreements(house)
        state["still"] = ", ".join(waiting[:6])
        return not waiting

    try:
        await until(is_quiet, "nothing under way")
    except BaseException:
        print(f"still open: {state['still']}")
        for row in await house.sql(
            "SELECT id, provider, status, dispatch_state, lookups, next_lookup_at, last_error FROM envelopes"
            " WHERE dispatch_state IN ('creating', 'unknown')"
        ):
            print(dict(row))
        for row in await house.sql(
            "SELECT e.url, d.state, d.attempt, d.tries, d.due_at - now() AS due, d.lease_until - now() AS lease,"
            " d.last_error FROM deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id"
            " WHERE d.state IN ('pending', 'leased') LIMIT 20"
        ):
            print(dict(row))
        for row in await house.sql("SELECT kind, state, attempts, lease_until, error FROM jobs"):
            print(dict(row))
        for row in await house.sql(
            "SELECT provider, provider_event, state, failures, waits, next_at - now() AS due, error FROM inbox_messages"
            " WHERE state <> 'done' LIMIT 20"
        ):
            print(dict(row))
        raise


async def read_providers(house: ChaosHouse) -> list[AtProvider]:
    books: list[AtProvider] = []
    listed = await house.client.get(f"{house.house.sandboxes['docusign'].url}/sandbox/envelopes")
    for one in listed.json()["envelopes"]:
        ours = _OURS.search(json.dumps(one.get("customFields", {})))
        books.append(
            AtProvider(
                provider="docusign",
                ref=one["envelopeId"],
                ours=ours.group() if ours else "",
                status=one["status"],
                was_sent=bool(one.get("sentDateTime")),
            )
        )
    listed = await house.client.get(f"{house.house.sandboxes['adobe_sign'].url}/sandbox/agreements")
    for one in listed.json():
        ours = _OURS.search(one["externalId"] or "")
        books.append(
            AtProvider(
                provider="adobe_sign",
                ref=one["id"],
                ours=ours.group() if ours else "",
                status=one["status"],
                was_sent=one["status"] not in {"DRAFT", "AUTHORING", "DOCUMENTS_NOT_YET_PROCESSED"},
            )
        )
    return books


async def disagreements(house: ChaosHouse) -> list[str]:
    """I7, second half: one sentence for each envelope whose provider says something else."""
    books = {one.ref.lower(): one for one in await read_providers(house)}
    told = []
    for row in await house.sql(
        "SELECT id, provider, provider_ref, status FROM envelopes WHERE provider_ref IS NOT NULL"
    ):
        kept = books.get(row["provider_ref"].lower())
        words = _DOCUSIGN if row["provider"] == "docusign" else _ADOBE
        if kept is None or row["status"] not in words.get(kept.status, set()):
            says = kept.status if kept else "nothing"
            told.append(f"{row['id']} is {row['status']}, {row['provider']} says {says}")
    return told


async def check(house: ChaosHouse, load: Load, recorder: Recorder, endpoint: str = "main") -> Findings:
    """Waits for quiet, then asserts everything; what it counted."""
    await quiesce(house)
    assert load.unclean == [], f"answers that a client cannot work with: {load.unclean[:5]}"
    assert recorder.problems == [], "webhooks that a receiver could not verify"
    lost, repeated_keys = await _check_acknowledged(house, load)
    doubled = await _check_sent_once(house)
    events = await _check_deliveries(house, recorder, endpoint)
    entries = await _check_ledger(house)
    assert (lost, repeated_keys, doubled) == (0, 0, 0)
    return Findings(
        acknowledged=len(load.acknowledged),
        lost=lost,
        doubled=doubled,
        events=events,
        repeated=recorder.repeated(endpoint),
        ledger_entries=entries,
    )


async def _check_acknowledged(house: ChaosHouse, load: Load) -> tuple[int, int]:
    rows = await house.sql("SELECT id, external_reference AS key, status FROM envelopes")
    stored: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        stored.setdefault(row["key"], []).append((print_id(Kind.ENVELOPE, row["id"]), row["status"]))
    lost = [
        one.key
        for one in load.acknowledged.values()
        if one.envelope_id not in {envelope for envelope, _ in stored.get(one.key, [])}
        or any(status in {"draft", "processing"} for _, status in stored[one.key])
    ]
    twice = [key for key, envelopes in stored.items() if len(envelopes) > 1]
    assert lost == [], "acknowledged, and not there"
    assert twice == [], "one key, two envelopes"
    return len(lost), len(twice)


async def _check_sent_once(house: ChaosHouse) -> int:
    books = await read_providers(house)
    sent = Counter(one.ours for one in books if one.was_sent)
    known = {print_id(Kind.ENVELOPE, row["id"]) for row in await house.sql("SELECT id FROM envelopes")}
    assert set(sent) <= known, "a provider sent something that is not ours"
    doubled = {ours: count for ours, count in sent.items() if count > 1}
    assert doubled == {}, "sent to signers more than once"
    return len(doubled)


async def _check_deliveries(house: ChaosHouse, recorder: Recorder, endpoint: str) -> int:
    events = await house.sql(
        "SELECT o.id AS event, d.state, d.last_error FROM outbox_events o"
        " LEFT JOIN deliveries d ON d.tenant_id = o.tenant_id AND d.event_id = o.id"
        " AND d.endpoint_id = (SELECT id FROM webhook_endpoints WHERE url = $1)"
        " WHERE o.tenant_id = $2 AND o.envelope_id IS NOT NULL",
        recorder.url(endpoint),
        house.house.development.tenant_id,
    )
    got = recorder.posts[endpoint]
    for row in events:
        assert row["state"] in {"succeeded", "exhausted"}, dict(row)
        if row["state"] == "exhausted":
            assert row["last_error"], "given up without a reason"
        else:
            assert print_id(Kind.EVENT, row["event"]) in got, "called delivered, and never arrived"
    assert set(got) <= {print_id(Kind.EVENT, row["event"]) for row in events}
    for webhook_id, hashes in got.items():
        assert len(set(hashes)) == 1, f"{webhook_id} came with different bytes"
    return len(events)


async def _check_ledger(house: ChaosHouse) -> int:
    url = house.house.settings.database.hub_url
    async with await Database.connect(url, application_name="oracle") as database:
        verdict = await check_tenant(database, house.house.development.tenant_id)
    assert verdict.valid, verdict.violations
    moves = await house.sql(
        "SELECT chain_id, event_type FROM ledger_entries WHERE chain_id LIKE 'env:%' ORDER BY chain_id, seq"
    )
    ended: dict[str, str] = {}
    words = {f"envelope_{status}": str(status) for status in TERMINAL}
    for row in moves:
        word = words.get(row["event_type"].casefold())
        if word is not None:
            assert ended.setdefault(row["chain_id"], word) == word, "a second end"
    status = {
        f"env:{row['id']}": row["status"] for row in await house.sql("SELECT id, status FROM envelopes")
    }
    for chain, word in ended.items():
        assert status[chain] == word, "left a terminal state"
    return verdict.events_verified


def own_id(printed: str) -> UUID:
    return read_id(Kind.ENVELOPE, printed)
