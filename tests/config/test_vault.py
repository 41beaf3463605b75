"""Encryption of secrets: places, tenants, rotation of data keys and master keys."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from config.clock import FixedClock
from config.database import open_transaction
from config.errors import ConfigError, VaultError
from config.master_keys import LocalKeyWrapper, WrappedKey, load_key_wrapper, make_key_line
from config.secret import Secret
from config.settings import GeneralSettings, Mode, Settings
from config.vault import SYSTEM_TENANT, DataKey, Place, Vault
from tests.fixtures.store import Store

TENANT, OTHER = UUID(int=1), UUID(int=2)
ROW = UUID(int=10)
PLACE = Place("connections", "credentials", ROW)
OLD, NEW = ("old", os.urandom(32)), ("new", os.urandom(32))


@pytest.fixture
def vault(clock: FixedClock) -> Vault:
    return Vault(LocalKeyWrapper([OLD]), clock)


async def test_secret_in_its_place_is_opened_again_also_by_another_process(
    store: Store, vault: Vault
) -> None:
    sealed = await vault.encrypt(store.app, TENANT, PLACE, b"the secret")
    assert sealed.startswith(b"v1|old|")
    assert b"the secret" not in sealed
    assert await vault.decrypt(store.app, TENANT, PLACE, sealed) == b"the secret"
    elsewhere = Vault(LocalKeyWrapper([OLD]), FixedClock())
    assert await elsewhere.decrypt(store.hub, TENANT, PLACE, sealed) == b"the secret"


async def test_same_secret_twice_gives_different_ciphertexts_under_one_data_key(
    store: Store, vault: Vault
) -> None:
    first = await vault.encrypt(store.app, TENANT, PLACE, b"x")
    second = await vault.encrypt(store.app, TENANT, PLACE, b"x")
    assert first != second
    assert await store.hub.fetchval("SELECT count(*) FROM data_keys") == 1


@pytest.mark.parametrize(
    "place",
    [
        Place("connections", "credentials", UUID(int=11)),
        Place("connections", "webhook_keys", ROW),
        Place("endpoints", "credentials", ROW),
    ],
)
async def test_ciphertext_moved_to_another_cell_is_refused(store: Store, vault: Vault, place: Place) -> None:
    sealed = await vault.encrypt(store.app, TENANT, PLACE, b"x")
    with pytest.raises(VaultError):
        await vault.decrypt(store.app, TENANT, place, sealed)


async def test_ciphertext_moved_to_another_tenant_is_refused(store: Store, vault: Vault) -> None:
    sealed = await vault.encrypt(store.app, TENANT, PLACE, b"x")
    await vault.encrypt(store.app, OTHER, PLACE, b"y")
    for database in (store.app, store.hub):
        with pytest.raises(VaultError):
            await vault.decrypt(database, OTHER, PLACE, sealed)


async def test_ciphertext_with_any_byte_changed_is_refused(store: Store, vault: Vault) -> None:
    sealed = await vault.encrypt(store.app, TENANT, PLACE, b"four")
    for at in range(len(sealed)):
        with pytest.raises(VaultError):
            await vault.decrypt(
                store.app, TENANT, PLACE, bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]])
            )
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            await vault.decrypt(store.app, TENANT, PLACE, sealed[:length])


async def test_data_key_rotated_closes_new_secrets_and_opens_old_ones(store: Store, vault: Vault) -> None:
    sealed = await vault.encrypt(store.app, TENANT, PLACE, b"x")
    assert await vault.renew(store.app, TENANT, PLACE, sealed) is None
    new_id = await vault.rotate_data_key(store.hub, TENANT)
    assert await vault.decrypt(store.app, TENANT, PLACE, sealed) == b"x"
    renewed = await vault.renew(store.app, TENANT, PLACE, sealed)
    assert renewed is not None
    assert f"|{new_id}|".encode() in renewed
    vault.forget()
    assert await vault.decrypt(store.app, TENANT, PLACE, renewed) == b"x"
    assert (await vault.current_key(store.app, TENANT)).id == new_id
    assert await store.hub.fetchval("SELECT count(*) FROM data_keys WHERE retired_at IS NOT NULL") == 1


async def test_data_key_rotated_elsewhere_is_used_after_five_minutes(store: Store, clock: FixedClock) -> None:
    here, there = Vault(LocalKeyWrapper([OLD]), clock), Vault(LocalKeyWrapper([OLD]), FixedClock())
    old = await here.current_key(store.app, TENANT)
    new_id = await there.rotate_data_key(store.hub, TENANT)
    clock.advance(299)
    assert await here.current_key(store.app, TENANT) is old
    clock.advance(2)
    assert (await here.current_key(store.app, TENANT)).id == new_id


async def test_master_key_rotated_rewraps_every_data_key_and_no_data(store: Store, vault: Vault) -> None:
    tenants = [uuid4() for _ in range(7)]
    sealed = {tenant: await vault.encrypt(store.app, tenant, PLACE, tenant.bytes) for tenant in tenants}
    both = Vault(LocalKeyWrapper([NEW, OLD]), FixedClock())
    assert await both.rotate_master(store.hub, page=3) == 7
    assert await both.rotate_master(store.hub, page=3) == 0
    only_new = Vault(LocalKeyWrapper([NEW]), FixedClock())
    for tenant in tenants:
        assert await only_new.decrypt(store.app, tenant, PLACE, sealed[tenant]) == tenant.bytes
    with pytest.raises(VaultError):
        await Vault(LocalKeyWrapper([OLD]), FixedClock()).decrypt(
            store.app, tenants[0], PLACE, sealed[tenants[0]]
        )


async def test_wrapped_key_moved_to_another_tenant_is_refused(store: Store, vault: Vault) -> None:
    await vault.encrypt(store.app, TENANT, PLACE, b"x")
    await store.hub.execute(
        "INSERT INTO data_keys (tenant_id, id, wrapped, kek_id) SELECT $1, id, wrapped, kek_id FROM data_keys",
        OTHER,
    )
    with pytest.raises(VaultError):
        await vault.current_key(store.app, OTHER)


async def test_data_key_made_in_a_transaction_that_is_rolled_back_is_never_used_again(
    store: Store, vault: Vault
) -> None:
    async with store.app.transaction(TENANT) as tx:
        lost = await vault.encrypt(tx, TENANT, PLACE, b"lost")
        assert await vault.decrypt(tx, TENANT, PLACE, lost) == b"lost"
        await vault.encrypt(tx, TENANT, PLACE, b"lost too")
    kept = await vault.encrypt(store.app, TENANT, PLACE, b"kept")
    vault.forget()
    assert await vault.decrypt(store.app, TENANT, PLACE, kept) == b"kept"
    with pytest.raises(VaultError):
        await vault.decrypt(store.app, TENANT, PLACE, lost)


async def test_data_key_made_in_a_committed_transaction_is_remembered(store: Store, vault: Vault) -> None:
    async with store.app.transaction(TENANT) as tx:
        await vault.encrypt(tx, TENANT, PLACE, b"x")
        await tx.commit()
    store.app.reset_counters()
    async with store.app.transaction(TENANT) as tx:
        await vault.encrypt(tx, TENANT, PLACE, b"y")
    assert store.app.statements == 2  # BEGIN and ROLLBACK: nothing was asked for the key


async def test_system_secret_is_reached_by_the_hub_role(store: Store, vault: Vault) -> None:
    place = Place("system_secrets", "value", "pepper")
    sealed = await vault.encrypt(store.hub, SYSTEM_TENANT, place, b"pepper")
    assert await vault.decrypt(store.hub, SYSTEM_TENANT, place, sealed) == b"pepper"


class RemoteWrapper:
    """A KMS in the shape of the port: it notes whether a transaction was open when it was called."""

    is_remote = True
    current_id = "arn:aws:kms:eu-west-1:1:key/2"

    def __init__(self) -> None:
        self._local = LocalKeyWrapper([(self.current_id, os.urandom(32))])

    async def wrap(self, key: bytes, context: bytes) -> WrappedKey:
        assert open_transaction() is None
        return await self._local.wrap(key, context)

    async def unwrap(self, wrapped: WrappedKey, context: bytes) -> bytes:
        assert open_transaction() is None
        return await self._local.unwrap(wrapped, context)


async def test_remote_key_wrapper_is_not_called_inside_a_transaction(store: Store) -> None:
    vault = Vault(RemoteWrapper(), FixedClock())
    async with store.app.transaction(TENANT) as tx:
        with pytest.raises(RuntimeError):
            await vault.encrypt(tx, TENANT, PLACE, b"x")
    await vault.current_key(store.app, TENANT)
    async with store.app.transaction(TENANT) as tx:
        sealed = await vault.encrypt(tx, TENANT, PLACE, b"x")
    assert await vault.decrypt(store.app, TENANT, PLACE, sealed) == b"x"


@pytest.mark.parametrize(
    ("table", "column", "row"), [("a|b", "c", "r"), ("a", "c|d", "r"), ("a", "c", "r|"), ("a", "c", "")]
)
def test_place_that_could_be_read_two_ways_is_refused(table: str, column: str, row: str) -> None:
    with pytest.raises(ValueError, match="place"):
        Place(table, column, row)


def test_data_key_does_not_show_its_bytes() -> None:
    assert "secret" not in repr(DataKey(TENANT, "kek", b"secret" * 6))


def settings_with(**general) -> Settings:
    return Settings(countersign=GeneralSettings(**general))


def write_key_file(path: Path, text: str, mode: int = 0o400) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


async def test_key_file_gives_its_first_key_for_wrapping_and_all_for_unwrapping(tmp_path: Path) -> None:
    lines = [make_key_line("2026-11").reveal(), make_key_line("arn:aws:kms:x:1:key/y").reveal()]
    path = write_key_file(tmp_path / "keys", "# newest first\n" + "\n".join(lines) + "\n")
    wrapper = load_key_wrapper(settings_with(master_key_file=path))
    assert wrapper.current_id == "2026-11"
    older = load_key_wrapper(settings_with(master_key=Secret(lines[1].replace(" ", ":"))))
    assert await wrapper.unwrap(await older.wrap(b"k" * 32, b"here"), b"here") == b"k" * 32
    with pytest.raises(VaultError):
        await wrapper.unwrap(await older.wrap(b"k" * 32, b"here"), b"there")


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o404])
def test_key_file_that_others_can_read_or_anybody_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_key_file(tmp_path / "keys", make_key_line("k").reveal(), mode)
    with pytest.raises(ConfigError, match="0400"):
        load_key_wrapper(settings_with(master_key_file=path))


@pytest.mark.parametrize("text", ["", "k", "k short", f"k {'A' * 43}=", f"k {'!' * 44}", "k c2hvcnQ="])
def test_key_that_is_malformed_short_or_not_random_is_refused_without_being_shown(
    tmp_path: Path, text: str
) -> None:
    path = write_key_file(tmp_path / "keys", text)
    with pytest.raises(ConfigError) as raised:
        load_key_wrapper(settings_with(master_key_file=path))
    assert text.partition(" ")[2] == "" or text.partition(" ")[2] not in str(raised.value)


def test_development_makes_its_own_key_once_and_production_refuses_it(tmp_path: Path) -> None:
    first = load_key_wrapper(settings_with(data_dir=tmp_path / "data"))
    assert first.current_id.startswith("dev-")
    assert load_key_wrapper(settings_with(data_dir=tmp_path / "data")).current_id == first.current_id
    path = tmp_path / "data" / "master.key"
    assert path.stat().st_mode & 0o777 == 0o400
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]
    with pytest.raises(ConfigError, match="development"):
        load_key_wrapper(settings_with(mode=Mode.PRODUCTION, master_key_file=path))
    with pytest.raises(ConfigError):
        load_key_wrapper(settings_with(mode=Mode.PRODUCTION))
