"""The hash rules of version 1, as pure functions, and the check of a sequence of entries against them.

What a version hashes never changes: a new rule is a new version beside this one. The stand-alone verifier
(`ledger.verify`) repeats these rules in its own words, so that one mistake cannot hide in both; the same
rules in SQL link the entries when they are appended. Must never import anything that does I/O.
Source: docs/ledger-format.md; RFC 6234 (SHA-256).
"""

import struct
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

VERSION = 1
SYSTEM_TENANT = UUID(int=0)
_BODY = b"countersign/ledger-body/v1\0"
_LINK = b"countersign/ledger-link/v1\0"
_GENESIS = b"countersign/ledger-genesis/v1\0"
_PLACE = struct.Struct(">qq")


class Link(NamedTuple):
    """One entry as it is stored. `recorded_us` counts microseconds since 1970."""

    seq: int
    recorded_us: int
    prev_hash: bytes
    body_hash: bytes
    hash: bytes
    body: bytes


class Violation(msgspec.Struct, frozen=True):
    """`event_id` is empty when the entry does not say."""

    event_id: str
    issue: str
    expected: str
    actual: str


class Verdict(msgspec.Struct, frozen=True):
    """What a verification found; these are the design documents' keys."""

    valid: bool
    events_verified: int
    violations: tuple[Violation, ...] = ()


def hash_body(body: bytes) -> bytes:
    return sha256(_BODY + body).digest()


def hash_genesis(tenant_id: UUID, chain_id: str) -> bytes:
    """What the first entry of a chain has for a previous hash."""
    return sha256(_GENESIS + tenant_id.bytes + chain_id.encode()).digest()


def link_prefix(chain_id: str) -> bytes:
    """The part of a link's preimage that all entries of a chain share."""
    encoded = chain_id.encode()
    return _LINK + struct.pack(">H", len(encoded) & 0xFFFF) + encoded


def hash_link(chain_id: str, seq: int, recorded_us: int, prev_hash: bytes, body_hash: bytes) -> bytes:
    return sha256(link_prefix(chain_id) + _PLACE.pack(seq, recorded_us) + prev_hash + body_hash).digest()


class ChainCheck:
    """Follows one chain from its beginning; feed it the entries in order, as many at a time as you like."""

    def __init__(self, tenant_id: UUID, chain_id: str) -> None:
        self.tenant_id = tenant_id
        self.chain_id = chain_id
        self.seq = 0
        self.hash = hash_genesis(tenant_id, chain_id)
        self.recorded_us: int | None = None
        self.verified = 0
        self.violations: list[Violation] = []
        self._prefix = link_prefix(chain_id)

    def feed(
        self, links: Iterable[Link], name: Callable[[Link], str] = lambda link: f"seq:{link.seq}"
    ) -> None:
        """`name` gives the event id for a violation's report."""
        prefix, pack, body_domain = self._prefix, _PLACE.pack, _BODY
        seq, last_hash = self.seq, self.hash
        recorded_us = -(2**63) if self.recorded_us is None else self.recorded_us
        count = 0
        for link in links:
            # The loop does nothing but hash and compare; whatever differs is looked at again outside it.
            body_hash = sha256(body_domain + link[5]).digest()
            own = sha256(prefix + pack(link[0], link[1]) + link[2] + body_hash).digest()
            if (
                own != link[4]
                or link[2] != last_hash
                or link[3] != body_hash
                or link[0] != seq + 1
                or link[1] <= recorded_us
            ):
                self._explain(link, name(link), seq, last_hash, recorded_us, body_hash, own)
            seq, recorded_us, last_hash = link[0], link[1], link[4]
            count += 1
        self.verified += count
        if count:
            self.seq, self.hash, self.recorded_us = seq, last_hash, recorded_us

    def check_head(self, seq: int, recorded_us: int | None, hash_: bytes) -> None:
        """Compares the end of what was fed with a head that is known from elsewhere."""
        if seq != self.seq:
            self.add("", "head_mismatch", f"seq {seq}", f"seq {self.seq}")
        elif hash_ != self.hash:
            self.add("", "head_mismatch", hash_.hex(), self.hash.hex())
        elif recorded_us is not None and recorded_us != self.recorded_us:
            self.add("", "head_mismatch", str(recorded_us), str(self.recorded_us))

    def add(self, event_id: str, issue: str, expected: str, actual: str) -> None:
        self.violations.append(Violation(event_id, issue, expected, actual))

    def verdict(self) -> Verdict:
        return Verdict(not self.violations, self.verified, tuple(self.violations))

    def _explain(
        self,
        link: Link,
        event_id: str,
        seq: int,
        last_hash: bytes,
        recorded_us: int,
        body_hash: bytes,
        own: bytes,
    ) -> None:
        if link.seq != seq + 1:
            self.add(event_id, "sequence_gap", str(seq + 1), str(link.seq))
        if link.prev_hash != last_hash:
            self.add(event_id, "previous_hash_mismatch", last_hash.hex(), link.prev_hash.hex())
        if link.recorded_us <= recorded_us:
            self.add(event_id, "clock_backwards", f"after {recorded_us}", str(link.recorded_us))
        if link.body_hash != body_hash:
            self.add(event_id, "body_hash_mismatch", body_hash.hex(), link.body_hash.hex())
        if link.hash != own:
            self.add(event_id, "event_hash_mismatch", own.hex(), link.hash.hex())
