"""Finding envelopes again, templates, multipart, and the wire form of every answer."""

import json

import pytest
from sandbox_docusign_kit import ROOT, Sandbox, blank_pdf, definition, signer

CATALOGUE = json.loads((ROOT / "adapters/docusign/sandbox/catalogue.json").read_text())["models"]
ONE_SIGNER = "5a0b0c5a-0000-4000-8000-0000000007e1"


def listed(sandbox: Sandbox, query: str) -> list[str]:
    answer = sandbox.api("GET", f"/envelopes?{query}")
    assert answer.status_code == 200, answer.text
    return [envelope["envelopeId"] for envelope in answer.json().get("envelopes", [])]


def test_lookup_by_transaction_and_by_hidden_field_finds_the_one_envelope(sandbox: Sandbox) -> None:
    field = {"textCustomFields": [{"name": "gateway_envelope_id", "value": "env_42", "show": "false"}]}
    wanted = sandbox.create(transactionId="env_42", customFields=field)
    sandbox.create(transactionId="env_43")
    assert listed(sandbox, "transaction_ids=env_42") == [wanted]
    assert listed(sandbox, "from_date=2020-01-01T00:00:00Z&custom_field=gateway_envelope_id%3Denv_42") == [
        wanted
    ]
    statuses = sandbox.api("GET", "/envelopes?transaction_ids=env_42").json()["envelopeTransactionStatuses"]
    assert statuses == [{"envelopeId": wanted, "status": "sent", "transactionId": "env_42"}]
    assert "envelopes" not in sandbox.api("GET", "/envelopes?transaction_ids=env_99").json()


def test_transaction_id_is_forgotten_after_seven_days(sandbox: Sandbox) -> None:
    sandbox.create(transactionId="env_old", status="created")
    sandbox.control("POST", "/switches", advance_seconds=7 * 86_400 + 60)
    sandbox.forget_token()
    assert listed(sandbox, "transaction_ids=env_old") == []


def test_list_pages_through_all_changes_since_a_date(sandbox: Sandbox) -> None:
    made = [sandbox.create() for _ in range(5)]
    since = sandbox.get(made[0])["statusChangedDateTime"]
    seen: list[str] = []
    for start in (0, 2, 4):
        query = f"from_date={since}&count=2&start_position={start}"
        page = sandbox.api("GET", f"/envelopes?{query}").json()
        assert (page["startPosition"], page["totalSetSize"]) == (str(start), "5")
        seen += [envelope["envelopeId"] for envelope in page["envelopes"]]
    assert seen == made
    assert page["nextUri"] == ""


def test_list_filters_by_status_and_by_the_moment_that_is_asked_for(sandbox: Sandbox) -> None:
    signed, waiting = sandbox.create(), sandbox.create()
    sandbox.act(signed, "1", "sign")
    ids = f"envelope_ids={signed},{waiting}"
    assert listed(sandbox, f"{ids}&status=completed") == [signed]
    assert listed(sandbox, f"{ids}&from_date=2020-01-01T00:00:00Z&from_to_status=completed") == [signed]
    body = {"envelopeIds": [waiting]}
    answer = sandbox.api("PUT", "/envelopes/status?envelope_ids=request_body", body)
    assert [envelope["envelopeId"] for envelope in answer.json()["envelopes"]] == [waiting]


def test_asynchronous_create_answers_without_id_and_is_found_by_its_transaction(sandbox: Sandbox) -> None:
    answer = sandbox.api("POST", "/envelopes", definition(asynchronous="true", transactionId="env_async"))
    assert answer.status_code == 201
    assert "envelopeId" not in answer.json()
    assert len(listed(sandbox, "transaction_ids=env_async")) == 1


def test_template_role_becomes_the_signer_and_a_mismatch_a_second_one(sandbox: Sandbox) -> None:
    role = {"roleName": "Signer", "name": "Ada", "email": "ada@example.com"}
    counts = {}
    for role_name in ("Signer", "signer"):
        body = {
            "templateId": ONE_SIGNER,
            "templateRoles": [{**role, "roleName": role_name}],
            "status": "created",
        }
        envelope_id = sandbox.api("POST", "/envelopes", body).json()["envelopeId"]
        counts[role_name] = sandbox.get(envelope_id)["recipients"]["recipientCount"]
    assert counts == {"Signer": "1", "signer": "2"}
    assert sandbox.api("GET", f"/templates/{ONE_SIGNER}").json()["name"] == "One signer"


def test_composite_template_merges_the_inline_recipients(sandbox: Sandbox) -> None:
    role = {"recipientId": "1", "roleName": "Signer", "name": "Ada", "email": "ada@example.com"}
    composite = {
        "serverTemplates": [{"sequence": "1", "templateId": ONE_SIGNER}],
        "inlineTemplates": [{"sequence": "2", "recipients": {"signers": [role]}}],
    }
    answer = sandbox.api("POST", "/envelopes", {"status": "sent", "compositeTemplates": [composite]})
    assert answer.status_code == 201, answer.text
    people = sandbox.get(answer.json()["envelopeId"])["recipients"]["signers"]
    assert [(person["name"], person["status"]) for person in people] == [("Ada", "sent")]


def test_multipart_create_takes_binary_documents(sandbox: Sandbox) -> None:
    pdf = blank_pdf(2)
    shown = definition(
        status="created", documents=[{"documentId": "1", "name": "a.pdf", "fileExtension": "pdf"}]
    )
    body = (
        b'--BOUND\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name="envelopeDefinition"\r\n\r\n'
        + json.dumps(shown).encode()
        + b"\r\n--BOUND\r\nContent-Type: application/pdf\r\n"
        b'Content-Disposition: file; filename="a.pdf"; documentid="1"\r\n\r\n' + pdf + b"\r\n--BOUND--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=BOUND"}
    answer = sandbox.api("POST", "/envelopes", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert sandbox.api("GET", f"/envelopes/{answer.json()['envelopeId']}/documents/1").content == pdf


def test_identity_workflow_is_read_from_the_account_and_accepted(sandbox: Sandbox) -> None:
    shown = sandbox.api("GET", "/identity_verification").json()["identityVerification"]
    workflow = next(w["workflowId"] for w in shown if w["defaultName"] == "Phone Authentication")
    numbers = [{"countryCode": "1", "number": "5551234567"}]
    option = {"name": "phone_number_list", "valueType": "PhoneNumberList", "phoneNumberList": numbers}
    check = {"workflowId": workflow, "inputOptions": [option]}
    envelope_id = sandbox.create(recipients={"signers": [signer(identityVerification=check)]})
    sandbox.act(envelope_id, "1", "fail_authentication")
    person = sandbox.get(envelope_id)["recipients"]["signers"][0]
    assert "identityVerificationResult" in person["recipientAuthenticationStatus"]


def strange(value: object, model: str, path: str = "") -> list[str]:
    """Attributes of an answer that the official client's model does not have, or has with another type."""
    found: list[str] = []
    for name, item in value.items():
        kind = CATALOGUE[model].get(name)
        here = f"{path}/{name}"
        if kind is None:
            found.append(f"{here} is unknown to {model}")
            continue
        inner = kind.removeprefix("list[").removesuffix("]")
        for one in item if kind.startswith("list[") else [item]:
            if inner in CATALOGUE:
                found += strange(one, inner, here)
            elif inner == "str" and not isinstance(one, str):
                found.append(f"{here} is no string: {one!r}")
    return found


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("", "Envelope"),
        ("?include=recipients,tabs,documents,custom_fields,folders", "Envelope"),
        ("/recipients?include_tabs=true", "Recipients"),
        ("/documents", "EnvelopeDocumentsResult"),
        ("/custom_fields", "CustomFields"),
        ("/notification", "Notification"),
        ("/audit_events", "EnvelopeAuditEventResponse"),
    ],
)
def test_answer_has_only_attributes_and_string_scalars_of_the_official_model(
    sandbox: Sandbox, path: str, model: str
) -> None:
    field = {"textCustomFields": [{"name": "a", "value": "b"}]}
    people = {
        "signers": [signer(accessCode="x")],
        "carbonCopies": [{"recipientId": "3", "name": "Cy", "email": "cy@example.com", "routingOrder": "2"}],
    }
    envelope_id = sandbox.create(customFields=field, recipients=people)
    sandbox.act(envelope_id, "1", "fail_authentication")
    sandbox.act(envelope_id, "1", "sign")
    assert strange(sandbox.api("GET", f"/envelopes/{envelope_id}{path}").json(), model) == []


def test_userinfo_names_the_sandbox_as_base_and_real_booleans(sandbox: Sandbox) -> None:
    answer = sandbox.http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {sandbox.token}"}).json()
    account = answer["accounts"][0]
    assert (account["base_uri"], account["is_default"]) == (sandbox.url, True)
    assert account["account_id"] == sandbox.credentials["account_id"]
