"""The metrics page tells of envelopes that cannot be sealed."""

import re

import pytest

from tests.engine.signing.house import open_house
from tests.gateway.bodies import envelope
from tests.gateway.world import World


@pytest.mark.parametrize(
    ("status", "attempts", "shown"), [("sealing", 2, 0), ("sealing", 3, 1), ("completed", 9, 0)]
)
async def test_metrics_page_counts_envelopes_that_three_attempts_did_not_seal(
    world: World, status: str, attempts: int, shown: int
) -> None:
    async with open_house(world) as house:
        await house.send(envelope())
        await world.services.hub.execute(
            "UPDATE engine_envelopes SET status = $1, seal_attempts = $2", status, attempts
        )
        page = (await world.client().get("/metrics")).text
    assert re.findall(r"^countersign_seals_delayed (\S+)$", page, re.MULTILINE) == [f"{shown:.1f}"]
