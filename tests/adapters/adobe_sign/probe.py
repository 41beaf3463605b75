"""Every operation once, with one canonical envelope and scripted answers: what it sends is the recording.

`python -m tests.adapters.adobe_sign.probe` writes the recordings anew after a deliberate change.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from adapters.adobe_sign import ADAPTER
from adapters.kit.exchange import Exchange, ProviderRequest, ProviderResponse, SavedBlob
from adapters.kit.port import Part, RecipientCorrection, SendMode, WebhookFinding
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, json_answer
from normalizer.ids import Kind, print_id
from tests.adapters.adobe_sign.samples import (
    NOW,
    canonical_envelope,
    connection,
    envelope,
    field,
    recipient,
    uid,
)

RECORDINGS = Path(__file__).parents[3] / "adapters" / "adobe_sign" / "recordings"
REF = "CBJCHBCAABAA-1"
HOOKED = connection(webhook_url="https://gw.example.com/webhooks/signatures/adobe-sign/secret")
PLAIN = connection()
FINDINGS = (
    WebhookFinding(code="inactive", says="", ref="w-1", provider_refs=(REF,), repairable=True),
    WebhookFinding(code="missing", says="", provider_refs=(REF,), repairable=True),
)
MASKED_HEADERS = {"authorization", "x-api-user"}
MASKED_WORDS = ("refresh-1", "secret-1", "k3y-9")

AGREEMENT = {"id": REF, "status": "OUT_FOR_SIGNATURE", "externalId": {"id": "env_01hxyz.1"}}
MEMBERS = {
    "participantSets": [
        {
            "id": f"set-{number}",
            "name": print_id(Kind.RECIPIENT, uid(200 + number)),
            "order": number,
            "role": "SIGNER",
            "status": status,
            "memberInfos": [{"id": f"member-{number}", "email": email, "status": "ACTIVE"}],
        }
        for number, status, email in (
            (1, "WAITING_FOR_MY_SIGNATURE", "ada@example.com"),
            (2, "NOT_YET_VISIBLE", "bob@example.com"),
        )
    ]
}
FOUND = {
    "page": {},
    "userAgreementList": [{"id": REF, "status": "AUTHORING", "displayDate": "2026-01-10T00:00:00Z"}],
}
PDF = ProviderResponse(
    status=200,
    headers={},
    saved=SavedBlob(
        key="kept", sha256="0" * 64, size_bytes=5, media_type="application/pdf", first_bytes=b"%PDF-"
    ),
)
NOTHING = ProviderResponse(status=204, headers={})


def answer(value: object, status: int = 200, etag: str = "") -> ProviderResponse:
    return json_answer(value, status, {"etag": etag} if etag else {})


UPLOADED = answer({"transientDocumentId": "3AAA"}, 201)
CREATED = answer({"id": REF}, 201)
HOOKED_UP = answer({"id": "hook-1"}, 201)
SEEN = answer(AGREEMENT, etag="e1")
AUTHORED = answer(AGREEMENT | {"status": "AUTHORING"}, etag="e1")
OUT = answer(
    {"signingUrlSetInfos": [{"signingUrls": [{"email": "ada@example.com", "esignUrl": "https://x"}]}]}
)

Operation = Callable[[Exchange], Awaitable[object]]
PLACED = envelope(recipients=(recipient(1), recipient(2)), fields=(field(1), field(2, recipient_id=uid(202))))
CORRECTION = RecipientCorrection(recipient=recipient(1), email="ada.new@example.com")

PROBES: dict[str, tuple[Operation, tuple[ProviderResponse, ...]]] = {
    "authorize": (
        lambda exchange: ADAPTER.authorize(exchange, PLAIN, NOW),
        (
            answer({"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600}),
            answer({"apiAccessPoint": "https://api.na1.adobesign.com/"}),
        ),
    ),
    "create_envelope": (
        lambda exchange: ADAPTER.create_envelope(exchange, HOOKED, canonical_envelope(), SendMode.SEND, NOW),
        (UPLOADED, CREATED, HOOKED_UP),
    ),
    "create_envelope_with_coordinates": (
        lambda exchange: ADAPTER.create_envelope(exchange, PLAIN, PLACED, SendMode.SEND, NOW),
        (
            UPLOADED,
            CREATED,
            AUTHORED,
            answer(MEMBERS),
            answer({"fields": []}, etag="f1"),
            NOTHING,
            AUTHORED,
            NOTHING,
        ),
    ),
    "send_draft": (
        lambda exchange: ADAPTER.send_draft(exchange, PLAIN, REF),
        (AUTHORED, answer({"fields": [{"name": "fld_1"}]}), AUTHORED, NOTHING),
    ),
    "discard_draft": (
        lambda exchange: ADAPTER.discard_draft(exchange, PLAIN, REF),
        (AUTHORED, NOTHING),
    ),
    "find_envelopes": (
        lambda exchange: ADAPTER.find_envelopes(exchange, PLAIN, "env_01hxyz.1", NOW),
        (answer(FOUND),),
    ),
    "get_envelope": (
        lambda exchange: ADAPTER.get_envelope(exchange, PLAIN, REF),
        (SEEN, answer(MEMBERS)),
    ),
    "list_changes": (
        lambda exchange: ADAPTER.list_changes(exchange, PLAIN, NOW, "cursor-2"),
        (answer(FOUND),),
    ),
    "void_envelope": (
        lambda exchange: ADAPTER.void_envelope(exchange, PLAIN, REF, "Wrong price"),
        (SEEN, SEEN, NOTHING),
    ),
    "resend": (
        lambda exchange: ADAPTER.resend(exchange, PLAIN, REF, (recipient(1),), "Please"),
        (answer(MEMBERS), answer({"id": "reminder-1"}, 201)),
    ),
    "correct_recipient": (
        lambda exchange: ADAPTER.correct_recipient(exchange, PLAIN, REF, CORRECTION),
        (answer(MEMBERS), answer(MEMBERS["participantSets"][0], etag="p1"), NOTHING),
    ),
    "download_combined": (
        lambda exchange: ADAPTER.download(exchange, PLAIN, REF, Part.COMBINED, 0),
        (PDF,),
    ),
    "download_document": (
        lambda exchange: ADAPTER.download(exchange, PLAIN, REF, Part.DOCUMENT, 1),
        (answer({"documents": [{"id": "d-1", "label": "doc1"}]}), PDF),
    ),
    "download_certificate": (
        lambda exchange: ADAPTER.download(exchange, PLAIN, REF, Part.CERTIFICATE, 0),
        (PDF,),
    ),
    "audit_trail": (
        lambda exchange: ADAPTER.audit_trail(exchange, PLAIN, REF),
        (answer({"events": []}),),
    ),
    "signing_url": (
        lambda exchange: ADAPTER.signing_url(exchange, PLAIN, REF, recipient(1), "https://dms.example/back"),
        (OUT,),
    ),
    "check_credentials": (
        lambda exchange: ADAPTER.check_credentials(exchange, PLAIN),
        (
            answer({"id": "user-1", "email": "sam@example.com", "accountId": "account-1"}),
            answer({"apiAccessPoint": "https://api.na1.adobesign.com/"}),
        ),
    ),
    "check_webhooks": (
        lambda exchange: ADAPTER.check_webhooks(exchange, HOOKED, (REF,)),
        (answer({"userWebhookList": [], "page": {}}),),
    ),
    "repair_webhooks": (
        lambda exchange: ADAPTER.repair_webhooks(exchange, HOOKED, FINDINGS),
        (
            json_answer({"id": "w-1", "status": "INACTIVE"}, headers={"etag": '"7"'}),
            ProviderResponse(status=204, headers={}),
            json_answer({"id": "w-2"}, 201),
        ),
    ),
}


async def run_probe(name: str) -> list[ProviderRequest]:
    operation, answers = PROBES[name]
    exchange = ScriptedExchange(ADAPTER, [(Expected(), each) for each in answers])
    await operation(exchange)
    exchange.finish()
    return exchange.requests


def recording_of(requests: list[ProviderRequest]) -> str:
    return json.dumps([_snapshot(each) for each in requests], indent=1, ensure_ascii=False) + "\n"


def _snapshot(request: ProviderRequest) -> dict:
    shown: dict = {"method": request.method, "url": request.path, "effect": request.effect}
    if request.query:
        shown["query"] = dict(request.query)
    if request.headers:
        shown["headers"] = {
            name: "***" if name.lower() in MASKED_HEADERS else value for name, value in request.headers
        }
    if request.content:
        text = body_of(request).decode()
        for word in MASKED_WORDS:
            text = text.replace(word, "***")
        shown["content_type"] = request.content_type
        is_json = request.content_type == "application/json"
        shown["body"] = json.loads(text) if is_json else text
    return shown | {"accept": sorted(request.accept), "save": request.save}


def main() -> None:
    RECORDINGS.mkdir(exist_ok=True)
    for name in PROBES:
        text = recording_of(asyncio.run(run_probe(name)))
        (RECORDINGS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
