"""Verifies an exported ledger without Countersign: standard library only, this one file is enough.

    python verify.py export.jsonl [--tenant ID] [--chain ID] [--head SEQ:HASH]

Reads JSON lines (docs/ledger-format.md): one per entry, one per head. Prints one JSON object with `valid`,
`events_verified` and `violations` (each with event_id, issue, expected, actual). Exit status: 0 valid,
1 tampered, 2 cannot tell (unreadable file, another format, nothing in it).

What a valid result shows: within each chain no entry was edited, inserted, moved, or removed from the middle;
the chain begins at its beginning, belongs to its tenant, and ends at the head that the file names.
What it does not show: that whoever holds the database did not write a chain anew from some entry on, cut its
end, or leave a whole chain out, and then export that. Give `--head` with a sequence number and hash that you
kept yourself (webhooks and API answers carry them): then nothing up to that entry can have been changed.

It repeats the rules in its own words and shares no code with the ledger. Must never import anything of ours.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

VERSION = 1
OK, TAMPERED, CANNOT_TELL = 0, 1, 2

_BODY = b"countersign/ledger-body/v1\0"
_LINK = b"countersign/ledger-link/v1\0"
_GENESIS = b"countersign/ledger-genesis/v1\0"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_KEY = re.compile(r"[A-Za-z0-9_.\-]+\Z")
_CHAIN = re.compile(r"(system|[a-z]{1,20}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")
_LARGEST = 2**53 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENTRY_KEYS = {
    "kind", "v", "tenant_id", "chain_id", "seq", "recorded_at", "prev_hash", "body_hash", "hash", "columns",
}  # fmt: skip
_COLUMN_KEYS = {"event_id", "event_type", "resource_type", "resource_id", "occurred_at"}
_HEAD_KEYS = {"kind", "tenant_id", "chain_id", "seq", "hash", "recorded_at"}


class CannotTell(Exception):
    """No export of a format that is known here."""


class _Malformed(Exception):
    """A line that no export writes."""


class Verification:
    """Feed it every line, then ask for the `result`.

    `heads` are heads that the caller kept: chain id to (sequence number, hash in hex).
    """

    def __init__(
        self, *, tenant_id: str = "", chain_id: str = "", heads: dict[str, tuple[int, str]] | None = None
    ) -> None:
        self._tenant_id = tenant_id
        self._only_chain = chain_id
        self._pins = dict(heads or {})
        self._chains: dict[tuple[str, str], _Chain] = {}
        self._violations: list[dict[str, str]] = []
        self._verified = 0
        self._lines = 0

    def feed(self, line: bytes) -> None:
        """Raises CannotTell for an entry of another version."""
        self._lines += 1
        try:
            record = _parse_line(line)
            chain = self._chain_of(record)
            if record["kind"] == "entry":
                self._verified += 1
                pin = self._pins.get(chain.chain_id)
                if pin is not None and record["seq"] == pin[0]:
                    del self._pins[chain.chain_id]
                    if record["hash"] != pin[1]:
                        self._add(_event_id(record), "head_mismatch", pin[1], str(record["hash"]))
                chain.check_entry(record)
            else:
                chain.check_head(record)
        except (_Malformed, RecursionError) as error:
            self._add("", "malformed_line", "a line of an export", f"line {self._lines}: {error}")

    def result(self) -> dict[str, object]:
        """The verdict over all lines so far. Raises CannotTell when there was nothing to judge."""
        if not self._chains and not self._pins:
            raise CannotTell("the file holds no entries that are known here")
        for chain in self._chains.values():
            chain.finish()
        for chain_id, (seq, hash_) in self._pins.items():
            self._add("", "truncated", f"{chain_id} {seq}:{hash_}", "no such entry")
        return {
            "valid": not self._violations,
            "events_verified": self._verified,
            "violations": list(self._violations),
        }

    def _chain_of(self, record: dict[str, object]) -> "_Chain":
        tenant_id, chain_id = _text(record, "tenant_id"), _text(record, "chain_id")
        if not _is_uuid(tenant_id):
            raise _Malformed("tenant_id is no UUID")
        if not _CHAIN.match(chain_id):
            raise _Malformed("chain_id is no chain")
        chain = self._chains.get((tenant_id, chain_id))
        if chain is None:
            chain = self._chains[tenant_id, chain_id] = _Chain(tenant_id, chain_id, self._add)
            if self._tenant_id and tenant_id != self._tenant_id:
                self._add(_event_id(record), "wrong_tenant", self._tenant_id, tenant_id)
            if self._only_chain and chain_id != self._only_chain:
                self._add(_event_id(record), "wrong_chain", self._only_chain, chain_id)
            if chain_id.startswith("tenant:") and chain_id != f"tenant:{tenant_id}":
                self._add(_event_id(record), "wrong_chain", f"tenant:{tenant_id}", chain_id)
            if (chain_id == "system") != (tenant_id == str(UUID(int=0))):
                self._add(_event_id(record), "wrong_chain", "the system's chain has the nil tenant", chain_id)
        return chain

    def _add(self, event_id: str, issue: str, expected: str, actual: str) -> None:
        self._violations.append(
            {"event_id": event_id, "issue": issue, "expected": expected, "actual": actual}
        )


class _Chain:
    """One chain as far as it was read."""

    def __init__(self, tenant_id: str, chain_id: str, add: Callable[[str, str, str, str], None]) -> None:
        self.tenant_id = tenant_id
        self.chain_id = chain_id
        self._add = add
        self._seq = 0
        self._recorded_at = ""
        self._hash = hashlib.sha256(_GENESIS + UUID(tenant_id).bytes + chain_id.encode()).hexdigest()
        self._events: set[str] = set()
        self._head_seen = False

    def check_entry(self, record: dict[str, object]) -> None:
        if set(record) - {"body", "body_base64"} != _ENTRY_KEYS or ("body" in record) == (
            "body_base64" in record
        ):
            raise _Malformed("an entry has other keys")
        seq, recorded_at = _number(record, "seq"), _time(record, "recorded_at")
        prev_hash, body_hash, hash_ = (_hex(record, name) for name in ("prev_hash", "body_hash", "hash"))
        event_id, body = _event_id(record), _body(record)
        own_body_hash = hashlib.sha256(_BODY + body).digest()
        own_hash = _link(self.chain_id, seq, recorded_at, prev_hash, own_body_hash)
        if self._head_seen:
            self._add(event_id, "entry_after_head", "no entry after the head", str(seq))
        if seq != self._seq + 1:
            self._add(event_id, "sequence_gap", str(self._seq + 1), str(seq))
        if prev_hash != self._hash:
            self._add(event_id, "previous_hash_mismatch", self._hash, prev_hash)
        if body_hash != own_body_hash.hex():
            self._add(event_id, "body_hash_mismatch", own_body_hash.hex(), body_hash)
        if hash_ != own_hash:
            self._add(event_id, "event_hash_mismatch", own_hash, hash_)
        if recorded_at <= self._recorded_at:
            self._add(event_id, "clock_backwards", f"after {self._recorded_at}", recorded_at)
        if event_id in self._events:
            self._add(event_id, "duplicate_event", "an event once per chain", event_id)
        self._events.add(event_id)
        self._check_body(event_id, record, body)
        self._seq, self._recorded_at, self._hash = seq, recorded_at, hash_

    def check_head(self, record: dict[str, object]) -> None:
        if set(record) != _HEAD_KEYS:
            raise _Malformed("a head has other keys")
        seq, hash_, recorded_at = _number(record, "seq"), _hex(record, "hash"), _time(record, "recorded_at")
        if self._head_seen:
            self._add("", "head_mismatch", "one head per chain", f"another at {seq}")
        self._head_seen = True
        expected = f"{self._seq}:{self._hash} {self._recorded_at}"
        if f"{seq}:{hash_} {recorded_at}" != expected:
            self._add("", "head_mismatch", expected, f"{seq}:{hash_} {recorded_at}")

    def finish(self) -> None:
        if not self._head_seen:
            self._add("", "head_missing", f"a head of {self.chain_id}", "none: the file may be cut off")
            self._head_seen = True  # asked for the result twice, it is said once

    def _check_body(self, event_id: str, record: dict[str, object], body: bytes) -> None:
        try:
            content = _decode_canonical(body)
            if content.get("v") == record["v"] != VERSION:
                raise CannotTell(f"version {record['v']} of the format is not known here")
        except ValueError as error:
            self._add(event_id, "not_canonical", "a canonical body", str(error))
            return
        resource = content.get("resource")
        claims = {
            "v": content.get("v"),
            "tenant_id": content.get("tenant_id"),
            "event_id": content.get("event_id"),
            "event_type": content.get("event_type"),
            "resource_type": resource.get("type") if isinstance(resource, dict) else None,
            "resource_id": resource.get("id") if isinstance(resource, dict) else None,
            "occurred_at": content.get("occurred_at"),
        }
        columns = record["columns"]
        if not isinstance(columns, dict):  # seen when the event id was read
            raise _Malformed("columns is no object")
        stated = {"v": record["v"], "tenant_id": record["tenant_id"], **columns}
        for name, expected in claims.items():
            if type(stated[name]) is not type(expected) or stated[name] != expected:
                self._add(event_id, "column_mismatch", f"{name}: {expected}", f"{name}: {stated[name]}")


def _parse_line(line: bytes) -> dict[str, object]:
    try:
        record = json.loads(
            line.decode(),
            object_pairs_hook=_object_without_duplicates,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except ValueError as error:
        raise _Malformed(f"not JSON ({type(error).__name__})") from error
    if not isinstance(record, dict) or record.get("kind") not in {"entry", "head"}:
        raise _Malformed("neither an entry nor a head")
    return record


def _object_without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(text: str) -> object:
    raise ValueError(f"{text} has no canonical form")


def _decode_canonical(body: bytes) -> dict[str, object]:
    """The body's content; raises ValueError when these are not the bytes that RFC 8785 writes it in."""
    content = json.loads(
        body.decode(),
        object_pairs_hook=_object_without_duplicates,
        parse_float=_refuse,
        parse_constant=_refuse,
    )
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for whatever is not canonical
    _check_profile(content)
    again = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if again.encode() != body:
        raise ValueError("the same content is written in another form")
    return content


def _check_profile(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not _KEY.match(key):
                raise ValueError("a key outside the profile")
            _check_profile(item)
    elif isinstance(value, list):
        for item in value:
            _check_profile(item)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        raise ValueError("an integer beyond 2^53-1")


def _link(chain_id: str, seq: int, recorded_at: str, prev_hash: str, body_hash: bytes) -> str:
    chain = chain_id.encode()
    moment = datetime.fromisoformat(recorded_at)
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return hashlib.sha256(
        _LINK
        + len(chain).to_bytes(2, "big")
        + chain
        + seq.to_bytes(8, "big")
        + microseconds.to_bytes(8, "big", signed=True)
        + bytes.fromhex(prev_hash)
        + body_hash
    ).hexdigest()


def _body(record: dict[str, object]) -> bytes:
    if "body" in record:
        return _text(record, "body").encode()
    try:
        body = base64.b64decode(_text(record, "body_base64"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _Malformed("body_base64 is no base64") from error
    return body


def _event_id(record: dict[str, object]) -> str:
    if record["kind"] == "head":
        return ""
    columns = record.get("columns")
    if not isinstance(columns, dict) or set(columns) != _COLUMN_KEYS:
        raise _Malformed("columns has other keys")
    return _text(columns, "event_id")


def _text(record: dict[str, object], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise _Malformed(f"{name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Malformed(f"{name} holds a lone surrogate") from error
    return value


def _number(record: dict[str, object], name: str) -> int:
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise _Malformed(f"{name} is no number of an entry")
    return value


def _time(record: dict[str, object], name: str) -> str:
    value = _text(record, name)
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise _Malformed(f"{name} is no time") from error
    if not _TIME.match(value):
        raise _Malformed(f"{name} is not written as exports write times")
    return value


def _hex(record: dict[str, object], name: str) -> str:
    value = _text(record, name)
    if not _HASH.match(value):
        raise _Malformed(f"{name} is no SHA-256 in hexadecimal")
    return value


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def verify_lines(
    lines: Iterable[bytes],
    *,
    tenant_id: str = "",
    chain_id: str = "",
    heads: dict[str, tuple[int, str]] | None = None,
) -> dict[str, object]:
    """The verdict over an export's lines. Raises CannotTell."""
    verification = Verification(tenant_id=tenant_id, chain_id=chain_id, heads=heads)
    for line in lines:
        if line.strip():
            verification.feed(line)
    return verification.result()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", help="the export, or - for standard input")
    parser.add_argument("--tenant", default="", help="the tenant whose chains these must be")
    parser.add_argument("--chain", default="", help="the only chain that may be in the file")
    parser.add_argument(
        "--head", action="append", default=[], metavar="SEQ:HASH",
        help="a head that you kept; with several chains write CHAIN@SEQ:HASH",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        heads = dict(_parse_pin(text, options.chain) for text in options.head)
        if options.file == "-":
            result = verify_lines(
                sys.stdin.buffer, tenant_id=options.tenant, chain_id=options.chain, heads=heads
            )
        else:
            with open(options.file, "rb") as lines:
                result = verify_lines(lines, tenant_id=options.tenant, chain_id=options.chain, heads=heads)
    except (CannotTell, OSError) as error:
        print(json.dumps({"valid": None, "reason": str(error)}))  # noqa: T201 - a command's answer
        return CANNOT_TELL
    print(json.dumps(result, indent=2, ensure_ascii=False))  # noqa: T201 - a command's answer
    return OK if result["valid"] else TAMPERED


def _parse_pin(text: str, chain_id: str) -> tuple[str, tuple[int, str]]:
    chain, at, rest = text.rpartition("@")
    seq, _, hash_ = rest.partition(":")
    chain = chain if at else chain_id
    if not chain or not seq.isdecimal() or not _HASH.match(hash_):
        raise CannotTell("--head is SEQ:HASH together with --chain, or CHAIN@SEQ:HASH")
    return chain, (int(seq), hash_)


if __name__ == "__main__":
    sys.exit(main())
