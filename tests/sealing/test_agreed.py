"""Nothing is sealed but what was signed for, whoever can write to the database."""

import pytest

from engine.sealing.job import seal_due
from tests.ledger.test_verification import tamper
from tests.sealing.test_completed_envelope import house, sign_as_ada

__all__ = ["house"]

CHANGES = {
    "a value": "UPDATE engine_fields SET value = 'Duchess' WHERE value LIKE 'Countess%'",
    "a picture": "UPDATE signatures SET sha256 = repeat('0', 64)",
    "a name": "UPDATE engine_recipients SET signed_name = 'Charles Babbage'",
    "the record of it": "UPDATE intents SET content = replace(content, 'Countess', 'Duchess')",
    "the record is gone": "DELETE FROM intents",
    "a field more": "INSERT INTO engine_fields SELECT (jsonb_populate_record(f, jsonb_build_object('id',"
    " gen_random_uuid(), 'value', 'and ten thousand'))).* FROM engine_fields f WHERE f.type = 'text'",
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_was_changed_after_it_was_signed_is_not_sealed(house, store, what):
    await sign_as_ada(house)
    await tamper(store, CHANGES[what])
    assert await seal_due(house.engine) == 0
    stays = await house.envelope()
    assert (stays.status, stays.seal_error) == ("sealing", "document_changed")
