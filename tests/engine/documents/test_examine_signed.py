"""Documents that others have signed stay as they are to the byte, or are refused: never rewritten."""

import asyncio
from collections.abc import Callable

import pytest

from engine.documents.findings import describe
from engine.documents.messages import Refusal
from tests.engine.documents import signed
from tests.engine.documents.conftest import Bench


@pytest.mark.parametrize("permission", [0, 2, 3])
async def test_a_document_signed_by_others_is_ready_to_the_byte(bench: Bench, permission: int) -> None:
    make = (lambda: signed.certified(permission)) if permission else signed.signed
    content = await asyncio.to_thread(make)
    examined = await bench.examine(content)
    assert (examined.state, examined.is_signed, examined.removed) == ("ready", True, ())
    assert await bench.bytes_of(examined) == content


async def test_the_values_of_a_signed_form_stay_a_form(bench: Bench) -> None:
    content = await asyncio.to_thread(signed.signed_form)
    examined = await bench.examine(content)
    assert (examined.state, examined.is_signed) == ("ready", True)
    assert await bench.bytes_of(examined) == content


REFUSED: dict[Callable[[], bytes], Refusal] = {
    lambda: signed.certified(1): Refusal("certified"),
    signed.signed_with_script: Refusal("signed_active", 0, "JavaScript, an action on opening"),
    signed.damaged_signed: Refusal("damaged_signed"),
}


@pytest.mark.parametrize("make", REFUSED, ids=["certified", "with script", "damaged"])
async def test_a_signed_document_that_would_have_to_change_is_refused(
    bench: Bench, make: Callable[[], bytes]
) -> None:
    examined = await bench.examine(await asyncio.to_thread(make))
    assert (examined.state, examined.findings) == ("refused", (describe(REFUSED[make]),))


async def test_usage_rights_are_no_signature_and_go_with_the_form(bench: Bench) -> None:
    examined = await bench.examine(signed.usage_rights())
    assert (examined.state, examined.is_signed) == ("ready", False)
    assert b"/UR3" not in await bench.bytes_of(examined)
