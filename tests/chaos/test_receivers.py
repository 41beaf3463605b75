"""Receivers that hang, are gone, or send the poster elsewhere, beside one that works."""

import pytest

from tests.chaos.conftest import Stage
from tests.chaos.oracle import check

pytestmark = pytest.mark.asyncio(loop_scope="package")

BAD = ("hang", "gone", "redirect")


async def test_bad_receivers_are_given_up_with_a_reason_and_the_good_one_gets_everything(
    stage: Stage, say
) -> None:
    recorder, load = stage.recorder, stage.load
    made = {}
    for name in BAD:
        recorder.behaviour[name] = name
        made[name] = await load.subscribe(
            recorder.url(name),
            # One that never answers is served one post at a time: few events, or it would take minutes.
            events=["envelope.completed"] if name == "hang" else [],
            retry_profile="custom",
            retry_schedule=[1],
            timeout_seconds=1,
        )
        recorder.trust(name, made[name]["secret"])
    acknowledged = await load.create_many(6)
    await load.sign(acknowledged[:2])
    found = await check(stage.house, load, recorder)
    told = []
    for name in BAD:
        rows = await stage.house.sql(
            "SELECT d.state, d.last_error, d.last_status FROM deliveries d JOIN webhook_endpoints e"
            " ON (e.tenant_id, e.id) = (d.tenant_id, d.endpoint_id) WHERE e.url = $1",
            recorder.url(name),
        )
        assert rows
        assert {row["state"] for row in rows} <= {"exhausted", "held", "cancelled"}, name
        assert all(row["last_error"] or row["state"] != "exhausted" for row in rows), "no reason given"
        told.append(f"{name}: {len(rows)} {'/'.join(sorted({row['state'] for row in rows}))}")
    assert recorder.redirected == 0, "a redirect was followed"
    assert recorder.hung > 0
    gone = await stage.house.sql(
        "SELECT active, disabled_reason FROM webhook_endpoints WHERE url = $1", recorder.url("gone")
    )
    assert gone[0]["active"] is False
    assert gone[0]["disabled_reason"]
    for name in BAD:
        url = f"{stage.house.api}/webhooks/{made[name]['id']}"
        assert (await stage.house.client.delete(url, headers=stage.house.headers)).is_success
    open_here = (
        "SELECT 1 FROM deliveries d WHERE d.state IN ('pending', 'leased') AND NOT EXISTS"
        " (SELECT FROM webhook_endpoints e WHERE (e.tenant_id, e.id) = (d.tenant_id, d.endpoint_id))"
    )
    assert await stage.house.sql(open_here) == []
    say(f"chaos, bad receivers: {found}, {', '.join(told)}")
