"""After all that broke: no secret in a log, in a dump of the database, or in Valkey's journal."""

import pytest

from tests.chaos.conftest import Stage
from tests.chaos.secrecy import canaries, dump, forms, leaks, written

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.mark.asyncio(loop_scope="package")
async def test_no_secret_is_in_any_log_or_dump(stage: Stage, say) -> None:
    await stage.load.create_many(2)
    secrets = canaries(stage.house, stage.recorder)
    places = written(stage.house.folder)
    assert {"processes.log", "postgres.log"} <= set(places)
    places["pg_dump"] = dump(stage.house.house.stores.postgres.superuser_url("countersign"))
    found = {name: leaks(content, secrets) for name, content in places.items()}
    assert {name: told for name, told in found.items() if told} == {}
    size = sum(map(len, places.values())) // 1024
    say(f"chaos, secrecy: {len(secrets)} secrets in 6 forms, none in {len(places)} places of {size} KB")


def test_a_secret_in_any_form_is_found() -> None:
    secret = "canary-0123456789-secret"
    for form in forms(secret):
        assert leaks(b"a log line with " + form + b" in it", {"canary": secret}) == ["canary"]
    assert leaks(b"a log line without it", {"canary": secret}) == []
