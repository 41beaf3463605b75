"""A filter that asks about what no event has says so; what the documents show is none of these."""

import json
import re
from typing import Any

import pytest

from normalizer.canonical import canonical_bytes
from normalizer.catalogue.schemas import example_data
from normalizer.vocabulary import EventType
from tests.house.tree import ROOT
from webhooks.outbound.event_names import find_unknown_types
from webhooks.outbound.filter_hints import find_filter_hints
from webhooks.outbound.filters import explain, vet_filter


@pytest.mark.parametrize(
    ("filter_", "events", "told"),
    [
        (None, (), []),
        ({"data.envelope.status": "completed"}, (), []),
        ({"data.envelope": {"exists": True}}, (), []),
        ({"data.recipient.role": "signer"}, (), []),
        ({"type": {"prefix": "envelope."}}, (), []),
        (
            {"data.status": "completed"},
            (),
            [("/filter/data.status", "Did you mean data.envelope.status?")],
        ),
        (
            {"any": [{"not": {"data.metadata.amount": 1}}]},
            (),
            [("/filter/any/0/not/data.metadata.amount", "GET /event-types/{type} has")],
        ),
        (
            {"data.recipient.role": "signer"},
            ("envelope.sent",),
            [("/filter/data.recipient.role", "")],
        ),
        ({"data.endpoint_id": "ep_1"}, (), [("/filter/data.endpoint_id", "")]),
        ({"data.endpoint_id": "ep_1"}, ("endpoint.failing",), []),
        ({"type": ["envelope.sent", "envelope.complete"]}, (), [("/filter/type", "Did you mean envelope.completed?")]),
    ],
)  # fmt: skip
def test_what_no_event_has_is_told_with_its_place(
    filter_: dict[str, Any] | None, events: tuple[str, ...], told: list[tuple[str, str]]
) -> None:
    found = find_filter_hints(filter_, events)
    assert [one.where for one in found] == [where for where, _ in told]
    assert all(one.remedy.startswith(remedy) for one, (_, remedy) in zip(found, told, strict=True))


def test_a_filter_of_the_documents_asks_about_what_events_have_and_lets_some_pass() -> None:
    text = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"## Filters.*?```json\n(.*?)```", text, re.DOTALL)
    given = json.loads(block)
    assert find_filter_hints(given, ()) == ()
    wanted: dict[str, Any] = json.loads(json.dumps(example_data(EventType.ENVELOPE_COMPLETED)))
    wanted["envelope"]["reference"] = "legal-4711"
    filter_ = vet_filter(given)
    assert explain(filter_, "envelope.completed", canonical_bytes(wanted)).matches
    wanted["envelope"]["status"] = "sent"
    assert not explain(filter_, "envelope.completed", canonical_bytes(wanted)).matches


def test_a_mistyped_event_type_is_told_with_the_one_that_was_meant() -> None:
    (found,) = find_unknown_types(("envelope.sent", "envelope.complete"), "/events")
    assert (found.where, found.remedy.partition(" GET")[0]) == (
        "/events/1",
        "Did you mean envelope.completed?",
    )
    (found,) = find_unknown_types(("*?",), "?types", numbered=False)
    assert (found.where, found.remedy) == ("?types", "GET /event-types lists them all.")
