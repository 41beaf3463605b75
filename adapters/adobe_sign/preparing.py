"""From a created agreement to one that can be sent: prepared by the provider, and its fields in place.

The provider prepares documents after it has answered, and places fields only in the state AUTHORING. Must
never let an agreement out whose fields are not in place.
Source: REST v6 swagger 1.2 (formFields, state); developer guide of 2026-04-29 (polling thresholds).
"""

import msgspec

from adapters.adobe_sign.answers import Agreement, CreatedId, FieldSeen, FormFields, Members, decode
from adapters.adobe_sign.calls import agreement_path, put_matching, read, read_request, refuse, write_request
from adapters.adobe_sign.fields import OWN_FIELD, build_fields
from adapters.adobe_sign.mapping import AUTHORING, DRAFT_STATES, STILL_PROCESSING
from adapters.adobe_sign.reports import find_set
from adapters.adobe_sign.webhook import register_webhook
from adapters.adobe_sign.wire import AgreementInfo, FormFieldPut
from adapters.kit.exchange import Effect, Exchange, ProviderResponse
from adapters.kit.outcome import Interruption, Unknown
from adapters.kit.port import Connection
from normalizer.envelope import Envelope

WAITS_S = (1.0, 2.0, 4.0, 8.0)


async def create_agreement(exchange: Exchange, connection: Connection, agreement: AgreementInfo) -> str:
    response = await exchange(
        write_request(
            connection,
            "create_envelope",
            "POST",
            "/agreements",
            agreement,
            Effect.CREATES,
            accept=frozenset({201}),
        )
    )
    ref = decode(response, CreatedId).id
    await exchange.learned(ref)
    await register_webhook(exchange, connection, ref, agreement.external_id.id)
    return ref


async def place_fields(exchange: Exchange, connection: Connection, ref: str, envelope: Envelope) -> None:
    status = await processed_status(exchange, connection, "create_envelope", ref, WAITS_S)
    if status != AUTHORING:
        raise refuse("conversion_failed", f"the provider ended the preparation with {status}", ref)
    members = await read_members(exchange, connection, "create_envelope", ref)
    sets = {recipient.id: find_set(members, recipient) for recipient in envelope.recipients}
    placed = build_fields(envelope, {key: found.id for key, found in sets.items() if found is not None})
    path = agreement_path(ref, "formFields")

    def with_placed(seen: ProviderResponse) -> FormFieldPut:
        # The list replaces all: what anchors have generated goes back as it came.
        there = decode(seen, FormFields).fields
        return FormFieldPut(fields=(*there, *placed))

    await put_matching(exchange, connection, "create_envelope", path, path, with_placed)


async def processed_status(
    exchange: Exchange, connection: Connection, operation: str, ref: str, waits_s: tuple[float, ...]
) -> str:
    """The agreement's status once its documents are prepared. Asks with If-None-Match: beyond the provider's
    polling threshold that is answered 304 instead of 429.
    """
    headers: tuple[tuple[str, str], ...] = ()
    for wait_s in waits_s:
        if wait_s:
            await exchange.pause(wait_s)
        response = await exchange(
            read_request(
                connection, operation, agreement_path(ref), accept=frozenset({200, 304}), headers=headers
            )
        )
        if response.status == 304:
            continue
        status = decode(response, Agreement).status
        if status != STILL_PROCESSING:
            return status
        headers = (("If-None-Match", response.headers["etag"]),) if "etag" in response.headers else ()
    raise Interruption(Unknown("the provider still prepares the documents", ref))


async def draft_status(exchange: Exchange, connection: Connection, operation: str, ref: str) -> str:
    status = await processed_status(exchange, connection, operation, ref, (0.0, *WAITS_S))
    if status not in DRAFT_STATES:
        raise refuse("state_conflict", f"the agreement is {status}, not a draft")
    return status


async def require_fields(exchange: Exchange, connection: Connection, ref: str) -> None:
    """Only envelopes with coordinates are ever authored, and their fields are placed in one request."""
    there = await read(exchange, connection, "send_draft", agreement_path(ref, "formFields"), FormFields)
    names = [msgspec.json.decode(field, type=FieldSeen).name for field in there.fields]
    if not any(name.startswith(OWN_FIELD) for name in names):
        raise refuse("draft_incomplete", "the draft's fields were never placed; discard it")


async def read_members(exchange: Exchange, connection: Connection, operation: str, ref: str) -> Members:
    return await read(exchange, connection, operation, agreement_path(ref, "members"), Members)
