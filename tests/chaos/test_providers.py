"""Providers that accept and do not say so, refuse for a while, forget tokens, lag behind, go away and come back."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.chaos.conftest import Stage
from tests.chaos.house import ChaosHouse, until
from tests.chaos.load import PROVIDERS, Faults
from tests.chaos.oracle import check

pytestmark = pytest.mark.asyncio(loop_scope="package")

CREATE = {"docusign": "envelopes.create", "adobe_sign": "create_agreement"}
LOOK_UP = {"docusign": "envelopes.list", "adobe_sign": "list_agreements"}
TROUBLES = (
    "timeout_after_accept",
    "http_500_after_accept",
    "reset_before",
    "reset_after",
    "token_expired",
    "http_429",
    "http_500_html",
)


async def test_every_trouble_of_a_create_ends_with_one_sent_envelope(stage: Stage, say) -> None:
    faults = Faults(stage.house)
    creating = []
    for trouble in TROUBLES:
        for provider in PROVIDERS:
            if (provider, trouble) == ("docusign", "http_429"):
                continue  # without a time in the answer the adapter keeps silent for half a minute: long list
            await faults.arm(provider, trouble, CREATE[provider], seconds=2.0)
            creating.append(asyncio.create_task(stage.load.create(provider)))
        for provider in PROVIDERS:
            await until(lambda: faults.is_used_up(provider), f"{trouble} at {provider}")  # noqa: B023
    created = await asyncio.gather(*creating)
    found = await check(stage.house, stage.load, stage.recorder)
    epochs = await stage.house.sql(
        "SELECT outcome, count(*) FROM dispatch_attempts WHERE envelope_id IN"
        " (SELECT id FROM envelopes WHERE external_reference = ANY ($1)) GROUP BY 1 ORDER BY 1",
        [one.key for one in created],
    )
    tries = ", ".join(f"{row['count']} {row['outcome']}" for row in epochs)
    say(f"chaos, {len(TROUBLES)} troubles at 2 providers: {found}, tries: {tries}")


async def test_a_lagging_look_up_after_a_lost_answer_doubles_nothing(stage: Stage, say) -> None:
    faults = Faults(stage.house)
    creating = []
    for provider in PROVIDERS:
        await faults.arm(provider, "lookup_lag", LOOK_UP[provider], count=2, seconds=3600)
        await faults.arm(provider, "reset_after", CREATE[provider], count=2)
        creating += [asyncio.create_task(stage.load.create(provider)) for _ in range(2)]
    await asyncio.gather(*creating)
    for provider in PROVIDERS:
        await faults.clear(provider)
    found = await check(stage.house, stage.load, stage.recorder)
    say(f"chaos, look-ups that lag: {found}")


async def test_a_provider_that_is_down_and_comes_back_gets_what_waited(stage: Stage, say) -> None:
    answered = stage.load.answers.copy()
    went_down = asyncio.Event()
    down = asyncio.create_task(_keep_down(stage.house, "docusign", went_down, for_s=3.0))
    await went_down.wait()
    waiting = asyncio.create_task(stage.load.create_many(6, provider="docusign"))
    others = await stage.load.create_many(4, provider="adobe_sign")
    await down
    await waiting
    refused = (stage.load.answers - answered)[503]
    await stage.load.sign(others[:2])
    found = await check(stage.house, stage.load, stage.recorder)
    assert refused > 0, "nobody noticed that the provider was down"
    say(f"chaos, provider down and back: {found}, {refused} answers 503 meanwhile")


async def _keep_down(house: ChaosHouse, provider: str, went_down: asyncio.Event, *, for_s: float) -> int:
    """Ends the sandbox whenever its supervisor has started it again; how often."""
    folder = str(house.folder / "sandboxes" / provider)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + for_s
    times = 0
    while loop.time() < ends_at:
        for pid in _processes_naming(folder):
            # In order: a provider's books survive its outages.
            os.kill(pid, signal.SIGTERM)
            times += 1
        await asyncio.sleep(0.2)
        went_down.set()
    return times


def _processes_naming(folder: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has ended meanwhile
                continue
            if folder.encode() in words:
                found.append(int(entry.name))
    return found
