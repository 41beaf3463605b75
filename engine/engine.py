"""What the engine's use cases need, built once by the composition root and passed on as first argument."""

from dataclasses import dataclass, field

from config.blobs import BlobStore
from config.clock import Clock
from config.database import Database
from config.settings import Settings
from config.vault import Vault
from engine.documents.examiners import Examiners
from engine.ports import EmitEvent, IdentityProvider, WakeJob
from ledger.personal import SubjectKeys
from normalizer.ids import Ids


@dataclass(frozen=True, slots=True)
class Engine:
    """`database` is the app role, bound by row-level security; `hub` sees every tenant and is for sweeps and
    for finding whose a link or a session is. `pepper` keys the hashes of links, sessions and codes. `examiners`
    are processes: whoever builds the engine closes them, and `identity` (None: nobody checks identities).
    """

    settings: Settings
    clock: Clock
    ids: Ids
    database: Database
    hub: Database
    vault: Vault
    blobs: BlobStore
    subjects: SubjectKeys
    emit: EmitEvent
    wake: WakeJob
    pepper: bytes = field(repr=False)
    examiners: Examiners = field(default_factory=Examiners)
    identity: IdentityProvider | None = None
