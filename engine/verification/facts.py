"""What is found in a file that bears signatures: plain facts, without a judgement.

They are made where hostile bytes are read (an examiner process) and travel as JSON; what they come to is
decided elsewhere (verdict.py). Certificates are DER.
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class Changes(StrEnum):
    """What later revisions did to what a signature covers."""

    NONE = "none"
    PROOFS = "proofs"  # certificates, their status, and archive timestamps: nothing that a reader shows
    FORM = "form"  # form fields filled, signatures added
    ANNOTATIONS = "annotations"
    OTHER = "other"


class PathTrouble(StrEnum):
    """Why a certificate does not lead to a root that is trusted."""

    NONE = ""
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    REVOKED = "revoked"
    UNSUITABLE = "unsuitable"


class TimestampFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`is_intact`: it is about these bytes, and its signature is right."""

    moment: datetime
    authority: str
    is_intact: bool
    trouble: PathTrouble = PathTrouble.NONE
    is_development: bool = False

    @property
    def is_valid(self) -> bool:
        return self.is_intact and self.trouble is PathTrouble.NONE


class SignatureFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`fault`: it could not be read at all, and nothing else says anything. `is_intact`: the bytes that it covers
    are what was signed. `covers_file`: to the last byte. `permits_changes`: what came later is allowed by what
    the signer permitted. `judged_at`: the moment for which the certificate was judged, proven by a timestamp
    unless `judged_now`. `path`: certificate and issuers up to the root that it leads to, else what is known.
    `revocation_embedded`: the file holds the proof that none of them was revoked.
    """

    field: str
    is_timestamp: bool = False
    fault: str = ""
    is_intact: bool = False
    covers_file: bool = False
    covers_revision: bool = False
    changes: Changes = Changes.NONE
    permits_changes: bool = True
    certifies: bool = False
    signer: str = ""
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    thumbprint_sha256: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    trouble: PathTrouble = PathTrouble.NONE
    is_development: bool = False
    revocation_embedded: bool = False
    revoked_at: datetime | None = None
    judged_at: datetime | None = None
    judged_now: bool = True
    claimed_at: datetime | None = None
    timestamp: TimestampFacts | None = None
    reason: str = ""
    location: str = ""
    path: tuple[bytes, ...] = ()


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`signatures` in the order in which they were made, document timestamps among them. `ends_cleanly`: nothing
    stands behind the last revision.
    """

    signatures: tuple[SignatureFacts, ...] = ()
    ends_cleanly: bool = True
    revisions: int = 1
