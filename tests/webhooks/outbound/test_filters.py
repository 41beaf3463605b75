"""The filter language: what each condition means, what is refused where, and that SQL means the same."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normalizer.errors import ValidationFailed
from tests.fixtures.store import Store
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from webhooks.outbound.endpoint import EndpointChange
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.filter_check import try_on_last_events
from webhooks.outbound.filters import explain, matches, vet_filter
from webhooks.outbound.health import read_health

TYPE = "envelope.completed"
EVENT = {
    "envelope_id": "env_1",
    "status": "completed",
    "amount": 10,
    "ratio": 0.5,
    "urgent": True,
    "void_reason": None,
    "recipients": [{"role": "signer", "email": "ada@example.com"}, {"role": "witness"}],
    "odd": {"0": "zero", "-": "dash"},
}


def passes(filter_: dict, data: object = EVENT, type_: str = TYPE) -> bool:
    return matches(vet_filter(filter_), type_, json.dumps(data).encode())


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({}, True),
        ({"type": TYPE}, True),
        ({"type": "envelope.sent"}, False),
        ({"type": ["envelope.sent", TYPE]}, True),
        ({"type": {"prefix": "envelope."}}, True),
        ({"data.amount": 10}, True),
        ({"data.amount": 10.0}, True),
        ({"data.amount": "10"}, False),
        ({"data.urgent": 1}, False),
        ({"data.urgent": True}, True),
        ({"data.void_reason": None}, True),
        ({"data.absent": None}, False),
        ({"data.absent": {"exists": False}}, True),
        ({"data.void_reason": {"exists": True}}, True),
        ({"data.absent": {"ne": 5}}, True),
        ({"data.absent": {"nin": [5]}}, True),
        ({"data.absent": {"gt": 5}}, False),
        ({"data.amount": {"gt": 9, "lt": 11}}, True),
        ({"data.amount": {"gte": 10, "lte": 10}}, True),
        ({"data.amount": {"gt": 10}}, False),
        ({"data.amount": {"gt": "1"}}, False),
        ({"data.status": {"gt": "complete"}}, True),
        ({"data.ratio": 0.5}, True),
        ({"data.recipients.0.role": "signer"}, True),
        ({"data.recipients.1.email": {"exists": False}}, True),
        ({"data.recipients.2.role": {"exists": True}}, False),
        ({"data.recipients.role": {"exists": True}}, False),
        ({"data.recipients": {"ne": "x"}}, True),
        ({"data.odd.0": "zero"}, True),
        ({"data.odd.-": "dash"}, True),
        ({"any": [{"data.amount": 1}, {"data.urgent": True}]}, True),
        ({"any": [{"data.amount": 1}, {"data.urgent": False}]}, False),
        ({"all": [{"data.amount": 10}, {"not": {"type": "envelope.sent"}}]}, True),
        ({"not": {"data.amount": 10}}, False),
        ({"not": {"data.amount": 10, "type": "envelope.sent"}}, True),
    ],
)
async def test_a_condition_means_the_same_in_python_and_in_sql(store: Store, filter_: dict, expected: bool):
    assert passes(filter_) is expected
    [[said]] = await sql_says(store, [(json.dumps(filter_), TYPE, json.dumps(EVENT).encode())])
    assert said is expected


@pytest.mark.parametrize(
    ("filter_", "where"),
    [
        ({"amount": 1}, ["/filter/amount"]),
        ({"data": 1}, ["/filter/data"]),
        ({"data.": 1}, ["/filter/data."]),
        ({"data.a b": 1}, ["/filter/data.a b"]),
        ({"data.a/b~": 1}, ["/filter/data.a~1b~0"]),
        ({"data.-1": 1}, ["/filter/data.-1"]),
        ({"data.x.01": 1}, ["/filter/data.x.01"]),
        ({"data.a": {"like": 1}}, ["/filter/data.a/like"]),
        ({"data.a": {}}, ["/filter/data.a"]),
        ({"data.a": []}, ["/filter/data.a"]),
        ({"data.a": [[1]]}, ["/filter/data.a/0"]),
        ({"data.a": {"in": 5}}, ["/filter/data.a/in"]),
        ({"data.a": {"eq": {"x": 1}}}, ["/filter/data.a/eq"]),
        ({"data.a": {"exists": "yes"}}, ["/filter/data.a/exists"]),
        ({"data.a": {"prefix": 5}}, ["/filter/data.a/prefix"]),
        ({"data.a": {"gt": True}}, ["/filter/data.a/gt"]),
        ({"data.a": 2**53}, ["/filter/data.a"]),
        ({"data.a": float("nan")}, ["/filter/data.a"]),
        ({"data.a": "x" * 257}, ["/filter/data.a"]),
        ({"data.a": "\ud800"}, ["/filter/data.a"]),
        ({"any": []}, ["/filter/any"]),
        ({"any": [{}]}, ["/filter/any/0"]),
        ({"all": [5]}, ["/filter/all/0"]),
        ({"not": {"not": {"not": {"not": {"not": {"type": "x"}}}}}}, ["/filter/not/not/not/not/not"]),
        ({"any": [{"a": 1}, {"data.x": {"gt": None}}]}, ["/filter/any/0/a", "/filter/any/1/data.x/gt"]),
        ({f"data.p{number}": 1 for number in range(51)}, ["/filter"]),
        ({"data.a": ["x" * 200 for _ in range(30)]}, ["/filter"]),
    ],
)
def test_a_filter_that_cannot_be_understood_is_refused_with_its_place(filter_: dict, where: list[str]):
    with pytest.raises(ValidationFailed) as refused:
        vet_filter(filter_)
    assert [finding.where for finding in refused.value.findings] == where


@pytest.mark.parametrize(
    ("filter_", "why"),
    [
        ({"data.amount": {"gt": 10}}, ["data.amount is 10, and the filter wants it to be more than 10"]),
        ({"data.absent": "x"}, ['data.absent is not there, and the filter wants it to be "x"']),
        (
            {"data.status": ["sent", "voided"], "type": "x"},
            [
                'data.status is "completed", and the filter wants it to be one of ["sent", "voided"]',
                'type is "envelope.completed", and the filter wants it to be "x"',
            ],
        ),
        (
            {"any": [{"data.amount": 1}, {"data.recipients": 5}]},
            [
                "none of any holds: (1) data.amount is 10, and the filter wants it to be 1; (2) data.recipients is a list, and the filter wants it to be 5"
            ],
        ),
        ({"not": {"data.urgent": True}}, ["it is what not leaves out: data.urgent to be true"]),
        ({"data.amount": 10}, []),
    ],
)
def test_an_explanation_says_in_words_what_stood_in_the_way(filter_: dict, why: list[str]):
    said = explain(vet_filter(filter_), TYPE, json.dumps(EVENT).encode())
    assert (list(said.why), said.matches) == (why, not why)


def test_a_filter_is_one_value_however_it_was_written():
    one = vet_filter({"data.a": {"gt": 1, "lt": 5}, "type": "x"})
    assert one == vet_filter({"type": "x", "data.a": {"lt": 5.0, "gt": 1}})


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"\\u0000"}', b'{"a":"\\ud800"}', b'{"a":NaN}', b'{"a":', b"\xff", b"", b'{"\\u0000":1}',
        b"\xef\xbb\xbf{}", b'{"a":1e999999999999999999999}', b"[" * 200_000,
    ],
)  # fmt: skip
async def test_data_that_cannot_be_searched_passes_every_filter_and_stops_nobody(store: Store, data: bytes):
    filter_ = {"data.a": "nobody says this"}
    assert matches(vet_filter(filter_), TYPE, data)
    assert await sql_says(store, [(json.dumps(filter_), TYPE, data)]) == [[True]]


async def test_a_filter_that_cannot_be_asked_is_counted_and_named_in_the_endpoints_health(
    hub: Hub, caplog: pytest.LogCaptureFixture
):
    """Only what was never vetted gets there: the event passes, and that is seen."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    await hub.endpoint(tenant, "http://127.0.0.1:9/hook", filter={"data.number": {"exists": True}})
    await hub.store.hub.execute(
        'UPDATE webhook_endpoints SET filter = \'{"data.number": {"exists": "maybe"}}\' WHERE id = $1',
        made.endpoint.id,
    )
    await hub.emit(tenant, 3)
    with caplog.at_level("WARNING", "countersign.deliverer"):
        fanned = await fan_out(hub.store.hub)
    assert (fanned.deliveries, len(fanned.mailboxes)) == (6, 2)
    health = await read_health(hub.store.app, tenant, made.endpoint.id)
    assert (health.filter_errors, health.filter_error_at is not None) == (3, True)
    assert health.filter_error.startswith(
        "The filter could not be asked, so the event passed: cannot cast jsonb"
    )
    assert [(one.message, one.endpoint_id) for one in caplog.records] == [
        ("endpoint.filter_failed", str(made.endpoint.id))
    ]
    await hub.desk.change(tenant, made.endpoint.id, EndpointChange(filter={"data.number": 1}), ACTOR, SOURCE)
    healed = await read_health(hub.store.app, tenant, made.endpoint.id)
    assert (healed.filter_errors, healed.filter_error, healed.filter_error_at) == (0, "", None)


async def test_an_event_that_cannot_be_searched_is_counted_where_a_filter_would_have_been_asked(hub: Hub):
    tenant = await hub.tenant()
    filtered = await hub.endpoint(tenant, "http://127.0.0.1:9/hook", filter={"data.number": 1})
    plain = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    await hub.put(tenant, 1)
    await hub.store.owner.execute("ALTER TABLE outbox_events NO FORCE ROW LEVEL SECURITY")
    await hub.store.owner.execute("UPDATE outbox_events SET data = $1", b'{"a":"\\u0000"}')
    assert (await fan_out(hub.store.hub)).deliveries == 2
    said = [await read_health(hub.store.app, tenant, one.endpoint.id) for one in (filtered, plain)]
    assert [(one.filter_errors, one.filter_error) for one in said] == [
        (1, "The event's data cannot be searched, so it passed."),
        (0, ""),
    ]


async def sql_says(store: Store, cases: list[tuple[str, str, bytes]]) -> list[list[bool]]:
    rows = await store.hub.fetch(
        "SELECT matches_filter(f::jsonb, t, d) FROM unnest($1::text[], $2::text[], $3::bytea[])"
        " WITH ORDINALITY AS c(f, t, d, n) ORDER BY n",
        *(list(column) for column in zip(*cases, strict=True)),
    )
    return [[row[0]] for row in rows]


# Few names and values, so that paths find something and conditions meet what is there.
NAMES = st.sampled_from(["a", "b", "0", "1", "10", "-", "a_b"])
TEXTS = st.sampled_from(
    ["", "a", "ab", "b", "Z", "ä", "z", "1", "true", "null", "\uffff", "\U0001f600", "e\u0301", "é"]
)
NUMBERS = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.1, 0.5, -0.0, 1.0, 1e10, 10**10, 2**53 - 1, 1.5e-7])
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
# The same numbers as others write them.
SPELT = st.sampled_from(
    ["1", "1.0", "10e-1", "1E0", "0.10", "-0", "0e5", "1e10", "10000000000", "1.5E-7", "2.00"]
)


def spell(value: object) -> str:
    """JSON text; what is spelt goes in as it is."""
    match value:
        case ("spelt", str(text)):
            return text
        case list():
            return "[" + ",".join(map(spell, value)) + "]"
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{spell(one)}" for name, one in value.items()) + "}"
        case _:
            return json.dumps(value)


DOCUMENTS = st.recursive(
    st.one_of(SCALARS, st.tuples(st.just("spelt"), SPELT)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
PATHS = st.one_of(
    st.just("type"), st.lists(NAMES, min_size=1, max_size=3).map(lambda names: ".".join(["data", *names]))
)
LISTS = st.lists(SCALARS, min_size=1, max_size=4)
ORDERED = st.one_of(NUMBERS, TEXTS)
OPERATORS = st.fixed_dictionaries(
    {},
    optional={
        "eq": SCALARS, "ne": SCALARS, "in": LISTS, "nin": LISTS, "gt": ORDERED, "gte": ORDERED, "lt": ORDERED,
        "lte": ORDERED, "exists": st.booleans(), "prefix": TEXTS,
    },
).filter(lambda chosen: 0 < len(chosen) <= 3)  # fmt: skip
CONDITIONS = st.one_of(SCALARS, LISTS, OPERATORS)
FILTERS = st.recursive(
    st.dictionaries(PATHS, CONDITIONS, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=4,
)
EVENTS = st.one_of(
    st.dictionaries(NAMES, DOCUMENTS, max_size=5).map(lambda value: spell(value).encode()),
    DOCUMENTS.map(lambda value: spell(value).encode()),
    st.sampled_from([b'{"a":"\\u0000"}', b'{"a":1}garbage', b'{"a":1,"a":2}', b' {"a" : [1, 2]}\n']),
)


async def test_python_and_sql_agree_about_any_vetted_filter_and_any_document(store: Store):
    cases: list[tuple[str, str, bytes]] = []
    expected: list[bool] = []

    @settings(max_examples=700, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FILTERS, st.lists(EVENTS, min_size=3, max_size=3), st.sampled_from(["a", "b", TYPE]))
    def collect(filter_: dict, events: list[bytes], type_: str) -> None:
        try:
            vetted = vet_filter(filter_)
        except ValidationFailed:
            return  # too deep
        for event in events:
            cases.append((json.dumps(filter_), type_, event))
            expected.append(matches(vetted, type_, event))

    collect()
    said = [one for [one] in await sql_says(store, cases)]
    wrong = [(case, ours) for case, ours, theirs in zip(cases, expected, said, strict=True) if ours != theirs]
    assert wrong == []
    spread = Counter(expected)
    assert min(spread[True], spread[False]) > len(cases) // 10


ANYTHING = st.recursive(
    st.one_of(SCALARS, st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                PATHS, st.sampled_from(["all", "any", "not", "gt", "in", "exists"]), st.text(max_size=5)
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)


@settings(max_examples=300)
@given(st.dictionaries(st.one_of(PATHS, st.just("any"), st.text(max_size=5)), ANYTHING, max_size=3), EVENTS)
def test_any_json_is_a_filter_that_can_be_asked_or_is_refused_with_places(filter_: dict, event: bytes):
    findings, vetted = None, None
    try:
        vetted = vet_filter(filter_)
    except ValidationFailed as refused:
        findings = refused.findings
    if vetted is None:
        assert findings
        assert all(finding.where.startswith("/filter") for finding in findings)
        return
    said = explain(vetted, TYPE, event)
    assert said.matches is (not said.why) or "cannot be searched" in said.why[0]


async def test_the_last_events_are_tried_newest_first_and_nobody_elses(hub: Hub):
    tenant, other = await hub.tenant(), await hub.tenant()
    await hub.emit(tenant, 3)
    await hub.emit(other, 1)
    tried = await try_on_last_events(hub.store.app, tenant, {"data.number": {"gte": 1}})
    assert [one.explanation.matches for one in tried] == [True, True, False]
    assert tried[2].explanation.why == ("data.number is 0, and the filter wants it to be 1 or more",)
