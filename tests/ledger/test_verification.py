"""Both verifiers find every change of a stored column and of an exported value; and what a chain cannot show."""

import asyncio
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from ledger import verify
from ledger.check import check_chain, check_everything, check_tenant
from ledger.export import export_chain
from ledger.read import read_head
from tests.ledger.builders import ENVELOPE, OTHER, TENANT, make_announced, make_event
from tests.ledger.test_record import record
from tests.shared_postgres import SHARED

CHAIN = f"env:{ENVELOPE}"


async def tamper(store, *statements):
    """As somebody with full access to the database: the triggers go first."""
    connection = await asyncpg.connect(SHARED.url("postgres", store.name).reveal())
    try:
        for table in ("ledger_entries", "ledger_heads"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def export(store, chain=CHAIN, tenant=TENANT):
    async with store.app.transaction(tenant) as tx:
        return [line async for line in export_chain(tx, tenant, chain)]


@pytest.fixture
async def written(store, ledger):
    await record(
        ledger, store.app, make_event(), make_announced(), make_event(), make_event(envelope_id=None)
    )
    await record(
        ledger, store.app, make_event(facts={"note": "Ünïcode \U0001f58b \u0000", "list": [1, None, True]})
    )
    return store


async def test_an_untouched_ledger_verifies_by_every_path(written):
    assert await check_chain(written.app, TENANT, CHAIN) == await check_chain(written.hub, TENANT, CHAIN)
    verdict = await check_chain(written.app, TENANT, CHAIN)
    assert (verdict.valid, verdict.events_verified, verdict.violations) == (True, 4, ())
    for thorough in (True, False):
        verdict = await check_tenant(written.app, TENANT, thorough=thorough)
        assert (verdict.valid, verdict.events_verified) == (True, 5)
        assert (await check_everything(written.hub, thorough=thorough)).events_verified == 5
    assert verify.verify_lines(await export(written)) == {
        "valid": True,
        "events_verified": 4,
        "violations": [],
    }


COLUMN_CHANGES = {
    "tenant_id": f"'{OTHER}'",
    "chain_id": f"'env:{uuid4()}'",
    "seq": "seq + 10",
    "v": "2",
    "event_id": f"'{uuid4()}'",
    "event_type": "event_type || 'x'",
    "resource_type": "'tenant'",
    "resource_id": "resource_id || 'x'",
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "prev_hash": "set_byte(prev_hash, 0, get_byte(prev_hash, 0) # 1)",
    "body_hash": "set_byte(body_hash, 31, get_byte(body_hash, 31) # 1)",
    "hash": "substring(hash FROM 2)",
    "body": "set_byte(body, 12, get_byte(body, 12) # 1)",
}


async def test_every_column_of_an_entry_is_in_the_list_of_changes(store):
    rows = await store.hub.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'ledger_entries'"
    )
    assert {row["column_name"] for row in rows} == set(COLUMN_CHANGES)


@pytest.mark.parametrize("column", COLUMN_CHANGES)
async def test_change_of_any_column_of_an_entry_is_found(written, column):
    await tamper(
        written,
        f"UPDATE ledger_entries SET {column} = {COLUMN_CHANGES[column]} WHERE chain_id = '{CHAIN}' AND seq = 2",
    )
    assert not (await check_everything(written.hub)).valid
    assert not (await check_chain(written.hub, TENANT, CHAIN)).valid
    quick = await check_everything(written.hub, thorough=False)
    repeats_the_body = {"v", "event_id", "event_type", "resource_type", "resource_id", "occurred_at"}
    assert quick.valid == (column in repeats_the_body)
    try:
        result = verify.verify_lines(await export(written))
    except verify.CannotTell:
        pytest.fail("a changed entry was not judged")
    assert not result["valid"]


async def test_violation_names_the_event_and_both_values(written):
    row = await written.hub.fetchrow("SELECT event_id, resource_id FROM ledger_entries WHERE seq = 2")
    await tamper(written, "UPDATE ledger_entries SET resource_id = 'forged' WHERE seq = 2")
    (violation,) = (await check_chain(written.app, TENANT, CHAIN)).violations
    assert violation.event_id == str(row["event_id"])
    assert violation.issue == "column_mismatch"
    assert violation.expected == f"resource_id: {row['resource_id']}"
    assert violation.actual == "resource_id: forged"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_heads SET seq = seq + 1",
        "UPDATE ledger_heads SET hash = prev_hash",
        "UPDATE ledger_heads SET recorded_at = recorded_at - interval '1 s'",
        "DELETE FROM ledger_heads",
    ],
)
async def test_head_that_is_not_the_last_entry_is_found(written, change):
    await tamper(written, change)
    for thorough in (True, False):
        verdict = await check_tenant(written.app, TENANT, thorough=thorough)
        assert {violation.issue for violation in verdict.violations} <= {"head_mismatch", "head_missing"}
        assert not verdict.valid
    assert not (await check_chain(written.app, TENANT, CHAIN)).valid


def leaves(value, path=()):
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def flipped(value):
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value and value[0] in "0123456789abcdef":
            return ("1" if value[0] == "0" else "0") + value[1:]
        case str():
            return value + "x"
        case _:
            return "x"


def change(document, path):
    document = json.loads(json.dumps(document))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = flipped(place[path[-1]])
    return document


async def test_change_of_any_value_of_an_exported_line_or_of_a_body_is_found(written):
    lines = [json.loads(line) for line in await export(written)]
    tried = 0
    for number, line in enumerate(lines):
        variants = [change(line, path) for path in leaves(line)]
        if "body" in line:
            body = json.loads(line["body"])
            variants += [
                {
                    **line,
                    "body": json.dumps(
                        change(body, path), sort_keys=True, separators=(",", ":"), ensure_ascii=False
                    ),
                }
                for path in leaves(body)
            ]
        for variant in variants:
            forged = [json.dumps(variant if n == number else other).encode() for n, other in enumerate(lines)]
            try:
                assert not verify.verify_lines(forged)["valid"], variant
            except verify.CannotTell:
                assert variant.get("v") not in {None, 1}
            tried += 1
    assert tried > 150


async def test_lines_left_out_repeated_or_swapped_are_found(written):
    lines = await export(written)
    for left_out in range(len(lines)):
        assert not verify.verify_lines(lines[:left_out] + lines[left_out + 1 :])["valid"]
    for repeated in range(len(lines)):
        assert not verify.verify_lines([*lines[: repeated + 1], *lines[repeated:]])["valid"]
    for first, second in itertools.combinations(range(len(lines)), 2):
        swapped = list(lines)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        assert not verify.verify_lines(swapped)["valid"]


async def rewrite_from(store, seq, body):
    """Attack 2: edit an entry and link the rest of the chain anew, with the ledger's own functions."""
    await tamper(
        store,
        f"UPDATE ledger_entries SET body = {body} WHERE chain_id = '{CHAIN}' AND seq = {seq}",
        f"""DO $$ DECLARE e record; prev bytea; BEGIN
            FOR e IN SELECT * FROM ledger_entries WHERE chain_id = '{CHAIN}' ORDER BY seq LOOP
                prev := coalesce(prev, e.prev_hash);
                UPDATE ledger_entries SET prev_hash = prev, body_hash = ledger_body_v1(e.body),
                    hash = ledger_link_v1(chain_id, e.seq, recorded_at, prev, ledger_body_v1(e.body))
                WHERE chain_id = e.chain_id AND seq = e.seq RETURNING hash INTO prev;
            END LOOP;
            UPDATE ledger_heads SET hash = prev WHERE chain_id = '{CHAIN}';
        END $$""",
    )


ATTACKS = {
    "2 edit and link the rest anew": None,
    "3 cut the tail and move the head back": (
        f"DELETE FROM ledger_entries WHERE chain_id = '{CHAIN}' AND seq = 4",
        f"""UPDATE ledger_heads h SET seq = 3, hash = e.hash, prev_hash = e.prev_hash,
                recorded_at = e.recorded_at
            FROM ledger_entries e WHERE e.chain_id = '{CHAIN}' AND e.seq = 3 AND h.chain_id = e.chain_id""",
    ),
    "4 and 5 remove the whole chain": (
        f"DELETE FROM ledger_entries WHERE chain_id = '{CHAIN}'",
        f"DELETE FROM ledger_heads WHERE chain_id = '{CHAIN}'",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attack_with_full_access_is_invisible_to_the_chain_and_found_by_a_head_kept_elsewhere(
    written, attack
):
    async with written.app.transaction(TENANT) as tx:
        kept = await read_head(tx, TENANT, CHAIN)
    statements = ATTACKS[attack]
    if statements is None:
        await rewrite_from(
            written, 2, "convert_to(replace(convert_from(body, 'UTF8'), 'req-1', 'req-2'), 'UTF8')"
        )
    else:
        await tamper(written, *statements)
    # This is the limit that the documentation states; a test that fails here means that it can be moved.
    assert (await check_everything(written.hub)).valid
    lines = await export(written)
    result = verify.verify_lines(lines, heads={CHAIN: (kept.seq, kept.hash.hex())})
    assert {violation["issue"] for violation in result["violations"]} <= {"head_mismatch", "truncated"}
    assert not result["valid"]


async def test_attack_1_an_edit_alone_is_found_by_the_chain(written):
    await tamper(
        written,
        "UPDATE ledger_entries SET body = convert_to(replace(convert_from(body, 'UTF8'), 'req-1', 'req-2'), 'UTF8')"
        f" WHERE chain_id = '{CHAIN}' AND seq = 2",
    )
    for verdict in (
        await check_everything(written.hub, thorough=False),
        await check_chain(written.app, TENANT, CHAIN),
    ):
        assert {violation.issue for violation in verdict.violations} == {
            "body_hash_mismatch",
            "event_hash_mismatch",
        }


async def test_a_chain_is_refused_under_another_tenants_or_chains_name(written):
    lines = await export(written)
    assert not verify.verify_lines(lines, tenant_id=str(OTHER))["valid"]
    assert not verify.verify_lines(lines, chain_id=f"env:{uuid4()}")["valid"]
    moved = [line.replace(str(TENANT).encode(), str(OTHER).encode()) for line in lines]
    assert not verify.verify_lines(moved)["valid"]


@pytest.mark.parametrize(
    ("line", "issue"),
    [
        (b"{", "malformed_line"),
        (b"[" * 100_000, "malformed_line"),
        (b'{"kind":"entry"}', "malformed_line"),
        (b'{"kind":"head","kind":"head"}', "malformed_line"),
        (b"\xff\xfe{\x00}\x00", "malformed_line"),
        (b'{"a":NaN}', "malformed_line"),
        (b"1e999", "malformed_line"),
    ],
)
async def test_garbage_between_the_lines_is_a_violation_and_no_crash(written, line, issue):
    result = verify.verify_lines([*await export(written), line])
    assert [violation["issue"] for violation in result["violations"]] == [issue]


async def test_stand_alone_verifier_runs_as_one_copied_file_and_says_so_by_its_exit_status(written, tmp_path):
    script = tmp_path / "verify.py"
    script.write_bytes(Path(verify.__file__).read_bytes())
    lines = await export(written)
    good, bad, empty = tmp_path / "good", tmp_path / "bad", tmp_path / "empty"
    good.write_bytes(b"".join(lines))
    bad.write_bytes(b"".join(lines).replace(b"req-1", b"req-2", 1))
    empty.write_bytes(b"")
    head = json.loads(lines[-1])
    pin = ["--chain", CHAIN, "--head", f"{head['seq']}:{head['hash']}"]
    wrong_pin = ["--chain", CHAIN, "--head", f"{head['seq'] + 1}:{head['hash']}"]
    for arguments, expected in (
        ([good], 0),
        ([good, *pin], 0),
        ([good, *wrong_pin], 1),
        ([bad], 1),
        ([empty], 2),
        ([tmp_path / "nothing"], 2),
        ([good, "--head", "nonsense"], 2),
    ):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", str(script), *map(str, arguments)],
            capture_output=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == expected, done.stderr
        assert set(json.loads(done.stdout)) >= {"valid"}
        assert not done.stderr


async def test_entries_of_an_unknown_version_cannot_be_judged(written):
    lines = [json.loads(line) for line in await export(written)]
    body = json.loads(lines[0]["body"]) | {"v": 2}
    lines[0] |= {"v": 2, "body": json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)}
    with pytest.raises(verify.CannotTell):
        verify.verify_lines([json.dumps(line).encode() for line in lines])


async def test_check_during_appends_sees_one_moment(written, ledger):
    async def append_on():
        for _ in range(20):
            await record(ledger, written.app, make_event(), make_event(envelope_id=uuid4()))

    appending = asyncio.create_task(append_on())
    while not appending.done():
        for thorough in (True, False):
            assert (await check_tenant(written.app, TENANT, thorough=thorough)).valid
    await appending


async def test_stream_in_many_chunks_is_checked_to_its_end(store, ledger):
    for _ in range(4):
        await record(
            ledger,
            store.app,
            *(make_event(envelope_id=uuid4(), facts={"note": "x" * 3000}) for _ in range(60)),
        )
    verdict = await check_tenant(store.app, TENANT, thorough=False)
    assert (verdict.valid, verdict.events_verified) == (True, 240)


def test_documentation_names_every_issue_that_a_verification_can_report():
    root = Path(verify.__file__).parents[1]
    sources = "".join(
        (root / "ledger" / name).read_text() for name in ("chain.py", "check.py", "columns.py", "verify.py")
    )
    issues = set(
        re.findall(
            r'"([a-z_]+_(?:mismatch|gap|missing|backwards|event|chain|tenant|line|head|canonical)|truncated)"',
            sources,
        )
    )
    documented = (root / "docs" / "ledger-format.md").read_text()
    assert len(issues) >= 14
    assert not {issue for issue in issues if f"`{issue}`" not in documented}
