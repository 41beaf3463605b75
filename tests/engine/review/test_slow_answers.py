"""Answers that cost time: nobody else of the envelope waits for the computing, and too much is not computed at all."""

import dataclasses

import pytest
import pytest_asyncio

from config.database import Database, Transaction
from config.vault import Place, Vault
from engine.ceremony.access_code import seal_access_code
from engine.ceremony.authenticate import AnswerResult, answer
from engine.ceremony.sessions import Session
from normalizer.recipient import AccessCode, AuthenticationMethod
from tests.engine.access.conftest import gate
from tests.engine.access.gate import ADA, ENGINE_ID, LAPTOP, TENANT, Gate

__all__ = ["gate"]
CODE = AuthenticationMethod.ACCESS_CODE
SECRET = "Swordfish 42"


@pytest_asyncio.fixture
async def session(gate: Gate) -> Session:
    sealed = await seal_access_code(gate.engine, gate.store.app, TENANT, ADA, AccessCode(SECRET))
    await gate.set_recipient(ADA, access_code=sealed)
    await gate.methods(CODE)
    return await gate.session()


async def test_envelope_is_free_while_a_code_is_compared(gate: Gate, session: Session) -> None:
    asked: list[bool] = []

    class Watching(Vault):
        """Tries the envelope's lock at the moment at which the code's hash is opened."""

        async def decrypt(
            self, store: Database | Transaction, tenant_id: object, place: Place, sealed: bytes
        ) -> bytes:
            async with gate.store.hub.transaction() as tx:
                found = await tx.driver.fetchval(
                    "SELECT id FROM engine_envelopes WHERE id = $1 FOR UPDATE SKIP LOCKED", ENGINE_ID
                )
            asked.append(found == ENGINE_ID)
            return await gate.engine.vault.decrypt(store, TENANT, place, sealed)

    watched = dataclasses.replace(gate.engine, vault=Watching(None, gate.clock))  # type: ignore[arg-type]
    assert (await answer(watched, session, CODE, {"answer": SECRET}, LAPTOP)).passed
    assert asked == [True]


async def test_right_code_after_a_page_of_spaces_is_not_read_to_its_end(gate: Gate, session: Session) -> None:
    endless = {"answer": SECRET + " " * 100_000}
    assert await answer(gate.engine, session, CODE, endless, LAPTOP) == AnswerResult(
        passed=False, tries_left=2
    )


@pytest.mark.parametrize("further", [0, 2])
async def test_right_code_does_not_pass_a_recipient_who_is_locked(
    gate: Gate, session: Session, further: int
) -> None:
    for _ in range(3 + further):
        await answer(gate.engine, session, CODE, {"answer": "wrong"}, LAPTOP)
    result = await answer(gate.engine, session, CODE, {"answer": SECRET}, LAPTOP)
    assert (result.passed, result.locked_until is not None) == (False, True)
