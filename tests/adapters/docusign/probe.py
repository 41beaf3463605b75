"""Runs every operation with one canonical envelope against a script and writes down what it asked for.

`python -m tests.adapters.docusign.probe` renews the recordings; a test fails when they differ.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

import adapters.docusign
from adapters.docusign.adapter import DocuSign
from adapters.kit.exchange import Exchange, ProviderRequest, ProviderResponse, SavedBlob
from adapters.kit.port import Connection, Part, RecipientCorrection, SendMode, WebhookFinding
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, json_answer
from tests.adapters.docusign import samples

FOLDER = Path(adapters.docusign.__file__).with_name("recordings")
REF = samples.ENVELOPE_REF
_PDF = ProviderResponse(
    status=200,
    headers={"content-type": "application/pdf"},
    saved=SavedBlob("k", "0" * 64, 5, "application/pdf", b"%PDF-"),
)
_UPLOAD = {"chunkedUploadId": "u1", "chunkedUploadUri": "/chunked_uploads/u1", "committed": "false"}
_CREATED = {"envelopeId": REF, "uri": f"/envelopes/{REF}", "statusDateTime": "2026-03-05T10:15:30.4030000Z"}
_WORKFLOWS = {
    "identityVerification": [
        {"workflowId": identifier, "defaultName": name} for name, identifier in samples.WORKFLOWS.items()
    ]
}
_MEMBERS = {
    "signers": [
        {
            "recipientId": "1",
            "routingOrder": "1",
            "name": "Person 1 (as adopted)",
            "email": "person1@example.com",
            "clientUserId": str(samples.uid(201)),
            "customFields": [f"countersign_recipient_id={samples.uid(201)}"],
            "status": "sent",
        }
    ]
}
_SUMMARY = {"envelopeId": REF, "status": "sent", "transactionId": "env_01hxyz.1"}
_CONNECT = {"connectId": "77", "name": "Ours", "urlToPublishTo": "https://gateway.example/hook"}
_FINDINGS = (
    WebhookFinding(code="inactive", says="", ref="77", repairable=True),
    WebhookFinding(code="undelivered", says="", provider_refs=(REF,), repairable=True),
)

Run = Callable[[DocuSign, Exchange, Connection], Awaitable[Any]]
Probe = tuple[str, list[Any], Run]


def probes() -> list[Probe]:
    """(name, the answers in order, the operation)."""
    person = samples.recipient(embedded=True)
    draft = _SUMMARY | {"status": "created"}
    since = samples.NOW - timedelta(hours=1)
    token = json_answer({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})
    account = {"account_id": samples.ACCOUNT, "is_default": True, "base_uri": "https://demo.docusign.net"}
    user = json_answer({"sub": "u", "email": "api@example.com", "accounts": [account]})
    updated = json_answer({"envelopeId": REF})
    corrected = json_answer(
        {"recipientUpdateResults": [{"recipientId": "1", "errorDetails": {"errorCode": "SUCCESS"}}]}
    )
    large = samples.envelope(documents=(samples.document(1, size_bytes=25 * 1024 * 1024),))
    template = samples.envelope(
        documents=(), fields=(), recipients=(samples.recipient(template_role="Signer"),), template_ref="tpl-1"
    )

    def create(envelope: Any, mode: SendMode = SendMode.SEND) -> Run:
        return lambda a, x, c: a.create_envelope(x, c, envelope, mode, samples.NOW)

    sent = json_answer(_CREATED | {"status": "sent"}, 201)
    return [
        ("authorize", [token, user], lambda a, x, c: a.authorize(x, c, samples.NOW)),
        ("create_envelope", [json_answer(_WORKFLOWS), sent], create(samples.rich_envelope())),
        (
            "create_draft",
            [json_answer(_CREATED | {"status": "created"}, 201)],
            create(samples.envelope(), SendMode.DRAFT),
        ),
        ("create_from_template", [sent], create(template)),
        (
            "create_with_upload",
            [json_answer(_UPLOAD, 201)] + [json_answer(_UPLOAD)] * 7 + [sent],
            create(large),
        ),
        ("send_draft", [updated], lambda a, x, c: a.send_draft(x, c, REF)),
        (
            "discard_draft",
            [json_answer(draft), json_answer({"envelopes": []})],
            lambda a, x, c: a.discard_draft(x, c, REF),
        ),
        (
            "find_envelopes",
            [json_answer({"envelopes": [_SUMMARY]}), json_answer({"resultSetSize": "0"})],
            lambda a, x, c: a.find_envelopes(x, c, "env_01hxyz.1", since),
        ),
        ("get_envelope", [json_answer(_SUMMARY)], lambda a, x, c: a.get_envelope(x, c, REF)),
        (
            "list_changes",
            [json_answer({"envelopes": []})],
            lambda a, x, c: a.list_changes(x, c, since, "100"),
        ),
        ("void_envelope", [updated], lambda a, x, c: a.void_envelope(x, c, REF, "Wrong price.")),
        ("resend_to_all", [updated], lambda a, x, c: a.resend(x, c, REF, (), "")),
        (
            "resend_to_one",
            [json_answer(_MEMBERS), corrected],
            lambda a, x, c: a.resend(x, c, REF, (person,), "Please hurry."),
        ),
        (
            "correct_recipient",
            [json_answer(_MEMBERS), corrected],
            lambda a, x, c: a.correct_recipient(
                x, c, REF, RecipientCorrection(recipient=person, email="new@example.com")
            ),
        ),
        ("download_combined", [_PDF], lambda a, x, c: a.download(x, c, REF, Part.COMBINED, 0)),
        ("download_document", [_PDF], lambda a, x, c: a.download(x, c, REF, Part.DOCUMENT, 2)),
        ("download_certificate", [_PDF], lambda a, x, c: a.download(x, c, REF, Part.CERTIFICATE, 0)),
        ("audit_trail", [json_answer({"auditEvents": []})], lambda a, x, c: a.audit_trail(x, c, REF)),
        (
            "signing_url",
            [json_answer(_MEMBERS), json_answer({"url": "https://demo.docusign.net/Signing/x"}, 201)],
            lambda a, x, c: a.signing_url(x, c, REF, person, "https://dms.example.com/back"),
        ),
        (
            "check_credentials",
            [user, json_answer({"accountName": "Demo", "accountIdGuid": samples.ACCOUNT})],
            lambda a, x, c: a.check_credentials(x, c),
        ),
        (
            "check_webhooks",
            [json_answer({"configurations": []}), json_answer({"failures": []})],
            lambda a, x, c: a.check_webhooks(x, c, (REF,)),
        ),
        (
            "repair_webhooks",
            [
                json_answer({"configurations": [_CONNECT]}),
                json_answer(_CONNECT),
                json_answer({"retryQueue": []}),
            ],
            lambda a, x, c: a.repair_webhooks(x, c, _FINDINGS),
        ),
    ]


async def record(probe: Probe) -> list[dict[str, Any]]:
    _, answers, run = probe
    adapter = DocuSign()
    exchange = ScriptedExchange(adapter, [(Expected(), answer) for answer in answers])
    await run(adapter, exchange, samples.connection())
    exchange.finish()
    return [shown(request) for request in exchange.requests]


def shown(request: ProviderRequest) -> dict[str, Any]:
    url = request.path + (f"?{urlencode(request.query)}" if request.query else "")
    body = body_of(request)
    if request.content_type == "application/json":
        read: Any = msgspec.json.decode(body) if body else None
    else:
        read = re.sub(r"assertion=[^&]+", "assertion=***", body.decode())
    return {
        "operation": request.operation,
        "method": request.method,
        "url": url,
        "effect": request.effect,
        "accept": sorted(request.accept),
        "headers": {name: "***" if name == "authorization" else value for name, value in request.headers},
        "save": request.save,
        "body": read,
    }


def written(recording: list[dict[str, Any]]) -> str:
    return json.dumps(recording, indent=1, ensure_ascii=False) + "\n"


async def _renew() -> None:
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for probe in probes():
        (FOLDER / f"{probe[0]}.json").write_text(written(await record(probe)), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_renew())
