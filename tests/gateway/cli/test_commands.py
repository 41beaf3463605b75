"""Commands of administrators: what they print, what they change, and how they refuse."""

import asyncio
import json
import subprocess
import sys
from uuid import uuid4

import asyncpg
import pytest

from config.master_keys import make_key_line
from gateway.cli.revisions import newest_revision
from gateway.tenants.default_connections import DEFAULT_TENANT
from ledger import verify as stand_alone
from normalizer.ids import Kind, print_id, read_id
from tests.gateway.cli.command import CommandLine, clean_environ
from tests.shared_postgres import SHARED


@pytest.fixture
async def tenant(cli) -> str:
    return (await cli.well("tenant", "create", "Acme")).out.strip()


def test_help_loads_nothing_but_the_command_line():
    program = (
        "import sys; from gateway.cli.main import run\n"
        "try: run(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('litestar', 'sqlalchemy', 'httpx', 'obstore', 'msgspec') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=clean_environ()
    )
    assert "verify and export the ledger" in ended.stdout
    assert ended.stdout.endswith("[]\n")


async def test_a_tenant_is_made_and_listed(cli):
    made = (await cli.well("tenant", "create", "Acme", "--require-idempotency", "--json")).document
    assert (made["name"], made["require_idempotency"], made["active"]) == ("Acme", True, True)
    assert (await cli.well("tenant", "list", "--json")).document == [made]
    table = (await cli.well("tenant", "list")).out
    assert table.splitlines()[0].split() == ["id", "name", "active", "require_idempotency", "created_at"]
    assert made["id"] in table


async def test_a_key_is_shown_once_works_and_ends_when_revoked(cli, tenant):
    secret = (await cli.well("key", "create", "--tenant", tenant, "--label", "dms")).out.strip()
    assert secret.startswith("cs_test_")
    listed = await cli.well("key", "list", "--tenant", tenant, "--json")
    assert secret not in listed.out
    (key,) = listed.document
    assert key["public_id"] == secret.split("_")[2]
    assert (key["label"], key["revoked_at"]) == ("dms", None)
    assert "envelopes:write" in key["scopes"]
    assert "admin" not in key["scopes"]
    await cli.well("key", "revoke", "--tenant", tenant, key["id"])
    (revoked,) = (await cli.well("key", "list", "--tenant", tenant, "--json")).document
    assert revoked["revoked_at"] is not None


async def test_an_administrators_key_has_the_administrators_scope_only(cli):
    made = (await cli.well("key", "create", "--tenant", "system", "--label", "ops", "--json")).document
    assert made["scopes"] == ["admin"]
    assert made["secret"].startswith("cs_test_")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("key", "list", "--tenant", "ten_nonsense"), "There is no tenant with the id 'ten_nonsense'"),
        (("key", "create", "--tenant", "system", "--label", "x", "--scope", "nonsense"), "nonsense"),
        (("key", "create", "--tenant", "system", "--label", "x", "--expires-days", "0"), "--expires-days"),
        (("ledger", "verify", "--envelope", "env_00000000000000000000000000"), "There is no envelope"),
        (("ledger", "export", "--tenant", "system", "-o", "/nowhere/x"), "cannot be written"),
        (("replay", "deliveries", "--tenant", "default"), "name either deliveries"),
        (
            ("replay", "deliveries", "--tenant", "default", "--endpoint", "ep_00000000000000000000000000"),
            "There is no endpoint",
        ),
        (("replay", "inbound"), "name either messages"),
        (("replay", "inbound", "msg_00000000000000000000000000"), "There is no message"),
        (("jobs", "redrive", "job_00000000000000000000000000"), "There is no job"),
        (("tenant", "create", ""), "1 to 200 characters"),
        (("sandbox", "nope"), "choose one of: adobe-sign, docusign"),
    ],
)
async def test_a_mistake_is_told_in_a_sentence_with_status_two(cli, arguments, told):
    said = await cli.refused(*arguments)
    assert said.startswith("countersign: ")
    assert told in said


async def test_an_unknown_setting_stops_every_command_and_names_the_nearest(cli):
    for command in (("serve",), ("up",), ("deliverer",), ("worker",), ("tenant", "list")):
        assert "did you mean COUNTERSIGN_MODE?" in await cli.refused(*command, COUNTERSIGN_MODEL="x")


async def test_processes_without_stores_say_which_settings_they_need(tmp_path):
    bare = CommandLine({}, tmp_path)
    for command in ("serve", "deliverer", "worker", "scheduler"):
        said = await bare.refused(command)
        assert "REDIS_URL" in said
        assert "countersign up" in said


async def test_a_ledger_that_was_altered_ends_with_status_one_and_says_where(cli, store, tenant):
    intact = (await cli.well("ledger", "verify", "--tenant", tenant)).document
    assert intact == {"valid": True, "events_verified": 1, "violations": []}
    connection = await asyncpg.connect(SHARED.url("postgres", store.name).reveal())
    try:
        await connection.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
        await connection.execute(
            "UPDATE ledger_entries SET body = convert_to(replace(convert_from(body, 'UTF8'), 'false', 'true '), 'UTF8')"
            " WHERE event_type = 'tenant_created'"
        )
    finally:
        await connection.close()
    for which in (("--tenant", tenant), ("--all",)):
        ended = await cli.run("ledger", "verify", *which)
        assert ended.status == 1
        assert ended.document["valid"] is False
        assert {"event_id", "issue", "expected", "actual"} == set(ended.document["violations"][0])
        assert "keep this output" in ended.err


async def test_an_exported_chain_verifies_without_countersign(cli, tenant, tmp_path, capsys):
    file = tmp_path / "chain.jsonl"
    await cli.well("ledger", "export", "--tenant", tenant, "-o", str(file))
    assert stand_alone.main([str(file)]) == stand_alone.OK
    assert json.loads(capsys.readouterr().out)["events_verified"] == 1
    to_screen = await cli.well("ledger", "export", "--tenant", tenant)
    assert to_screen.out == file.read_text()


async def test_rotating_the_master_key_wraps_every_data_key_once_and_then_the_old_one_may_go(
    cli, store, tmp_path
):
    keys = tmp_path / "master.key"
    setting = {"COUNTERSIGN_MASTER_KEY_FILE": str(keys)}
    old, new = (make_key_line(name).reveal() for name in ("old", "new"))

    def keep(*lines: str) -> None:
        keys.unlink(missing_ok=True)
        keys.write_text("\n".join(lines))
        keys.chmod(0o400)

    keep(old)
    before = (await cli.well("key", "create", "--tenant", "system", "--label", "ops", **setting)).out
    keep(new, old)
    assert (await cli.well("keys", "rotate-master", **setting)).out.startswith("1 data keys")
    assert (await cli.well("keys", "rotate-master", **setting)).out.startswith("0 data keys")
    (recorded,) = await store.hub.fetch(
        "SELECT body FROM ledger_entries WHERE event_type = 'master_key_rotated'"
    )
    assert json.loads(recorded["body"])["data"] == {"data_keys": 1, "master_key": "new"}
    keep(new)
    (kept,) = (await cli.well("key", "list", "--tenant", "system", "--json", **setting)).document
    assert kept["public_id"] in before
    keep(old)
    said = await cli.refused("key", "list", "--tenant", "system", **setting)
    assert "is this the master key of this database?" in said


async def test_the_default_connections_are_made_once_by_two_processes_and_routed(cli, store, tmp_path):
    pem = tmp_path / "key.pem"
    pem.write_text("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n")
    described = {
        "DOCUSIGN_INTEGRATION_KEY": "5a0b0c5a-0000-4000-8000-00000000d0c1",
        "DOCUSIGN_USER_ID": "5a0b0c5a-0000-4000-8000-00000000d0c2",
        "DOCUSIGN_ACCOUNT_ID": "5a0b0c5a-0000-4000-8000-00000000d0c3",
        "DOCUSIGN_PRIVATE_KEY_PATH": str(pem),
        "DOCUSIGN_WEBHOOK_URL": "https://sign.example.com/webhooks",
        "DOCUSIGN_WEBHOOK_SECRET": "a-secret-of-the-account",
        "DOCUSIGN_ENVIRONMENT": "demo",
        "ADOBESIGN_CLIENT_ID": "client",
        "ADOBESIGN_CLIENT_SECRET": "client-secret",
        "ADOBESIGN_REFRESH_TOKEN": "refresh-token",
        "ADOBESIGN_WEBHOOK_URL": "https://sign.example.com/webhooks",
        "SIGNATURE_DEFAULT_PROVIDER": "adobe_sign",
    }
    ended = await asyncio.gather(
        *(run("provider", "adopt", "--json", **described) for run in (cli.run, cli.run_apart))
    )
    assert any(one.status == 0 for one in ended), ended
    again = (await cli.well("provider", "adopt", "--json", **described)).document
    assert {row["provider"]: row["made"] for row in again} == {"adobe_sign": False, "docusign": False}
    rows = await store.hub.fetch("SELECT id, provider, label FROM connections")
    assert sorted((row["provider"], row["label"]) for row in rows) == [
        ("adobe_sign", "settings"),
        ("docusign", "settings"),
    ]
    default = await store.hub.fetchval(
        "SELECT default_connection_id FROM routing_policies WHERE tenant_id = $1", DEFAULT_TENANT
    )
    assert default == next(row["id"] for row in rows if row["provider"] == "adobe_sign")
    (listed,) = (await cli.well("tenant", "list", "--json")).document
    assert (listed["id"], listed["name"]) == (print_id(Kind.TENANT, DEFAULT_TENANT), "Default")
    assert (await cli.well("key", "list", "--tenant", "default")).out.startswith("There are no keys")


async def test_without_provider_settings_nothing_is_adopted(cli):
    assert "No provider's settings are complete" in (await cli.well("provider", "adopt")).out


async def test_providers_are_listed_with_what_connects_them(cli):
    listed = (await cli.well("provider", "list", "--json")).document
    assert [one["name"] for one in listed] == ["adobe_sign", "docusign", "internal"]
    for one in listed:
        assert any(field["secret"] for field in one["credentials"]) == (one["name"] != "internal")
        assert all(field["meaning"] for field in one["credentials"])


async def test_jobs_that_were_given_up_are_listed_with_the_reason_and_redriven(cli, store):
    assert (await cli.well("jobs", "list-dead")).out == "Nothing was given up.\n"
    job_id = await store.hub.fetchval("SELECT gen_random_uuid()")
    await store.hub.execute(
        "INSERT INTO jobs (id, kind, args, state, attempts, error, due_at, finished_at)"
        " VALUES ($1, 'reconcile', '{}', 'dead', 4, 'The provider was away.', now(), now())",
        job_id,
    )
    (dead,) = (await cli.well("jobs", "list-dead", "--json")).document
    assert (dead["what"], dead["attempts"]) == ("reconcile", 4)
    assert dead["why"].startswith("The provider was away.")
    assert (await cli.well("jobs", "redrive", "--json")).document == [{"job": dead["id"]}]
    assert await store.hub.fetchval("SELECT state FROM jobs WHERE id = $1", job_id) == "queued"
    assert "only one that was given up" in await cli.refused("jobs", "redrive", dead["id"])


async def test_messages_that_were_given_up_are_listed_and_processed_again(cli, store, tenant):
    message, connection, owner = uuid4(), uuid4(), read_id(Kind.TENANT, tenant)
    superuser = await asyncpg.connect(SHARED.url("postgres", store.name).reveal())
    try:
        await superuser.execute(
            "INSERT INTO inbox_messages (tenant_id, id, connection_id, provider, headers, body, body_sha256,"
            " body_bytes, key_index, state, next_at, failures, error) VALUES ($1, $2, $3, 'docusign', '', '',"
            " sha256(''), 0, 0, 'dead', NULL, 4, 'The envelope was locked.')",
            owner,
            message,
            connection,
        )
    finally:
        await superuser.close()
    (dead,) = (await cli.well("jobs", "list-dead", "--json")).document
    assert (dead["id"], dead["tenant"], dead["attempts"]) == (print_id(Kind.MESSAGE, message), tenant, 4)
    assert dead["why"].startswith("The envelope was locked.")
    again = (await cli.well(*dead["again"].split()[1:], "--json")).document
    assert again == [{"message": dead["id"]}]
    assert await store.hub.fetchval("SELECT state FROM inbox_messages WHERE id = $1", message) == "received"
    (recorded,) = await store.hub.fetch(
        "SELECT tenant_id FROM ledger_entries WHERE event_type = 'inbound_replayed'"
    )
    assert recorded["tenant_id"] == owner
    assert "is going to be processed anyway" in await cli.refused(*dead["again"].split()[1:])


async def test_replay_finds_nothing_in_an_empty_inbox(cli, tenant):
    assert (await cli.well("replay", "inbound", "--tenant", tenant, "--json")).document == []


async def test_doctor_finds_nothing_wrong_with_an_installation_that_works(cli, tenant):
    told = (await cli.well("doctor", "--json")).document
    assert told["ok"] is True
    assert {one["what"] for one in told["findings"]} >= {
        "settings", "DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_HUB_URL", "roles", "migrations", "REDIS_URL",
        "master key", "blobs", "connections",
    }  # fmt: skip


async def test_doctor_names_every_fault_at_once_and_no_password(cli, store):
    await store.owner.execute("UPDATE alembic_version SET version_num = 'older'")
    password = cli.environ["DATABASE_HUB_URL"].split(":")[2].split("@")[0]
    ended = await cli.run(
        "doctor",
        REDIS_URL="redis://:hidden@127.0.0.1:1/0",
        DATABASE_URL=cli.environ["DATABASE_HUB_URL"],
        DATABASE_HUB_URL=cli.environ["DATABASE_URL"],
    )
    assert ended.status == 1
    wrong = {
        line.split(":")[0].removeprefix("WRONG").strip() for line in ended.out.splitlines() if "WRONG" in line
    }
    assert wrong == {"roles", "migrations", "REDIS_URL"}
    assert f"this version needs {newest_revision()}; run `countersign migrate`" in ended.out
    assert password not in ended.out + ended.err
    assert "hidden" not in ended.out + ended.err


async def test_doctor_tells_unreadable_settings_in_words(cli):
    ended = await cli.run("doctor", COUNTERSIGN_MODE="sideways")
    assert ended.status == 1
    assert ended.out.startswith("WRONG  settings:")


async def test_migrate_brings_an_older_database_forward_and_may_be_repeated(cli, store):
    await cli.well("migrate")
    assert await store.owner.fetchval("SELECT version_num FROM alembic_version") == newest_revision()


async def test_a_process_ends_with_the_commands_status(cli):
    ended = await cli.run_apart("tenant", "list")
    assert (ended.status, ended.err) == (0, "")
    assert (await cli.run_apart("key", "list", "--tenant", "ten_nonsense")).status == 2
    assert (await cli.run_apart("nonsense")).status == 2


async def test_the_version_is_that_of_the_distribution(cli):
    from importlib.metadata import version

    assert (await cli.well("--version")).out == f"countersign {version('countersign-gateway')}\n"
