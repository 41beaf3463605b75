"""Who acts when a command does: the administrator at this machine, known by the name of the account."""

import getpass
from uuid import UUID

from gateway.services import SYSTEM_TENANT, Caller
from normalizer.events import Actor, ActorType, Source, SourceKind
from normalizer.ids import Kind, read_id

DEFAULT, SYSTEM = "default", "system"


def cli_caller(tenant_id: UUID | None = None) -> Caller:
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        account = "unknown"
    return Caller(
        tenant_id=tenant_id or SYSTEM_TENANT,
        key_id=SYSTEM_TENANT,
        scopes=frozenset(),
        actor=Actor(type=ActorType.ADMINISTRATOR, id="command line", name=account),
        source=Source(kind=SourceKind.CLI),
    )


def named_tenant(text: str) -> UUID:
    """A printed id, or the word `default`. Raises NotFound for anything else."""
    from gateway.tenants.default_connections import DEFAULT_TENANT

    return DEFAULT_TENANT if text == DEFAULT else read_id(Kind.TENANT, text)


def named_owner(text: str) -> UUID | None:
    """As `named_tenant`; None for `system`."""
    return None if text == SYSTEM else named_tenant(text)
