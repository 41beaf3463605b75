"""An independently written create request, and ours for the same envelope: the same where both speak."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from normalizer.envelope import Expiration, Reminders
from normalizer.field import FieldType
from normalizer.recipient import AccessCode, AuthenticationMethod, Phone, Role
from tests.adapters.docusign import samples
from tests.adapters.docusign.oracle import FIXTURES
from tests.adapters.docusign.test_contract_oracle import body_of

_OURS = {
    "clientUserId": "our recipient id, not the sample's user",
    "workflowId": "the account's own",
    "documentBase64": "the document streams in",
    "maxLength": "the language has no such attribute",
}


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{where}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{where}/{index}")
    else:
        yield where, value


def test_golden_create_request_says_the_same_as_ours_for_the_same_envelope() -> None:
    golden = json.loads((FIXTURES / "create-envelope.request.json").read_text(encoding="utf-8"))
    ours = body_of(
        samples.envelope(
            reference="env_01HXYZ",
            documents=(samples.document(name="Agreement.pdf"),),
            recipients=(
                samples.recipient(
                    1,
                    name="Ada Signer",
                    email="ada@example.com",
                    authentication=AuthenticationMethod.SMS,
                    phone=Phone("1", "5551234567"),
                    embedded=True,
                ),
                samples.recipient(
                    2,
                    name="Bob Approver",
                    email="bob@example.com",
                    role=Role.APPROVER,
                    authentication=AuthenticationMethod.ACCESS_CODE,
                    access_code=AccessCode("k3y-9"),
                ),
                samples.recipient(3, name="Cy Copy", email="cy@example.com", role=Role.CARBON_COPY),
                samples.recipient(
                    4,
                    name="Di Delivery",
                    email="di@example.com",
                    role=Role.CERTIFIED_DELIVERY,
                    routing_order=3,
                ),
                samples.recipient(
                    5,
                    name="Walk In",
                    email="",
                    role=Role.IN_PERSON,
                    routing_order=4,
                    host_name="Hal Host",
                    host_email="hal@example.com",
                ),
            ),
            fields=(
                samples.field(1, x=100.0, y=600.0, label="sig_1"),
                samples.field(2, type=FieldType.DATE_SIGNED, x=300.0, y=600.0, label="date_1"),
                samples.field(
                    3, type=FieldType.TEXT, x=100.0, y=500.0, width=120.0, height=20.0, label="po_number"
                ),
                samples.field(4, type=FieldType.CHECKBOX, x=100.0, y=450.0, label="agree"),
            ),
            reminders=Reminders(first_after_hours=48, every_hours=72),
            expiration=Expiration(samples.NOW + timedelta(days=30), warn_days=3),
        ),
        webhook_url="https://gw.example.com/v1/inbound/docusign/t_1",
    )
    expected, found = dict(leaves(golden)), dict(leaves(ours))
    # Where our Approve and Decline buttons stand is our own choice.
    own_places = ("approveTabs", "declineTabs")
    compared = {
        where: value
        for where, value in expected.items()
        if where.rpartition("/")[2] not in _OURS and not any(f"/{array}/" in where for array in own_places)
    }
    assert {where: found.get(where) for where in compared} == compared
    buttons = ours["recipients"]["signers"][1]["tabs"]
    assert [buttons[array][0]["buttonText"] for array in own_places] == ["Approve", "Decline"]
