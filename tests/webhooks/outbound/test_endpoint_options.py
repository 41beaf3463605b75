"""What an endpoint may be given beside its URL: kept as given, sealed where secret, changed, cleared, refused."""

import asyncio
from datetime import timedelta

import pytest

from config.secret import Secret
from normalizer.errors import Conflict, ValidationFailed
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.sinks.certificates import TestAuthority
from webhooks.outbound.endpoint import Endpoint, EndpointChange, OAuth, Ordering, Payload
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sinks.target import SinkKind
from webhooks.outbound.vaulted import SecretColumn, open_headers, open_secret

URL = "http://127.0.0.1:9/hook"
TOKEN_URL = "http://127.0.0.1:9/token"
AUTHORITY = TestAuthority()
CLIENT = AUTHORITY.issue("client")
OAUTH = OAuth(token_url=TOKEN_URL, client_id="hub", scope="write", audience="dms")
EVERYTHING = {
    "filter": {"data.amount": {"gt": 5}, "type": ["envelope.sent"]},
    "payload": Payload.THIN,
    "headers": {"X-Plain": "shown"},
    "sensitive_headers": {"X-Token": Secret("canary-header")},
    "rate_per_second": 12.5,
    "ordering": Ordering.HOLD,
    "alert_email": "ops@example.com",
    "client_certificate": CLIENT.pem,
    "client_key": Secret(CLIENT.key_pem),
    "server_ca": AUTHORITY.pem,
    "oauth": OAUTH,
    "oauth_secret": Secret("canary-oauth"),
}


async def change(hub: Hub, endpoint: Endpoint, **given) -> Endpoint:
    return await hub.desk.change(endpoint.tenant_id, endpoint.id, EndpointChange(**given), ACTOR, SOURCE)


async def sealed(hub: Hub) -> dict:
    return dict(await hub.store.hub.fetchrow("SELECT * FROM webhook_endpoints"))


async def facts(hub: Hub) -> list[str]:
    rows = await hub.store.hub.fetch(
        "SELECT convert_from(body, 'UTF8') FROM ledger_entries ORDER BY recorded_at, seq"
    )
    return [row[0] for row in rows]


async def test_every_option_is_kept_and_read_back(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL, **EVERYTHING)).endpoint
    assert await hub.desk.read(tenant, made.id) == made
    shown = {name: getattr(made, name) for name in EVERYTHING if hasattr(made, name)}
    kept = {name: value for name, value in EVERYTHING.items() if name in shown}
    assert shown == kept
    assert made.sensitive_header_names == ("X-Token",)
    assert (made.sink, made.sink_target) == (SinkKind.HTTP, "")


async def test_secrets_are_sealed_each_for_its_own_column_and_never_told(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, URL, **EVERYTHING)
    row = await sealed(hub)
    place = (hub.vault, hub.store.hub, tenant, made.endpoint.id)
    assert await open_headers(*place, row["sensitive_headers"]) == {"X-Token": Secret("canary-header")}
    assert await open_secret(*place, SecretColumn.OAUTH_SECRET, row["oauth_secret"]) == Secret("canary-oauth")
    assert (await open_secret(*place, SecretColumn.CLIENT_KEY, row["client_key"])).reveal() == CLIENT.key_pem
    told = (
        repr(row)
        + repr(made)
        + str(await hub.desk.read(tenant, made.endpoint.id))
        + "".join(await facts(hub))
    )
    assert "canary" not in told
    assert "PRIVATE KEY" not in told


async def test_the_ledger_hears_what_changed_and_no_address_secret_or_filter(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL + "?key=canary-query")).endpoint
    await change(
        hub,
        made,
        filter={"data.email": "canary@example.com"},
        headers={"X-Plain": "canary"},
        sensitive_headers={"X-Token": Secret("canary")},
        alert_email="canary@example.com",
        rate_per_second=0.5,
    )
    created, changed = await facts(hub)
    assert "canary" not in created + changed
    for word in (
        "alert_email",
        "filter",
        "headers",
        "rate_per_second",
        "sensitive_headers",
        "X-Token",
        "0.5",
    ):
        assert word in changed


async def test_null_clears_every_option_and_absence_leaves_it(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL, **EVERYTHING)).endpoint
    same = await change(hub, made, description="now with words")
    assert {name: getattr(same, name) for name in EVERYTHING if hasattr(same, name)} == {
        name: getattr(made, name) for name in EVERYTHING if hasattr(made, name)
    }
    nothing = (await hub.endpoint(tenant, URL)).endpoint
    cleared = await change(
        hub, made, filter=None, headers=None, sensitive_headers=None, rate_per_second=None, alert_email=None,
        client_certificate=None, server_ca=None, oauth=None, payload=Payload.FULL, ordering=Ordering.SKIP,
    )  # fmt: skip
    for name in EVERYTHING:
        if hasattr(nothing, name):
            assert getattr(cleared, name) == getattr(nothing, name), name
    assert cleared.sensitive_header_names == ()
    row = dict(await hub.store.hub.fetchrow("SELECT * FROM webhook_endpoints WHERE id = $1", made.id))
    assert [row[name] for name in ("sensitive_headers", "client_key", "oauth_secret", "sink_secret")] == [
        None
    ] * 4


async def test_headers_change_one_by_one(hub: Hub):
    tenant = await hub.tenant()
    made = (
        await hub.endpoint(
            tenant, URL, headers={"X-One": "1", "X-Two": "2"},
            sensitive_headers={"X-A": Secret("a"), "X-B": Secret("b")},
        )
    ).endpoint  # fmt: skip
    changed = await change(
        hub,
        made,
        headers={"x-one": None, "X-Two": "new"},
        sensitive_headers={"X-B": None, "X-C": Secret("c")},
    )
    assert (changed.headers, changed.sensitive_header_names) == ({"X-Two": "new"}, ("X-A", "X-C"))
    row = await sealed(hub)
    opened = await open_headers(hub.vault, hub.store.hub, tenant, made.id, row["sensitive_headers"])
    assert opened == {"X-A": Secret("a"), "X-C": Secret("c")}
    with pytest.raises(ValidationFailed):
        await change(hub, made, headers={"X-A": "twice"})


async def test_a_change_that_changes_nothing_moves_nothing(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL, **EVERYTHING)).endpoint
    again = {name: EVERYTHING[name] for name in ("filter", "payload", "rate_per_second", "oauth", "headers")}
    assert (await change(hub, made, **again, url=URL)).revision == made.revision
    assert len(await facts(hub)) == 1
    assert (await change(hub, made, filter={"data.amount": True})).revision == made.revision + 1
    assert (await change(hub, made, filter={"data.amount": 1})).filter == {"data.amount": 1}


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"filter": {"amount": 1}}, "/filter/amount"),
        ({"rate_per_second": 0.05}, "/rate_per_second"),
        ({"rate_per_second": 1001.0}, "/rate_per_second"),
        ({"rate_per_second": float("nan")}, "/rate_per_second"),
        ({"alert_email": "no address"}, "/alert_email"),
        ({"alert_email": "a@example.com\r\nBcc: b@example.com"}, "/alert_email"),
        ({"alert_email": "a@example.com, b@example.com"}, "/alert_email"),
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"sensitive_headers": {"webhook-id": Secret("x")}}, "/sensitive_headers/webhook-id"),
        ({"sensitive_headers": {"X-A": Secret("x\r\ny")}}, "/sensitive_headers/X-A"),
        ({"client_certificate": CLIENT.pem}, "/client_key"),
        ({"client_key": Secret(CLIENT.key_pem)}, "/client_key"),
        ({"client_certificate": "x", "client_key": Secret("y")}, "/client_certificate"),
        ({"client_certificate": CLIENT.pem, "client_key": Secret(AUTHORITY.root.key_pem)}, "/client_key"),
        ({"server_ca": "not a certificate"}, "/server_ca"),
        ({"oauth": OAUTH}, "/oauth_secret"),
        ({"oauth_secret": Secret("x")}, "/oauth_secret"),
        ({"oauth": OAuth(token_url="https://10.0.0.1/token", client_id="x"), "oauth_secret": Secret("x")}, "/oauth/token_url"),
        ({"oauth": OAuth(token_url=TOKEN_URL, client_id=""), "oauth_secret": Secret("x")}, "/oauth/client_id"),
        ({"oauth": OAuth(token_url=TOKEN_URL, client_id="a\nb"), "oauth_secret": Secret("x")}, "/oauth/client_id"),
        ({"oauth": OAUTH, "oauth_secret": Secret("x"), "sensitive_headers": {"Authorization": Secret("y")}}, "/sensitive_headers/Authorization"),
        ({"sink_target": "stream"}, "/sink_target"),
        ({"sink_secret": Secret("a:b")}, "/sink_secret"),
        ({"sink": SinkKind.REDIS_STREAM, "sink_target": "stream"}, "/url"),
        ({"sink": SinkKind.REDIS_STREAM, "url": "redis://127.0.0.1:9/0", "sink_target": ""}, "/sink_target"),
        ({"sink": SinkKind.REDIS_STREAM, "url": "redis://127.0.0.1:9/0", "sink_target": "s", "sink_secret": Secret("x")}, "/sink_secret"),
        ({"sink": SinkKind.AMQP, "url": "amqp://127.0.0.1:9/v", "sink_target": "a/b", "oauth": OAUTH, "oauth_secret": Secret("x")}, "/oauth"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_with_its_place_at_making_and_at_changing(
    hub: Hub, given: dict, where: str
):
    tenant = await hub.tenant()
    with pytest.raises(ValidationFailed) as refused:
        await hub.endpoint(tenant, **({"url": URL} | given))
    assert [finding.where for finding in refused.value.findings] == [where]
    made = (await hub.endpoint(tenant, URL)).endpoint
    with pytest.raises(ValidationFailed) as refused:
        await change(hub, made, **given)
    assert [finding.where for finding in refused.value.findings] == [where]
    assert await hub.desk.read(tenant, made.id) == made


async def test_a_broker_becomes_an_http_endpoint_and_back(hub: Hub):
    tenant = await hub.tenant()
    broker = {
        "sink": SinkKind.REDIS_STREAM,
        "url": "redis://127.0.0.1:9/0",
        "sink_target": "events?maxlen=10",
    }
    made = (await hub.endpoint(tenant, **broker, sink_secret=Secret("user:canary"))).endpoint
    assert (await sealed(hub))["sink_secret"] is not None
    http = await change(hub, made, sink=SinkKind.HTTP, url=URL, sink_secret=None)
    assert (http.sink, http.sink_target, (await sealed(hub))["sink_secret"]) == (SinkKind.HTTP, "", None)
    with pytest.raises(ValidationFailed):
        await change(hub, made, sink=SinkKind.AMQP, sink_target="a/b")
    back = await change(hub, made, **broker)
    assert (back.sink, back.sink_target, back.url) == (
        SinkKind.REDIS_STREAM,
        "events?maxlen=10",
        broker["url"],
    )


async def test_secrets_follow_to_another_server_only_when_they_are_given_again(hub: Hub):
    """Who may change an endpoint must not read its secrets by leading them elsewhere."""
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL, sensitive_headers={"X-Token": Secret("canary")})).endpoint
    elsewhere = "http://127.0.0.1:10/hook"
    with pytest.raises(ValidationFailed) as refused:
        await change(hub, made, url=elsewhere)
    assert [finding.where for finding in refused.value.findings] == ["/sensitive_headers"]
    with pytest.raises(ValidationFailed):
        await change(hub, made, url=elsewhere, sensitive_headers={"X-Other": Secret("x")})
    assert (await change(hub, made, url=URL + "/deeper")).url == URL + "/deeper"
    moved = await change(hub, made, url=elsewhere, sensitive_headers={"x-token": Secret("again")})
    assert (moved.url, moved.sensitive_header_names) == (elsewhere, ("x-token",))
    dropped = await change(hub, moved, url=URL, sensitive_headers=None)
    assert (dropped.url, dropped.sensitive_header_names) == (URL, ())


async def test_a_brokers_credentials_do_not_follow_to_another_server(hub: Hub):
    tenant = await hub.tenant()
    made = (
        await hub.endpoint(
            tenant, "redis://127.0.0.1:9/0", sink=SinkKind.REDIS_STREAM, sink_target="s", sink_secret=Secret("a:b")
        )
    ).endpoint  # fmt: skip
    with pytest.raises(ValidationFailed) as refused:
        await change(hub, made, url="redis://127.0.0.1:10/0")
    assert [finding.where for finding in refused.value.findings] == ["/sink_secret"]
    await change(hub, made, url="redis://127.0.0.1:10/0", sink_secret=Secret("c:d"))


async def test_a_clients_secret_is_given_again_for_another_token_server_or_client(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL, oauth=OAUTH, oauth_secret=Secret("canary"))).endpoint
    for other in (
        OAuth(token_url="http://127.0.0.1:10/token", client_id="hub"),
        OAuth(token_url=TOKEN_URL, client_id="other"),
    ):
        with pytest.raises(ValidationFailed) as refused:
            await change(hub, made, oauth=other)
        assert [finding.where for finding in refused.value.findings] == ["/oauth_secret"]
        await change(hub, made, oauth=other, oauth_secret=Secret("new"))
        await change(hub, made, oauth=OAUTH, oauth_secret=Secret("back"))
    wider = OAuth(token_url=TOKEN_URL, client_id="hub", scope="all")
    assert (await change(hub, made, oauth=wider)).oauth == wider


async def test_access_tokens_do_not_follow_to_another_server(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL, oauth=OAUTH, oauth_secret=Secret("canary"))).endpoint
    elsewhere = "http://127.0.0.1:10/hook"
    with pytest.raises(ValidationFailed) as refused:
        await change(hub, made, url=elsewhere)
    assert [finding.where for finding in refused.value.findings] == ["/oauth_secret"]
    assert (await change(hub, made, url=URL + "/deeper")).oauth == OAUTH
    assert (await change(hub, made, url=elsewhere, oauth_secret=Secret("again"))).url == elsewhere
    assert (await change(hub, made, url=URL, oauth=None)).oauth is None


async def test_an_expired_certificate_does_not_keep_its_endpoint_from_being_switched_off(hub: Hub):
    tenant = await hub.tenant()
    old = AUTHORITY.issue("old", since=timedelta(days=-9), until=timedelta(days=-1))
    with pytest.raises(ValidationFailed):
        await hub.endpoint(tenant, URL, client_certificate=old.pem, client_key=Secret(old.key_pem))
    made = (
        await hub.endpoint(tenant, URL, client_certificate=CLIENT.pem, client_key=Secret(CLIENT.key_pem))
    ).endpoint
    await hub.store.hub.execute("UPDATE webhook_endpoints SET client_certificate = $1", old.pem)
    assert (await change(hub, made, active=False)).active is False
    renewed = AUTHORITY.issue("renewed", key=CLIENT.key)
    with pytest.raises(ValidationFailed):
        await change(hub, made, client_certificate=renewed.pem)
    changed = await change(hub, made, client_certificate=renewed.pem, client_key=Secret(renewed.key_pem))
    assert changed.client_certificate == renewed.pem


async def test_changes_at_the_same_moment_all_count_or_say_that_they_did_not(hub: Hub):
    tenant = await hub.tenant()
    made = (await hub.endpoint(tenant, URL)).endpoint
    wanted = {f"X-H{number}": str(number) for number in range(6)}
    answers = await asyncio.gather(
        *(change(hub, made, headers={name: value}) for name, value in wanted.items()), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, Conflict)]
    assert len(refused) + len([one for one in answers if isinstance(one, Endpoint)]) == 6
    kept = (await hub.desk.read(tenant, made.id)).headers
    assert len(kept) == 6 - len(refused)
    assert kept.items() <= wanted.items()
    assert kept


async def test_a_retry_profile_keeps_its_list_only_while_it_is_custom(hub: Hub):
    tenant = await hub.tenant()
    made = (
        await hub.endpoint(tenant, URL, retry_profile=RetryProfile.CUSTOM, retry_schedule=(5, 10))
    ).endpoint
    assert (await change(hub, made, rate_per_second=1.0)).retry_schedule == (5, 10)
    changed = await change(hub, made, retry_profile=RetryProfile.STANDARD)
    assert (changed.retry_profile, changed.retry_schedule) == (RetryProfile.STANDARD, ())
