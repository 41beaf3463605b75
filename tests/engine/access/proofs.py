"""What a test needs of codes: the one that was sent, read as its carrier reads it."""

import msgspec

from config.vault import Place
from engine.notify.notice import Notice, NoticeKind
from tests.engine.access.gate import TENANT, Gate


async def notices(gate: Gate, kind: NoticeKind) -> list[Notice]:
    rows = await gate.store.hub.fetch(
        "SELECT id, content FROM engine_notices WHERE kind = $1 ORDER BY created_at, id", kind.value
    )
    found = []
    for row in rows:
        place = Place("engine_notices", "content", row["id"])
        plain = await gate.engine.vault.decrypt(gate.store.app, TENANT, place, row["content"])
        found.append(msgspec.json.decode(plain, type=Notice))
    return found


async def code_sent(gate: Gate) -> str:
    """The newest."""
    return (await notices(gate, NoticeKind.CODE))[-1].values["code"]


def another(code: str) -> str:
    """A code that is not this one."""
    return f"{(int(code) + 1) % 1_000_000:06d}"
