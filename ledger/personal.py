"""Personal data in the ledger: sealed under a key of its subject's own, so that it can be erased.

The body holds AES-256-GCM ciphertext and an HMAC commitment (GCM alone does not commit to its key). Deleting
a subject's row in `subject_keys` turns everything that was sealed under it into noise; the chain still
verifies, because it covers the ciphertext. The table shows no e-mail address: a subject is found by an HMAC
under a key that is itself sealed for the tenant.
Must never write a value in clear, and must never keep a key that was made in a transaction that did not
commit.
Source: docs/ledger-format.md; NIST SP 800-38D (GCM); RFC 5869 (HKDF); RFC 2104 (HMAC).
"""

import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID, uuid4

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.database import Database, Transaction
from config.vault import DataKey, Vault
from ledger.entry import Sealed
from normalizer.events import Personal

ERASED = "[erased]"
_SEAL = b"countersign/personal/v1\0"
_COMMIT = b"countersign/personal-commit/v1\0"
_TAG_KEY = b""  # the tag under which a tenant's own tag key is kept: no subject's tag is empty
_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORM = b"s1"  # a wrapped key: form, data key's id, nonce, ciphertext
_GET_OR_CREATE = "SELECT tenant_id, tag, kid, wrapped FROM subject_keys_get_or_create($1, $2, $3, $4)"


class Damaged(Exception):
    """A sealed value does not open under its own key: it is not what was written."""


class SubjectKey:
    """A subject's key, ready for use."""

    __slots__ = ("_cipher", "_mac_key", "kid")

    def __init__(self, kid: UUID, key: bytes) -> None:
        self.kid = kid
        self._cipher = AESGCM(_derive(key, b"enc"))
        self._mac_key = _derive(key, b"mac")

    def seal(self, event_id: UUID, path: str, value: str) -> Sealed:
        place, text = _place(event_id, path), value.encode()
        nonce = os.urandom(_NONCE_BYTES)
        return Sealed(
            path,
            self.kid,
            nonce,
            self._cipher.encrypt(nonce, text, _SEAL + place),
            hmac.digest(self._mac_key, _COMMIT + place + text, "sha256"),
        )

    def open(self, event_id: UUID, sealed: Sealed) -> str:
        """Raises Damaged for a value that was moved, altered, or committed to under another key."""
        place = _place(event_id, sealed.path)
        try:
            text = self._cipher.decrypt(sealed.nonce, sealed.ct, _SEAL + place)
        except (InvalidTag, ValueError) as error:
            raise Damaged(sealed.path) from error
        if not hmac.compare_digest(
            sealed.commit, hmac.digest(self._mac_key, _COMMIT + place + text, "sha256")
        ):
            raise Damaged(sealed.path)
        return text.decode()


class ToSeal(msgspec.Struct, frozen=True, gc=False):
    """One event's personal values, and where they will stand."""

    tenant_id: UUID
    event_id: UUID
    values: tuple[Personal, ...]


_Place = tuple[UUID, str]  # tenant and subject
_TaggedPlace = tuple[UUID, bytes]


class SubjectKeys:
    """Seals for writers, from keys kept in this process for `lifetime_s`; opens for readers, always asking
    the table, so that what was erased is not readable a moment longer.

    A key that another process erases may seal here for up to `lifetime_s`: those values are erased too.
    """

    def __init__(
        self,
        vault: Vault,
        monotonic: Callable[[], float],
        *,
        lifetime_s: float = 300.0,
        most: int = 20_000,
    ) -> None:
        self._vault = vault
        self._monotonic = monotonic
        self._lifetime_s = lifetime_s
        self._most = most
        self._subjects: dict[UUID, dict[str, tuple[float, SubjectKey]]] = {}
        self._kept = 0
        self._tag_keys: dict[UUID, bytes] = {}
        self._data_keys: dict[UUID, tuple[float, DataKey]] = {}

    async def seal(self, tx: Transaction, events: Sequence[ToSeal]) -> list[tuple[Sealed, ...]]:
        """No round trip when every subject is known; else one or two for all of them together."""
        sealed = self.seal_known(events)
        if sealed is not None:
            return sealed
        places = sorted(
            {(event.tenant_id, personal.subject) for event in events for personal in event.values}
        )
        known = self._known(places)
        missing = [place for place in places if place not in known]
        keys = known | await self._obtain(tx, missing)
        return [
            tuple(
                keys[event.tenant_id, personal.subject].seal(event.event_id, personal.path, personal.value)
                for personal in event.values
            )
            for event in events
        ]

    def seal_known(self, events: Sequence[ToSeal]) -> list[tuple[Sealed, ...]] | None:
        """The usual case on its own, because it is on every write's path; None when a key is missing."""
        now = self._monotonic()
        sealed = []
        for event in events:
            values = []
            if event.values:
                subjects = self._subjects.get(event.tenant_id)
                if subjects is None:
                    return None
                for personal in event.values:
                    kept = subjects.get(personal.subject)
                    if kept is None or kept[0] <= now:
                        return None
                    values.append(kept[1].seal(event.event_id, personal.path, personal.value))
            sealed.append(tuple(values))
        return sealed

    def _known(self, places: list[_Place]) -> dict[_Place, SubjectKey]:
        now = self._monotonic()
        known = {}
        for tenant_id, subject in places:
            kept = self._subjects.get(tenant_id, {}).get(subject)
            if kept is not None and now < kept[0]:
                known[tenant_id, subject] = kept[1]
        return known

    async def open(
        self, tx: Transaction, tenant_id: UUID, entries: Iterable[tuple[UUID, Sequence[Sealed]]]
    ) -> list[dict[str, str]]:
        """Path to value for each (event id, sealed values); `[erased]` where the key is gone.

        Raises Damaged for a value that does not open under a key that exists.
        """
        listed = list(entries)
        kids = {sealed.kid for _, values in listed for sealed in values}
        keys: dict[UUID, SubjectKey] = {}
        if kids:
            rows = await tx.driver.fetch(
                "SELECT kid, tag, wrapped FROM subject_keys WHERE tenant_id = $1 AND kid = ANY($2)",
                tenant_id,
                list(kids),
            )
            for row in rows:
                key = await self._unwrap(tx, tenant_id, row["kid"], row["tag"], row["wrapped"])
                keys[row["kid"]] = SubjectKey(row["kid"], key)
        return [
            {
                sealed.path: keys[sealed.kid].open(event_id, sealed) if sealed.kid in keys else ERASED
                for sealed in values
            }
            for event_id, values in listed
        ]

    async def prepare(self, database: Database, tenant_id: UUID) -> None:
        """Fetches the tenant's data key outside a transaction: needed when the master key is a remote one."""
        data_key = await self._vault.current_key(database, tenant_id)
        self._data_keys[tenant_id] = (self._monotonic() + self._lifetime_s, data_key)

    async def find_kid(self, tx: Transaction, tenant_id: UUID, subject: str) -> UUID | None:
        """The subject's key id, None when nothing is sealed for them."""
        tag_key = (await self._tag_keys_of(tx, [tenant_id]))[tenant_id]
        kid: UUID | None = await tx.driver.fetchval(
            "SELECT kid FROM subject_keys WHERE tenant_id = $1 AND tag = $2",
            tenant_id,
            _tag(tag_key, subject),
        )
        return kid

    async def _obtain(self, tx: Transaction, places: list[_Place]) -> dict[_Place, SubjectKey]:
        tag_keys = await self._tag_keys_of(tx, sorted({tenant_id for tenant_id, _ in places}))
        tags = [(tenant_id, _tag(tag_keys[tenant_id], subject)) for tenant_id, subject in places]
        rows = await self._get_or_create(tx, tags)
        obtained = {place: SubjectKey(*rows[tag]) for place, tag in zip(places, tags, strict=True)}
        expires = self._monotonic() + self._lifetime_s

        async def keep() -> None:
            if self._kept + len(obtained) > self._most:
                self._subjects.clear()
                self._kept = 0
            for (tenant_id, subject), key in obtained.items():
                self._subjects.setdefault(tenant_id, {})[subject] = (expires, key)
            self._kept += len(obtained)

        # After the commit only: what a rolled-back transaction made must never seal anything again.
        tx.on_commit(keep)
        return obtained

    async def _tag_keys_of(self, tx: Transaction, tenants: list[UUID]) -> dict[UUID, bytes]:
        missing = [tenant_id for tenant_id in tenants if tenant_id not in self._tag_keys]
        made: dict[UUID, bytes] = {}
        if missing:
            rows = await self._get_or_create(tx, [(tenant_id, _TAG_KEY) for tenant_id in missing])
            made = {tenant_id: key for (tenant_id, _), (_, key) in rows.items()}

            async def keep() -> None:
                self._tag_keys.update(made)

            tx.on_commit(keep)
        return {tenant_id: made.get(tenant_id) or self._tag_keys[tenant_id] for tenant_id in tenants}

    async def _get_or_create(
        self, tx: Transaction, places: list[_TaggedPlace]
    ) -> dict[_TaggedPlace, tuple[UUID, bytes]]:
        """(kid, key) for each (tenant, tag); a key is made here and thrown away when the table has one."""
        candidates = {uuid4(): os.urandom(_KEY_BYTES) for _ in places}
        data_keys = {tenant_id: await self._data_key(tx, tenant_id) for tenant_id in dict(places)}
        wrapped = []
        for (tenant_id, tag), (kid, key) in zip(places, candidates.items(), strict=True):
            data_key = data_keys[tenant_id]
            nonce = os.urandom(_NONCE_BYTES)
            sealed = AESGCM(data_key.key).encrypt(nonce, key, _binding(tenant_id, kid, tag))
            wrapped.append(_FORM + data_key.id.bytes + nonce + sealed)
        rows = await tx.driver.fetch(
            _GET_OR_CREATE,
            [tenant_id for tenant_id, _ in places],
            [tag for _, tag in places],
            list(candidates),
            wrapped,
        )
        found: dict[_TaggedPlace, tuple[UUID, bytes]] = {}
        for tenant_id, tag, kid, stored in rows:
            own = candidates.get(kid)
            found[tenant_id, tag] = (kid, own or await self._unwrap(tx, tenant_id, kid, tag, stored))
        return found

    async def _data_key(self, tx: Transaction, tenant_id: UUID) -> DataKey:
        kept = self._data_keys.get(tenant_id)
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        data_key = await self._vault.current_key(tx, tenant_id)

        async def keep() -> None:
            self._data_keys[tenant_id] = (self._monotonic() + self._lifetime_s, data_key)

        tx.on_commit(keep)
        return data_key

    async def _unwrap(self, tx: Transaction, tenant_id: UUID, kid: UUID, tag: bytes, wrapped: bytes) -> bytes:
        head = len(_FORM) + 16
        if wrapped[: len(_FORM)] != _FORM:
            raise Damaged("a subject's key has an unknown form")
        data_key = await self._vault.key(tx, tenant_id, UUID(bytes=wrapped[len(_FORM) : head]))
        nonce, sealed = wrapped[head : head + _NONCE_BYTES], wrapped[head + _NONCE_BYTES :]
        try:
            return AESGCM(data_key.key).decrypt(nonce, sealed, _binding(tenant_id, kid, tag))
        except (InvalidTag, ValueError) as error:
            raise Damaged("a subject's key was moved or altered") from error


def _binding(tenant_id: UUID, kid: UUID, tag: bytes) -> bytes:
    """Binds a wrapped key to its row."""
    return b"countersign/subject-key/v1\0" + tenant_id.bytes + kid.bytes + tag


def _tag(tag_key: bytes, subject: str) -> bytes:
    return hmac.digest(tag_key, subject.encode(), "sha256")


def _place(event_id: UUID, path: str) -> bytes:
    encoded = path.encode()
    return event_id.bytes + len(encoded).to_bytes(2, "big") + encoded


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"countersign/subject/v1/" + purpose
    ).derive(key)
