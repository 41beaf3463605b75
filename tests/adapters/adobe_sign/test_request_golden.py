"""The create request against the golden samples of the provider contract, attribute by attribute."""

import json
from pathlib import Path

from adapters.adobe_sign import ADAPTER
from adapters.adobe_sign.webhook import _webhook
from adapters.adobe_sign.wire import encode
from adapters.kit.port import SendMode
from adapters.kit.scripted import Expected, ScriptedExchange, body_of
from normalizer.ids import Kind, print_id
from tests.adapters.adobe_sign.probe import CREATED, UPLOADED
from tests.adapters.adobe_sign.samples import NOW, canonical_envelope, connection, uid

SAMPLES = Path(__file__).parent / "fixtures" / "samples"
# The sample also shows what we do not ask for: mails are the default, and we have no page to return to.
NOT_ASKED = {"emailOption", "postSignOption"}


async def test_create_request_equals_the_golden_sample() -> None:
    exchange = ScriptedExchange(ADAPTER, [(Expected(), UPLOADED), (Expected(), CREATED)])
    await ADAPTER.create_envelope(exchange, connection(), canonical_envelope(), SendMode.SEND, NOW)
    sent = json.loads(body_of(exchange.requests[1]))
    golden = json.loads((SAMPLES / "create-agreement.request.json").read_text())

    assert golden.keys() - sent.keys() == NOT_ASKED
    names = {print_id(Kind.RECIPIENT, uid(201)): "signer1", print_id(Kind.RECIPIENT, uid(202)): "approver1"}
    for each in sent["participantSetsInfo"]:
        each["name"] = names.get(each["name"], "")
        each["memberInfos"][0].pop("name")
    sent["participantSetsInfo"][2].pop("name")
    generator = sent["formFieldGenerators"][0]
    generator["participantSetName"] = names[generator["participantSetName"]]
    assert generator.pop("formFieldNamePrefix").startswith("anchored_fld_")
    golden["formFieldGenerators"][0].pop("formFieldNamePrefix")
    sent["fileInfos"][0]["transientDocumentId"] = golden["fileInfos"][0]["transientDocumentId"]
    golden |= {"externalId": {"id": "env_01hxyz.1"}, "expirationTime": "2026-02-14T12:00:00Z"}
    assert sent == {key: value for key, value in golden.items() if key not in NOT_ASKED}


def test_webhook_request_equals_the_golden_sample() -> None:
    golden = json.loads((SAMPLES / "create-webhook.request.json").read_text())
    url, ref = golden["webhookUrlInfo"]["url"], golden["resourceId"]
    sent = json.loads(encode(_webhook(url, ref, "env_01HXYZ")))
    wanted = golden["webhookConditionalParams"]["webhookAgreementEvents"]
    golden["webhookConditionalParams"]["webhookAgreementEvents"] = {
        name: value for name, value in wanted.items() if value
    }
    golden["name"] = "countersign-env_01HXYZ"
    assert sent == golden
