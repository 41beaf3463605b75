"""Whatever `check` lets through, the strict sandbox takes; and it gives back what was sent."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.docusign.adapter import DocuSign
from adapters.kit.port import SendMode
from normalizer.envelope import Envelope, Expiration
from normalizer.errors import CallerError
from normalizer.status import EnvelopeStatus
from tests.adapters.docusign import samples
from tests.adapters.docusign.running import Bench, Ready, open_bench, sandbox_process
from tests.adapters.docusign.test_contract_oracle import envelopes


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    with sandbox_process() as started:
        yield started


def fitted(envelope: Envelope) -> Envelope:
    """On the page, without anchors (the page is empty), under a reference of its own, from now on."""
    fields = tuple(
        msgspec.structs.replace(field, anchor=None, x=min(field.x, 500.0), y=min(field.y, 800.0))
        for field in envelope.fields
    )
    expiration = envelope.expiration and Expiration(
        datetime.now(UTC) + (envelope.expiration.at - samples.NOW), envelope.expiration.warn_days
    )
    pages = tuple(msgspec.structs.replace(document, blob_key="blob-1") for document in envelope.documents)
    return msgspec.structs.replace(
        envelope, fields=fields, expiration=expiration, documents=pages, reference=f"env_{uuid4().hex}.1"
    )


async def create_and_read(ready: Ready, envelope: Envelope, mode: SendMode) -> None:
    async with open_bench(ready) as bench:
        created = await bench.do(
            "create_envelope",
            lambda x: bench.adapter.create_envelope(x, bench.connection, envelope, mode, datetime.now(UTC)),
        )
        report = await read(bench, created.provider_ref)
    assert report.reference == envelope.reference
    wanted = EnvelopeStatus.SENT if mode is SendMode.SEND else EnvelopeStatus.DRAFT
    acting = [person for person in envelope.recipients if person.role.acts]
    # Nobody has to act: the sandbox completes such an envelope at once.
    assert report.status is wanted or (not acting and mode is SendMode.SEND)
    assert {person.recipient_id: person.name for person in report.recipients} == {
        person.id: person.name for person in envelope.recipients
    }


async def read(bench: Bench, ref: str):
    return await bench.do("get_envelope", lambda x: bench.adapter.get_envelope(x, bench.connection, ref))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
    ],
)
@given(envelope=envelopes().map(fitted), mode=st.sampled_from(SendMode))
def test_envelope_that_passes_the_check_is_taken_by_the_sandbox(
    ready: Ready, envelope: Envelope, mode: SendMode
) -> None:
    try:
        DocuSign().check(samples.connection(), envelope)
    except CallerError:
        assume(False)
    asyncio.run(create_and_read(ready, envelope, mode))
