"""Receivers by other people's code: they answer 401 to what they cannot verify, so that a delivery's end is the proof.

Three kinds that know nothing of ours: a receiver written after the design documents' text alone, and the official
libraries `standardwebhooks` and `svix`; beside them the verifier that we give away.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import pytest
import standardwebhooks
import svix.webhooks
from aiohttp import web

from config.secret import Secret
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Received, serve
from webhooks.outbound.sign import SignatureProfile, standard_form
from webhooks.verify import NotVerified, verify_any

Verify = Callable[[str, Mapping[str, str], bytes], bool]
OWN = "a-secret-of-our-own-with-30-by"


def by_the_designs_text(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """B 6.1: "sha256=" and the HMAC-SHA256, in hexadecimal, of timestamp, dot and payload, by the secret's text."""
    payload_json = body.decode()
    signature_payload = f"{headers.get('X-Signature-Timestamp')}.{payload_json}"
    signature = hmac.new(secret.encode(), signature_payload.encode(), hashlib.sha256).hexdigest()
    event_type = json.loads(payload_json)["type"]
    given = (headers.get("X-Signature-Signature"), headers.get("X-Signature-Event"))
    return given == (f"sha256={signature}", event_type)


def by_standardwebhooks(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, dict(headers))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def by_svix(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        svix.webhooks.Webhook(secret).verify(body, dict(headers))
    except svix.webhooks.WebhookVerificationError:
        return False
    return True


def by_ours(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        verify_any(headers, body, secret)
    except NotVerified:
        return False
    return True


LIBRARIES: tuple[Verify, ...] = (by_standardwebhooks, by_svix)
RECEIVERS: tuple[Verify, ...] = (by_the_designs_text, *LIBRARIES, by_ours)


class Keyed:
    """A receiver's answerer, whose secret may be changed."""

    def __init__(self, verify: Verify) -> None:
        self.verify = verify
        self.secret = Secret("")

    async def answer(self, request: web.Request, received: Received) -> web.Response:
        # The libraries take a text of one's own in the form that `standard_secret` shows.
        secret = standard_form(self.secret) if self.verify in LIBRARIES else self.secret
        return web.Response(
            status=204 if self.verify(secret.reveal(), received.headers, received.body) else 401
        )


class Stage:
    """An endpoint for each kind of receiver, and deliveries to all of them."""

    def __init__(self, hub: Hub, receivers: list[Keyed]) -> None:
        self.hub = hub
        self.receivers = receivers
        self.tenant = None
        self.endpoints: list = []

    async def taken(self, secrets: list[Secret]) -> set[str]:
        """Which receivers take an event now, each with its secret of these."""
        for receiver, secret in zip(self.receivers, secrets, strict=True):
            receiver.secret = secret
        before = len(await self.hub.deliveries())
        await self.hub.emit(self.tenant)
        names = {
            made.endpoint.id: one.verify.__name__
            for made, one in zip(self.endpoints, self.receivers, strict=True)
        }

        async def all_ended() -> list[dict]:
            rows = await self.hub.deliveries()
            ended = [row for row in rows if row["state"] in {"succeeded", "exhausted"}]
            return ended if len(ended) == before + len(names) else []

        await self.hub.until(all_ended)
        newest = {
            row["endpoint_id"]: row for row in await self.hub.deliveries()
        }  # by sequence, the last stays
        statuses = {names[key]: row["state"] for key, row in newest.items()}
        return {name for name, state in statuses.items() if state == "succeeded"}


async def open_stage(stack: AsyncExitStack, hub: Hub, own: str, profile: SignatureProfile) -> Stage:
    stage = Stage(hub, [Keyed(one) for one in RECEIVERS])
    stage.tenant = await hub.tenant()
    for receiver in stage.receivers:
        served = await stack.enter_async_context(serve(receiver.answer))
        secret = {"secret": Secret(own)} if own else {}
        made = await hub.endpoint(stage.tenant, served.url, signature_profile=profile, **secret)
        stage.endpoints.append(made)
    await stack.enter_async_context(hub.delivering(default_schedule_delays_s=()))
    return stage


@pytest.mark.parametrize("own", ["", OWN], ids=["ours", "own"])
async def test_strangers_receivers_take_real_deliveries_before_during_and_after_a_rotation(
    hub: Hub, own: str
):
    design = by_the_designs_text.__name__
    everybody = {one.__name__ for one in RECEIVERS}
    async with AsyncExitStack() as stack:
        stage = await open_stage(stack, hub, own, SignatureProfile.BOTH)
        old = [made.secret for made in stage.endpoints]
        assert await stage.taken(old) == everybody
        assert await stage.taken([Secret("whsec_" + "A" * 44)] * len(old)) == set()

        desk, tenant = hub.desk, stage.tenant
        rotated = [
            await desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE) for made in stage.endpoints
        ]
        new = [made.secret for made in rotated]
        assert await stage.taken(old) == everybody
        assert await stage.taken(new) == everybody - {design}

        for made in stage.endpoints:
            await desk.activate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
        assert await stage.taken(old) == everybody - {design}
        assert await stage.taken(new) == everybody

        await hub.store.hub.execute(
            "UPDATE webhook_endpoints SET previous_until = now() - interval '1 second', revision = revision + 1"
        )
        assert await stage.taken(old) == set()
        assert await stage.taken(new) == everybody


@pytest.mark.parametrize(
    ("profile", "missing"),
    [
        (SignatureProfile.SEED, {one.__name__ for one in LIBRARIES}),
        (SignatureProfile.STANDARD, {by_the_designs_text.__name__}),
    ],
)
async def test_a_profile_of_one_set_of_headers_is_enough_for_whoever_knows_that_set(
    hub: Hub, profile: SignatureProfile, missing: set[str]
):
    async with AsyncExitStack() as stack:
        stage = await open_stage(stack, hub, "", profile)
        taken = await stage.taken([made.secret for made in stage.endpoints])
        assert taken == {one.__name__ for one in RECEIVERS} - missing
