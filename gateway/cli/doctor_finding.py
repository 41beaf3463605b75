"""What `countersign doctor` says of one thing."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """`ok` False: something must be done. `note`: nothing is wrong with this installation, yet worth a look."""

    what: str
    ok: bool
    says: str
    note: bool = False
