"""After all that broke: no secret in a log, in a dump of the database, or in Valkey's journal."""

import pytest

from tests.chaos.conftest import Stage
from tests.chaos.secrecy import canaries, find_leaks, forms, leaks, places_of


@pytest.mark.asyncio(loop_scope="package")
async def test_no_secret_is_in_any_log_or_dump(stage: Stage, say) -> None:
    await stage.load.create_many(2)
    places = places_of(stage.house)
    assert {"processes.log", "postgres.log", "pg_dump"} <= set(places)
    assert find_leaks(stage.house, stage.recorder) == {}
    size = sum(map(len, places.values())) // 1024
    count = len(canaries(stage.house, stage.recorder))
    say(f"chaos, secrecy: {count} secrets in 6 forms, none in {len(places)} places of {size} KB")


def test_a_secret_in_any_form_is_found() -> None:
    secret = "canary-0123456789-secret"
    for form in forms(secret):
        assert leaks(b"a log line with " + form + b" in it", {"canary": secret}) == ["canary"]
    assert leaks(b"a log line without it", {"canary": secret}) == []
