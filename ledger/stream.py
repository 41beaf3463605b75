"""Hashes a tenant's entries from PostgreSQL's binary COPY stream, several times faster than row by row.

The stream's columns are seq, recorded_at, prev_hash, body_hash, hash, chain_id and body, ordered by chain and
seq. Says which chains are suspect and nothing else: the exact check explains them.
Must never call a stream sound that it could not read to its end.
Source: PostgreSQL, COPY, "Binary Format"; docs/ledger-format.md.
"""

import struct
from hashlib import sha256
from uuid import UUID

from ledger.chain import hash_genesis, link_prefix

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES = len(_SIGNATURE) + 8
# Count of columns, then each with its length: two 8-byte numbers, three hashes, and the chain's length.
_FIXED = struct.Struct(">hiqiqi32si32si32si")
_PLACE = struct.Struct(">qq")
_LENGTH = struct.Struct(">i")
_EPOCH_SHIFT_US = 946_684_800_000_000  # PostgreSQL counts from 2000
_END = b"\xff\xff"
_BODY = b"countersign/ledger-body/v1\0"


class StreamCheck:
    """`is_readable` False: a column had another type or length, and nothing is known."""

    def __init__(self, tenant_id: UUID) -> None:
        self.is_readable = True
        self.verified = 0
        self.suspects: list[str] = []
        self._tenant_id = tenant_id
        self._rest = b""
        self._started = False
        self._ended = False
        self._chain = b""
        self._chain_length = 0
        self._prefix = b""
        self._suspect = False
        self._seq = 0
        self._recorded_us = -(2**63)
        self._hash = b""

    async def feed(self, chunk: bytes) -> None:
        """A coroutine because the driver awaits it; it never waits, and never breaks off the stream."""
        if not self.is_readable:
            return
        buffer = self._rest + chunk if self._rest else chunk
        at = 0
        if not self._started:
            if len(buffer) < _HEADER_BYTES:
                self._rest = buffer
                return
            self.is_readable = buffer.startswith(_SIGNATURE)
            self._started = True
            at = _HEADER_BYTES
        self._rest = buffer[self._rows(buffer, at) :]

    def finish(self) -> None:
        """To be called at the end: a stream that stopped in the middle was not readable."""
        self.is_readable = self.is_readable and self._rest == _END

    def _rows(self, buffer: bytes, at: int) -> int:
        """Checks all complete rows from `at` on; where the first incomplete one begins."""
        unpack, pack, length_of = _FIXED.unpack_from, _PLACE.pack, _LENGTH.unpack_from
        fixed, end = _FIXED.size, len(buffer)
        count = 0
        while at + fixed <= end:
            n, n1, seq, n2, moment, n3, prev, n4, stored_body_hash, n5, stored, n6 = unpack(buffer, at)
            start = at + fixed
            body_start = start + n6 + 4
            if n != 7 or n6 < 0:
                self.is_readable = False
                return end
            if body_start > end:
                break
            (body_length,) = length_of(buffer, body_start - 4)
            stop = body_start + body_length
            if stop > end:
                break
            if n6 != self._chain_length or buffer[start : start + n6] != self._chain:
                self._next_chain(buffer[start : start + n6])
            body_hash = sha256(_BODY + buffer[body_start:stop]).digest()
            moment += _EPOCH_SHIFT_US
            own = sha256(self._prefix + pack(seq, moment) + prev + body_hash).digest()
            if (
                own != stored
                or prev != self._hash
                or seq != self._seq + 1
                or stored_body_hash != body_hash
                or moment <= self._recorded_us
                or (n1, n2, n3, n4, n5) != (8, 8, 32, 32, 32)
            ):
                self._mark()
            self._seq, self._hash, self._recorded_us = seq, stored, moment
            count += 1
            at = stop
        self.verified += count
        return at

    def _next_chain(self, chain: bytes) -> None:
        self._chain, self._chain_length = chain, len(chain)
        chain_id = chain.decode()
        self._prefix = link_prefix(chain_id)
        self._seq, self._recorded_us, self._suspect = 0, -(2**63), False
        self._hash = hash_genesis(self._tenant_id, chain_id)

    def _mark(self) -> None:
        if not self._suspect:
            self._suspect = True
            self.suspects.append(self._chain.decode())
