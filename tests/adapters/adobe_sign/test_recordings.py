"""What every operation sends is on record; a change of a request shows as a diff to be looked at."""

import pytest

from tests.adapters.adobe_sign.probe import PROBES, RECORDINGS, recording_of, run_probe


@pytest.mark.parametrize("name", PROBES)
async def test_operation_sends_what_its_recording_says(name) -> None:
    recorded = (RECORDINGS / f"{name}.json").read_text(encoding="utf-8")
    assert recording_of(await run_probe(name)) == recorded, "see probe.py for how to record anew"


def test_recordings_have_one_file_per_probe() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.json")} == set(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_recording_shows_no_secret(name) -> None:
    text = (RECORDINGS / f"{name}.json").read_text(encoding="utf-8")
    assert not [word for word in ("secret-1", "refresh-1", "token-1", "k3y-9") if word in text]
