"""The sandbox's one object: its state, its clock, its faults, and what changes reach the disk.

Must be used from one event loop only; every change is made without awaiting, so no lock is needed.
"""

import asyncio
import os
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from .blobs import Blobs
from .faults import Faults
from .limits import Limits
from .refusals import Refusal
from .settings import Settings
from .state import AuditEvent, Envelope, Recipient, Snapshot


class Emit(Protocol):
    """Queues the Connect messages of one event."""

    def __call__(self, envelope: Envelope, event: str, recipient: Recipient | None = None) -> None: ...


class World:
    """State and ports; `emit` is set by the courier when the server starts."""

    emit: Emit

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.limits = Limits(settings)
        self.blobs = Blobs(settings.state_dir / "blobs" if settings.state_dir else None)
        self.state = self._load()
        if not self.state.hmac_keys:
            self.state.hmac_keys.append(secrets.token_urlsafe(32))
        self.is_stopping = asyncio.Event()
        self._is_dirty = False

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.state.clock_offset_s)

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def next_number(self) -> int:
        self.state.next_number += 1
        return self.state.next_number

    def envelope(self, envelope_id: str) -> Envelope:
        """The envelope, after its expiry has been looked at."""
        try:
            wanted = str(uuid.UUID(envelope_id))
        except ValueError as error:
            raise Refusal("envelope-id-malformed", f"'{envelope_id}'.") from error
        found = self.state.envelopes.get(wanted)
        if found is None:
            raise Refusal("envelope-unknown")
        return found

    def record(self, envelope: Envelope, action: str, message: str, actor: Recipient | None = None) -> None:
        """Appends one audit event and marks the envelope as modified."""
        now = self.now()
        envelope.modified_at = now
        envelope.audit.append(
            AuditEvent(
                at=now,
                action=action,
                message=message,
                user_name=actor.name if actor else self.settings.sender_name,
                user_id=actor.user_id if actor else self.settings.user_id,
                envelope_status=envelope.status,
            )
        )
        self.touch()

    def touch(self) -> None:
        """Says that something changed that a restart must not forget."""
        self._is_dirty = True

    def save(self) -> None:
        """Writes the snapshot if anything changed; atomic, so a kill leaves the old or the new one."""
        folder = self.settings.state_dir
        if folder is None or not self._is_dirty:
            return
        part = folder / "state.json.part"
        part.write_bytes(msgspec.json.encode(self.state))
        os.replace(part, folder / "state.json")
        self._is_dirty = False

    def _load(self) -> Snapshot:
        folder = self.settings.state_dir
        if folder is None:
            return Snapshot()
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "state.json"
        return msgspec.json.decode(kept.read_bytes(), type=Snapshot) if kept.exists() else Snapshot()
