"""One piece of work that makes seals: how each failure ends, and what becomes of the files that it had stored."""

import asyncio
import dataclasses
from typing import Any
from uuid import UUID

import pytest

from config.errors import StoreUnavailable
from engine.sealing.attempt import Stale, attempt, work_off
from engine.sealing.errors import SealingFailed, SealTrouble

TENANT = UUID(int=7)
AWAY = SealingFailed(SealTrouble.TIMESTAMP_UNAVAILABLE, "away")


@dataclasses.dataclass
class Store:
    """Removes what it is told to, but for what it cannot."""

    stuck: str = ""
    removed: list[str] = dataclasses.field(default_factory=list)

    async def delete(self, _: UUID, key: str) -> None:
        if key == self.stuck:
            raise PermissionError(key)
        self.removed.append(key)


@dataclasses.dataclass
class Engine:
    blobs: Store


async def try_it(error: Exception | None, store: Store) -> tuple[str, list[str]]:
    """How it ended, and as what it was put off."""
    put_off: list[str] = []

    async def work() -> None:
        if error is not None:
            raise error

    async def note(failure: SealingFailed) -> None:
        put_off.append(failure.trouble.value)

    engine: Any = Engine(store)
    return await attempt(engine, TENANT, work(), files=lambda: ["one", "two"], put_off=note), put_off


@pytest.mark.parametrize(
    ("error", "trouble", "put_off", "removed"),
    [
        (None, "", [], []),
        (Stale(), "stale", [], ["one", "two"]),
        (AWAY, "timestamp_unavailable", ["timestamp_unavailable"], ["one", "two"]),
        (LookupError("ours"), "internal", ["internal"], ["one", "two"]),
        (StoreUnavailable("away"), "database_unavailable", [], ["one", "two"]),
        # The commit may have been done, and then the files are its own.
        (StoreUnavailable("lost", outcome_unknown=True), "database_unavailable", [], []),
    ],
    ids=repr,
)
async def test_attempt_ends_with_a_word_and_leaves_no_file_that_nobody_uses(
    error: Exception | None, trouble: str, put_off: list[str], removed: list[str]
) -> None:
    store = Store()
    assert await try_it(error, store) == (trouble, put_off)
    assert store.removed == removed


async def test_file_that_cannot_be_removed_changes_nothing_for_the_others(caplog) -> None:
    store = Store(stuck="one")
    assert await try_it(AWAY, store) == ("timestamp_unavailable", ["timestamp_unavailable"])
    assert store.removed == ["two"]
    assert "a file that is not used remains: one" in caplog.text


async def test_piece_that_raises_is_told_when_the_others_have_ended() -> None:
    ended: list[int] = []

    async def work(claim: int) -> bool:
        if claim == 0:
            raise StoreUnavailable("away")
        await asyncio.sleep(0)
        ended.append(claim)
        return True

    sealer: Any = type("Sealer", (), {"most_at_once": 3})
    with pytest.raises(StoreUnavailable):
        await work_off(sealer, [0, 1, 2], work)
    assert sorted(ended) == [1, 2]
    assert await work_off(sealer, [1, 2], work) == 2
