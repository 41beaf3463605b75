"""Links: what opens, what does not, and that the two cannot be told apart from outside."""

import re
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from engine.ceremony.embedding import EmbeddingLists, find_embedding_faults, save_embedding
from engine.ceremony.links import find_link, make_embedded_link, revoke_links, start_session
from engine.envelopes.visitor import Visitor
from engine.store import lock_envelope
from normalizer.errors import NotFound, TooManyTries, ValidationFailed
from tests.engine.access.gate import ADA, BEN, ENGINE_ID, LAPTOP, OTHER_TENANT, PHONE, TENANT, Gate
from tests.shared_postgres import SHARED

ORIGIN = "https://dms.acme.example"
RETURN = "https://dms.acme.example/signed?file=1"


async def test_link_is_found_as_often_as_it_is_looked_at_and_looking_changes_nothing(gate: Gate) -> None:
    token = await gate.link()
    before = await _everything(gate)
    first, second = await gate.found(token), await gate.found(token, PHONE)
    assert first == second
    assert (first.recipient_id, first.is_view_only, first.embedded) == (ADA, False, False)
    assert await _everything(gate) == before
    assert len(token) == 43


async def test_link_opens_until_the_envelopes_deadline_and_else_for_thirty_days(gate: Gate) -> None:
    undated = await gate.found(await gate.link())
    deadline = gate.clock.now() + timedelta(days=3)
    await gate.set_envelope(expires_at=deadline)
    token = await gate.link()
    dated = await gate.found(token)
    assert undated.expires_at == gate.clock.now() + timedelta(days=30)
    assert dated.expires_at == deadline
    gate.clock.advance(timedelta(days=3))
    assert await find_link(gate.engine, token, LAPTOP) is None


async def test_a_new_link_revokes_the_ones_before_of_that_recipient_only(gate: Gate) -> None:
    old, of_another = await gate.link(), await gate.link(BEN)
    new = await gate.link()
    assert await find_link(gate.engine, old, LAPTOP) is None
    assert (await gate.found(new)).recipient_id == ADA
    assert (await gate.found(of_another)).recipient_id == BEN


async def test_revoked_links_of_one_recipient_or_of_all_open_nothing(gate: Gate) -> None:
    ada, ben = await gate.link(), await gate.link(BEN)
    link = await gate.found(ada)
    await _revoke(gate, ADA)
    assert await find_link(gate.engine, ada, LAPTOP) is None
    with pytest.raises(NotFound):  # found before, used after
        await start_session(gate.engine, link, LAPTOP)
    assert await find_link(gate.engine, ben, LAPTOP) is not None
    await _revoke(gate, None)
    assert await find_link(gate.engine, ben, LAPTOP) is None


@pytest.mark.parametrize(
    ("status", "opens", "view_only"),
    [
        ("draft", False, None),
        ("sent", True, False),
        ("sealing", True, True),
        ("completed", True, True),
        ("declined", False, None),
        ("voided", False, None),
        ("expired", False, None),
    ],
)
async def test_link_by_the_envelopes_status(
    gate: Gate, status: str, opens: bool, view_only: bool | None
) -> None:
    token = await gate.link()
    await gate.set_envelope(status=status)
    link = await find_link(gate.engine, token, LAPTOP)
    assert (link is not None, link.is_view_only if link else None) == (opens, view_only)


async def test_link_of_a_recipient_who_has_finished_is_view_only_and_who_handed_over_has_none(
    gate: Gate,
) -> None:
    token = await gate.link()
    await gate.set_recipient(status="completed")
    assert (await gate.found(token)).is_view_only
    await gate.set_recipient(status="reassigned")
    assert await find_link(gate.engine, token, LAPTOP) is None


async def test_link_of_a_tenant_that_was_switched_off_opens_nothing(gate: Gate) -> None:
    token = await gate.link()
    await gate.store.hub.execute("UPDATE tenants SET active = false WHERE id = $1", TENANT)
    assert await find_link(gate.engine, token, LAPTOP) is None


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 10_000, "\x00\ud800", "%00", "../../etc"])
async def test_nonsense_opens_nothing_and_breaks_nothing(gate: Gate, token: str) -> None:
    assert await find_link(gate.engine, token, LAPTOP) is None


async def test_a_link_with_something_behind_it_opens_nothing(gate: Gate) -> None:
    token = await gate.link()
    assert await find_link(gate.engine, token + "A" * 400, LAPTOP) is None


async def test_bad_expired_and_revoked_links_ask_the_database_the_same(gate: Gate) -> None:
    revoked = await gate.link()
    embedded = await _embedded(gate)
    await gate.link()  # revokes the first
    gate.clock.advance(301)  # the embedded one is over
    asked = []
    for token in ("A" * 43, revoked, embedded):
        gate.store.hub.reset_counters()
        gate.store.app.reset_counters()
        assert await find_link(gate.engine, token, LAPTOP) is None
        asked.append((gate.store.hub.statements, gate.store.app.statements))
    assert asked[0] == asked[1] == asked[2]


async def test_too_many_bad_tokens_of_one_address_close_it_to_good_ones_too_until_the_window_is_over(
    gate: Gate,
) -> None:
    gate.with_settings(bad_tokens_per_ip=3)
    good = await gate.link()
    for number in range(3):
        assert await find_link(gate.engine, f"{number}" * 43, PHONE) is None
    with pytest.raises(TooManyTries) as refused:
        await find_link(gate.engine, good, PHONE)
    neighbour = Visitor(ip_address="2001:db8:1:2:ffff::1", user_agent="Phone/2.0")
    with pytest.raises(TooManyTries):  # the same /64 is the same visitor
        await find_link(gate.engine, good, neighbour)
    assert await find_link(gate.engine, good, LAPTOP) is not None
    assert 0 < refused.value.retry_after_s <= 600
    gate.clock.advance(refused.value.retry_after_s)
    assert await find_link(gate.engine, good, PHONE) is not None


async def test_embedded_link_opens_once_for_five_minutes_with_what_it_was_made_with(gate: Gate) -> None:
    link = await gate.found(await _embedded(gate, (ORIGIN, ORIGIN), RETURN))
    assert (link.embedded, link.origins, link.return_url) == (True, (ORIGIN,), RETURN)
    started = await start_session(gate.engine, link, LAPTOP)
    session = await gate.again(started)
    assert (session.embedded, session.origins, session.return_url) == (True, (ORIGIN,), RETURN)
    with pytest.raises(NotFound):
        await start_session(gate.engine, link, LAPTOP)
    late = await _embedded(gate)
    gate.clock.advance(300)
    assert await find_link(gate.engine, late, LAPTOP) is None


async def test_embedded_link_that_was_used_is_found_no_more(gate: Gate) -> None:
    token = await _embedded(gate)
    await start_session(gate.engine, await gate.found(token), LAPTOP)
    assert await find_link(gate.engine, token, LAPTOP) is None


@pytest.mark.parametrize(
    ("origins", "return_url", "where"),
    [
        (("https://evil.example",), "", "/origins/0"),
        ((ORIGIN, ORIGIN + ":444"), "", "/origins/1"),
        (("*",), "", "/origins/0"),
        ((ORIGIN,), RETURN + "&x=1", "/return_url"),
        ((), RETURN.upper(), "/return_url"),
    ],
)
async def test_embedding_off_the_tenants_lists_is_refused(
    gate: Gate, origins: tuple[str, ...], return_url: str, where: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await _embedded(gate, origins, return_url)
    assert (refused.value.code, [one.where for one in refused.value.findings]) == (
        "embedding_refused",
        [where],
    )


async def test_another_tenants_lists_do_not_count(gate: Gate) -> None:
    async with gate.store.app.transaction(OTHER_TENANT) as tx:
        await save_embedding(tx, OTHER_TENANT, EmbeddingLists(("https://other.example",), ()))
        await tx.commit()
    with pytest.raises(ValidationFailed):
        await _embedded(gate, ("https://other.example",))


@pytest.mark.parametrize(
    ("origin", "is_fine"),
    [
        ("https://a.example", True),
        ("https://a.example:8443", True),
        ("https://[2001:db8::1]:8443", True),
        ("http://127.0.0.1:3000", True),
        ("http://127.0.0.1:3001", False),
        ("https://localhost", False),
        ("http://a.example", False),
        ("https://*.example", False),
        ("https://a.example/", False),
        ("https://a.example; script-src *", False),
        ("https://u@a.example", False),
        ("https://A.example", False),
        ("https://a.example:99999", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins_are_exact_https_hosts(origin: str, is_fine: bool) -> None:
    faults = find_embedding_faults(EmbeddingLists((origin,), ()), ["127.0.0.1:3000"])
    assert (faults == ()) is is_fine


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("https://a.example/back?x=1", True),
        ("http://127.0.0.1:3000/back", True),
        ("http://a.example/", False),
        ("javascript:alert(1)", False),
        ("https://u:p@a.example/", False),
        ("https://a.example/#x", False),
        ("https://a.example/\nx", False),
        ("//a.example/", False),
    ],
)
def test_return_addresses_are_whole_https_addresses(url: str, is_fine: bool) -> None:
    faults = find_embedding_faults(EmbeddingLists((), (url,)), ["127.0.0.1:3000"])
    assert (faults == ()) is is_fine


async def test_database_dump_opens_no_link_and_no_session(gate: Gate) -> None:
    token = await gate.link()
    started = await gate.started(recipient_id=BEN)
    dump = await _dump(gate)
    assert "ceremony_links" in dump
    for secret in (token, started.secret, started.csrf):
        assert secret not in dump
        assert secret.encode().hex() not in dump
    shown = set(re.findall(r"[A-Za-z0-9_-]{15,}|[0-9a-f]{32,}", dump))
    gate.with_settings(bad_tokens_per_ip=1_000_000)
    for word in shown:
        assert await find_link(gate.engine, word, LAPTOP) is None


async def _dump(gate: Gate) -> str:
    """Every row of every table of the access part, as text, as a superuser sees it."""
    connection = await asyncpg.connect(SHARED.url("postgres", gate.store.name).reveal())
    try:
        names = [
            row["name"]
            for row in await connection.fetch(
                "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        ]
        rows = [
            f"{name} {row['text']}"
            for name in names
            for row in await connection.fetch(f"SELECT t::text AS text FROM {name} t")
        ]
    finally:
        await connection.close()
    return "\n".join(rows)


async def _everything(gate: Gate) -> str:
    """Statistics aside, what is stored."""
    return await _dump(gate)


async def _revoke(gate: Gate, recipient_id: UUID | None) -> None:
    async with gate.store.app.transaction(TENANT) as tx:
        await revoke_links(gate.engine, tx, TENANT, ENGINE_ID, recipient_id)
        await tx.commit()


async def _embedded(gate: Gate, origins: tuple[str, ...] = (ORIGIN,), return_url: str = "") -> str:
    async with gate.store.app.transaction(TENANT) as tx:
        await save_embedding(tx, TENANT, EmbeddingLists((ORIGIN,), (RETURN,)))
        envelope = await lock_envelope(tx, TENANT, ENGINE_ID)
        url = await make_embedded_link(
            gate.engine, tx, envelope, envelope.recipient(ADA), origins=origins, return_url=return_url
        )
        await tx.commit()
    return url.rpartition("/")[2]
