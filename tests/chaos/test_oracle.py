"""The oracle itself: each of its findings is brought about once, for an oracle that cannot object proves nothing."""

import msgspec
import pytest

from tests.chaos import oracle
from tests.chaos.conftest import Stage
from tests.chaos.load import Acknowledged
from tests.chaos.oracle import check

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_oracle_objects_to_whatever_is_lost_doubled_or_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, load, recorder = stage.house, stage.load, stage.recorder
    made = await load.create("docusign")
    await load.sign([made])
    await check(house, load, recorder)

    lost = Acknowledged(key="never", envelope_id="env_never", provider="docusign", status="sent", body=b"")
    with monkeypatch.context() as patch:
        patch.setitem(load.acknowledged, "never", lost)
        with pytest.raises(AssertionError, match="acknowledged, and not there"):
            await check(house, load, recorder)

    books = await oracle.read_providers(house)
    twin = msgspec.structs.replace(next(one for one in books if one.ours == made.envelope_id), ref="twin")

    async def with_a_twin(_: object) -> list[oracle.AtProvider]:
        return [*books, twin]

    with monkeypatch.context() as patch:
        patch.setattr(oracle, "read_providers", with_a_twin)
        with pytest.raises(AssertionError, match="sent to signers more than once"):
            await check(house, load, recorder)

    arrived = next(iter(recorder.posts["main"]))
    with monkeypatch.context() as patch:
        patch.delitem(recorder.posts["main"], arrived)
        with pytest.raises(AssertionError, match="never arrived"):
            await check(house, load, recorder)
    with monkeypatch.context() as patch:
        patch.setitem(recorder.posts["main"], arrived, ["one", "another"])
        with pytest.raises(AssertionError, match="different bytes"):
            await check(house, load, recorder)

    alter = "UPDATE envelopes SET status = $1 WHERE external_reference = $2"
    await house.sql(alter, "sent", made.key)
    assert await oracle.disagreements(house) != []
    await house.sql(alter, "completed", made.key)
    await check(house, load, recorder)
