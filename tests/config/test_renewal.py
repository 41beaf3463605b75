"""Leases are renewed for as long as the work takes, and a failing renewal neither ends that nor disturbs the work."""

import asyncio
from collections.abc import Sequence

import pytest

from config.errors import StoreUnavailable
from config.renewal import renewed

LEASE_S = 0.03


class Lease:
    """Answers in turn what it is given, then that it is held; `asked` is set when all has been answered."""

    def __init__(self, answers: Sequence[bool | Exception]) -> None:
        self.left = list(answers)
        self.renewals = 0
        self.asked = asyncio.Event()

    async def renew(self) -> bool:
        self.renewals += 1
        if not self.left:
            self.asked.set()
            return True
        answer = self.left.pop(0)
        if not self.left and answer is False:
            self.asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), LookupError("a fault of ours")])
async def test_renewal_that_fails_is_told_and_tried_again(failure: Exception, caplog) -> None:
    lease = Lease([failure])
    async with renewed(lease.renew, LEASE_S):
        await lease.asked.wait()
    assert "a lease could not be renewed" in caplog.text


async def test_lost_lease_is_not_asked_for_again() -> None:
    lease = Lease([True, False])
    async with renewed(lease.renew, LEASE_S):
        await lease.asked.wait()
        await asyncio.sleep(LEASE_S * 3)
    assert lease.renewals == 2


async def test_renewing_ends_with_the_work_whatever_it_raises() -> None:
    lease = Lease([])
    with pytest.raises(LookupError):
        async with renewed(lease.renew, LEASE_S):
            await lease.asked.wait()
            raise LookupError
    seen = lease.renewals
    await asyncio.sleep(LEASE_S * 3)
    assert lease.renewals == seen
